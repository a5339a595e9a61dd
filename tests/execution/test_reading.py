"""What was read of a transaction is a function of its bytes, and is remembered within bounds."""

from __future__ import annotations

from hashlib import sha256

import pytest

from abci_app.execution import check_tx
from abci_app.reading import ITEM_BYTES, ReadBundle, ReadCache, list_claims, read_tx
from tests.support.miniapp import (
    MemoryReader,
    MiniError,
    MiniItem,
    MiniItems,
    block_at,
    bundle_tx,
    mini_app,
    transfer_tx,
)
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


def test_a_bundle_that_check_tx_refuses_is_forgotten() -> None:
    block, good, bad = block_at(), bundle_tx(b"a"), bundle_tx(b"bad")
    check_tx(mini_app(MiniItems()), block, MemoryReader(), good, set())
    with pytest.raises(MiniError):
        check_tx(mini_app(MiniItems()), block, MemoryReader(), bad, set())
    assert [block.services.read.get(sha256(tx).digest()) is None for tx in (good, bad)] == [False, True]


def test_updates_count_for_what_they_take_in_memory() -> None:
    """A thousand updates may come in two thousand bytes."""
    app, cache, tx = mini_app(MiniItems()), ReadCache(3 * ITEM_BYTES), bundle_tx(b"a", b"b", b"c")
    read_tx(app, cache, tx)
    assert cache.get(sha256(tx).digest()) is None


def test_transactions_of_accounts_and_nonsense_are_read_anew() -> None:
    app, cache = mini_app(MiniItems()), ReadCache()
    parsed = read_tx(app, cache, transfer_tx())
    assert isinstance(parsed, ParsedTx)
    assert list_claims(parsed) == [parsed.body_hash]
    assert isinstance(read_tx(app, cache, b"\xff"), MalformedEncoding)


def test_an_app_without_items_reads_none() -> None:
    assert read_tx(mini_app(), ReadCache(), bundle_tx(b"a")) == ReadBundle(())
