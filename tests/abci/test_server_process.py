from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.abci import FLUSH
from tests.support.abci_requests import finalize_block
from tests.support.processes import connect_to, python_module, run_process
from tests.support.waiting import PATIENCE_S
from wire.tendermint.abci.types_pb2 import Request, RequestCommit, RequestInfo

if TYPE_CHECKING:
    from pathlib import Path

KVSTORE = "abci_app.examples.kvstore"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a path short enough for sockets."""
    return tmp_path_factory.mktemp("h")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_without_error_and_removes_the_socket(
    home: Path, number: signal.Signals
) -> None:
    address = f"unix://{home}/abci.sock"
    command = python_module(KVSTORE, "--address", address, "--home", str(home))
    with run_process(home / "log", *command) as process:
        with connect_to(address, process) as client:
            client.call(Request(info=RequestInfo()))
            process.send_signal(number)
            assert client.receive() is None
        assert process.wait(PATIENCE_S) == 0
    assert not (home / "abci.sock").exists()


def test_a_defect_ends_the_process_with_an_error_after_telling_the_peer(home: Path) -> None:
    address = f"unix://{home}/abci.sock"
    with run_process(home / "log", *python_module("tests.support.failing_app", address)) as process:
        with connect_to(address, process) as client:
            client.send(Request(finalize_block=finalize_block(1)), FLUSH)
            assert client.require().exception.error == "the application failed in finalize_block: see its log"
            assert client.receive() is None
        assert process.wait(PATIENCE_S) == 1
    assert "ZeroDivisionError" in (home / "log").read_text()


def test_an_address_in_use_ends_the_process_with_an_error(home: Path) -> None:
    address = f"unix://{home}/abci.sock"
    command = python_module(KVSTORE, "--address", address, "--home")
    with run_process(home / "first.log", *command, str(home / "a")) as first:
        connect_to(address, first).close()
        with run_process(home / "second.log", *command, str(home / "b")) as second:
            assert second.wait(PATIENCE_S) == 1
        assert "[node/1]" in (home / "second.log").read_text()
        with connect_to(address, first) as client:
            client.call(Request(info=RequestInfo()))


def test_a_home_in_use_ends_the_process_with_an_error(home: Path) -> None:
    command = python_module(KVSTORE, "--home", str(home), "--address")
    with run_process(home / "first.log", *command, f"unix://{home}/a.sock") as first:
        connect_to(f"unix://{home}/a.sock", first).close()
        with run_process(home / "second.log", *command, f"unix://{home}/b.sock") as second:
            assert second.wait(PATIENCE_S) == 1
        assert "[node/21]" in (home / "second.log").read_text()


def test_what_was_committed_survives_a_kill_and_nothing_else_does(home: Path) -> None:
    address = f"unix://{home}/abci.sock"
    command = python_module(KVSTORE, "--address", address, "--home", str(home))
    app_hash = b""
    for height in range(1, 5):
        # From the second time on, the socket of the process that was killed is in the way.
        with run_process(home / "log", *command) as process, connect_to(address, process) as client:
            info = client.call(Request(info=RequestInfo())).info
            assert info.last_block_height == height - 1
            assert app_hash in {b"", info.last_block_app_hash}
            block = Request(finalize_block=finalize_block(height, [b"key=%d" % height]))
            app_hash = client.call(block).finalize_block.app_hash
            client.call(Request(commit=RequestCommit()))
            client.call(Request(finalize_block=finalize_block(height + 1, [b"lost=1"])))
            process.kill()
