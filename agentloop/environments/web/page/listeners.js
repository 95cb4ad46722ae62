// Runs in the page's own world before its scripts: lets an element answer whether the page listens to clicks on it.
(() => {
  "use strict";
  const kinds = new Set(["click", "dblclick", "mousedown", "mouseup", "pointerdown", "pointerup", "touchstart",
    "dragstart", "contextmenu"]);
  const add = EventTarget.prototype.addEventListener;
  const isElement = (target) => target instanceof Element;
  const answer = (event) => event.preventDefault();
  const note = (target) => add.call(target, "agentloop-listens", answer);
  EventTarget.prototype.addEventListener = function addEventListener(kind, listener) {
    if (listener && kinds.has(kind) && isElement(this)) note(this);
    return add.apply(this, arguments);
  };
  for (const prototype of [HTMLElement.prototype, SVGElement.prototype]) {
    for (const name of ["onclick", "ondblclick", "onmousedown", "onmouseup", "onpointerdown"]) {
      const property = Object.getOwnPropertyDescriptor(prototype, name);
      if (!property?.set) continue;
      const { set } = property;
      property.set = function (listener) {
        if (listener) note(this);
        return set.call(this, listener);
      };
      Object.defineProperty(prototype, name, property);
    }
  }
})();
