// What has to be done in the page before and besides real input: finding, checking, selecting.

const TEXT_INPUTS = new Set(["text", "email", "number", "password", "search", "tel", "url"]);
const SET_INPUTS = new Set(["color", "date", "datetime-local", "month", "range", "time", "week"]);

/** The element that is hit at a point of its own document, through open shadow roots. */
function hit(root, x, y) {
  let element = root.elementFromPoint(x, y);
  while (element?.shadowRoot) {
    const inner = element.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === element) break;
    element = inner;
  }
  return element;
}

function parentOf(element) {
  return element.assignedSlot || element.parentElement || element.getRootNode().host || null;
}

function holds(outer, inner) {
  for (let element = inner; element; element = parentOf(element)) if (element === outer) return true;
  return false;
}

/** Whether what is hit passes a click on to the element: it is in it, or in its label. */
function reaches(struck, element) {
  if (!struck) return false;
  if (holds(element, struck)) return true;
  const labels = element.labels ? [...element.labels] : [];
  if (element.tagName === "LABEL" && element.control && holds(element.control, struck)) return true;
  return labels.some((label) => holds(label, struck));
}

/** The element in the way of a click at a point in the element's document; null when nothing is. */
function inTheWay(element, x, y) {
  const struck = hit(element.ownerDocument, x, y);
  if (!reaches(struck, element)) return struck || element.ownerDocument.documentElement;
  let frame = element.ownerDocument.defaultView.frameElement;
  while (frame) {
    const inner = frame.getBoundingClientRect();
    const style = getComputedStyle(frame);
    x += inner.left + frame.clientLeft + parseFloat(style.paddingLeft);
    y += inner.top + frame.clientTop + parseFloat(style.paddingTop);
    const over = hit(frame.ownerDocument, x, y);
    if (!over || !holds(frame, over)) return over || frame;
    frame = frame.ownerDocument.defaultView.frameElement;
  }
  return null;
}

/** Points of an element to try: the middles of its boxes first, then four points around the middle. */
function pointsOf(element) {
  const boxes = [...element.getClientRects()].filter((box) => box.width > 0 && box.height > 0).slice(0, 4);
  const middles = boxes.map((box) => [box.left + box.width / 2, box.top + box.height / 2]);
  const box = element.getBoundingClientRect();
  if (boxes.length !== 1) middles.push([box.left + box.width / 2, box.top + box.height / 2]);
  const around = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]];
  return [...middles, ...around.map(([x, y]) => [box.left + box.width * x, box.top + box.height * y])];
}

function inWindow(element, [x, y]) {
  const [left, top] = offsetOf(element.ownerDocument);
  return x + left >= 0 && y + top >= 0 && x + left < innerWidth && y + top < innerHeight;
}

/** What an element in the way is called: the mark it has or is in, its tag and its words. */
function named(element) {
  for (let each = element; each; each = parentOf(each)) {
    const number = numbers.get(each);
    if (number !== undefined) return { mark: number };
  }
  return { mark: 0, tag: clean(element.localName, 40), text: clean(element.innerText, 60) };
}

function refusal(element, { enabled = true } = {}) {
  if (!element) return { why: "no_such_mark" };
  const box = element.getBoundingClientRect();
  const flat = box.width === 0 && box.height === 0;
  if (flat || !element.checkVisibility({ visibilityProperty: true })) return { why: "not_visible" };
  if (enabled && disabled(element)) return { why: "disabled" };
  return null;
}

/** Where to point at a marked element, scrolled into view; or why it cannot be, and what covers it. */
function point(number, enabled) {
  const element = marked(number);
  const refused = refusal(element, { enabled });
  if (refused) return refused;
  const free = (place) => inWindow(element, place) && inTheWay(element, ...place) === null;
  let places = pointsOf(element);
  if (!free(places[0])) {
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    places = pointsOf(element);
  }
  const place = places.find(free);
  if (!place) {
    const visible = places.find((each) => inWindow(element, each));
    return visible ? { why: "covered", by: named(inTheWay(element, ...visible)) } : { why: "not_visible" };
  }
  const [left, top] = offsetOf(element.ownerDocument);
  return { x: place[0] + left, y: place[1] + top, checked: checkedOf(element) };
}

