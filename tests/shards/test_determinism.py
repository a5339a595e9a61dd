"""The same blocks give the same app hashes, whatever else differs between two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from abci_app.store import open_store
from shards.checkpoints.state import get_header
from tests.support.shard_replay import build_rounds, replay

ROOT = Path(__file__).parents[2]


def run_node(home: Path, **settings: str) -> list[str]:
    """Replay the blocks in a process with these environment variables."""
    environment = {
        **os.environ,
        **settings,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.shard_replay", str(home)],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_app_hashes_depend_neither_on_hash_seeds_nor_on_threads(tmp_path: Path) -> None:
    one = run_node(tmp_path / "a", PYTHONHASHSEED="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    two = run_node(tmp_path / "b", PYTHONHASHSEED="7", OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="4")
    assert one == two
    assert len(one) == 7
    assert len(set(one)) == 6  # the last block is idle


def test_the_replayed_blocks_close_every_round(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        replay(store)
        headers = [get_header(store.latest(), item.round_id) for item in build_rounds()]
    assert [header.updates if header else None for header in headers] == [39, 39, 1]


def test_a_node_that_restarts_has_the_same_checkpoints(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        expected = replay(store)[-1]
    with open_store(tmp_path) as store:
        assert store.latest().app_hash.hex() == expected
        store.verify_content()
