"""Episodes of click-test in BrowserGym, for web_episodes.py; needs browsergym-miniwob and nothing of ours.

    PYTHON_OF_ITS_VENV benchmarks/web_browsergym.py PAGES EXECUTABLE EPISODES

PAGES is the folder of MiniWoB++'s pages, which are served on loopback. BrowserGym starts a second browser
for its chat and gives no way to say which executable that is, so ``BrowserType.launch`` is wrapped.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


def main(pages: str, executable: str, episodes: int) -> None:
    """Print seconds and successes of the episodes, after one to warm up."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=pages))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    os.environ["MINIWOB_URL"] = f"http://localhost:{serving.server_port}/miniwob/"

    # By name: nothing of it is installed where this file is checked.
    import_module("browsergym.miniwob")
    gymnasium = import_module("gymnasium")
    flattened = import_module("browsergym.utils.obs").flatten_axtree_to_str
    browsers = import_module("playwright.sync_api").BrowserType
    launch = browsers.launch

    def launched(self: Any, **options: Any) -> Any:
        given = [*(options.pop("args", None) or []), "--no-sandbox"]
        return launch(self, **{**options, "executable_path": executable, "args": given})

    browsers.launch = launched
    environment = gymnasium.make("browsergym/miniwob.click-test")
    passed, resets, steps = 0, 0.0, 0.0
    for seed in range(episodes + 1):
        began = time.perf_counter()
        observed, _ = environment.reset(seed=seed)
        ready = time.perf_counter()
        tree = flattened(observed["axtree_object"])
        found = re.search(r"\[(\w+)\] button", tree)
        _, reward, *_ = environment.step(f"click('{found[1] if found else ''}')")
        if seed:  # the first one starts the browsers
            resets += ready - began
            steps += time.perf_counter() - ready
            passed += reward > 0
    print(json.dumps({"episodes": episodes, "passed": passed, "resets": resets, "steps": steps}))
    environment.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
