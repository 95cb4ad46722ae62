// The page as lines: [depth, mark or 0, role, name, [[key, value], ...], whether it is in view].

const MOST_LINES = 3000;
const MOST_NODES = 30000;
const MOST_OPTIONS = 60;
const MOST_SHAPES = 150;
const LONGEST_FOLDED = 200;
const TEXT = "StaticText";

class Tree {
  constructor(options) {
    this.options = options;
    this.lines = [];
    this.nodes = 0;
    this.words = "";
    this.wordsAt = null;
    this.focus = focusedElement();
    this.watched = [];
  }

  get full() {
    return this.lines.length >= MOST_LINES || this.nodes >= MOST_NODES;
  }

  document(root, depth) {
    this.watched.push(root);
    const body = root.body || root.documentElement;
    if (body) this.element(body, { ...outermost(root), depth });
    this.flush();
  }

  children(element, context) {
    const root = element.shadowRoot;
    if (root) this.watched.push(root);
    const nodes = element.tagName === "SLOT" && element.assignedNodes().length
      ? element.assignedNodes({ flatten: true }) : (root || element).childNodes;
    for (const node of nodes) {
      if (this.full) return;
      if (node.nodeType === 3) this.text(node, context);
      else if (node.nodeType === 1) this.element(node, context);
    }
  }

  text(node, context) {
    if (!context.legible || context.labelled) return;
    this.words += node.data;
    this.wordsAt ||= context;
  }

  /** Tell the words that were gathered as one line. */
  flush() {
    const said = this.words && clean(this.words, 1000);
    const context = this.wordsAt;
    this.words = "";
    this.wordsAt = null;
    if (!said) return;
    const extras = this.options.coordinates ? [["at", placeOf(context.box, context)]] : [];
    this.lines.push([context.depth, 0, TEXT, said, extras, inView(context.box, context)]);
  }

  element(element, context) {
    this.nodes++;
    const tag = element.tagName;
    if (SKIPPED.has(tag)) return;
    if (tag === "BR") return void (this.words += "\n", this.flush());
    const looked = look(element, context);
    if (!looked) return;
    const inline = looked.style.display.startsWith("inline") || looked.style.display === "contents";
    if (!inline) this.flush();
    else if (looked.style.display !== "inline") this.words += " ";
    if (tag === "svg") this.drawing(element, looked, context);
    else this.looked(looked, context);
    if (!inline) this.flush();
    else if (looked.style.display !== "inline") this.words += " ";
  }

  looked(looked, context) {
    const { element, style, box, seen } = looked;
    const role = roleOf(element);
    const active = ACTIVE.has(role);
    // A see-through box over a picture of itself is what a person clicks, though it cannot be seen.
    const native = active && looked.inPlace && /^(INPUT|SELECT)$/.test(element.tagName);
    const inner = within(looked, context);
    inner.box = box;
    inner.legible = seen && style.fontSize !== "0px";
    const scrolls = seen ? scrollable(element, style) : 0;
    const marks = (seen && (active || role === "canvas" || scrolls || acted(looked, context))) || native;
    if (element.tagName === "LABEL" && seen) return this.label(looked, inner, context, marks);
    if (!marks && (!role || !seen)) return this.children(element, inner);
    if (!marks && role === "img" && element.getAttribute("alt") === "") return;
    this.line(looked, inner, context, role || (scrolls ? "scrollable" : "clickable"), marks);
  }

  /** Words of a label are told as the name of its field; a label whose field is hidden stands for it. */
  label(looked, inner, context, marks) {
    const field = looked.element.control;
    if (!field) {
      if (marks) return this.line(looked, inner, context, "clickable", true);
      return this.children(looked.element, inner);
    }
    const hidden = !field.checkVisibility({ visibilityProperty: true }) || field.getBoundingClientRect().width <= 1;
    if (hidden && (field.type === "checkbox" || field.type === "radio")) {
      return this.line(looked, inner, context, field.type, true, field);
    }
    if (hidden && marks) return this.line(looked, inner, context, "clickable", true);
    const otherwise = field.hasAttribute("aria-label") || field.hasAttribute("aria-labelledby");
    inner.labelled = !hidden && !otherwise && roleOf(field) !== "button";
    this.children(looked.element, inner);
  }

