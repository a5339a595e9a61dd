"""What was read of a transaction is a function of its bytes, and is remembered within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abci_app.reading import ReadBundle, ReadCache, list_claims, read_tx
from tests.support.miniapp import MiniItem, MiniItems, bundle_tx, mini_app, transfer_tx
from tx.envelope import ParsedTx
from tx.failures import MalformedEncoding

BUNDLES = [ReadBundle((MiniItem(bytes([number]), b""),)) for number in range(8)]


def test_a_bundle_is_read_once() -> None:
    app, cache, tx = mini_app(MiniItems()), ReadCache(), bundle_tx(b"a", b"b")
    first = read_tx(app, cache, tx)
    assert isinstance(first, ReadBundle)
    assert [item.payload for item in first.items if isinstance(item, MiniItem)] == [b"a", b"b"]
    assert read_tx(app, cache, bytes(bytearray(tx))) is first


def test_a_bundle_that_will_not_be_needed_again_is_forgotten() -> None:
    cache = ReadCache()
    cache.put(b"digest", BUNDLES[0], 1)
    cache.forget([b"digest", b"unknown"])
    assert cache.get(b"digest") is None


def test_transactions_of_accounts_and_nonsense_are_read_anew() -> None:
    app, cache = mini_app(MiniItems()), ReadCache()
    parsed = read_tx(app, cache, transfer_tx())
    assert isinstance(parsed, ParsedTx)
    assert list_claims(parsed) == [parsed.body_hash]
    assert isinstance(read_tx(app, cache, b"\xff"), MalformedEncoding)


def test_an_app_without_items_reads_none() -> None:
    assert read_tx(mini_app(), ReadCache(), bundle_tx(b"a")) == ReadBundle(())


@given(
    st.integers(0, 30),
    st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 12)), max_size=40),
)
def test_no_more_is_remembered_than_there_is_room_for(
    capacity: int, steps: list[tuple[bool, int, int]]
) -> None:
    cache = ReadCache(capacity)
    sizes: dict[int, int] = {}
    for is_put, number, size in steps:
        digest = bytes([number])
        if is_put:
            if cache.get(digest) is None:
                sizes[number] = size
            cache.put(digest, BUNDLES[number], size)
        else:
            cache.forget([digest])
        known = [other for other in range(8) if cache.get(bytes([other])) is not None]
        assert sum(sizes[other] for other in known) <= capacity
        assert all(cache.get(bytes([other])) is BUNDLES[other] for other in known)


def test_the_newest_that_fit_are_remembered() -> None:
    cache = ReadCache(10)
    for number in range(5):
        cache.put(bytes([number]), BUNDLES[number], 4)
    assert [number for number in range(5) if cache.get(bytes([number])) is not None] == [3, 4]
