"""Screenshots on their way to a model: what becomes a picture, and what stays text."""

import asyncio
import base64
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Fact, Step, Task, improve, reflect_and_retry
from agentloop.critics import ModelCritic
from agentloop.environments.web.picturing import kept
from agentloop.errors import BadInput
from agentloop.models import ChatModel, FaultServer, ScriptedModel
from agentloop.models.pictures import PICTURE_BYTES, PICTURES, SIDE, screenshot_line, shown_of, with_pictures
from agentloop.types import Message


def png(width: int = 2, height: int = 1, *, shade: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * min(width, 4)) * min(height, 4))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def keep(folder: Path, data: bytes) -> str:
    """Put a picture into the folder under its digest, which is returned."""
    name = hashlib.blake2b(data, digest_size=8).hexdigest()
    (folder / f"{name}.png").write_bytes(data)
    return name


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def sent(folder: Path, *messages: Message) -> list[Any]:
    return [each["content"] for each in with_pictures(messages, folder)]


def pictures(content: Any) -> list[bytes]:
    """The pictures of a message as it is sent."""
    urls = [part["image_url"]["url"] for part in content if isinstance(part, dict) and "image_url" in part]
    return [base64.b64decode(url.removeprefix("data:image/png;base64,"), validate=True) for url in urls]


def texts(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def test_a_line_becomes_the_picture_it_names_in_its_place(tmp_path: Path) -> None:
    digest = keep(tmp_path, png())
    (content,) = sent(tmp_path, user(f"before\n[screenshot {digest}]\nafter"))
    assert [part["type"] for part in content] == ["text", "image_url", "text"]
    assert pictures(content) == [png()]
    assert (content[0]["text"], content[2]["text"]) == ("before\n", "\nafter")


def test_pictures_are_named_as_the_web_environment_names_them(tmp_path: Path) -> None:
    fact = kept(png(), tmp_path)
    assert pictures(sent(tmp_path, user(screenshot_line(fact.data["digest"])))[0]) == [png()]


@pytest.mark.parametrize(
    "form",
    [
        "see [screenshot {}]", "[screenshot {}] here", " [screenshot {}]", "[screenshot {}",
        "[Screenshot {}]", "[screenshot {}.png]", "[screenshot ./{}]", "[screenshot {}]\u2028x",
        "`[screenshot {}]`",
    ],
)  # fmt: skip
def test_only_a_whole_line_of_that_form_counts(tmp_path: Path, form: str) -> None:
    text = form.format(keep(tmp_path, png()))
    assert sent(tmp_path, user(text)) == [text]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%2f..%2fsecret",
        "secret",
        "A" * 16,
        "0" * 15,
        "0" * 17,
        "0" * 15 + "\0",
        "é" * 16,
    ],
)
def test_a_digest_can_name_no_other_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    assert sent(tmp_path, user(f"[screenshot {name}]")) == [f"[screenshot {name}]"]


def test_what_the_model_said_itself_shows_it_nothing(tmp_path: Path) -> None:
    line = screenshot_line(keep(tmp_path, png()))
    said: Message = {"role": "assistant", "content": line}
    system: Message = {"role": "system", "content": line}
    assert sent(tmp_path, system, said) == [line, line]


def missing(folder: Path) -> str:
    return "0" * 16


def other(folder: Path) -> str:
    digest = keep(folder, png())
    (folder / f"{digest}.png").write_bytes(png(shade=9))
    return digest


def linked(folder: Path) -> str:
    (folder / f"{'1' * 16}.png").symlink_to("/etc/passwd")
    return "1" * 16


def pipe(folder: Path) -> str:
    os.mkfifo(folder / f"{'2' * 16}.png")
    return "2" * 16


def no_png(folder: Path) -> str:
    return keep(folder, b"<html>" * 20)


def huge(folder: Path) -> str:
    return keep(folder, b"\x89PNG\r\n\x1a\n" + bytes(PICTURE_BYTES))


def wide(folder: Path) -> str:
    return keep(folder, png(width=SIDE + 1))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (missing, "its file is missing"),
        (other, "its file holds something else"),
        (linked, "its file holds something else"),
        (pipe, "its file is missing"),
        (no_png, "its file is no PNG"),
        (huge, "more than 5242880 bytes"),
        (wide, "a side has more than 8000 pixels"),
    ],
)
def test_what_cannot_be_shown_stays_text_with_the_reason(
    tmp_path: Path, make: Callable[[Path], str], why: str
) -> None:
    digest = make(tmp_path)
    (content,) = sent(tmp_path, user(f"a\n[screenshot {digest}]\nb"))
    assert content.startswith(f"a\n[screenshot {digest}: not shown, ") and content.endswith("]\nb")
    assert why in content


