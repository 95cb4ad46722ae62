"""How Chromium is started and what is taken from its pages before they run."""

from __future__ import annotations

from importlib import resources

HEAP_MEGABYTES = 256
FLAGS = (
    f"--js-flags=--max-old-space-size={HEAP_MEGABYTES}",
    # Names are resolved by the proxy alone; the browser itself finds none.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    # One process for all frames of a page: fewer of them, and each endless script holds up its page.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process",
    "--disable-gpu",
    "--dns-prefetch-disable",
    "--no-pings",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-3d-apis",
)
LEFT_OUT = ("--disable-popup-blocking", "--enable-unsafe-swiftshader")
"""What Playwright would add and is not wanted."""


def flags(*, sandbox: bool) -> list[str]:
    """What Chromium is started with, on top of Playwright's own."""
    return [*FLAGS, *(() if sandbox else ("--no-sandbox",))]


def init_script() -> str:
    """The JavaScript that runs in every frame before the page's own."""
    return (resources.files("agentloop.environments.web") / "guards.js").read_text(encoding="utf-8")
