import asyncio
import logging
import subprocess
import sys
import time

import pytest

from agentloop.errors import BadInput, ModelRefused, ModelUnavailable, TooFewReplies
from agentloop.models import ChatModel, FaultServer

ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "how many users"}]
NAMES = ["openai/anything", "hosted_vllm/anything"]


def model_at(server, name="openai/anything", **settings):
    quick = {"retries": 1, "backoff_seconds": 0.01, "timeout_seconds": 5, "api_key": "x"}
    return ChatModel(name, api_base=server.address, **{**quick, **settings})


def ask(model, /, **sampling):
    return asyncio.run(model.complete(ASKED, **sampling))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_messages_and_settings_reach_the_server(name):
    with FaultServer() as server:
        replies = ask(model_at(server, name), n=2, temperature=0.5, max_tokens=7, stop="END", seed=3)
        body = server.requests[0]["body"]
    assert len({reply.text for reply in replies}) == 2
    assert body["messages"] == ASKED
    given = {key: body.get(key) for key in ("n", "temperature", "max_tokens", "stop", "seed")}
    assert given == {"n": 2, "temperature": 0.5, "max_tokens": 7, "stop": ["END"], "seed": 3}


def test_settings_of_the_model_hold_unless_a_request_says_otherwise(name):
    with FaultServer() as server:
        model = model_at(server, name, temperature=0.5, max_tokens=9)
        ask(model, temperature=1.0)
        body = server.requests[0]["body"]
    assert (body["temperature"], body["max_tokens"]) == (1.0, 9)


@pytest.mark.parametrize("fault", ["429:0.05", "500", "503", "malformed", "cut", "408"])
def test_a_fault_that_passes_is_asked_again_by_us_and_only_by_us(name, fault):
    with FaultServer(faults=[fault]) as server:
        assert len(ask(model_at(server, name))) == 1
        assert server.count == 2
    with FaultServer(faults=[fault] * 9) as server:
        with pytest.raises(ModelUnavailable, match=f"^{name} did not answer in 2 tries"):
            ask(model_at(server, name))
        assert server.count == 2


def test_a_server_that_hangs_is_left_at_the_deadline(name):
    with FaultServer(faults=["hang", "hang"]) as server:
        model, began = model_at(server, name, timeout_seconds=0.3), time.monotonic()
        with pytest.raises(ModelUnavailable, match="did not answer in 2 tries"):
            ask(model)
        assert server.count == 2
    assert time.monotonic() - began < 20  # the first request also loads LiteLLM


def test_retry_after_is_honoured(name):
    with FaultServer(faults=["ok", "429:0.4"]) as server:
        model = model_at(server, name)
        ask(model)
        began = time.monotonic()
        ask(model)
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "422"])
def test_a_request_that_will_never_be_taken_is_not_repeated(name, status):
    with FaultServer(faults=[status]) as server:
        with pytest.raises(ModelRefused, match=f"{name} refused the request: .*scripted {status}"):
            ask(model_at(server, name))
        assert server.count == 1


@pytest.mark.parametrize(("fault", "got"), [("fewer", 2), ("empty", 0)])
def test_too_few_samples_are_an_error_and_never_copies(name, fault, got):
    told = f"asked for 3 replies, got {got}; .*n_per_call=1"
    with FaultServer(faults=[fault]) as server, pytest.raises(TooFewReplies, match=told):
        ask(model_at(server, name), n=3)


def test_n_per_call_asks_for_each_reply_with_a_seed_of_its_own(name):
    with FaultServer() as server:
        replies = ask(model_at(server, name, n_per_call=1), n=3, seed=10)
        asked = [(request["body"].get("n"), request["body"]["seed"]) for request in server.requests]
    assert len({reply.text for reply in replies}) == 3
    assert sorted(asked, key=str) == [(None, 10), (None, 11), (None, 12)]


def test_usage_stands_on_the_first_reply_and_an_unknown_price_is_unknown(name):
    with FaultServer() as server:
        first, second = ask(model_at(server, name), n=2)
    assert (first.usage.calls, first.usage.tokens_in, first.usage.tokens_out) == (1, 5, 4)
    assert first.usage.dollars is None and first.usage.seconds > 0
    assert (second.usage.calls, second.usage.tokens_in, second.usage.tokens_out) == (0, 0, 0)


def test_a_known_price_is_counted():
    with FaultServer() as server:
        reply = ask(model_at(server, "openai/gpt-4o-mini"))[0]
    assert 0 < reply.usage.dollars < 0.001


