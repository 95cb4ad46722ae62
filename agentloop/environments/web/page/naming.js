// What an element is, what it is called, in which state it is, and which number stands for it.

const ROLES = {
  BUTTON: "button", SUMMARY: "button", TEXTAREA: "textbox", H1: "heading", H2: "heading", H3: "heading",
  H4: "heading", H5: "heading", H6: "heading", UL: "list", OL: "list", MENU: "list", DL: "list", LI: "listitem",
  TABLE: "table", TR: "row", TD: "cell", TH: "columnheader", IMG: "img", NAV: "navigation", MAIN: "main",
  FORM: "form", DIALOG: "dialog", FIELDSET: "group", PROGRESS: "progressbar", METER: "meter", OUTPUT: "status",
  ARTICLE: "article", ASIDE: "complementary", CANVAS: "canvas", IFRAME: "iframe", FRAME: "iframe", VIDEO: "video",
  AUDIO: "audio", OPTION: "option",
};
const INPUTS = {
  button: "button", submit: "button", reset: "button", image: "button", checkbox: "checkbox", radio: "radio",
  range: "slider", number: "spinbutton", search: "searchbox", color: "colorbox", date: "datebox", time: "timebox",
  "datetime-local": "datebox", month: "datebox", week: "datebox", file: "filebox",
};
const WRITABLE = new Set(["textbox", "searchbox", "spinbutton", "colorbox", "datebox", "timebox", "filebox"]);
const ACTIVE = new Set(("button link checkbox radio textbox combobox listbox option menuitem menuitemcheckbox " +
  "menuitemradio tab switch slider spinbutton searchbox treeitem colorbox datebox timebox filebox").split(" "));
const STRUCTURE = new Set(("heading list listitem table row cell gridcell columnheader rowheader img navigation main " +
  "form dialog alertdialog alert group region article complementary banner contentinfo search progressbar meter " +
  "status log timer tooltip menu menubar tablist tabpanel tree grid toolbar radiogroup figure feed").split(" "));
/** Roles whose name is what stands in them. */
const NAMED_BY_CONTENT = new Set(("button link checkbox radio option menuitem menuitemcheckbox menuitemradio tab " +
  "switch treeitem heading cell gridcell columnheader rowheader listitem clickable tooltip alert status").split(" "));
const LISTENS = "agentloop-listens";

let numbers = new WeakMap();
let elements = new Map();  // those of the page alone: prune() lets the others go
let next = 1;

function forget() {
  numbers = new WeakMap();
  elements = new Map();
  next = 1;
}

/** The number of an element: the next free one when it is first told, kept while it lives. */
function mark(element) {
  let number = numbers.get(element);
  if (number === undefined) {
    number = next++;
    numbers.set(element, number);
  }
  elements.set(number, element);
  return number;
}

function alive(element) {
  return element !== undefined && element.isConnected && element.ownerDocument.defaultView !== null;
}

function prune() {
  for (const [number, element] of elements) if (!alive(element)) elements.delete(number);
}

/** The element of a number that is still in a page; null when there is none. */
function marked(number) {
  const element = elements.get(number);
  return alive(element) ? element : null;
}

/** The role of an element, given by its page or its kind; empty for one that only holds others. */
function roleOf(element) {
  const given = (element.getAttribute("role") || "").trim().split(/\s+/)[0].toLowerCase();
  if (given === "presentation" || given === "none") return "";
  if (given && (ACTIVE.has(given) || STRUCTURE.has(given))) return given;
  if (element.isContentEditable && !element.parentElement?.isContentEditable) return "textbox";
  const tag = element.tagName;
  if (tag === "A") return element.hasAttribute("href") ? "link" : "";
  if (tag === "INPUT") return INPUTS[element.type] || "textbox";
  if (tag === "SELECT") return element.multiple || element.size > 1 ? "listbox" : "combobox";
  if (tag === "SECTION") return element.hasAttribute("aria-label") ? "region" : "";
  return Object.hasOwn(ROLES, tag) ? ROLES[tag] : "";
}

/** Whether the page listens to clicks on this very element; listeners.js answers in the page's own world. */
function listens(element) {
  return element.hasAttribute("onclick") || element.hasAttribute("onmousedown") ||
    !element.dispatchEvent(new Event(LISTENS, { cancelable: true }));
}

/** Whether an element without a role of its own is there to be acted on. */
function acted(looked, context) {
  const { element, style } = looked;
  if (element.tagName === "BODY" || element.tagName === "HTML") return false;
  if (style.cursor === "pointer" && !context.pointer && element.tagName !== "LABEL") return true;
  if (element.tabIndex >= 0 && element.hasAttribute("tabindex")) return true;
  return element.draggable === true && element.tagName !== "IMG" || listens(element);
}

