"""The same blocks give the same app hashes, whatever else differs between two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from abci_app.store import open_store
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.hub_replay import StoredState, replay

ROOT = Path(__file__).parents[2]


def run_node(home: Path, **settings: str) -> list[str]:
    """Replay the blocks in a process with these environment variables."""
    environment = {
        **os.environ,
        **settings,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hub_replay", str(home)],
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
    assert len(one) > 40
    assert one[-1] == one[-2]  # an idle block changes nothing


def test_the_replayed_blocks_end_both_tasks_and_leave_a_sound_store(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        chain = replay(store)
        statuses = [require_task(chain.state, number).status for number in (1, 2)]
        store.verify_content()
        assert isinstance(chain.state, StoredState)
        expected = chain.state.app_hashes[-1]
    assert set(statuses) <= {TaskStatus.COMPLETE, TaskStatus.FAILED}
    with open_store(tmp_path) as store:
        assert store.latest().app_hash.hex() == expected
