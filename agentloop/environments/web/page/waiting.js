// Waits until the page is at rest: nothing changed for a while, no new page on its way.

const LATE_MS = 4;
let moved = 0;
let leaving = 0;
const observer = new MutationObserver(note);

function note() {
  moved = performance.now();
}

function left(event) {
  note();
  const stays = event.destination.sameDocument || event.hashChange || event.downloadRequest !== null;
  if (!stays) leaving = performance.now();
}

function stayed() {
  leaving = 0;
}

/** Watch a document or a shadow root. To be asked anew each time, since document.open() takes listeners off. */
function watch(root) {
  observer.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
  for (const kind of ["scroll", "load", "input"]) root.addEventListener(kind, note, { capture: true, passive: true });
  if (root !== document) return;
  navigation.addEventListener("navigate", left);
  navigation.addEventListener("navigateerror", stayed);
}

/** Resolves when nothing moved for `quiet` ms, after `longest` at most; after `arriving` while a page loads. */
function rest({ quiet, longest, arriving }) {
  const began = performance.now();
  moved = Math.max(moved, began);
  return new Promise((done) => {
    const wait = (delay) => {
      const due = performance.now() + delay;
      setTimeout(() => look(due), delay);
    };
    const look = (due) => {
      const now = performance.now();
      const loads = document.readyState !== "complete" || leaving > 0;
      // On a machine that is busy the page's own timers may be later still: its rest is not known yet.
      if (quiet && now - due > LATE_MS) note();
      if (now - began >= (loads ? arriving : longest)) leaving = 0, done();
      else if (loads) wait(5);
      else if (moved + quiet <= now) done();
      else wait(Math.max(1, moved + quiet - now));
    };
    look(began);
  });
}
