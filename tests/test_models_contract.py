"""Every kind of model is reached in the same way: one set of tests over all of them."""

import asyncio

import pytest

from agentloop.errors import BadInput
from agentloop.models import ChatModel, FaultServer, LocalModel, ScriptedModel, check_model
from agentloop.models.recording import recorded, recorder
from agentloop.types import Reply, Usage
from tests.random_checkpoint import make_checkpoint

ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "how many users"}]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    model = LocalModel(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))
    yield model
    model.close()


@pytest.fixture(params=["scripted", "litellm", "local"])
def model(request):
    if request.param == "local":
        yield request.getfixturevalue("local")
    elif request.param == "scripted":
        yield ScriptedModel(
            lambda messages, sampling: (
                f"{messages[-1]['content']} {sampling.get('seed')} {sampling['sample']}"
            )
        )
    else:
        with FaultServer() as server:
            yield ChatModel("hosted_vllm/anything", api_base=server.address)


def ask(model, /, **sampling):
    return asyncio.run(model.complete(ASKED, max_tokens=8, **sampling))


def test_the_public_check_finds_nothing_wrong(model):
    asyncio.run(check_model(model))


def test_n_replies_come_and_are_no_copies(model):
    replies = ask(model, n=3, seed=1)
    assert len(replies) == 3
    assert len({reply.text for reply in replies}) == 3


def test_the_same_seed_gives_the_same_replies(model):
    first, again = ask(model, n=2, seed=7), ask(model, n=2, seed=7)
    assert [reply.text for reply in first] == [reply.text for reply in again]
    assert [reply.text for reply in first] != [reply.text for reply in ask(model, n=2, seed=8)]


def test_usage_counts_one_call_and_the_prompt_once(model):
    one, two = ask(model), ask(model, n=2)
    assert sum(reply.usage.calls for reply in two) == 1
    assert sum(reply.usage.tokens_in for reply in two) == one[0].usage.tokens_in > 0
    assert sum(reply.usage.tokens_out for reply in two) > 0


def test_a_run_that_records_is_asked_first_and_may_answer_from_its_record(model):
    kept, seen = (Reply(text="from the record", usage=Usage(calls=1)),), []

    async def from_the_record(asked, messages, sampling, ask):
        seen.append((asked, list(messages), sampling))
        return kept

    async def under_a_run():
        token = recorder.set(from_the_record)
        try:
            return await model.complete(ASKED, seed=3)
        finally:
            recorder.reset(token)

    assert asyncio.run(under_a_run()) == kept
    assert seen == [(model, ASKED, {"seed": 3})]


def test_defaults_of_a_model_are_recorded_with_the_call(tmp_path):
    seen = []

    async def look(asked, messages, sampling, ask):
        seen.append(sampling)
        return ()

    async def under_a_run(model):
        token = recorder.set(look)
        try:
            await model.complete(ASKED, seed=3)
        finally:
            recorder.reset(token)

    local = LocalModel(make_checkpoint(tmp_path / "checkpoint"), temperature=0.5, seed=1)
    for model in (local, ChatModel("openai/x", temperature=0.5, seed=1)):
        asyncio.run(under_a_run(model))
    assert seen == [{"temperature": 0.5, "seed": 3}] * 2


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": -1}])
def test_asking_for_no_reply_is_a_mistake(model, wrong):
    with pytest.raises(BadInput, match="n must be"):
        ask(model, **wrong)


class Careless:
    """A model of a user's own that gives one reply three times, or breaks another rule."""

    name = "careless"

    def __init__(self, *, copies=True, calls=1, logprobs=None):
        self.copies, self.calls, self.said = copies, calls, logprobs

    @recorded
    async def complete(self, messages, /, **sampling):
        n = sampling.get("n", 1)
        if n < 1:
            raise BadInput("n must be at least 1")
        reply = Reply(text="x", token_ids=(1, 2), logprobs=self.said, usage=Usage(calls=self.calls))
        return [reply] * (n if self.copies else 1)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (Careless(copies=False), "asked for 2 replies, it gave 1"),
        (Careless(calls=0), "must count 1 to 1 calls, it counts 0"),
        (Careless(logprobs=(-1.0,)), "differ in length"),
        (Careless(logprobs=(0.5, -1.0)), "above 0"),
    ],
)
def test_the_check_names_the_rule_that_a_model_breaks(model, rule):
    with pytest.raises(BadInput, match=f"'careless' breaks the contract of models: .*{rule}"):
        asyncio.run(check_model(model))
