from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tx.bech32m import ALPHABET, bytes_to_values, decode_bech32m, encode_bech32m, values_to_bytes
from tx.failures import InvalidAddress

# Test vectors of BIP-350.
VALID = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]
INVALID = [
    "\x201xj0phk",
    "\x7f1g6xzxy",
    "\x801vctc34",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
    "qyrz8wqd2c9m",
    "1qyrz8wqd2c9m",
    "y1b0jsk6g",
    "lt1igcx5c0",
    "in1muywd",
    "mm1crxm3i",
    "au1s5cgom",
    "M1VUXWEZ",
    "16plkw9",
    "1p2gdwpf",
]


@pytest.mark.parametrize("text", VALID)
def test_a_valid_vector_is_accepted_and_encodes_to_itself(text: str) -> None:
    prefix, values = decode_bech32m(text)
    assert encode_bech32m(prefix, values) == text.lower()


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_vector_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        decode_bech32m(text)


@pytest.mark.parametrize(
    "text", ["a12uel5l", "?1ezyfcl", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"]
)
def test_the_checksum_of_the_older_bech32_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        decode_bech32m(text)


def test_mixed_case_is_refused() -> None:
    with pytest.raises(InvalidAddress):
        decode_bech32m("A1lqfn3a")


@given(st.binary(max_size=40))
def test_bytes_come_back_from_their_values(data: bytes) -> None:
    assert values_to_bytes(bytes_to_values(data)) == data


@given(st.lists(st.integers(0, 31), max_size=60))
def test_values_that_are_accepted_are_the_only_ones_for_their_bytes(values: list[int]) -> None:
    try:
        data = values_to_bytes(values)
    except InvalidAddress:
        return
    assert bytes_to_values(data) == tuple(values)


@given(
    st.binary(min_size=32, max_size=32),
    st.lists(
        st.tuples(st.integers(5, 62), st.integers(1, 31)), min_size=1, max_size=4, unique_by=lambda x: x[0]
    ),
)
def test_up_to_four_wrong_characters_are_found(data: bytes, changes: list[tuple[int, int]]) -> None:
    text = list(encode_bech32m("grad", bytes_to_values(data)))
    for position, step in changes:
        text[position] = ALPHABET[(ALPHABET.index(text[position]) + step) % 32]
    with pytest.raises(InvalidAddress):
        decode_bech32m("".join(text))
