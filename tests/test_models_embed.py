import asyncio

import pytest

from agentloop.errors import ModelRefused, ModelUnavailable
from agentloop.models import FaultServer, LiteLLMEmbedder
from agentloop.models.retrying import Retries

QUICK = Retries(times=1, backoff_seconds=0.01, timeout_seconds=5)


def embedder_at(server, **settings):
    return LiteLLMEmbedder(
        "openai/some-embedder", api_base=server.address, api_key="x", retries=QUICK, **settings
    )


def test_each_text_has_its_vector():
    with FaultServer() as server:
        embed = embedder_at(server)
        assert embed.dimension is None
        first, second, again = embed(["a", "b", "a"])
    assert first == again != second
    assert embed.dimension == len(first) == 8


def test_it_can_be_called_where_an_event_loop_runs():
    with FaultServer() as server:
        embed = embedder_at(server)

        async def both():
            return embed(["a"]), await embed.embed(["a"])

        called, awaited = asyncio.run(both())
    assert called == awaited


def test_no_texts_ask_for_nothing():
    with FaultServer() as server:
        assert embedder_at(server)([]) == []
        assert server.count == 0


def test_a_fault_that_passes_is_asked_again():
    with FaultServer(faults=["500", "malformed"]) as server:
        assert len(embedder_at(server)(["a"])) == 1


def test_a_server_that_stays_broken_is_unavailable():
    with FaultServer(faults=lambda body: "500") as server:
        with pytest.raises(ModelUnavailable, match="did not answer in 2 tries"):
            embedder_at(server)(["a"])
        assert 2 <= server.count <= 6, "ours are two; LiteLLM makes up to three of each"


def test_a_refusal_is_not_repeated():
    with FaultServer(faults=["401"]) as server:
        with pytest.raises(ModelRefused):
            embedder_at(server)(["a"])
        assert server.count == 1


def test_a_dimension_that_is_given_is_asked_for():
    with FaultServer() as server:
        LiteLLMEmbedder("openai/text-embedding-3-small", dimension=8, api_base=server.address, api_key="x")(
            ["a"]
        )
        assert server.requests[0]["body"]["dimensions"] == 8
