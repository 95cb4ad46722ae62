// What a person can see of an element: whether it is shown, where it is, and in which colours.

const SKIPPED = new Set(("SCRIPT STYLE NOSCRIPT TEMPLATE HEAD META LINK TITLE BASE DATALIST PARAM SOURCE TRACK " +
  "COLGROUP COL MAP RP").split(" "));
const EVERYWHERE = { left: -1e9, top: -1e9, right: 1e9, bottom: 1e9 };
const BASIC = {
  "0,0,0": "black", "255,255,255": "white", "255,0,0": "red", "0,128,0": "green", "0,255,0": "lime",
  "0,0,255": "blue", "255,255,0": "yellow", "0,255,255": "cyan", "255,0,255": "magenta", "128,128,128": "gray",
  "192,192,192": "silver", "128,0,0": "maroon", "128,128,0": "olive", "128,0,128": "purple", "0,128,128": "teal",
  "0,0,128": "navy", "255,165,0": "orange", "255,192,203": "pink", "165,42,42": "brown", "255,215,0": "gold",
  "75,0,130": "indigo", "238,130,238": "violet",
};

/** A text on one line, at most so long, that can be written anywhere. */
function clean(text, longest = 500) {
  if (!text) return "";
  let said = text.length > 4 * longest ? text.slice(0, 4 * longest) : text;
  said = said.replace(/[\ue000-\uf8ff]/g, "").replace(/\s+/g, " ").trim();
  if (said.length > longest) said = said.slice(0, longest) + "...";
  return said.toWellFormed();
}

/** A text with its blanks and line ends as they are, at most so long. */
function exact(text, longest = 500) {
  const said = text.length > longest ? `${text.slice(0, longest)}... (${text.length} characters)` : text;
  return said.toWellFormed();
}

/** A computed colour in a word or in hexadecimal digits; empty for one that is not to be seen. */
function colour(value) {
  const parts = /^rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)$/.exec(value || "");
  if (!parts || parts[4] === "0") return "";
  const numbers = [parts[1], parts[2], parts[3]];
  return BASIC[numbers.join(",")] || "#" + numbers.map((n) => Number(n).toString(16).padStart(2, "0")).join("");
}

function meet(one, other) {
  return {
    left: Math.max(one.left, other.left), top: Math.max(one.top, other.top),
    right: Math.min(one.right, other.right), bottom: Math.min(one.bottom, other.bottom),
  };
}

function touch(one, other) {
  return one.left < other.right && one.right > other.left && one.top < other.bottom && one.bottom > other.top;
}

/** Where the contents of a frame stand in the window: the offset of its document. */
function offsetOf(root) {
  let x = 0, y = 0;
  let frame = root.defaultView && root.defaultView.frameElement;
  while (frame) {
    const box = frame.getBoundingClientRect();
    const style = getComputedStyle(frame);
    x += box.left + frame.clientLeft + parseFloat(style.paddingLeft);
    y += box.top + frame.clientTop + parseFloat(style.paddingTop);
    frame = frame.ownerDocument.defaultView.frameElement;
  }
  return [x, y];
}

/**
 * What an element inherits from those around it: how deep it is told, where the document stands in the
 * window, what cuts it off, and whether an element around it is see-through or already a pointer's target.
 */
function outermost(root) {
  const [x, y] = offsetOf(root);
  const view = root.defaultView;
  return {
    depth: 0, x, y, view, faded: false, pointer: false, labelled: false, legible: false,
    clip: EVERYWHERE, absoluteClip: EVERYWHERE,
  };
}

/** Style, box and visibility of an element; null when neither it nor anything in it is shown. */
function look(element, context) {
  const style = getComputedStyle(element);
  if (style.display === "none") return null;
  const contents = style.display === "contents";
  if (!contents && !element.checkVisibility()) return null;
  const box = element.getBoundingClientRect();
  const faded = context.faded || style.opacity === "0";
  const clip = style.position === "fixed" ? EVERYWHERE
    : style.position === "absolute" ? context.absoluteClip : context.clip;
  const view = context.view;
  const reachable = box.right + view.scrollX > 0 && box.bottom + view.scrollY > 0;
  const sized = box.width > 1 || box.height > 1 || contents;
  const uncovered = clip === EVERYWHERE || touch(box, clip);
  const inPlace = style.visibility === "visible" && (contents || (sized && reachable && uncovered));
  return { element, style, box, faded, clip, inPlace, seen: inPlace && !faded, sized };
}

/** What the children of an element that was looked at inherit. */
function within(looked, context) {
  const { style, box, faded, clip } = looked;
  const inner = { ...context, faded, clip, pointer: context.pointer || style.cursor === "pointer" };
  const cuts = style.overflowX !== "visible" || style.overflowY !== "visible";
  const placed = style.position !== "static" || style.transform !== "none";
  const whole = looked.element === looked.element.ownerDocument.body;
  if (cuts && !whole && style.display !== "inline" && style.display !== "contents") {
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY);
    const shut = box.width < 2 || box.height < 2 || !touch(box, clip);
    inner.clip = shut ? { left: 0, top: 0, right: 0, bottom: 0 } : scrolls ? EVERYWHERE : meet(clip, box);
    // An element that is placed absolutely is cut off only by those that it is placed in.
    if (placed) inner.absoluteClip = inner.clip;
  } else if (placed) {
    inner.absoluteClip = clip;
  }
  return inner;
}

/** Whether a box, in the coordinates of its document, is in the part of the page that is shown. */
function inView(box, context) {
  const left = box.left + context.x, top = box.top + context.y;
  return left < innerWidth && top < innerHeight && left + box.width > 0 && top + box.height > 0;
}

/** Centre and size of a box in the window, in whole pixels. */
function placeOf(box, context) {
  return [
    Math.round(box.left + box.width / 2 + context.x), Math.round(box.top + box.height / 2 + context.y),
    Math.round(box.width), Math.round(box.height),
  ];
}
