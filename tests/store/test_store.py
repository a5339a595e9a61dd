from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from abci_app.backend import BACKENDS, open_backend
from abci_app.errors import CorruptState, HomeLocked, NothingToProve, StoreClosed, UnsupportedFormat
from abci_app.multistore import hash_stores
from abci_app.state import BULK, PROVABLE, Overlay
from abci_app.store import Store, open_store
from abci_app.trie import EMPTY_ROOT
from tests.support.store import commit_overlay, commit_writes, make_overlay, read_pairs
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMPTY_APP_HASH = "7dbbe855255a3eca8869164f371cbebe9d042ab92f82c8d94c6cf7e7f27c4b7b"


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "home", request.param) as opened:
        yield opened


def damage(home: Path, writes: dict[bytes, bytes | None]) -> None:
    """Change the database behind the store's back."""
    database = open_backend(home, None)
    database.write(writes)
    database.close()


def test_a_new_store_is_at_height_zero_with_the_hash_of_nothing(store: Store) -> None:
    snapshot = store.latest()
    assert (snapshot.height, snapshot.time_ns, read_pairs(snapshot)) == (0, 0, {BULK: {}, PROVABLE: {}})
    assert snapshot.app_hash == hash_stores({BULK: sha256(bytes(2048)).digest(), PROVABLE: EMPTY_ROOT})
    assert snapshot.app_hash.hex() == EMPTY_APP_HASH


def test_a_committed_block_is_read_back_after_a_restart(store: Store, tmp_path: Path) -> None:
    overlay = make_overlay(store.latest(), provable={b"p": b"1"}, bulk={b"b": b"2"})
    digest = overlay.put_blob(b"round", b"payload")
    committed = store.commit(store.stage(overlay), 7, -5)
    store.close()
    with open_store(tmp_path / "home") as reopened:
        latest = reopened.latest()
        assert (latest.height, latest.time_ns, latest.app_hash) == (7, -5, committed.app_hash)
        assert read_pairs(latest) == {PROVABLE: {b"p": b"1"}, BULK: {b"b": b"2"}}
        assert latest.get_blob(b"round", digest) == b"payload"
        reopened.verify_content()


def test_staging_writes_nothing(store: Store, tmp_path: Path) -> None:
    before = commit_writes(store, provable={b"p": b"1"}, bulk={b"b": b"1"})
    overlay = make_overlay(before, provable={b"p": b"2", b"q": b"1"}, bulk={b"b": None})
    digest = overlay.put_blob(b"round", b"payload")
    staged = store.stage(overlay)
    assert staged.app_hash != before.app_hash
    assert store.latest() is before
    assert read_pairs(before) == {PROVABLE: {b"p": b"1"}, BULK: {b"b": b"1"}}
    assert before.get_blob(b"round", digest) is None
    assert list((tmp_path / "home" / "segments").iterdir()) == []


def test_a_block_can_be_staged_again_and_another_one_committed(store: Store) -> None:
    overlay = make_overlay(store.latest(), bulk={b"b": b"1"})
    first, second = store.stage(overlay), store.stage(overlay)
    other = store.stage(make_overlay(store.latest(), bulk={b"b": b"other"}))
    assert first.app_hash == second.app_hash != other.app_hash
    store.commit(second, 1, 0)
    assert store.latest().get(BULK, b"b") == b"1"


def test_a_block_staged_on_an_older_state_is_refused(store: Store) -> None:
    staged = store.stage(make_overlay(store.latest(), bulk={b"b": b"1"}))
    store.commit(staged, 1, 0)
    with pytest.raises(ValueError, match="expected a block on height 1, got one on 0"):
        store.commit(staged, 2, 0)


@pytest.mark.parametrize("height", [0, 4, 5])
def test_heights_ascend(store: Store, height: int) -> None:
    store.commit(store.stage(Overlay(store.latest())), 5, 0)
    with pytest.raises(ValueError, match=f"expected a height above 5, got {height}"):
        store.commit(store.stage(Overlay(store.latest())), height, 0)


