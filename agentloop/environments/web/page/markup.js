// The page as pruned markup: [depth, mark or 0, tag or "", text, [[attribute, value], ...], whether it is in view].

const KEPT = ["id", "class", "name", "type", "role", "href", "src", "alt", "title", "placeholder", "for", "draggable"];

class Markup extends Tree {
  /** Every element that is shown is a line of its own, with the attributes that tell something. */
  looked(looked, context) {
    const { element, style, box, seen } = looked;
    const inner = within(looked, context);
    inner.box = box;
    inner.legible = seen && style.fontSize !== "0px";
    const role = roleOf(element);
    const marks = looked.inPlace && (ACTIVE.has(role) || role === "canvas" || scrollable(element, style) > 0 ||
      (seen && acted(looked, context)));
    if (!looked.inPlace) return this.children(element, inner);
    this.flush();
    const attributes = this.attributes(element, role);
    const tag = clean(element.localName, 40).replace(/[^\w-]/g, "");
    const line = [context.depth, marks ? mark(element) : 0, tag, "", attributes, inView(box, context)];
    const index = this.lines.push(line) - 1;
    inner.depth = context.depth + 1;
    const root = framed(element);
    if (root) this.document(root, inner.depth);
    else if (!/^(TEXTAREA|SELECT)$/.test(element.tagName)) this.children(element, inner);
    this.flush();
    this.folded(index, marks);
  }

  folded(index, marks) {
    const line = this.lines[index];
    const below = this.lines.slice(index + 1);
    if (below.length === 1 && below[0][1] === 0 && below[0][2] === TEXT) {
      line[3] = below[0][3];
      this.lines.length = index + 1;
    } else if (!below.length && !marks && !line[4].length) {
      this.lines.length = index;
    } else if (!marks && !line[4].length && /^(div|span|body|tbody)$/.test(line[2])) {
      for (const each of below) each[0]--;
      this.lines.splice(index, 1);
    }
  }

  attributes(element, role) {
    const kept = [];
    for (const { name, value } of [...element.attributes].slice(0, 40)) {
      if (KEPT.includes(name) || name.startsWith("aria-")) kept.push([name.toLowerCase(), clean(value, 120)]);
    }
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) && role !== "checkbox" && role !== "radio") {
      kept.push(["value", valueOf(element, role)]);
    }
    if (element.tagName === "SELECT") {
      kept.push(["options", [...element.options].slice(0, MOST_OPTIONS).map((each) => clean(each.label, 80))]);
    }
    const given = new Set(kept.map(([name]) => name));
    return [...kept, ...statesOf(element, role, this.focus).filter(([name]) => !given.has(name))];
  }
}
