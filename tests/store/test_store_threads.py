from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from abci_app.backend import BACKENDS
from abci_app.state import BULK, PROVABLE
from abci_app.store import open_store
from tests.support.store import StoreModel, commit_writes, read_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.snapshot import Snapshot


def describe(snapshot: Snapshot) -> str:
    """Return what is wrong with a snapshot, or nothing."""
    pairs = read_pairs(snapshot)
    if StoreModel(pairs).app_hash() != snapshot.app_hash:
        return f"height {snapshot.height} does not match its app hash"
    if snapshot.height and pairs[BULK][b"height"] != pairs[PROVABLE][b"height"]:
        return f"height {snapshot.height} mixes blocks"
    return ""


@pytest.mark.parametrize("name", BACKENDS)
def test_readers_see_whole_blocks_while_blocks_are_committed(name: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    heights: set[int] = set()
    stop = threading.Event()
    with open_store(tmp_path, name, kept_heights=5) as store:

        def read() -> None:
            while not stop.is_set():
                latest = store.latest()
                older = store.at(latest.height - 3)
                for snapshot in (latest, older):
                    if snapshot is not None:
                        heights.add(snapshot.height)
                        wrong.extend(filter(None, [describe(snapshot)]))
                if latest.height:
                    latest.prove(b"height")

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(1, 101):
            value = b"%d" % number
            commit_writes(
                store,
                provable={b"height": value, b"%d" % (number % 7): value},
                bulk={b"height": value, b"%d" % (number % 11): value, b"%d" % ((number + 5) % 11): None},
            )
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert heights
