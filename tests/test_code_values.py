"""Values on their way between a program and its tests: exact both ways, and malformed data refused."""

import datetime
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.environments.code.inside.channel import Malformed, decode, encode
from agentloop.environments.code.inside.reading import Reader
from agentloop.environments.code.inside.values import (
    BIG,
    DEPTH,
    Border,
    Unsupported,
    is_shareable,
    same,
    snapshot,
)
from agentloop.environments.code.inside.writing import Writer

BORDER = Border()
Point = namedtuple("Point", "x y")


def crossed(value, border=BORDER):
    """A value after it has crossed."""
    return Reader(border).read(decode(encode(Writer(border).write(value))))


def exact(one, other):
    """Whether two values are the same in type and content all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, complex):
        return exact(one.real, other.real) and exact(one.imag, other.imag)
    if isinstance(one, dict):
        keys = [*one], [*other]
        return exact(*keys) and all(exact(one[a], other[b]) for a, b in zip(*keys, strict=True))
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(exact(a, b) for a, b in zip(one, other, strict=True))
    return one == other


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(BIG**2), max_value=BIG**2),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    st.timedeltas(),
    st.times(),
)
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.tuples(st.integers(), st.text()))


def containers(inner):
    return st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.lists(inner).map(deque),
        st.dictionaries(KEYS, inner),
        st.dictionaries(KEYS, inner).map(OrderedDict),
        st.sets(KEYS),
        st.frozensets(KEYS),
        st.lists(KEYS).map(Counter),
        st.binary().map(bytearray),
        st.dictionaries(KEYS, inner).map(lambda pairs: defaultdict(list, pairs)),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(SCALARS, containers, max_leaves=20))
def test_every_plain_value_comes_out_as_it_went_in(value):
    assert exact(crossed(value), value)


@pytest.mark.parametrize(
    "value",
    [
        10**10_000,
        -(10**10_000),
        [10**5000, 1],
        math.inf,
        -0.0,
        complex(-0.0, math.nan),
        "\ud800 lone",
        "\x00",
        range(10**30),
        slice(1, None, 2),
        Point(1, [2]),
        deque([1], maxlen=3),
        defaultdict(int, {1: 2}),
        int,
        [dict, type(None)],
        ...,
        datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.timezone(datetime.timedelta(hours=2)), fold=1),
        Fraction(-1, 3),
        Decimal("1.50"),
        {(1, "a"): {frozenset({1})}},
        {True: 1, 2: "x", None: []},
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_come_out_as_they_went_in(value):
    result = crossed(value)
    if isinstance(value, Point):
        assert (type(result).__name__, result.x, result.y) == ("Point", 1, [2])
        return
    assert exact(result, value)
    if isinstance(value, deque):
        assert result.maxlen == value.maxlen
    if isinstance(value, defaultdict):
        assert result.default_factory is value.default_factory


@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_the_views_of_a_dictionary_stay_views(view):
    value = getattr({1: "a", 2: "b"}, view)()
    result = crossed(value)
    assert type(result) is type(value)
    assert list(result) == list(value)


class Liar(int):
    def __eq__(self, other):
        return True

    def __int__(self):
        return 42

    def __index__(self):
        return 43

    __hash__ = int.__hash__


class LyingList(list):
    def __iter__(self):
        return iter([42])

    def __len__(self):
        return 1

    def __eq__(self, other):
        return True

    __hash__ = None


class LyingDict(dict):
    def items(self):
        return [(42, 42)]

    def __getitem__(self, _):
        return 42


class LyingText(str):
    def __str__(self):
        return "lie"

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class LyingSet(set):
    def __iter__(self):
        return iter([42])


class LyingBytes(bytes):
    def __bytes__(self):
        return b"lie"


class LyingFloat(float):
    def __float__(self):
        return 42.0


class LyingTuple(tuple):
    __slots__ = ()

    def __iter__(self):
        return iter([42])


@pytest.mark.parametrize(
    ("value", "honest"),
    [
        (Liar(5), 5),
        ([Liar(5)], [5]),
        (LyingList([1, 2]), [1, 2]),
        (LyingDict({1: 2}), {1: 2}),
        (LyingText("a"), "a"),
        (LyingSet({1}), {1}),
        (LyingBytes(b"a"), b"a"),
        (LyingFloat(1.5), 1.5),
        (LyingTuple((1, 2)), (1, 2)),
        (IntEnum("Colour", "RED")(1), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_is_read_by_the_methods_of_its_base_so_that_its_own_cannot_lie(value, honest):
    assert exact(crossed(value), honest)


def test_a_container_that_occurs_twice_is_one_container_afterwards():
    row = [1]
    one, other, more = crossed([row, row, {"row": row}])
    assert one is other is more["row"]


def test_equal_containers_that_are_two_stay_two():
    one, other = crossed([[1], [1]])
    assert one is not other


def test_a_container_within_itself_crosses():
    value = []
    value.append(value)
    result = crossed(value)
    assert result[0] is result


def test_what_nests_too_deeply_does_not_cross():
    value = []
    for _ in range(DEPTH + 5):
        value = [value]
    with pytest.raises(Unsupported, match="deep"):
        Writer(BORDER).write(value)


def test_what_just_nests_as_deeply_as_allowed_crosses():
    value = []
    for _ in range(DEPTH):
        value = (value,)
    assert crossed(value) == value


def test_data_that_nests_too_deeply_is_malformed():
    data = []
    for _ in range(DEPTH + 10):
        data = [data]
    with pytest.raises(Malformed):
        Reader(BORDER).read(data)


def test_an_object_of_no_known_class_does_not_cross():
    with pytest.raises(Unsupported, match="object"):
        Writer(BORDER).write([object()])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        | st.tuples(
            st.sampled_from(
                [
                    *(
                        "tuple",
                        "dict",
                        "set",
                        "counter",
                        "ordered",
                        "default",
                        "deque",
                        "bytearray",
                        "ref",
                        "int",
                    ),
                    *("frozenset", "bytes", "complex", "range", "slice", "keys", "values", "items", "named"),
                    *("fraction", "decimal", "date", "time", "datetime", "timedelta", "timezone", "type"),
                    *("constant", "object", "member", "array", "handle", "own"),
                ]
            ),
            inner,
        ).map(lambda pair: {pair[0]: pair[1]})
    ),
    max_leaves=12,
)


@settings(max_examples=1000, deadline=None)
@given(JSON)
def test_any_data_at_all_is_either_a_value_or_malformed(data):
    with suppress(Malformed, Unsupported):
        Reader(BORDER).read(data)


@pytest.mark.parametrize(
    "data",
    [
        {"set": [[1]]},
        {"dict": [[[1], 2]]},
        {"ref": 0},
        {"ref": -1},
        {"int": "zz"},
        {"fraction": [1, 0]},
        {"named": ["a b", ["x"], [1]]},
        {"named": ["A", ["_x"], [1]]},
        {"named": ["A", ["x", "x"], [1, 2]]},
        {"named": ["A", ["x"], []]},
        {"date": [0, 0, 0]},
        {"tuple": 3},
        {"type": "Popen"},
        {"constant": "eval"},
        {"a": 1, "b": 2},
        {},
        {"object": ["Nobody", {}]},
    ],
    ids=json.dumps,
)
def test_data_of_no_value_is_malformed(data):
    with pytest.raises(Malformed):
        Reader(BORDER).read(data)


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([3, 1], lambda value: value.sort()),
        ({"a": 1}, lambda value: value.update(b=2)),
        ({1}, lambda value: value.add(2)),
        (bytearray(b"a"), lambda value: value.extend(b"b")),
        (deque([1]), lambda value: value.appendleft(0)),
        (Counter("a"), lambda value: value.update("b")),
        (OrderedDict(a=1, b=2), lambda value: value.move_to_end("a")),
        (defaultdict(list), lambda value: value[1].append(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_call_changed_is_put_into_the_very_container_that_was_given(value, change):
    writer = Writer(BORDER)
    data = decode(encode(writer.write(value)))
    theirs = Reader(BORDER)
    copy = theirs.read(data)
    before = snapshot(copy)
    assert same(before, snapshot(copy))
    change(copy)
    assert not same(before, snapshot(copy))
    back = decode(encode(Writer(BORDER, theirs.objects).contents(type(copy), copy)))
    Reader(BORDER, writer.objects).fill(value, back)
    assert exact(value, copy)


def test_an_inner_container_that_was_given_stays_the_same_object_when_the_outer_one_changes():
    inner = [1]
    outer = [inner, 2]
    writer = Writer(BORDER)
    theirs = Reader(BORDER)
    copy = theirs.read(decode(encode(writer.write(outer))))
    copy.reverse()
    back = decode(encode(Writer(BORDER, theirs.objects).contents(list, copy)))
    Reader(BORDER, writer.objects).fill(outer, back)
    assert outer[0] == 2
    assert outer[1] is inner


@dataclass
class Node:
    value: int
    following: object = None

    def total(self):
        return self.value


class Colour(Enum):
    RED = 1


class Slotted:
    __slots__ = ("x",)


def test_an_object_of_a_shared_class_crosses_by_its_attributes():
    border = Border()
    border.share({"Node": Node, "Colour": Colour})
    value = Node(1, Node(2, Colour.RED))
    value.following.back = value
    result = crossed(value, border)
    assert type(result) is Node
    assert (result.value, result.following.value, result.following.following) == (1, 2, Colour.RED)
    assert result.following.back is result


def test_an_attribute_that_hides_a_method_of_a_shared_class_does_not_cross():
    border = Border()
    border.share({"Node": Node})
    with pytest.raises(Unsupported, match="total"):
        Reader(border).read({"object": ["Node", {"total": 1}]})


def test_only_classes_whose_objects_are_their_attributes_are_shared():
    wanted = [
        (Node, True),
        (Colour, True),
        (Slotted, False),
        (LyingList, False),
        (ValueError, False),
        (5, False),
    ]
    assert [is_shareable(kind) for kind, _ in wanted] == [answer for _, answer in wanted]


def test_numbers_of_numpy_cross_as_numbers_and_arrays_as_arrays():
    numpy = pytest.importorskip("numpy")
    assert exact(crossed([numpy.int64(3), numpy.float64(0.5), numpy.bool_(True)]), [3, 0.5, True])
    value = numpy.array([[1, 2], [3, 4]], dtype="int32")
    result = crossed(value)
    assert (result.dtype, result.tolist()) == (value.dtype, value.tolist())
    with pytest.raises(Unsupported):
        Writer(BORDER).write(numpy.array([object()]))


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(DATA)
def test_a_message_is_the_json_that_the_standard_library_makes_and_reads(data):
    text = encode(data)
    assert text == json.dumps(data, separators=(",", ":"))
    assert exact(decode(text), data)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1 2", "[1", "{'a':1}", "[1],", "nul", "\ufeff1"])
def test_what_is_not_one_value_of_json_is_no_message(text):
    with pytest.raises(ValueError):
        decode(text)
