import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.models.local_rows import CLOSE, Noise, Row, Rows
from agentloop.models.sampling import Sampling

VOCAB = 32
SIDEWAYS = torch.zeros((1, 1), dtype=torch.long)


def row(seed=0, *, room=50, temperature=1.0, top_p=1.0, stop=()):
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed, stop=stop)
    return Row([1], sampling, room, Noise(seed, 0) if temperature else None)


def batch(rows, *, alone=None, ends=frozenset(), close=CLOSE, finished=lambda row: None):
    def never(ids):
        raise AssertionError("nothing was close")

    def decoded(ids):
        return "".join(chr(97 + each) for each in ids)

    return Rows(rows, ends=ends, alone=alone or never, decoded=decoded, close=close, finished=finished)


def logits(seed, count=1):
    return torch.randn((count, VOCAB), generator=torch.Generator().manual_seed(seed)) * 2


def taken(forced):
    assert (forced > float("-inf")).sum(dim=1).tolist() == [1] * len(forced), "one token is left to take"
    return forced.argmax(dim=1).tolist()


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    neighbours=st.integers(0, 20),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
def test_a_row_takes_the_same_tokens_whoever_its_neighbours_are(seed, neighbours, temperature):
    mine, crowd = logits(seed), logits(seed + 1, neighbours)
    alone, among = row(seed, temperature=temperature), row(seed, temperature=temperature)
    others = [row(seed + 1 + at, temperature=1.5) for at in range(neighbours)]
    single = batch([alone], close=0)
    full = batch([*others, among], close=0)
    for _ in range(5):
        single.choose(SIDEWAYS, mine.clone())
        full.choose(SIDEWAYS, torch.cat([crowd, mine]))
    assert alone.token_ids == among.token_ids
    assert alone.logprobs == pytest.approx(among.logprobs, abs=1e-5)


def test_tokens_come_as_often_as_their_probability():
    scores, temperature, draws = logits(3), 1.5, 4000
    rows = [row(seed, temperature=temperature) for seed in range(draws)]
    batch(rows, close=0).choose(SIDEWAYS, scores.expand(draws, -1).clone())
    seen = Counter(each.token_ids[0] for each in rows)
    chance = torch.softmax(scores[0] / temperature, dim=-1).tolist()
    distance = sum((seen[at] - draws * p) ** 2 / (draws * p) for at, p in enumerate(chance))
    assert distance < 61.1, "chi-square with 31 degrees of freedom, one in a thousand"


def test_log_probs_are_of_the_temperature_and_before_the_cut():
    scores = logits(4)
    each = row(1, temperature=0.7, top_p=0.3)
    batch([each], close=0).choose(SIDEWAYS, scores.clone())
    meant = torch.log_softmax(scores[0] / 0.7, dim=-1)[each.token_ids[0]].item()
    assert each.logprobs[0] == pytest.approx(meant, abs=1e-6)


def test_temperature_zero_takes_the_likeliest_and_tells_the_models_own_log_prob():
    scores, each = logits(5), row(temperature=0.0)
    assert taken(batch([each]).choose(SIDEWAYS, scores.clone())) == [scores.argmax().item()]
    assert each.logprobs[0] == pytest.approx(torch.log_softmax(scores[0], -1).max().item(), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), top_p=st.floats(0.01, 0.999))
def test_top_p_never_takes_a_token_outside_the_likeliest(seed, top_p):
    scores, each = logits(seed), row(seed, top_p=top_p)
    batch([each], close=0).choose(SIDEWAYS, scores.clone())
    chance, order = torch.softmax(scores[0].double(), dim=-1).sort(descending=True)
    rank = order.tolist().index(each.token_ids[0])
    assert chance[:rank].sum().item() < top_p + 1e-6


def test_two_tokens_too_close_to_call_are_decided_by_the_row_alone():
    close_call = torch.zeros((1, VOCAB))
    close_call[0, 7], close_call[0, 9] = 5.0, 5.0 + CLOSE / 3
    asked = []

    def alone(ids):
        asked.append(list(ids))
        sure = close_call[0].clone()
        sure[7] += CLOSE
        return sure

    each = row(temperature=0.0)
    rows = batch([each], alone=alone)
    assert taken(rows.choose(SIDEWAYS, close_call.clone())) == [7]
    assert asked == [[1]] and rows.again == 1
    rows.choose(SIDEWAYS, close_call.clone())
    assert asked[1] == [1, 7], "the row goes on from its own tokens"


def test_a_token_on_the_edge_of_the_cut_is_decided_by_the_row_alone():
    edge = torch.full((1, VOCAB), -30.0)
    edge[0, 3], edge[0, 4] = math.log(0.6), math.log(0.4)
    asked = []

    def alone(ids):
        asked.append(ids)
        return edge[0]

    for seed in range(40):
        batch([row(seed, top_p=0.6)], alone=alone).choose(SIDEWAYS, edge.clone())
    assert 5 < len(asked) < 30, "only where the noise would take the token on the edge"


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([0.25, 0.5, 0.9, 1.0]),
    grid=st.sampled_from([0.0, 0.5, 2.0]),
)
def test_rounding_never_decides_which_token_is_taken(seed, temperature, top_p, grid):
    exact = logits(seed)
    if grid:
        exact = (exact / grid).round() * grid  # many ties, among tokens and at the cut
    rounding = (torch.rand((1, VOCAB), generator=torch.Generator().manual_seed(seed)) - 0.5) * 2e-5
    settled = []
    for scores in (exact, exact + rounding, exact - rounding):
        each = row(seed, temperature=temperature, top_p=top_p)
        batch([each], alone=lambda ids: exact[0]).choose(SIDEWAYS, scores.clone())
        settled.append(each.token_ids)
    assert settled[0] == settled[1] == settled[2]


def test_a_row_ends_at_the_end_token_the_stop_text_or_its_room():
    ended, stopped, full, going = row(), row(stop=("cd",)), row(room=3), row()
    told = []
    rows = batch([ended, stopped, full, going], ends=frozenset({9}), finished=told.append)
    ended.token_ids, stopped.token_ids, full.token_ids, going.token_ids = [5, 9], [1, 2, 3], [1, 1, 1], [4]
    assert rows.stopped(SIDEWAYS, SIDEWAYS).tolist() == [True, True, True, False]
    reasons = [each.finish_reason for each in (ended, stopped, full, going)]
    assert reasons == ["stop", "stop", "length", None]
    assert told == [ended, stopped, full]


def test_a_row_that_has_ended_takes_no_more_tokens():
    ended, going = row(1), row(2)
    ended.finish_reason = "stop"
    batch([ended, going], close=0).choose(SIDEWAYS, logits(6, 2))
    assert (len(ended.token_ids), len(going.token_ids)) == (0, 1)


def test_noise_repeats_with_its_seed_and_differs_between_samples():
    def first(seed, sample):
        stream = Noise(seed, sample)
        return torch.cat([stream.next(1000) for _ in range(40)])

    assert torch.equal(first(1, 0), first(1, 0))
    assert not torch.equal(first(1, 0), first(1, 1))
    assert not torch.equal(first(None, 0), first(None, 0))
    assert first(1, 0).mean().item() == pytest.approx(0.5772, abs=0.03), "Euler's constant: Gumbel's mean"
