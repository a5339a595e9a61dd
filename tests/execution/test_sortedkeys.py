from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from abci_app.sortedkeys import SortedKeys

KEYS = st.binary(min_size=1, max_size=3)


@given(st.lists(st.sets(KEYS, max_size=5)), st.binary(max_size=2))
def test_keys_of_a_prefix_are_listed_in_order(batches: list[set[bytes]], prefix: bytes) -> None:
    keys = SortedKeys()
    known: set[bytes] = set()
    for batch in batches:
        keys.add(batch - known)
        known |= batch
    assert keys.list_prefix(prefix) == sorted(key for key in known if key.startswith(prefix))


def test_thousands_of_keys_one_by_one_or_together_are_in_order() -> None:
    alone, together = SortedKeys(), SortedKeys()
    fresh = [sha256(b"%d" % number).digest() for number in range(5_000)]
    for key in fresh:
        alone.add([key])
    together.add(fresh[:4_000])
    together.add(fresh[4_000:4_100])
    together.add(fresh[4_100:])
    assert alone.list_prefix(b"") == together.list_prefix(b"") == sorted(fresh)
    assert alone.list_prefix(b"\x07") == [key for key in sorted(fresh) if key[0] == 7]
