"""The training methods by name; each is one file with a ``METHOD``."""

from __future__ import annotations

import difflib

from agentloop.errors import BadInput
from agentloop.export.methods import (
    c3po,
    cdf,
    chain_of_hindsight,
    critic_dpo,
    critic_sft,
    critique_grpo,
    dpo,
    fcp,
    grpo,
    herl,
    ilf,
    kto,
    leti,
    nft,
    raft,
    reflect_retry_reward,
    rest_em,
    rltf_fm,
    rltf_sd,
    rltf_sd_fm,
    sdpo,
    sft,
    ufo,
)
from agentloop.export.methods.method import Method, Need

METHODS: dict[str, Method] = {
    each.METHOD.name: each.METHOD
    for each in (
        sft,
        raft,
        rest_em,
        ilf,
        leti,
        chain_of_hindsight,
        fcp,
        cdf,
        dpo,
        kto,
        c3po,
        sdpo,
        rltf_sd,
        rltf_fm,
        rltf_sd_fm,
        critique_grpo,
        herl,
        grpo,
        nft,
        reflect_retry_reward,
        ufo,
        critic_sft,
        critic_dpo,
    )
}

__all__ = ["METHODS", "Method", "Need", "method_named"]


def method_named(name: str) -> Method:
    """The method of that name."""
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BadInput(f"no training method named {name!r}; {hint}known: {', '.join(METHODS)}")
