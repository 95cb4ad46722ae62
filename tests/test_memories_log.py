"""The append-only file under a memory."""

import gc
import logging
import threading
from pathlib import Path

import pytest

from agentloop.errors import BadInput, MemoryLocked
from agentloop.memories.log import Log


def event(number: int) -> dict[str, object]:
    return {"event": "recorded", "number": number, "text": "two\nlines \u2028 \ud800 é"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def write(path: Path, count: int) -> bytes:
    log = Log(path)
    for number in range(count):
        log.append(event(number))
    log.close()
    return path.read_bytes()


def test_what_was_appended_comes_back_in_order(path: Path) -> None:
    write(path, 3)
    assert Log(path).new_events() == [event(0), event(1), event(2)]


def test_a_file_cut_at_any_byte_of_its_last_line_opens_and_says_what_it_dropped(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write(path, 2)
    start = whole.index(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            log = Log(path)
        assert log.new_events() == [event(0)]
        assert ("dropped a torn last line" in caplog.text) == (end > start)
        log.append(event(9))
        log.close()
        reader = Log(path, read_only=True)
        assert reader.new_events() == [event(0), event(9)]
        reader.close()


def test_a_reader_follows_the_writer_and_waits_for_the_end_of_a_line(path: Path) -> None:
    writer, reader = Log(path), Log(path, read_only=True)
    writer.append(event(1))
    assert reader.new_events() == [event(1)]
    with path.open("ab") as file:
        file.write(b'{"event": "half')
        file.flush()
        assert reader.new_events() == []
        file.write(b'"}\n')
    assert reader.new_events() == [{"event": "half"}]


@pytest.mark.parametrize("damage", [b"{}", b"\0\0\0", b"[1]", b'{"event": 1}', b"\xff\xfe", b""])
def test_a_damaged_line_inside_the_file_is_named_by_its_number(path: Path, damage: bytes) -> None:
    lines = write(path, 2).split(b"\n")
    path.write_bytes(b"\n".join([lines[0], damage, lines[1], b""]))
    with pytest.raises(BadInput, match="line 2 is not an event"):
        Log(path).new_events()


def test_one_writer_at_a_time_and_any_number_of_readers(path: Path) -> None:
    writer = Log(path)
    with pytest.raises(MemoryLocked, match="close it there, or open this memory read-only"):
        Log(path)
    readers = [Log(path, read_only=True) for _ in range(3)]
    writer.close()
    Log(path).close()
    assert [reader.new_events() for reader in readers] == [[], [], []]


def test_threads_that_append_and_sync_together_lose_nothing(path: Path) -> None:
    log = Log(path)

    def work(worker: int) -> None:
        for number in range(50):
            log.append(event(1000 * worker + number))
            log.sync()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    numbers = [each["number"] for each in Log(path).new_events()]
    assert sorted(numbers) == [1000 * worker + number for worker in range(8) for number in range(50)]


def test_a_closed_log_says_so(path: Path) -> None:
    log = Log(path)
    log.close()
    log.close()
    with pytest.raises(BadInput, match="was closed"):
        log.append(event(1))


def test_a_log_that_nobody_holds_any_more_gives_its_lock_back(path: Path) -> None:
    Log(path).append(event(1))
    gc.collect()
    assert [each["number"] for each in Log(path).new_events()] == [1]
