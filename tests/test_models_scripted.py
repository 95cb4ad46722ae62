import asyncio

import pytest

from agentloop.errors import BadInput, ModelUnavailable, TooFewReplies
from agentloop.models import ScriptedModel
from agentloop.types import Reply

ASKED = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "how many users are there"})


def ask(model, **sampling):
    return asyncio.run(model.complete(ASKED, **sampling))


def test_replies_come_in_their_order():
    model = ScriptedModel(["one", "two", "three"])
    assert [ask(model)[0].text, *(reply.text for reply in ask(model, n=2))] == ["one", "two", "three"]


def test_running_out_of_replies_says_how_many_there_were():
    model = ScriptedModel(["one"])
    ask(model)
    with pytest.raises(BadInput, match="holds 1 replies, and call 2 asks for number 2 to 2"):
        ask(model)


def test_a_text_where_a_list_is_wanted_is_refused():
    with pytest.raises(BadInput, match="a list of texts or a function, got the text 'SELECT 1'"):
        ScriptedModel("SELECT 1")


def test_usage_counts_words_and_counts_the_prompt_once_for_all_samples():
    model = ScriptedModel(["a b", "c"])
    first, second = ask(model, n=2)
    assert (first.usage.calls, first.usage.tokens_in, first.usage.tokens_out) == (1, 7, 2)
    assert (second.usage.calls, second.usage.tokens_in, second.usage.tokens_out) == (0, 0, 1)
    assert (model.usage.calls, model.usage.tokens_in, model.usage.tokens_out) == (1, 7, 3)


def test_a_function_sees_messages_and_sampling():
    model = ScriptedModel(lambda messages, sampling: f"{messages[-1]['content']} {sampling['seed']}")
    assert ask(model, seed=5)[0].text == "how many users are there 5"


def test_a_function_of_one_text_is_asked_for_each_sample():
    model = ScriptedModel(lambda messages, sampling: f"sample {sampling['sample']}")
    assert [reply.text for reply in ask(model, n=3)] == ["sample 0", "sample 1", "sample 2"]


def test_a_function_may_be_async():
    async def script(messages, sampling):
        await asyncio.sleep(0)
        return ["a", "b"]

    assert [reply.text for reply in ask(ScriptedModel(script), n=2)] == ["a", "b"]


def test_a_function_that_gives_too_few_is_never_filled_up_with_copies():
    with pytest.raises(TooFewReplies, match="asked for 3 replies, the script gave 2"):
        ask(ScriptedModel(lambda messages, sampling: ["a", "b"]), n=3)


def test_a_scripted_error_is_raised_and_the_next_call_goes_on():
    model = ScriptedModel([ModelUnavailable("down"), "up"])
    with pytest.raises(ModelUnavailable, match="down"):
        ask(model)
    assert ask(model)[0].text == "up"


def test_a_whole_reply_keeps_its_token_ids_and_log_probs():
    said = Reply(text="x y", token_ids=(4, 5, 6), logprobs=(-0.1, -0.2, -0.3), finish_reason="length")
    reply = ask(ScriptedModel([said]))[0]
    assert (reply.token_ids, reply.logprobs, reply.finish_reason) == ((4, 5, 6), (-0.1, -0.2, -0.3), "length")
    assert reply.usage.tokens_out == 3


def test_a_function_gives_the_same_replies_in_any_order_of_calls():
    async def all_at_once(order):
        model = ScriptedModel(lambda messages, sampling: messages[0]["content"].upper(), delay_seconds=0.001)
        asked = [model.complete([{"role": "user", "content": name}]) for name in order]
        return {
            name: replies[0].text for name, replies in zip(order, await asyncio.gather(*asked), strict=True)
        }

    assert asyncio.run(all_at_once("abc")) == asyncio.run(all_at_once("cba"))


def test_requests_keep_what_the_model_was_shown():
    model = ScriptedModel(["x"])
    ask(model)
    assert model.requests == [ASKED]


def test_asking_for_no_reply_is_refused():
    with pytest.raises(BadInput, match="n must be at least 1, got 0"):
        ask(ScriptedModel(["x"]), n=0)
