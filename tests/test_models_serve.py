"""ChatModel against a server that others wrote: ``transformers serve`` over a checkpoint, on loopback."""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from agentloop.errors import ModelRefused, TooFewReplies
from agentloop.models import ChatModel, check_model
from tests.random_checkpoint import make_checkpoint

pytestmark = pytest.mark.slow

ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "how many users"}]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(process, address):
    for _ in range(600):
        assert process.poll() is None, "the server ended while it started"
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    pytest.fail("transformers serve did not get ready within two minutes")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder served and the address of the server."""
    folder = make_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    port, home = free_port(), tmp_path_factory.mktemp("home")
    program = Path(sys.executable).parent / "transformers"
    process = subprocess.Popen(
        [program, "serve", folder, "--device", "cpu", "--dtype", "float32"]
        + ["--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}")
        yield folder, f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=["openai", "hosted_vllm"])
def model(request, served):
    folder, address = served
    return ChatModel(f"{request.param}/{folder}", api_base=address, api_key="x", retries=0, max_tokens=8)


def test_it_keeps_the_contract_of_models(model):
    asyncio.run(check_model(model))


def test_usage_is_counted_and_its_price_is_unknown(model):
    reply = asyncio.run(model.complete(ASKED))[0]
    assert reply.usage.calls == 1 and reply.usage.tokens_in > 10
    assert 1 <= reply.usage.tokens_out <= 8
    assert reply.usage.dollars is None
    assert model.policy.endswith("@main")


def test_three_samples_from_a_server_that_ignores_n_are_an_error_and_not_copies(model):
    with pytest.raises(TooFewReplies, match="asked for 3 replies, got 1; .*n_per_call=1"):
        asyncio.run(model.complete(ASKED, n=3))


def test_n_per_call_gets_them_all(served):
    folder, address = served
    model = ChatModel(f"openai/{folder}", api_base=address, api_key="x", n_per_call=1, max_tokens=8)
    replies = asyncio.run(model.complete(ASKED, n=3))
    assert len(replies) == 3
    assert sum(reply.usage.calls for reply in replies) == 3


def test_log_probs_that_a_server_drops_are_an_error(model):
    with pytest.raises(ModelRefused, match="asked for log-probabilities, and the server sent none"):
        asyncio.run(model.complete(ASKED, logprobs=True, extra_body={}))


def test_a_model_that_is_not_served_is_refused(served):
    model = ChatModel("openai/another-model", api_base=served[1], api_key="x", retries=2)
    with pytest.raises(ModelRefused, match="another-model"):
        asyncio.run(model.complete(ASKED))
