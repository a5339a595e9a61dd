from __future__ import annotations

import os
import subprocess
import sys

from abci_app.bound import bound_command
from abci_app.process import identify, is_alive
from tests.support.tools import ROOT
from tests.support.waiting import eventually

FORKS_SEEN: list[int] = []
os.register_at_fork(after_in_parent=lambda: FORKS_SEEN.append(os.getpid()))


def test_a_bound_module_gets_its_arguments_and_its_exit_status_is_passed_on() -> None:
    done = subprocess.run(
        bound_command("json.tool", ["--sort-keys", "--compact"]),
        input='{"b": 1, "a": 2}',
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"a":2,"b":1}\n', "")
    command = bound_command("json.tool", ["--no-such-option"])
    assert subprocess.run(command, stderr=subprocess.DEVNULL, cwd=ROOT, check=False).returncode == 2


def test_a_bound_process_ends_with_the_one_that_started_it() -> None:
    starter = (
        "import subprocess, sys, time; from abci_app.bound import bound_command\n"
        "child = subprocess.Popen(bound_command('http.server', ['0', '--bind', '127.0.0.1']),"
        " stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={'PYTHONUNBUFFERED': '1'})\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = identify(int(parent.stdout.readline()))
        assert child is not None
        parent.kill()
    eventually(lambda: None if is_alive(child) else True, "the bound process to end")


def test_a_module_does_not_run_when_the_parent_has_ended_before_it() -> None:
    command = bound_command("json.tool", ["--help"])
    command[3] = str(os.getppid())
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"expected to be started by process {os.getppid()}, which has ended\n"


def test_no_hook_of_a_fork_runs_when_a_bound_process_is_started() -> None:
    seen = len(FORKS_SEEN)
    with subprocess.Popen(
        bound_command("json.tool", ["--help"]), stdout=subprocess.DEVNULL, cwd=ROOT, process_group=0
    ) as child:
        assert child.wait() == 0
    assert len(FORKS_SEEN) == seen