def test_log_probs_and_token_ids_are_read_where_the_server_tells_them():
    with FaultServer() as server:
        plain = ask(model_at(server, "openai/anything"), logprobs=True)[0]
        vllm = ask(model_at(server, "hosted_vllm/anything"), logprobs=True)[0]
    assert plain.logprobs == (-0.5, -0.5) and plain.token_ids is None
    assert vllm.logprobs == (-0.5, -0.5)
    assert vllm.token_ids == (0, 1) and vllm.prompt_token_ids == (0, 1, 2, 3, 4)
    assert len(vllm.token_ids) == len(vllm.logprobs)


def test_the_policy_is_the_name_by_which_the_provider_answered(name):
    with FaultServer() as server:
        model = model_at(server, name)
        assert model.policy is None
        ask(model)
    assert model.policy == "anything"


def test_one_model_works_in_several_event_loops_and_under_many_requests(name):
    async def many(model):
        return await asyncio.gather(*(model.complete(ASKED, seed=seed) for seed in range(50)))

    with FaultServer(delay_seconds=0.05) as server:
        model = model_at(server, name, timeout_seconds=30)
        first, again = asyncio.run(many(model)), asyncio.run(many(model))
    assert [replies[0].text for replies in first] == [replies[0].text for replies in again]
    assert len({replies[0].text for replies in first}) == 50


def test_a_missing_key_names_its_variable(monkeypatch):
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
        provider = variable.split("_")[0].lower()
        with pytest.raises(ModelRefused, match=f"set the environment variable {variable}"):
            ask(ChatModel(f"{provider}/some-model"))


def test_an_unknown_provider_is_refused():
    with pytest.raises(ModelRefused, match="nobody/x refused the request: .*Provider NOT provided"):
        ask(ChatModel("nobody/x"))


def test_a_provider_that_takes_no_n_says_what_to_do():
    with pytest.raises(ModelRefused, match=r"asked for 2 replies, .*n_per_call=1"):
        ask(ChatModel("anthropic/claude-3-5-haiku-latest", api_key="x"), n=2)


def test_a_seed_that_a_provider_does_not_take_is_dropped_and_said_once(caplog):
    model = ChatModel("anthropic/claude-seedless", api_key="x", api_base="http://127.0.0.1:9", retries=0)
    with caplog.at_level(logging.WARNING, logger="agentloop"):
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                ask(model, seed=4)
    said = [record.getMessage() for record in caplog.records if "takes no seed" in record.getMessage()]
    assert len(said) == 1


def test_nobody_listening_is_unavailable(name):
    model = ChatModel(name, api_base="http://127.0.0.1:9/v1", api_key="x", retries=0)
    with pytest.raises(ModelUnavailable, match="onnect"):
        ask(model)


@pytest.mark.parametrize("setting", ["api_key", "stream", "tools", "model"])
def test_what_is_no_sampling_setting_is_refused_with_the_reason(setting):
    with pytest.raises(BadInput, match=f"{setting} is not a sampling setting: "):
        ask(ChatModel("openai/anything"), **{setting: "x"})


def test_mistakes_are_told_when_the_model_is_made():
    with pytest.raises(BadInput, match="n_per_call must be at least 1, got 0"):
        ChatModel("openai/x", n_per_call=0)
    with pytest.raises(BadInput, match="temperature must be"):
        ChatModel("openai/x", temperature=-1)
    with pytest.raises(BadInput, match="a model needs a name"):
        ChatModel("")
    with pytest.raises(BadInput, match="retries must be at least 0, got -1"):
        ChatModel("openai/x", retries=-1)
    with pytest.raises(BadInput, match="runs in this process; it takes no api_base"):
        ChatModel("local/tiny", api_base="http://127.0.0.1:1/v1")
    with pytest.raises(BadInput, match="no folder /nowhere"):
        ChatModel("local//nowhere")


def test_the_key_stands_in_no_record_and_no_representation():
    model = ChatModel("openai/x", api_key="sk-very-secret")
    assert "sk-very-secret" not in f"{model!r} {model.sampling} {model.name}"


def test_errors_print_nothing_and_making_a_model_loads_nothing():
    program = (
        "import asyncio, sys\n"
        "from agentloop.models import ChatModel, FaultServer\n"
        "model = ChatModel('openai/x', api_base='http://127.0.0.1:9/v1', api_key='x', retries=0)\n"
        "assert 'litellm' not in sys.modules\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        asyncio.run(model.complete([{'role': 'user', 'content': 'x'}]))\n"
        "    except Exception as error:\n"
        "        assert 'onnect' in str(error), error\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