def test_of_many_pictures_the_latest_are_shown(tmp_path: Path) -> None:
    lines = [screenshot_line(keep(tmp_path, png(shade=shade))) for shade in range(PICTURES + 2)]
    content = sent(tmp_path, user("\n".join(lines[:3])), *map(user, lines[3:]))
    assert [shown for each in content for shown in pictures(each)] == [
        png(shade=s) for s in range(2, PICTURES + 2)
    ]
    assert texts(content[0]).count("not shown, an earlier one") == 2


@given(st.text(alphabet="ab[]screenshot 0\n", max_size=60))
def test_text_without_a_picture_is_sent_as_it_is(text: str) -> None:
    assert sent(Path("/nonexistent"), user(text)) == [text]


def model_at(server: FaultServer, folder: Path | None, **options: Any) -> Any:
    given = {"images": folder} if folder else {}
    return ChatModel("openai/anything", api_base=server.address, api_key="x", retries=0, **given, **options)


def asked(server: FaultServer) -> Any:
    return server.requests[-1]["body"]["messages"][-1]["content"]


def test_a_model_that_sees_is_sent_the_picture_and_the_journal_keeps_the_text(tmp_path: Path) -> None:
    digest = keep(tmp_path, png())
    task = Task(id="t", prompt=f"What is on it?\n[screenshot {digest}]")
    with FaultServer() as server:
        agent = reflect_and_retry(
            model=model_at(server, tmp_path, sees=True), critic=ModelCritic(ScriptedModel(["verdict: pass"]))
        )
        done = improve(agent, [task], folder=tmp_path / "run")
        assert pictures(asked(server)) == [png()]
    (trajectory,) = done.trajectories()
    assert screenshot_line(digest) in trajectory.calls[0].messages[-1]["content"]
    assert "base64" not in (tmp_path / "run/journal.jsonl").read_text()


def test_a_model_that_does_not_see_is_sent_the_text_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = screenshot_line(keep(tmp_path, png()))
    with FaultServer() as server, caplog.at_level("WARNING", logger="agentloop"):
        model = model_at(server, tmp_path)
        for _ in range(2):
            asyncio.run(model.complete([user(line)]))
        assert asked(server) == line
    said = [record.getMessage() for record in caplog.records if record.name.startswith("agentloop")]
    assert len(said) == 1 and "not known to see pictures" in said[0]


def test_which_model_sees_is_litellms_to_say_unless_told(tmp_path: Path) -> None:
    assert ChatModel("openai/gpt-4o", images=tmp_path).sees  # type: ignore[union-attr]
    assert not ChatModel("openai/gpt-4o").sees  # type: ignore[union-attr]
    assert not ChatModel("openai/gpt-3.5-turbo", images=tmp_path).sees  # type: ignore[union-attr]
    assert not ChatModel("openai/gpt-4o", images=tmp_path, sees=False).sees  # type: ignore[union-attr]


def seen(folder: Path) -> Attempt:
    fact = Fact(kind="screenshot", data={"digest": keep(folder, png()), "width": 2, "height": 1})
    early = Fact(kind="screenshot", data={"digest": keep(folder, png(shade=7)), "width": 2, "height": 1})
    steps = (
        Step(action="click('1')", observation="one", facts=(early,)),
        Step(action="click('2')", observation="two", facts=(fact,)),
    )
    return Attempt(
        id="a", trajectory="x", task=Task(id="t", prompt="?"), number=1, text="click('2')", steps=steps
    )


def test_a_critic_that_sees_is_shown_the_last_page(tmp_path: Path) -> None:
    with FaultServer(lambda body: "verdict: fail") as server:
        critic = ModelCritic(model_at(server, tmp_path, sees=True))
        assert asyncio.run(critic(seen(tmp_path))).verdict == "fail"
        content = asked(server)
    assert pictures(content) == [png()]
    assert texts(content).index("Observation:\ntwo") < texts(content).index("</attempt>")


def test_a_critic_that_does_not_see_has_the_words_alone(tmp_path: Path) -> None:
    with FaultServer(lambda body: "verdict: fail") as server:
        asyncio.run(ModelCritic(model_at(server, None))(seen(tmp_path)))
        assert "screenshot" not in asked(server)
    model = ScriptedModel(["verdict: fail"])
    asyncio.run(ModelCritic(model)(seen(tmp_path)))
    assert "screenshot" not in model.requests[0][-1]["content"]


def test_mistakes_are_told_when_the_model_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give images, the folder"):
        ChatModel("openai/x", sees=True)
    with pytest.raises(BadInput, match="sees no pictures"):
        ChatModel("local/tiny", images=tmp_path)


def test_a_picture_is_read_by_its_digest_alone(tmp_path: Path) -> None:
    assert shown_of(keep(tmp_path, png()), tmp_path).data == png()
