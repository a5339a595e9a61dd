from __future__ import annotations

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abci_app.backend import BACKENDS
from abci_app.store import Store, open_store
from tests.support.store import commit_overlay, make_block, make_payload, read_pairs

if TYPE_CHECKING:
    from abci_app.snapshot import Snapshot

REPOSITORY = Path(__file__).parents[2]
FULL = 3


def start_committer(home: Path, name: str, limit: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.committer", str(home), name, str(limit)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_whole(store: Store, spare_home: Path) -> None:
    """Check that a store holds what undisturbed blocks up to its height give."""
    with open_store(spare_home) as other:
        while other.latest().height < store.latest().height:
            commit_overlay(other, make_block(other.latest()))
        compare(store, other.latest())


def compare(store: Store, undisturbed: Snapshot) -> None:
    latest = store.latest()
    assert latest.app_hash == undisturbed.app_hash
    assert read_pairs(latest) == read_pairs(undisturbed)
    store.verify_content()
    for height in range(1, latest.height + 3):
        segment, digest = b"segment %d" % (height // 4), sha256(make_payload(height)).digest()
        assert latest.get_blob(segment, digest) == undisturbed.get_blob(segment, digest)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("blocks", [1, 9, 30])
def test_a_killed_process_leaves_whole_blocks(name: str, blocks: int, tmp_path: Path) -> None:
    process = start_committer(tmp_path / "home", name, 0)
    assert process.stdout is not None
    for _ in range(blocks):
        acknowledged = int(process.stdout.readline().split()[0])
    os.kill(process.pid, signal.SIGKILL)
    # Not by `communicate`, which would miss the lines that were read ahead.
    rest = process.stdout.read()
    process.communicate()
    acknowledged += len([line for line in rest.splitlines() if len(line.split()[-1]) == 64])
    with open_store(tmp_path / "home") as store:
        assert store.latest().height in {acknowledged, acknowledged + 1}
        check_whole(store, tmp_path / "undisturbed")
        commit_overlay(store, make_block(store.latest()))


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("limit", [50_000, 200_000])
def test_a_full_disk_ends_the_process_and_leaves_whole_blocks(name: str, limit: int, tmp_path: Path) -> None:
    # the limit of 50,000 bytes is met by a segment of four blobs first, the other one by the database
    process = start_committer(tmp_path / "home", name, limit)
    output, errors = process.communicate()
    assert (process.returncode, "[node/20]" in errors) == (FULL, True), errors
    lines = output.splitlines()
    with open_store(tmp_path / "home") as store:
        assert store.latest().height == len(lines)
        check_whole(store, tmp_path / "undisturbed")
        commit_overlay(store, make_block(store.latest()))
