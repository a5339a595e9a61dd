from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.errors import KeyTooDeep, NothingToProve
from abci_app.trie import EMPTY_ROOT, MAX_DEPTH, Trie, encode_uvarint

if TYPE_CHECKING:
    import random

# few different bytes make keys that share bits and are prefixes of each other
KEYS = st.lists(st.sampled_from([0x00, 0x01, 0x61, 0x80, 0xFF]), min_size=1, max_size=6).map(bytes)
VALUES = st.binary(min_size=1, max_size=3)
CONTENTS = st.dictionaries(KEYS, VALUES, max_size=40)


def key_bits(key: bytes) -> str:
    """Write a key as the bits that the trie branches on."""
    return "".join(f"1{byte:08b}" for byte in key)


def reference_node(items: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Compute height and hash of a node by the definition: split at the first bit in which keys differ."""

    def zigzag(number: int) -> bytes:
        return encode_uvarint(2 * number)

    if len(items) == 1:
        ((key, value),) = items
        head = zigzag(0) + zigzag(1) + zigzag(1) + bytes((len(key),)) + key
        return 0, sha256(head + b"\x20" + sha256(value).digest()).digest()
    longest = 9 * max(len(key) for key, _ in items)
    bits = [key_bits(key).ljust(longest, "0") for key, _ in items]
    position = next(i for i in range(longest) if len({text[i] for text in bits}) == 2)
    zero = [item for item, text in zip(items, bits, strict=True) if text[position] == "0"]
    one = [item for item, text in zip(items, bits, strict=True) if text[position] == "1"]
    (left_height, left), (right_height, right) = reference_node(zero), reference_node(one)
    height = max(left_height, right_height) + 1
    head = zigzag(height) + zigzag(len(items)) + zigzag(1)
    return height, sha256(head + b"\x20" + left + b"\x20" + right).digest()


def build_by_sets(contents: dict[bytes, bytes]) -> Trie:
    trie = Trie.EMPTY
    for key, value in contents.items():
        trie = trie.set(key, value)
    return trie


@settings(deadline=None)
@given(CONTENTS.filter(bool))
def test_the_root_is_that_of_the_definition(contents: dict[bytes, bytes]) -> None:
    assert build_by_sets(contents).root() == reference_node(sorted(contents.items()))[1]


@settings(deadline=None)
@given(CONTENTS, st.randoms(use_true_random=False), CONTENTS)
def test_the_root_depends_on_the_content_alone(
    contents: dict[bytes, bytes], rng: random.Random, others: dict[bytes, bytes]
) -> None:
    shuffled = list(contents.items())
    rng.shuffle(shuffled)
    detour = build_by_sets(others)
    for key, value in shuffled:
        detour = detour.set(key, value)
    for key in others.keys() - contents.keys():
        detour = detour.delete(key)
    assert detour.root() == build_by_sets(contents).root() == Trie.build(sorted(contents.items())).root()


@settings(deadline=None)
@given(CONTENTS, st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=30))
def test_a_trie_behaves_like_a_dictionary(
    contents: dict[bytes, bytes], writes: list[tuple[bytes, bytes | None]]
) -> None:
    model = dict(contents)
    trie = Trie.build(sorted(contents.items()))
    for key, value in writes:
        if value is None:
            model.pop(key, None)
            trie = trie.delete(key)
        else:
            model[key] = value
            trie = trie.set(key, value)
        assert trie.get(key) == value
    assert list(trie.items()) == sorted(model.items())
    assert len(trie) == len(model)


@settings(deadline=None)
@given(CONTENTS, st.binary(max_size=3) | KEYS)
def test_items_of_a_prefix_are_those_that_start_with_it(contents: dict[bytes, bytes], prefix: bytes) -> None:
    expected = [(key, value) for key, value in sorted(contents.items()) if key.startswith(prefix)]
    assert list(Trie.build(sorted(contents.items())).items(prefix)) == expected


@settings(deadline=None)
@given(CONTENTS, KEYS, VALUES)
def test_older_tries_do_not_change(contents: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    trie = Trie.build(sorted(contents.items()))
    root = trie.root()
    trie.set(key, value).root()
    trie.delete(key).root()
    assert (trie.root(), list(trie.items())) == (root, sorted(contents.items()))


def test_writes_that_change_nothing_return_the_same_trie() -> None:
    trie = Trie.EMPTY.set(b"key", b"value")
    assert trie.set(b"key", b"value") is trie
    assert trie.delete(b"other") is trie
    assert Trie.EMPTY.delete(b"key") is Trie.EMPTY


def test_the_empty_trie_has_the_empty_root() -> None:
    assert Trie.EMPTY.root() == EMPTY_ROOT == Trie.EMPTY.set(b"k", b"v").delete(b"k").root()
    assert (Trie.EMPTY.get(b"k"), list(Trie.EMPTY.items()), len(Trie.EMPTY)) == (None, [], 0)


def test_the_root_of_a_fixed_content_never_changes() -> None:
    receipts = {b"07-tendermint-0\x02" + number.to_bytes(8, "big"): b"\x02" for number in range(1, 6)}
    trie = build_by_sets({**receipts, b"model/" + bytes(8): bytes(32)})
    assert trie.root().hex() == "3f09a011bc450fa0e3bf72d00db1d16aad98d518eef75c3df04f57e76bc1714b"


def test_the_empty_trie_proves_nothing() -> None:
    with pytest.raises(NothingToProve, match="6b6579"):
        Trie.EMPTY.prove(b"key")


@pytest.mark.parametrize(("key", "value"), [(b"", b"value"), (b"key", b"")])
def test_empty_keys_and_values_are_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="expected a key and a value"):
        Trie.EMPTY.set(key, value)


@pytest.mark.parametrize(
    "items", [[(b"b", b"1"), (b"a", b"1")], [(b"a", b"1"), (b"a", b"1")], [(b"a", b"")], [(b"", b"1")]]
)
def test_a_bulk_build_refuses_what_is_not_in_order_or_empty(items: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ValueError, match="expected ascending keys"):
        Trie.build(items)


def test_very_deep_tries_work_without_recursion() -> None:
    chain = [(b"k" * length, b"v") for length in range(1, 3000)]
    trie = Trie.build(chain)
    assert trie.root() == build_by_sets(dict(reversed(chain))).root()
    assert list(trie.items(b"k" * 2990)) == chain[2989:]
    assert trie.delete(b"k" * 1500).get(b"k" * 1501) == b"v"


def test_a_key_is_proved_down_to_the_greatest_depth_and_no_deeper() -> None:
    # each longer key hangs below the shorter ones, so the longest of n keys lies below n - 1 branches
    keys = [b"k" * length for length in range(1, MAX_DEPTH + 3)]
    deepest = Trie.build((key, b"v") for key in keys[: MAX_DEPTH + 1])
    assert len(deepest.prove(keys[MAX_DEPTH]).exist.path) == MAX_DEPTH
    with pytest.raises(KeyTooDeep, match=str(MAX_DEPTH + 1)):
        Trie.build((key, b"v") for key in keys).prove(keys[-1])


@settings(deadline=None)
@given(CONTENTS.filter(bool), KEYS)
def test_an_absence_proof_names_the_neighbours(contents: dict[bytes, bytes], key: bytes) -> None:
    proof = Trie.build(sorted(contents.items())).prove(key)
    if key in contents:
        assert (proof.exist.key, proof.exist.value) == (key, contents[key])
        return
    below = [other for other in sorted(contents) if other < key]
    above = [other for other in sorted(contents) if other > key]
    found = proof.nonexist
    assert found.key == key
    assert [found.left.key] * found.HasField("left") == below[-1:]
    assert [found.right.key] * found.HasField("right") == above[:1]
