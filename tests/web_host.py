"""A host of a browser, for tests that end it without warning.

    python -m tests.web_host auto|True|False

Opens a window whose page runs an endless worker, says which processes there are and where the
browser's folder is, and waits to be killed; a child that it forked keeps its pipes open.
"""

from __future__ import annotations

import json
import os
import sys
import time

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.site import Answer
from tests.web_twins import family


def main(namespace: str) -> None:
    """Say what there is, and wait."""
    browser = Browser(namespace={"True": True, "False": False}.get(namespace, "auto"))

    async def busy() -> None:
        page = Answer(b"<script>new Worker('data:text/javascript,for(;;);')</script>")
        window = await browser.open(Fence(["http://page.test"]), hosts={"page.test": lambda path: page})
        await window.goto("http://page.test/")

    browser.do(busy())
    processes = family(os.getpid()) - {os.getpid()}
    if not os.fork():
        time.sleep(60)
        os._exit(0)
    told = {"processes": sorted(processes), "layers": list(browser.layers)}
    print(json.dumps(told), flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