def test_height_zero_can_be_committed_again(store: Store) -> None:
    for _ in range(2):
        store.commit(store.stage(make_overlay(store.latest(), bulk={b"genesis": b"1"})), 0, 0)
    assert store.latest().get(BULK, b"genesis") == b"1"


def test_writes_that_change_nothing_leave_the_app_hash_and_the_disk_alone(store: Store) -> None:
    before = commit_writes(store, provable={b"p": b"1"}, bulk={b"b": b"1"})
    same: dict[bytes, bytes | None] = {b"b": b"1", b"absent": None}
    staged = store.stage(make_overlay(before, provable={b"p": b"1", b"absent": None}, bulk=same))
    assert (staged.app_hash, staged.writes) == (before.app_hash, {})


def test_height_and_time_are_not_part_of_the_app_hash(store: Store) -> None:
    before = commit_writes(store, bulk={b"b": b"1"})
    after = store.commit(store.stage(Overlay(before)), 100, 12345)
    assert after.app_hash == before.app_hash


def test_only_the_net_change_of_a_block_counts(store: Store) -> None:
    before = commit_writes(store, provable={b"p": b"1"}, bulk={b"b": b"1"})
    overlay = Overlay(before)
    for name, key in ((PROVABLE, b"p"), (BULK, b"b")):
        overlay.set(name, key, b"2")
        overlay.delete(name, key)
        overlay.set(name, key, b"1")
    assert store.stage(overlay).app_hash == before.app_hash


def test_equal_content_gives_equal_app_hashes_on_both_databases(tmp_path: Path) -> None:
    hashes = set()
    for name in BACKENDS:
        with open_store(tmp_path / name, name) as store:
            commit_writes(store, provable={b"p": b"1", b"q": b"2"}, bulk={b"b": b"1"})
            hashes.add(commit_writes(store, provable={b"q": None}, bulk={b"c": b"3"}).app_hash)
    assert len(hashes) == 1


def test_recent_heights_stay_readable_and_provable(store: Store) -> None:
    for number in range(1, 6):
        commit_writes(store, provable={b"p": b"%d" % number}, bulk={b"b": b"%d" % number})
    for number in range(1, 6):
        snapshot = store.at(number)
        assert snapshot is not None
        assert (snapshot.height, snapshot.get(BULK, b"b")) == (number, b"%d" % number)
        assert list(snapshot.scan(PROVABLE, b"")) == [(b"p", b"%d" % number)]
        proof = commitment_pb2.MerkleProof.FromString(snapshot.prove(b"p"))
        assert proof.proofs[0].exist.value == b"%d" % number
        assert proof.proofs[1].exist.value == snapshot.provable_root
    assert store.at(6) is None


def test_heights_beyond_the_limit_are_forgotten(tmp_path: Path) -> None:
    with open_store(tmp_path / "home", kept_heights=3) as store:
        held = commit_writes(store, bulk={b"b": b"1"})
        for number in range(2, 6):
            commit_writes(store, bulk={b"b": b"%d" % number})
        assert [store.at(height) is None for height in range(6)] == [True, True, True, False, False, False]
        assert held.get(BULK, b"b") == b"1"


def test_an_empty_store_proves_nothing(store: Store) -> None:
    with pytest.raises(NothingToProve):
        store.latest().prove(b"key")


def test_dropped_segments_are_gone_after_the_commit(store: Store, tmp_path: Path) -> None:
    overlay = Overlay(store.latest())
    digests = [overlay.put_blob(b"r1", b"one"), overlay.put_blob(b"r2", b"two")]
    commit_overlay(store, overlay)
    dropping = Overlay(store.latest())
    dropping.drop_segment(b"r1")
    staged = store.stage(dropping)
    assert store.latest().get_blob(b"r1", digests[0]) == b"one"
    snapshot = store.commit(staged, 2, 0)
    assert [snapshot.get_blob(b"r1", digests[0]), snapshot.get_blob(b"r2", digests[1])] == [None, b"two"]
    assert [path.name for path in (tmp_path / "home" / "segments").iterdir()] == [b"r2".hex()]


