from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abci_app.process import (
    ProcessId,
    identify,
    is_alive,
    read_pid_file,
    send_group_signal,
    send_signal,
    spawn,
    write_pid_file,
)
from tests.support.tools import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as child:
        yield child
        child.kill()


def require_identity(pid: int) -> ProcessId:
    found = identify(pid)
    assert found is not None
    return found


def test_a_process_is_known_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    process = require_identity(sleeper.pid)
    assert is_alive(process)
    sleeper.kill()
    # Dead is dead, although nobody has waited for it yet.
    eventually(lambda: not is_alive(process), "the end of the process")
    sleeper.wait()
    assert identify(sleeper.pid) is None


def test_a_process_has_not_ended_while_a_thread_of_it_goes_on(tmp_path: Path) -> None:
    """Until then it keeps its ports and its locks."""
    number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
    program = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start();"
        f"print('up', flush=True); ctypes.CDLL(None).syscall({number}, 0)"
    )
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", program], os.environ, log)
    try:
        process = require_identity(child.pid)
        state = Path(f"/proc/{child.pid}/stat")
        eventually(
            lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "the end of the first thread"
        )
        assert is_alive(process)
        assert send_signal(process, signal.SIGKILL)
        eventually(lambda: not is_alive(process), "the end of the process")
    finally:
        child.kill()
        child.wait()


def test_another_process_with_the_same_id_is_not_taken_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = ProcessId(sleeper.pid, "1")
    assert not is_alive(earlier)
    assert not send_signal(earlier, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_pid_file_names_a_living_process_only(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = tmp_path / "app.pid"
    assert read_pid_file(path) is None
    process = require_identity(sleeper.pid)
    write_pid_file(path, process)
    assert read_pid_file(path) == process
    write_pid_file(path, ProcessId(sleeper.pid, "1"))
    assert read_pid_file(path) is None
    path.write_text("garbage")
    assert read_pid_file(path) is None


def test_a_signal_reaches_the_process(sleeper: subprocess.Popen[bytes]) -> None:
    assert send_signal(require_identity(sleeper.pid), signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM


def read_pid(path: Path) -> int | None:
    text = path.read_text()
    return int(text) if text.endswith("\n") else None


def test_a_child_ends_with_its_own_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = f"import subprocess, time; print(subprocess.Popen({SLEEP!r}).pid, flush=True); time.sleep(600)"
    child = spawn([sys.executable, "-c", program], os.environ, log)
    try:
        grandchild = require_identity(eventually(lambda: read_pid(log), "the grandchild"))
    finally:
        send_group_signal(child.pid, signal.SIGKILL)
        status = child.wait()
    assert status == -signal.SIGKILL
    eventually(lambda: not is_alive(grandchild), "the end of the grandchild")
    send_group_signal(child.pid, signal.SIGKILL)


def test_a_child_dies_with_the_supervisor_that_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.touch()
    program = (
        "import os, sys, time; from pathlib import Path; from abci_app.process import spawn;"
        f"child = spawn({SLEEP!r}, os.environ, Path(sys.argv[1] + '.log'));"
        "Path(sys.argv[1]).write_text(f'{child.pid}\\n'); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(pid_file)], cwd=ROOT) as supervisor:
        try:
            child = require_identity(eventually(lambda: read_pid(pid_file), "the child"))
        finally:
            supervisor.kill()
    if sys.platform != "linux":
        # Elsewhere the kernel does not do it, and `Localnet.stop` sweeps up.
        os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(child), "the end of the child")
