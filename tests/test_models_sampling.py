import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.models.sampling import checked, read_sampling


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", 1.5),
        ("n", True),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_p", 1.01),
        ("max_tokens", 0),
        ("seed", "7"),
        ("stop", ""),
        ("stop", ["a", ""]),
        ("stop", [1]),
        ("logprobs", 5),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(BadInput, match=f"^{name} must be .*, got "):
        checked({name: value})


def test_a_misspelt_setting_is_told_its_right_name():
    with pytest.raises(BadInput, match="did you mean 'temperature'"):
        read_sampling({"temprature": 1.0})


def test_what_is_none_counts_as_not_given():
    assert checked({"seed": None, "top_p": 0.5}) == {"top_p": 0.5}
    assert read_sampling({"max_tokens": None}).max_tokens is None


def test_one_stop_text_becomes_a_list_of_one():
    assert checked({"stop": "END"}) == {"stop": ["END"]}
    assert read_sampling({"stop": ["a", "b"]}).stop == ("a", "b")


@given(
    n=st.integers(1, 100),
    temperature=st.floats(0, 5),
    top_p=st.floats(0, 1, exclude_min=True),
    seed=st.integers(),
)
def test_all_right_values_are_taken_as_they_are(n, temperature, top_p, seed):
    read = read_sampling({"n": n, "temperature": temperature, "top_p": top_p, "seed": seed})
    assert (read.n, read.temperature, read.top_p, read.seed) == (n, temperature, top_p, seed)
