// What is handed out: the page as it stands, and the numbers drawn over it for a picture.

const OVERLAY = "agentloop-marks";

function observe(options) {
  if (options.fresh) forget();
  prune();
  const tree = options.mode === "dom" ? new Markup(options) : new Tree(options);
  tree.document(document, 1);
  for (const root of tree.watched) watch(root);
  return JSON.stringify({
    url: exact(location.href, 1000), title: clean(document.title, 200), lines: tree.lines, cut: tree.full,
    view: [Math.round(scrollY), innerHeight, document.documentElement.scrollHeight],
    loading: document.readyState !== "complete",
  });
}

async function restAndObserve(options) {
  watch(document);
  await rest(options);
  return observe(options);
}

/** Draw the numbers of the marks that are in view over the page; the caret goes, since it blinks. */
function draw(wanted) {
  erase();
  const host = document.createElement(OVERLAY);
  host.style.cssText = "position:fixed;inset:0;z-index:2147483647;pointer-events:none;display:block";
  const root = host.attachShadow({ mode: "closed" });
  for (const number of wanted) {
    const element = marked(number);
    if (!element) continue;
    const box = element.getBoundingClientRect();
    const [x, y] = offsetOf(element.ownerDocument);
    const frame = document.createElement("div");
    frame.style.cssText = `position:absolute;box-sizing:border-box;border:1px solid #d00;left:${box.left + x}px;` +
      `top:${box.top + y}px;width:${box.width}px;height:${box.height}px`;
    const label = document.createElement("span");
    label.textContent = String(number);
    label.style.cssText = "position:absolute;left:-1px;top:-1px;background:#d00;color:#fff;" +
      "font:bold 10px/11px monospace;padding:0 2px";
    frame.append(label);
    root.append(frame);
  }
  document.documentElement.append(host);
  const style = document.createElement("style");
  style.textContent = "*{caret-color:transparent!important}";
  host.append(style);
}

function erase() {
  document.querySelector(OVERLAY)?.remove();
}

globalThis.agentloop = { observe, restAndObserve, point, checked, write, choose, focus, scroll, leave, draw, erase, stayed };
