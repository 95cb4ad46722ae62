// Runs in every frame before the page's own scripts: takes away what has no place in an episode.
(() => {
  "use strict";
  const interfaces = [
    "RTCPeerConnection", "webkitRTCPeerConnection", "RTCDataChannel", "WebTransport", "SharedWorker",
    "PresentationRequest",
  ];
  for (const name of interfaces) delete window[name];
  for (const name of ["serviceWorker", "bluetooth", "usb", "serial", "hid"]) delete Navigator.prototype[name];
  window.print = () => undefined;

  // A page that opens windows without end would keep the browser busy for seconds before it is ended.
  const MOST_IN_A_SECOND = 8;
  const open = window.open, now = Date.now, apply = Reflect.apply;
  let second = 0, opened = 0;
  window.open = function (...wanted) {
    const current = now() / 1000 | 0;
    opened = current === second ? opened + 1 : 1;
    second = current;
    return opened > MOST_IN_A_SECOND ? null : apply(open, this ?? window, wanted);
  };
})();
