"""The embedders that can be named on the command line."""

from __future__ import annotations

from agentloop.commands.loading import own
from agentloop.errors import BadInput
from agentloop.memories import Embedder, HashingEmbedder, MiniLMEmbedder

KNOWN = "hashing, minilm:FOLDER, litellm:NAME such as litellm:openai/text-embedding-3-small, or FILE.py:NAME"


def embedder(named: str) -> Embedder:
    """The embedder of this name; BadInput says which are known.

    ``hashing:SIZE`` gives vectors of another size than 1024. ``FILE.py:NAME`` is any callable of your own.
    """
    kind, _, rest = named.partition(":")
    if kind == "hashing":
        if rest and not rest.isdigit():
            raise BadInput(f"hashing:{rest}: the size of the vectors is a number, as in hashing:512")
        return HashingEmbedder(int(rest)) if rest else HashingEmbedder()
    if kind == "minilm" and rest:
        return MiniLMEmbedder(rest)
    if kind == "litellm" and rest:
        from agentloop.models.embed import LiteLLMEmbedder

        return LiteLLMEmbedder(rest)
    if not rest:
        raise BadInput(f"no embedder {named!r}; known: {KNOWN}")
    found: Embedder = own(named, "--embedder", KNOWN)
    return found
