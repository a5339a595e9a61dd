from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.records import decode_record, encode_record


class Colour(IntEnum):
    RED = 1
    GREEN = 2


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Outer:
    flag: bool
    colour: Colour
    data: bytes
    inner: Inner
    items: tuple[Inner, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WithFloat:
    number: float


inners = st.builds(Inner, st.integers(0, 2**64 - 1), st.text(max_size=10))
outers = st.builds(
    Outer,
    st.booleans(),
    st.sampled_from(Colour),
    st.binary(max_size=50),
    inners,
    st.lists(inners, max_size=4).map(tuple),
    st.lists(st.integers(0, 2**64 - 1), max_size=4).map(tuple),
)


@given(outers)
def test_a_record_comes_back_from_its_encoding_with_all_types(record: Outer) -> None:
    decoded = decode_record(Outer, encode_record(record))
    assert decoded == record
    assert isinstance(decoded.flag, bool)
    assert isinstance(decoded.colour, Colour)


@given(outers, outers)
def test_different_records_have_different_encodings(one: Outer, other: Outer) -> None:
    assert (encode_record(one) == encode_record(other)) is (one == other)


def test_numbers_take_eight_bytes_and_text_its_length() -> None:
    assert encode_record(Inner(258, "ab")).hex() == "0000000000000102" + "00000002" + "6162"


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_outside_eight_bytes_is_a_defect(number: int) -> None:
    with pytest.raises(OverflowError):
        encode_record(Inner(number, ""))


def test_bytes_of_another_length_are_a_damaged_state() -> None:
    encoded = encode_record(Inner(1, "abc"))
    for damaged in (encoded[:-1], encoded + b"\x00", b""):
        with pytest.raises(ValueError, match="expected"):
            decode_record(Inner, damaged)


def test_a_type_that_records_do_not_have_is_a_defect() -> None:
    with pytest.raises(TypeError, match="float"):
        encode_record(WithFloat(1.0))
    with pytest.raises(TypeError, match="float"):
        decode_record(WithFloat, bytes(8))
