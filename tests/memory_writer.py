"""A process of its own that writes to a correction memory and says what was acknowledged.

python memory_writer.py FOLDER FIRST COUNT [URL [DIMENSION]]: records corrections FIRST, FIRST+1, ...,
printing each id after ``record`` returned; with a recall now and then.
"""

import asyncio
import sys

from agentloop.memories import CorrectionMemory, HashingEmbedder
from agentloop.types import Correction, Task


async def main(folder: str, first: int, count: int, url: str | None, dimension: int = 1024) -> None:
    memory = CorrectionMemory(folder, url=url, embedder=HashingEmbedder(dimension))
    for number in range(first, first + count):
        await memory.record(Correction(id=f"c{number}", text=f"at house{number}, a few means {number} rows"))
        print(f"c{number}", flush=True)
        if number % 70 == 69:
            await memory.recall(Task(id="t", prompt=f"house{number}: list a few boats"))
    memory.close()


if __name__ == "__main__":
    address, size = [*sys.argv[4:], None, None][:2]
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), address, int(size or 1024)))
