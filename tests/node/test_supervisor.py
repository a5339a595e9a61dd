"""Supervision with real processes: kvstore apps and CometBFT nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from abci_app.comet_binary import BINARY_VARIABLE
from abci_app.errors import CometUnsupported, CrashLoop, HomeMissing, NodeRunning, PortInUse
from abci_app.lifecycle import LifePolicy
from abci_app.nodehome import SOCKET_PATH_BYTES, NodeHome, ProcessKind, load_config
from abci_app.nodestate import read_state
from abci_app.process import ProcessId, is_alive, read_pid_file
from abci_app.rpc import CometRpc
from abci_app.supervisor import (
    LOG_ROTATE_BYTES,
    PROCESS_KINDS,
    app_command,
    child_environment,
    read_tail,
    rotate_log,
    run_node,
)
from tests.support.localnet import (
    make_kvstore_home,
    running_node,
    start_python,
    use_real_cometbft,
    write_fake_cometbft,
)
from tests.support.ports import taken_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

IMPATIENT = LifePolicy(first_pause=0.01, longest_pause=0.02, max_failures=2, stop_timeout=5)


def wait_for_process(home: NodeHome, kind: ProcessKind, other_than: ProcessId | None = None) -> ProcessId:
    def look() -> ProcessId | None:
        found = read_pid_file(home.pid_file(kind))
        return None if found == other_than else found

    return eventually(look, f"a running {kind}")


def wait_for_height(home: NodeHome, height: int) -> int:
    def look() -> int | None:
        with CometRpc(load_config(home).rpc_url) as rpc:
            try:
                found = rpc.status().height
            except Exception:  # noqa: BLE001 - whatever it is, it is not there yet
                return None
        return found if found >= height else None

    return eventually(look, f"height {height}")


def wait_for_end(process: ProcessId) -> None:
    eventually(lambda: not is_alive(process), f"the end of {process}")


def assert_nothing_left(processes: list[ProcessId], home: NodeHome) -> None:
    for process in processes:
        wait_for_end(process)
    assert not list(home.run_directory.glob("*.pid"))
    assert not load_config(home).socket_path.exists()
    assert read_state(home).phase == "stopped"


@pytest.mark.localnet
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_makes_blocks_and_a_signal_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    home = make_kvstore_home(tmp_path / "home")
    with running_node(home) as supervisor:
        wait_for_height(home, 1)
        processes = [wait_for_process(home, "app"), wait_for_process(home, "comet")]
        assert read_state(home).phase == "running"
        supervisor.send_signal(number)
        assert supervisor.wait() == 0
        assert_nothing_left(processes, home)
    log = home.log_file("supervisor").read_text()
    assert log.index("comet") > log.index("app")
    assert "killed" not in log


@pytest.mark.localnet
def test_a_node_with_a_long_path_leaves_no_directory_for_its_socket(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / ("x" * SOCKET_PATH_BYTES) / "home")
    directory = load_config(home).socket_path.parent
    assert not directory.exists()
    with running_node(home) as supervisor:
        wait_for_height(home, 1)
        assert directory.exists()
        supervisor.terminate()
        assert supervisor.wait() == 0
    assert not directory.exists()


@pytest.mark.localnet
@pytest.mark.parametrize("kind", ["app", "comet"])
def test_a_killed_process_comes_back_and_the_chain_goes_on(tmp_path: Path, kind: ProcessKind) -> None:
    home = make_kvstore_home(tmp_path / "home")
    with running_node(home), CometRpc(load_config(home).rpc_url) as rpc:
        height = wait_for_height(home, 1)
        rpc.broadcast_tx_sync(b"key=value")
        killed = {other: wait_for_process(home, other) for other in PROCESS_KINDS}
        os.kill(killed[kind].pid, signal.SIGKILL)
        for other, process in killed.items():
            wait_for_process(home, other, other_than=process)
        wait_for_height(home, height + 2)
        assert read_state(home).restarts == 1
        assert "signal 9" in read_state(home).reason


@pytest.mark.localnet
def test_a_killed_supervisor_takes_its_node_with_it(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    with running_node(home) as supervisor:
        processes = [wait_for_process(home, "app"), wait_for_process(home, "comet")]
        supervisor.kill()
        supervisor.wait()
        for process in processes:
            wait_for_end(process)
    # What it left in its home does not keep the next one from starting.
    with running_node(home):
        wait_for_height(home, 1)


@pytest.mark.localnet
def test_a_second_node_on_a_home_is_refused(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    with running_node(home) as supervisor:
        wait_for_process(home, "comet")
        with pytest.raises(NodeRunning, match=f"process {supervisor.pid}"):
            run_node(home)


@pytest.mark.parametrize("name", ["rpc", "p2p"])
def test_a_port_in_use_is_named(tmp_path: Path, name: str) -> None:
    use_real_cometbft()
    home = make_kvstore_home(tmp_path / "home")
    endpoint = load_config(home).listeners[name]
    with (
        taken_port(endpoint.port),
        pytest.raises(PortInUse, match=f"{endpoint.port} to be free for {name}"),
    ):
        run_node(home)
    assert not list(home.run_directory.glob("*.pid"))


def test_an_old_cometbft_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(write_fake_cometbft(tmp_path, "1.0.1")))
    home = make_kvstore_home(tmp_path / "home")
    with pytest.raises(CometUnsupported, match=r"1\.0\.1"):
        run_node(home)
    assert not home.log_file("supervisor").exists()


def test_a_directory_without_a_home_is_refused(tmp_path: Path) -> None:
    use_real_cometbft()
    with pytest.raises(HomeMissing):
        run_node(NodeHome(tmp_path))


def test_a_node_that_keeps_dying_is_given_up_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = write_fake_cometbft(tmp_path, "0.39.4", 'echo "panic: wrong app hash"; exit 2')
    monkeypatch.setenv(BINARY_VARIABLE, str(fake))
    home = make_kvstore_home(tmp_path / "home")
    with pytest.raises(CrashLoop, match=r"exit status 2(.|\n)*panic: wrong app hash"):
        run_node(home, IMPATIENT)
    assert read_state(home).phase == "given up"
    story = home.log_file("supervisor").read_text() + home.log_file("app").read_text()
    assert home.log_file("comet").read_text().count("panic") == IMPATIENT.max_failures + 1, story
    assert not list(home.run_directory.glob("*.pid"))


def test_a_process_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = 'trap "" TERM INT; : > "$0.up"; while true; do sleep 0.05; done'
    monkeypatch.setenv(BINARY_VARIABLE, str(write_fake_cometbft(tmp_path, "0.39.4", stubborn)))
    home = make_kvstore_home(tmp_path / "home")
    program = (
        "import sys; from pathlib import Path; from abci_app.supervisor import run_node;"
        "from abci_app.lifecycle import LifePolicy; from abci_app.nodehome import NodeHome;"
        "run_node(NodeHome(Path(sys.argv[1])), LifePolicy(stop_timeout=0.3))"
    )
    with start_python(program, str(home.path), log=home.log_file("test")) as supervisor:
        try:
            processes = [wait_for_process(home, "app"), wait_for_process(home, "comet")]
            eventually((tmp_path / "cometbft.up").exists, "a process that ignores requests")
            supervisor.terminate()
            supervisor.wait()
        finally:
            supervisor.kill()
    assert_nothing_left(processes, home)
    assert "did not end in time" in home.log_file("supervisor").read_text()


def test_apps_have_one_thread_for_arithmetic_and_find_the_packages(tmp_path: Path) -> None:
    environment = child_environment()
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    home = make_kvstore_home(tmp_path / "home")
    command = [*app_command(home, load_config(home))[:3], "--help"]
    subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True)


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    rotate_log(log)
    log.write_text("small")
    rotate_log(log)
    assert log.read_text() == "small"
    with log.open("wb") as file:
        file.truncate(LOG_ROTATE_BYTES + 1)
    rotate_log(log)
    assert not log.exists()
    assert (tmp_path / "app.log.1").exists()


def test_the_end_of_a_log_has_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    assert read_tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert read_tail(log, 2) == "line 9998\nline 9999"


def test_a_state_without_its_supervisor_is_stopped(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    assert read_state(home).phase == "stopped"
    state = {"phase": "running", "restarts": 2, "reason": "x", "pid": os.getpid(), "started": "1"}
    home.state_file.write_text(json.dumps(state))
    assert read_state(home).phase == "stopped"
    assert not read_state(home).is_supervised
