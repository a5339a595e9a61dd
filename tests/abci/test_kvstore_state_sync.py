from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from abci_app.examples.kvstore import KvStore
from abci_app.examples.kvstore_state import CHUNK_BYTES
from abci_app.examples.kvstore_storage import SNAPSHOTS_KEPT, Storage
from abci_app.grammar import CheckedApplication
from tests.support.abci_requests import finalize_block
from tests.support.kvstore import KEY, build_source, get_info, query, validator_tx
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OFFER = types_pb2.ResponseOfferSnapshot
APPLY = types_pb2.ResponseApplySnapshotChunk


@pytest.fixture
def app(tmp_path: Path) -> Iterator[KvStore]:
    storage = Storage(tmp_path / "home")
    yield KvStore(storage, snapshot_interval=2)
    storage.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[KvStore]:
    app, storage = build_source(tmp_path, "source")
    yield app
    storage.close()


def list_snapshots(app: KvStore) -> list[types_pb2.Snapshot]:
    return list(app.list_snapshots(types_pb2.RequestListSnapshots()).snapshots)


def load_chunks(app: KvStore, snapshot: types_pb2.Snapshot) -> list[bytes]:
    return [
        app.load_snapshot_chunk(
            types_pb2.RequestLoadSnapshotChunk(height=snapshot.height, format=snapshot.format, chunk=index)
        ).chunk
        for index in range(snapshot.chunks)
    ]


def offer(app: KvStore, snapshot: types_pb2.Snapshot, app_hash: bytes) -> types_pb2.ResponseOfferSnapshot:
    return app.offer_snapshot(types_pb2.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash))


def apply_chunk(app: KvStore, index: int, chunk: bytes) -> types_pb2.ResponseApplySnapshotChunk:
    request = types_pb2.RequestApplySnapshotChunk(index=index, chunk=chunk, sender="peer")
    return app.apply_snapshot_chunk(request)


def test_a_fresh_node_restores_a_snapshot_and_goes_on_like_its_source(source: KvStore, app: KvStore) -> None:
    snapshot = list_snapshots(source)[-1]
    assert snapshot.chunks > 2
    checked = CheckedApplication(app)
    request = types_pb2.RequestOfferSnapshot(snapshot=snapshot, app_hash=get_info(source).last_block_app_hash)
    assert checked.offer_snapshot(request).result == OFFER.ACCEPT
    for index, chunk in enumerate(load_chunks(source, snapshot)):
        piece = types_pb2.RequestApplySnapshotChunk(index=index, chunk=chunk)
        assert checked.apply_snapshot_chunk(piece).result == APPLY.ACCEPT
    assert checked.info(types_pb2.RequestInfo()) == get_info(source)
    assert query(app, KEY, "/val").value == b"10"
    block = finalize_block(5, [b"key5=5", validator_tx(2, 0)])
    assert checked.finalize_block(block) == source.finalize_block(block)


def test_a_restored_state_survives_the_process(source: KvStore, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "fresh")
    fresh = KvStore(storage)
    snapshot = list_snapshots(source)[-1]
    offer(fresh, snapshot, get_info(source).last_block_app_hash)
    for index, chunk in enumerate(load_chunks(source, snapshot)):
        apply_chunk(fresh, index, chunk)
    storage.close()
    storage = Storage(tmp_path / "fresh")
    assert get_info(KvStore(storage)) == get_info(source)
    storage.close()


def test_chunks_may_come_in_any_order(source: KvStore, app: KvStore) -> None:
    snapshot = list_snapshots(source)[-1]
    offer(app, snapshot, get_info(source).last_block_app_hash)
    for index, chunk in reversed(list(enumerate(load_chunks(source, snapshot)))):
        assert apply_chunk(app, index, chunk).result == APPLY.ACCEPT
    assert get_info(app) == get_info(source)


def test_two_nodes_offer_the_same_bytes(source: KvStore, tmp_path: Path) -> None:
    other, storage = build_source(tmp_path, "other")
    assert list_snapshots(other) == list_snapshots(source)
    for snapshot in list_snapshots(source):
        assert load_chunks(other, snapshot) == load_chunks(source, snapshot)
    storage.close()


def test_a_chunk_that_was_changed_is_fetched_again_from_somebody_else(source: KvStore, app: KvStore) -> None:
    snapshot = list_snapshots(source)[-1]
    chunks = load_chunks(source, snapshot)
    offer(app, snapshot, get_info(source).last_block_app_hash)
    answer = apply_chunk(app, 1, chunks[1][:-1] + b"x")
    assert answer.result == APPLY.RETRY
    assert (list(answer.refetch_chunks), list(answer.reject_senders)) == ([1], ["peer"])
    for index, chunk in enumerate(chunks):
        assert apply_chunk(app, index, chunk).result == APPLY.ACCEPT
    assert get_info(app) == get_info(source)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"format": 2}, OFFER.REJECT_FORMAT),
        ({"chunks": 1}, OFFER.REJECT),
        ({"metadata": b"x" * 32}, OFFER.REJECT),
        ({"metadata": b""}, OFFER.REJECT),
    ],
    ids=str,
)
def test_a_snapshot_that_is_not_bound_to_the_app_hash_is_rejected(
    source: KvStore, app: KvStore, change: dict[str, object], result: int
) -> None:
    snapshot = list_snapshots(source)[-1]
    for name, value in change.items():
        setattr(snapshot, name, value)
    assert offer(app, snapshot, get_info(source).last_block_app_hash).result == result


def test_a_snapshot_of_another_app_hash_is_rejected(source: KvStore, app: KvStore) -> None:
    assert offer(app, list_snapshots(source)[-1], b"x" * 32).result == OFFER.REJECT


def test_a_node_with_blocks_restores_nothing(source: KvStore) -> None:
    snapshot = list_snapshots(source)[-1]
    assert offer(source, snapshot, get_info(source).last_block_app_hash).result == OFFER.ABORT


def test_a_chunk_without_an_accepted_snapshot_is_refused(app: KvStore) -> None:
    assert apply_chunk(app, 0, b"x").result == APPLY.REJECT_SNAPSHOT


def test_chunks_that_match_their_hashes_but_make_no_state_are_refused(app: KvStore) -> None:
    hashes = sha256(b"nonsense").digest()
    snapshot = types_pb2.Snapshot(height=2, format=1, chunks=1, metadata=hashes)
    assert offer(app, snapshot, sha256(hashes).digest()).result == OFFER.ACCEPT
    assert apply_chunk(app, 0, b"nonsense").result == APPLY.REJECT_SNAPSHOT
    assert get_info(app).last_block_height == 0


@pytest.mark.parametrize(("height", "form", "chunk"), [(3, 1, 0), (4, 2, 0), (4, 1, 999), (0, 0, 0)])
def test_a_chunk_that_is_not_kept_is_answered_by_nothing(
    source: KvStore, height: int, form: int, chunk: int
) -> None:
    request = types_pb2.RequestLoadSnapshotChunk(height=height, format=form, chunk=chunk)
    assert source.load_snapshot_chunk(request).chunk == b""


def test_only_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    app, storage = build_source(tmp_path, "long", heights=12)
    assert [snapshot.height for snapshot in list_snapshots(app)] == [8, 10, 12]
    assert len(list_snapshots(app)) == SNAPSHOTS_KEPT
    storage.close()


def test_a_chunk_is_never_larger_than_comet_carries() -> None:
    assert CHUNK_BYTES < 16_000_000