function checkedOf(element) {
  const field = element.control || element;
  if (field.type === "checkbox" || field.type === "radio") return field.checked;
  const said = field.getAttribute("aria-checked");
  return said === null ? null : said === "true";
}

function checked(number) {
  const element = marked(number);
  return element ? checkedOf(element) : null;
}

function changed(element) {
  for (const kind of ["input", "change"]) {
    element.dispatchEvent(new Event(kind, { bubbles: true, composed: kind === "input" }));
  }
}

/** Make ready to write into a field: what stands in it is selected; kinds that are picked are set at once. */
function write(number, value) {
  const element = marked(number);
  const refused = refusal(element);
  if (refused) return refused;
  const field = element.control || element;
  const editable = field.isContentEditable || field.tagName === "TEXTAREA" ||
    (field.tagName === "INPUT" && (TEXT_INPUTS.has(field.type) || SET_INPUTS.has(field.type)));
  if (!editable || field.readOnly) return { why: "not_editable" };
  field.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  field.focus();
  if (field.tagName === "INPUT" && SET_INPUTS.has(field.type)) return set(field, value);
  if (field.tagName === "INPUT" && field.type === "number" && value && !Number.isFinite(Number(value))) {
    return { why: "not_editable", form: "number" };
  }
  if (field.isContentEditable) field.ownerDocument.getSelection().selectAllChildren(field);
  else field.select();
  return { write: true };
}

function set(field, value) {
  const before = field.value;
  field.value = value;
  if (field.value !== value && value !== "" && field.type !== "range") {
    field.value = before;
    return { why: "not_editable", form: field.type };
  }
  changed(field);
  return { write: false };
}

/** Select options of a list by what they say or by their value. */
function choose(number, wanted) {
  const element = marked(number);
  const refused = refusal(element);
  if (refused) return refused;
  const list = element.control || element;
  if (list.tagName !== "SELECT") return { why: "not_allowed" };
  const all = [...list.options];
  const told = all.slice(0, MOST_OPTIONS).map((each) => clean(each.label, 80));
  const chosen = [];
  for (const each of wanted) {
    const found = all.find((option) => option.label === each || option.value === each) ||
      all.find((option) => clean(option.label, 1000) === clean(each, 1000));
    if (!found) return { why: "no_such_option", option: each, options: told };
    if (found.disabled || found.parentElement?.disabled) return { why: "disabled" };
    chosen.push(found);
  }
  if (!list.multiple && chosen.length > 1) return { why: "not_allowed", one: true };
  list.focus();
  if (list.multiple) for (const option of all) option.selected = chosen.includes(option);
  else chosen[0].selected = true;
  changed(list);
  return { chosen: chosen.length };
}

function focus(number) {
  const element = marked(number);
  const refused = refusal(element);
  if (refused) return refused;
  element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  (element.control || element).focus();
  return {};
}

/** Scroll what is under a point, or the page, or else its largest part that can be; whether anything moved. */
function scroll(x, y, across, down) {
  const moves = (element) => {
    const before = [element.scrollLeft, element.scrollTop];
    element.scrollBy({ left: across, top: down, behavior: "instant" });
    return element.scrollLeft !== before[0] || element.scrollTop !== before[1];
  };
  const scrolls = (element) => {
    const style = getComputedStyle(element);
    return /auto|scroll/.test(style.overflowX + style.overflowY);
  };
  for (let element = hit(document, x, y); element; element = parentOf(element)) {
    if (scrolls(element) && moves(element)) return true;
  }
  if (moves(document.scrollingElement || document.documentElement)) return true;
  const area = (element) => element.clientWidth * element.clientHeight;
  const parts = [...elements.values()].filter((each) => alive(each) && scrolls(each));
  parts.sort((one, other) => area(other) - area(one));
  return parts.length > 0 && moves(parts[0]);
}

/** Let go of what is left of an earlier task: focus, selection, and how far the page is scrolled. */
function leave() {
  focusedElement()?.blur();
  getSelection()?.removeAllRanges();
  scrollTo({ left: 0, top: 0, behavior: "instant" });
}