def test_a_segment_dropped_in_its_own_block_is_never_written(store: Store, tmp_path: Path) -> None:
    overlay = Overlay(store.latest())
    overlay.drop_segment(b"r1")
    digest = overlay.put_blob(b"r1", b"one")
    snapshot = commit_overlay(store, overlay)
    assert snapshot.get_blob(b"r1", digest) is None
    assert list((tmp_path / "home" / "segments").iterdir()) == []


def test_an_unknown_store_name_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="got other"):
        store.latest().get("other", b"key")
    with pytest.raises(ValueError, match="got other"):
        store.latest().scan("other", b"")


def test_a_closed_store_refuses_to_stage_and_commit(store: Store) -> None:
    overlay = make_overlay(store.latest(), bulk={b"b": b"1"})
    staged = store.stage(overlay)
    store.close()
    store.close()
    with pytest.raises(StoreClosed):
        store.stage(overlay)
    with pytest.raises(StoreClosed):
        store.commit(staged, 1, 0)


def test_an_open_home_cannot_be_opened_again(store: Store, tmp_path: Path) -> None:
    with pytest.raises(HomeLocked):
        open_store(tmp_path / "home")
    assert commit_writes(store, bulk={b"b": b"1"}).height == 1


def test_a_home_that_fails_to_open_is_left_unlocked(store: Store, tmp_path: Path) -> None:
    commit_writes(store, provable={b"p": b"1"})
    store.close()
    damage(tmp_path / "home", {b"pp": None})
    for _ in range(2):
        with pytest.raises(CorruptState):
            open_store(tmp_path / "home")
    damage(tmp_path / "home", {b"pp": b"1"})
    open_store(tmp_path / "home").close()


@pytest.mark.parametrize(
    "writes",
    [{b"pp": b"other"}, {b"pp": None}, {b"pq": b"1"}, {b"pq": b""}, {b"h": None}, {b"h": b"\x01short"}],
)
def test_changed_provable_content_is_found_at_the_start(
    store: Store, tmp_path: Path, writes: dict[bytes, bytes | None]
) -> None:
    commit_writes(store, provable={b"p": b"1"})
    store.close()
    damage(tmp_path / "home", writes)
    with pytest.raises(CorruptState):
        open_store(tmp_path / "home")


@pytest.mark.parametrize("writes", [{b"bb": b"other"}, {b"bb": None}, {b"bc": b"1"}])
def test_changed_bulk_content_is_found_by_the_full_check(
    store: Store, tmp_path: Path, writes: dict[bytes, bytes | None]
) -> None:
    commit_writes(store, bulk={b"b": b"1"})
    store.verify_content()
    store.close()
    damage(tmp_path / "home", writes)
    with open_store(tmp_path / "home") as reopened, pytest.raises(CorruptState, match="bulk root"):
        reopened.verify_content()


def test_pairs_without_a_head_are_refused(store: Store, tmp_path: Path) -> None:
    store.close()
    damage(tmp_path / "home", {b"bb": b"1"})
    with pytest.raises(CorruptState, match="no head"):
        open_store(tmp_path / "home")


def test_a_format_of_another_version_is_refused(store: Store, tmp_path: Path) -> None:
    commit_writes(store, bulk={b"b": b"1"})
    store.close()
    damage(tmp_path / "home", {b"h": struct.pack(">B", 2)})
    with pytest.raises(UnsupportedFormat, match="expected state of format 1, got 02"):
        open_store(tmp_path / "home")


def test_a_store_keeps_at_least_one_height(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got 0"):
        open_store(tmp_path, kept_heights=0)
