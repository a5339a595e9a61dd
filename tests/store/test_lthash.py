from __future__ import annotations

from hashlib import sha256, shake_128
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.lthash import LANES, SUM_BYTES, LtHash, hash_element

if TYPE_CHECKING:
    import random

PAIRS = st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=8), max_size=12)


def elements_of(pairs: dict[bytes, bytes]) -> list[bytes]:
    return [hash_element("bulk", key, value) for key, value in pairs.items()]


def add_in_plain_python(elements: list[bytes]) -> bytes:
    lanes = [0] * LANES
    for element in elements:
        for lane in range(LANES):
            lanes[lane] = (lanes[lane] + int.from_bytes(element[2 * lane : 2 * lane + 2], "little")) % 2**16
    return b"".join(lane.to_bytes(2, "little") for lane in lanes)


@settings(deadline=None)
@given(PAIRS)
def test_the_sum_is_that_of_plain_python(pairs: dict[bytes, bytes]) -> None:
    assert LtHash.EMPTY.update(added=elements_of(pairs)).to_bytes() == add_in_plain_python(elements_of(pairs))


@settings(deadline=None)
@given(PAIRS, PAIRS, st.randoms(use_true_random=False))
def test_the_sum_depends_on_the_set_alone(
    pairs: dict[bytes, bytes], others: dict[bytes, bytes], rng: random.Random
) -> None:
    elements = elements_of(pairs)
    rng.shuffle(elements)
    detour = LtHash.EMPTY.update(added=elements_of(others))
    for element in elements:
        detour = detour.update(added=[element])
    detour = detour.update(removed=elements_of(others))
    assert detour.root() == LtHash.EMPTY.update(added=elements_of(pairs)).root()


def test_a_sum_of_more_elements_than_a_slice_is_right() -> None:
    elements = [hash_element("bulk", number.to_bytes(2, "big"), b"v") for number in range(1100)]
    assert LtHash.EMPTY.update(added=elements).to_bytes() == add_in_plain_python(elements)


def test_a_sum_survives_storage() -> None:
    total = LtHash.EMPTY.update(added=elements_of({b"key": b"value"}))
    assert LtHash(total.to_bytes()).root() == total.root()


def test_a_sum_is_never_changed() -> None:
    total = LtHash.EMPTY.update(added=elements_of({b"key": b"value"}))
    before = total.to_bytes()
    total.update(added=elements_of({b"other": b"value"}), removed=elements_of({b"key": b"value"}))
    assert total.to_bytes() == before
    assert LtHash.EMPTY.to_bytes() == bytes(SUM_BYTES)


def test_the_empty_sum_has_the_hash_of_zeros_as_root() -> None:
    assert LtHash.EMPTY.root() == sha256(bytes(2048)).digest()


def test_an_element_is_the_long_hash_of_tag_store_lengths_key_and_value() -> None:
    preimage = b"lthash/1" + b"\x04bulk" + b"\x03\x00\x00\x00" + b"key" + b"value"
    assert hash_element("bulk", b"key", b"value") == shake_128(preimage).digest(2048)


def test_elements_of_different_pairs_differ() -> None:
    triples = [("bulk", b"ab", b"c"), ("bulk", b"a", b"bc"), ("bul", b"kab", b"c"), ("bulk", b"c", b"ab")]
    assert len({hash_element(*triple) for triple in triples}) == len(triples)


@pytest.mark.parametrize("length", [0, SUM_BYTES - 1, SUM_BYTES + 1])
def test_a_sum_of_the_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"got {length}"):
        LtHash(bytes(length))
