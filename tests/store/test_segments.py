from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import CorruptState
from abci_app.segments import MAX_NAME_BYTES, Appended, Blob, SegmentStore

if TYPE_CHECKING:
    from pathlib import Path


def make_blob(segment: bytes, data: bytes) -> Blob:
    return Blob(segment, sha256(data).digest(), data)


def add(store: SegmentStore, *blobs: Blob) -> Appended:
    appended = store.append(blobs)
    store.publish(appended)
    return appended


def read(store: SegmentStore, blob: Blob) -> bytes | None:
    return store.get(blob.segment, blob.digest)


ONE, TWO, EMPTY = make_blob(b"s", b"one" * 100), make_blob(b"s", b"two" * 200), make_blob(b"s", b"")
OTHER = make_blob(b"t", b"other")


def test_blobs_are_read_back_after_a_restart(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    lengths = dict(add(store, ONE, OTHER).lengths)
    lengths |= add(store, TWO, EMPTY).lengths
    reopened = SegmentStore(tmp_path, lengths)
    assert [read(reopened, blob) for blob in (ONE, TWO, EMPTY, OTHER)] == [
        ONE.data,
        TWO.data,
        b"",
        OTHER.data,
    ]
    assert reopened.get(b"t", ONE.digest) is None


def test_a_blob_is_readable_only_when_published(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    appended = store.append([ONE])
    assert read(store, ONE) is None
    store.publish(appended)
    assert read(store, ONE) == ONE.data


def test_a_blob_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    size = add(store, ONE).lengths[b"s"]
    assert add(store, ONE, ONE).lengths == {}
    assert (tmp_path / b"s".hex()).stat().st_size == size


def test_appending_again_without_publishing_overwrites(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    store.append([TWO])
    lengths = add(store, ONE).lengths
    assert (tmp_path / b"s".hex()).stat().st_size == lengths[b"s"]
    assert read(SegmentStore(tmp_path, lengths), ONE) == ONE.data


def test_a_blob_that_was_never_committed_is_cut_at_the_start(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    lengths = add(store, ONE).lengths
    store.append([TWO, OTHER])
    reopened = SegmentStore(tmp_path, lengths)
    assert [read(reopened, blob) for blob in (ONE, TWO, OTHER)] == [ONE.data, None, None]
    assert [path.name for path in tmp_path.iterdir()] == [b"s".hex()]
    assert (tmp_path / b"s".hex()).stat().st_size == lengths[b"s"]


@pytest.mark.parametrize("tail", [b"\x00", b"\x00\x00\x00\x05" + bytes(32) + b"12", b"\xff" * 100])
def test_a_torn_tail_is_cut_at_the_start(tail: bytes, tmp_path: Path) -> None:
    lengths = add(SegmentStore(tmp_path, {}), ONE).lengths
    with (tmp_path / b"s".hex()).open("ab") as file:
        file.write(tail)
    store = SegmentStore(tmp_path, lengths)
    lengths = {**lengths, **add(store, TWO).lengths}
    reopened = SegmentStore(tmp_path, lengths)
    assert [read(reopened, blob) for blob in (ONE, TWO)] == [ONE.data, TWO.data]


@pytest.mark.parametrize("position", [0, 3, 4, 35, 36, 335])
def test_a_changed_byte_is_found_at_the_start(position: int, tmp_path: Path) -> None:
    lengths = add(SegmentStore(tmp_path, {}), ONE).lengths
    path = tmp_path / b"s".hex()
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptState, match="damage at 0"):
        SegmentStore(tmp_path, lengths)


def test_a_byte_that_changes_later_is_found_when_read(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    add(store, ONE)
    path = tmp_path / b"s".hex()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptState, match=ONE.digest.hex()):
        read(store, ONE)


def test_a_lost_end_is_found_at_the_start(tmp_path: Path) -> None:
    lengths = add(SegmentStore(tmp_path, {}), ONE).lengths
    path = tmp_path / b"s".hex()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptState, match=f"expected {lengths[b's']} bytes"):
        SegmentStore(tmp_path, lengths)


def test_a_lost_file_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CorruptState, match="got 0"):
        SegmentStore(tmp_path, {b"s": 40})


def test_dropping_a_segment_removes_its_file(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    add(store, ONE, OTHER)
    store.drop(b"s")
    store.drop(b"s")
    store.drop(b"unknown")
    assert [read(store, blob) for blob in (ONE, OTHER)] == [None, OTHER.data]
    assert [path.name for path in tmp_path.iterdir()] == [b"t".hex()]


def test_a_dropped_segment_can_be_filled_again(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, {})
    add(store, ONE)
    store.drop(b"s")
    lengths = add(store, TWO).lengths
    assert [read(SegmentStore(tmp_path, lengths), blob) for blob in (ONE, TWO)] == [None, TWO.data]


@pytest.mark.parametrize("name", [b"", bytes(MAX_NAME_BYTES + 1)])
def test_a_name_that_no_file_can_have_is_refused(name: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="segment name"):
        SegmentStore(tmp_path, {}).append([make_blob(name, b"data")])