  line(looked, inner, context, role, marks, stated = looked.element) {
    const { element, box } = looked;
    this.flush();
    const number = marks ? mark(element) : 0;
    const line = [context.depth, number, role, "", [], inView(box, context)];
    const index = this.lines.push(line) - 1;
    inner.depth = context.depth + 1;
    inner.labelled = false;
    if (role === "iframe") this.frame(element, inner, line);
    else if (!this.leaf(element, role, line)) {
      this.children(element, inner);
      this.flush();
      line[3] = givenName(element);
      this.fold(index, marks);
    }
    if (this.lines[index] !== line) return;
    line[3] ||= fallbackName(element);
    if (WRITABLE.has(role) || role === "combobox" || role === "listbox") this.known(element, line);
    if (role === "heading") line[4].push(["level", element.tagName[1] || element.getAttribute("aria-level")]);
    line[4].push(...statesOf(stated, role, this.focus));
    this.extras(looked, context, line);
  }

  /** A field without a name is told by what its page knows it by. */
  known(element, line) {
    const known = !line[3] && clean(element.id || element.getAttribute("name"), 60);
    if (known) line[4].push(["id", known]);
  }

  extras({ element, style, box }, context, line) {
    const [, number, role, name, extras] = line;
    const scrolls = scrollable(element, style);
    if (scrolls) extras.push(["scrolled", `${Math.round(element.scrollTop)}/${scrolls}`]);
    const bare = number && !name && (role === "clickable" || role === "button");
    const back = bare && colour(style.backgroundColor);
    if (back) extras.push(["colour", back]);
    const kind = bare && clean(element.getAttribute("class"), 60);
    if (kind) extras.push(["class", kind]);
    if (role === "img" && !name) {
      const file = clean((element.getAttribute("src") || "").split(/[?#]/)[0].split("/").pop(), 60);
      if (file && !file.startsWith("data:")) extras.push(["src", file]);
    }
    if (bare || role === "canvas" || role === "slider" || this.options.coordinates) {
      extras.push(["at", placeOf(box, context)]);
    }
  }

  /** Name and value of what holds nothing further that is told; false for anything else. */
  leaf(element, role, line) {
    const field = /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
    const written = element.isContentEditable && role === "textbox";
    if (!field && !written && !/^(img|canvas|progressbar|meter|slider|spinbutton)$/.test(role)) return false;
    line[3] = givenName(element);
    const bare = role === "checkbox" || role === "radio" || role === "img" || role === "canvas";
    if (role === "button") line[3] ||= clean(element.value || element.alt || (element.type === "submit" ? "Submit" : ""), 200);
    else if (!bare) line[4].push(["value", valueOf(element, role)]);
    if (element.tagName === "SELECT") this.options_(element, line);
    if (element.type === "range" || element.type === "number") {
      for (const end of ["min", "max"]) if (element[end]) line[4].push([end, clean(element[end], 40)]);
    }
    return true;
  }

  options_(element, line) {
    const labels = [...element.options].filter((each) => !each.hidden).map((each) => clean(each.label, 80));
    line[4].push(["options", labels.slice(0, MOST_OPTIONS)]);
    if (labels.length > MOST_OPTIONS) line[4].push(["further", labels.length - MOST_OPTIONS]);
    if (element.multiple) line[4].push(["multiple", null]);
  }

  frame(element, inner, line) {
    line[3] = givenName(element);
    const root = framed(element);
    if (root) this.document(root, inner.depth);
    else line[4].push(["unreadable", null]);
  }

  /** Put words that stand alone in an element on its own line; drop what holds and tells nothing. */
  fold(index, marks) {
    const line = this.lines[index];
    const below = this.lines.slice(index + 1);
    const role = line[2];
    if (!below.length) {
      if (!marks && !line[3] && !/^(dialog|cell|columnheader)$/.test(role)) this.lines.length = index;
      return;
    }
    const plain = below.every((each) => each[1] === 0 && (each[2] === TEXT || each[2] === "img"));
    const said = plain ? clean(below.map((each) => each[3]).filter(Boolean).join(" "), LONGEST_FOLDED + 1) : "";
    if (plain && NAMED_BY_CONTENT.has(role) && said.length <= LONGEST_FOLDED) {
      line[3] ||= said;
      this.lines.length = index + 1;
    } else if (role === "row" && below.every((each) => each[1] === 0 && /^(cell|columnheader|rowheader)$/.test(each[2]))) {
      line[3] = below.map((each) => each[3]);
      this.lines.length = index + 1;
    } else if (!marks && !line[3] && /^(listitem|cell|list|row|table|group|figure|article)$/.test(role)
        && below.filter((each) => each[0] === line[0] + 1).length === 1) {
      for (const each of below) each[0]--;
      this.lines.splice(index, 1);
    }
  }

  /** A drawing: a small one is a picture, of a large one every shape is told with its place and colour. */
  drawing(element, looked, context) {
    const { box, seen } = looked;
    if (!seen) return;
    const title = clean(element.getAttribute("aria-label") || element.querySelector("title")?.textContent, 100);
    const small = box.width < 48 || box.height < 48;
    if (small || context.pointer || looked.style.cursor === "pointer") return this.icon(looked, context, title);
    this.flush();
    const number = mark(element);
    this.lines.push([context.depth, number, "drawing", title, [["at", placeOf(box, context)]], inView(box, context)]);
    this.shapes(element, { ...context, depth: context.depth + 1 }, { left: MOST_SHAPES });
  }

  icon(looked, context, title) {
    const marks = !context.pointer && acted(looked, context);
    if (!title && !marks) return;
    this.flush();
    const { element, box } = looked;
    const at = marks ? [["at", placeOf(box, context)]] : [];
    this.lines.push([context.depth, marks ? mark(element) : 0, "img", title, at, inView(box, context)]);
  }

  shapes(element, context, budget) {
    for (const shape of element.children) {
      const tag = shape.tagName;
      if (this.full || budget.left <= 0) return;
      if (tag === "g" || tag === "a" || tag === "svg") this.shapes(shape, context, budget);
      else if (tag === "foreignObject") this.children(shape, { ...context, legible: true, box: shape.getBoundingClientRect() });
      else if (/^(rect|circle|ellipse|line|polygon|polyline|path|text|image|use)$/.test(tag)) {
        budget.left -= this.shape(shape, context);
      }
    }
    this.flush();
  }

  shape(shape, context) {
    this.nodes++;
    const style = getComputedStyle(shape);
    const box = shape.getBoundingClientRect();
    const shown = style.display !== "none" && style.visibility === "visible" && style.opacity !== "0";
    if (!shown || (!box.width && !box.height)) return 0;
    const text = shape.tagName === "text" ? clean(shape.textContent, 200) : "";
    const name = text || clean(shape.querySelector("title")?.textContent, 100);
    const extras = [["at", placeOf(box, context)]];
    const fill = colour(style.fill), stroke = colour(style.stroke);
    if (fill && shape.tagName !== "line") extras.push(["fill", fill]);
    if (stroke) extras.push(["stroke", stroke]);
    if (shape.points) extras.push(["corners", shape.points.length]);
    if (shape.tagName === "line") extras.push(["ends", this.ends(shape, context)]);
    this.lines.push([context.depth, mark(shape), shape.tagName, name, extras, inView(box, context)]);
    return 1;
  }

  ends(line, context) {
    const matrix = line.getScreenCTM();
    const end = (x, y) => {
      const point = new DOMPoint(x.baseVal.value, y.baseVal.value).matrixTransform(matrix);
      return `${Math.round(point.x + context.x)},${Math.round(point.y + context.y)}`;
    };
    return `${end(line.x1, line.y1)} ${end(line.x2, line.y2)}`;
  }
}