function disabled(element) {
  return element.matches(":disabled") || element.getAttribute("aria-disabled") === "true";
}

/** How far the contents of an element can be scrolled; 0 where they cannot. */
function scrollable(element, style) {
  const tall = element.scrollHeight - element.clientHeight;
  return tall > 4 && /auto|scroll/.test(style.overflowY) && element.clientHeight > 0 ? tall : 0;
}

/** The name that a page gives an element apart from its content; of a label, only its own words. */
function givenName(element) {
  const ids = element.getAttribute("aria-labelledby");
  if (ids) {
    const root = element.getRootNode();
    const parts = ids.trim().split(/\s+/).slice(0, 10).map((id) => root.getElementById?.(id)?.textContent || "");
    const name = clean(parts.join(" "), 200);
    if (name) return name;
  }
  const name = clean(element.getAttribute("aria-label"), 200);
  return name || clean([...(element.labels || [])].map(wordsOf).join(" "), 200);
}

/** The last resorts for a name. */
function fallbackName(element) {
  for (const attribute of ["alt", "placeholder", "title"]) {
    const name = clean(element.getAttribute(attribute), 200);
    if (name) return name;
  }
  return element.tagName === "FIELDSET" ? clean(element.querySelector("legend")?.textContent, 200) : "";
}

/** The words in an element without those of the fields in it. */
function wordsOf(element) {
  const said = [];
  const walk = (node) => {
    for (const child of node.childNodes) {
      if (child.nodeType === 3) said.push(child.data);
      else if (child.nodeType === 1 && !/^(SELECT|TEXTAREA|SCRIPT|STYLE|BUTTON)$/.test(child.tagName)) walk(child);
    }
  };
  walk(element);
  return said.join("");
}

/** The deepest element that has the focus; null when none has. */
function focusedElement() {
  let element = document.activeElement;
  for (;;) {
    const inner = element?.shadowRoot?.activeElement || framed(element)?.activeElement;
    if (!inner || inner === inner.ownerDocument.body) break;
    element = inner;
  }
  return element && element !== document.body && element !== document.documentElement ? element : null;
}

/** The document in a frame, where it can be had. */
function framed(element) {
  if (element?.tagName !== "IFRAME" && element?.tagName !== "FRAME") return null;
  try {
    return element.contentDocument;
  } catch {
    return null;
  }
}

/** The states of an element, as pairs of a name and a value (null for one that only holds or not). */
function statesOf(element, role, focus) {
  const states = [];
  const aria = (name) => element.getAttribute("aria-" + name);
  if (element.type === "checkbox" || element.type === "radio") {
    if (element.indeterminate) states.push(["checked", "mixed"]);
    else if (element.checked) states.push(["checked", null]);
  } else if (aria("checked") === "true" || aria("checked") === "mixed") {
    states.push(["checked", aria("checked") === "mixed" ? "mixed" : null]);
  }
  if (aria("selected") === "true") states.push(["selected", null]);
  if (aria("pressed") === "true") states.push(["pressed", null]);
  if (disabled(element)) states.push(["disabled", null]);
  const open = element.tagName === "SUMMARY" ? String(!!element.parentElement?.open) : aria("expanded");
  if (open === "true" || open === "false") states.push(["expanded", open === "true"]);
  if (element.readOnly && WRITABLE.has(role)) states.push(["readonly", null]);
  if (element.required || aria("required") === "true") states.push(["required", null]);
  if (aria("invalid") === "true") states.push(["invalid", null]);
  if (element.draggable === true && element.hasAttribute("draggable")) states.push(["draggable", null]);
  if (element === focus) states.push(["focused", null]);
  return states;
}

/** The value of a field as it may be shown: never a password. */
function valueOf(element, role) {
  if (element.type === "password") return "\u2022".repeat(Math.min(element.value.length, 40));
  if (element.tagName === "SELECT") return [...element.selectedOptions].map((each) => clean(each.label, 100)).join(", ");
  if (element.tagName === "INPUT" || element.tagName === "TEXTAREA") return exact(element.value);
  if (role === "textbox" || role === "searchbox") return exact(element.innerText.replace(/\n$/, ""));
  if (role === "progressbar" && element.max) return `${element.value}/${element.max}`;
  return clean(element.getAttribute("aria-valuetext") || element.getAttribute("aria-valuenow"), 100);
}
