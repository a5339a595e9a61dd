"""Overlays against a plain dictionary."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.state import BULK, PROVABLE, Overlay, flatten
from tests.support.steps import count_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = st.binary(min_size=1, max_size=3)
VALUES = st.binary(min_size=1, max_size=3)
WRITES = st.lists(st.tuples(KEYS, st.one_of(st.none(), VALUES)), max_size=12)


class DictReader:
    """A reader over plain dictionaries."""

    def __init__(self, data: dict[bytes, bytes]) -> None:
        self.data = data
        self.blobs: dict[tuple[bytes, bytes], bytes] = {}

    def get(self, store: str, key: bytes) -> bytes | None:
        return self.data.get(key) if store == BULK else None

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        if store == BULK:
            yield from sorted((key, value) for key, value in self.data.items() if key.startswith(prefix))

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        return self.blobs.get((segment, digest))


def apply(target: dict[bytes, bytes], writes: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in writes:
        if value is None:
            target.pop(key, None)
        else:
            target[key] = value


def write(overlay: Overlay, writes: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in writes:
        if value is None:
            overlay.delete(BULK, key)
        else:
            overlay.set(BULK, key, value)


@given(st.dictionaries(KEYS, VALUES), WRITES, WRITES, st.binary(max_size=2))
def test_a_stack_of_overlays_reads_like_one_dictionary(
    base: dict[bytes, bytes],
    first: list[tuple[bytes, bytes | None]],
    second: list[tuple[bytes, bytes | None]],
    prefix: bytes,
) -> None:
    model = dict(base)
    lower = Overlay(DictReader(base))
    upper = Overlay(lower)
    write(lower, first)
    write(upper, second)
    apply(model, first)
    apply(model, second)
    assert all(upper.get(BULK, key) == model.get(key) for key in {*base, *model})
    assert list(upper.scan(BULK, prefix)) == sorted(
        (key, value) for key, value in model.items() if key.startswith(prefix)
    )
    flat = flatten(upper)
    assert list(flat.scan(BULK, b"")) == sorted(model.items())
    upper.merge()
    assert list(lower.scan(BULK, b"")) == sorted(model.items())


@given(st.dictionaries(KEYS, VALUES), WRITES)
def test_a_dropped_overlay_leaves_its_parent_as_it_was(
    base: dict[bytes, bytes], writes: list[tuple[bytes, bytes | None]]
) -> None:
    parent = Overlay(DictReader(base))
    write(Overlay(parent), writes)
    assert dict(parent.scan(BULK, b"")) == base


def test_the_two_stores_do_not_mix() -> None:
    overlay = Overlay(DictReader({}))
    overlay.set(PROVABLE, b"k", b"v")
    assert overlay.get(BULK, b"k") is None
    assert list(overlay.scan(BULK, b"")) == []


@pytest.mark.parametrize(("key", "value"), [(b"", b"v"), (b"k", b"")])
def test_an_empty_key_or_value_is_a_bug_of_the_handler(key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="empty key or value"):
        Overlay(DictReader({})).set(BULK, key, value)


def test_a_blob_is_seen_through_overlays_until_its_segment_is_dropped() -> None:
    reader = DictReader({})
    old = sha256(b"old").digest()
    reader.blobs[b"s", old] = b"old"
    lower = Overlay(reader)
    upper = Overlay(lower)
    new = upper.put_blob(b"s", b"new")
    assert (upper.get_blob(b"s", old), upper.get_blob(b"s", new)) == (b"old", b"new")
    assert lower.get_blob(b"s", new) is None
    upper.drop_segment(b"s")
    assert upper.get_blob(b"s", old) is None
    assert upper.get_blob(b"s", new) is None
    assert lower.get_blob(b"s", old) == b"old"
    upper.merge()
    assert lower.get_blob(b"s", old) is None


def test_only_an_overlay_can_take_over_writes() -> None:
    with pytest.raises(TypeError, match="only an overlay"):
        Overlay(DictReader({})).merge()


def test_a_scan_takes_no_more_steps_for_what_was_written_elsewhere() -> None:
    def scan(others: int) -> int:
        block = Overlay(DictReader({}))
        for number in range(others):
            block.set(BULK, b"others/%08d" % number, b"1")
        block.set(BULK, b"wanted/1", b"1")
        transaction = Overlay(block)
        return count_calls(lambda: list(transaction.scan(BULK, b"wanted/")))

    assert scan(1_000) == scan(10)
