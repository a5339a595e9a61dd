"""A disk that is full: the node ends with an error, nothing is half written, and it goes on when there is room."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

import pytest

from abci_app.errors import ApplicationFailed, DiskFull
from abci_app.nodehome import load_config
from abci_app.process import read_pid_file
from abci_app.rpc import CometRpc
from abci_app.segments import Blob, SegmentStore
from abci_app.store import open_store
from tests.support.abci import AbciClient, run_server
from tests.support.chain_home import height_of, make_hub_home, wait_for_blocks
from tests.support.cramped_app import LIMIT_FILE
from tests.support.failing_app import FailingApplication
from tests.support.localnet import QUICK, running_node
from tests.support.waiting import PATIENCE_S, eventually
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.nodehome import NodeHome

ROOM = 16 * 1024
"""Largest file that the full disk takes, in bytes: less than the database writes, more than the log."""

BUSY = replace(QUICK, empty_block_interval_ms=50)


def cramp(home: NodeHome) -> None:
    """Leave no room for the database of a running node, now and whenever it starts again."""
    (home.path / LIMIT_FILE).write_text(str(ROOM))
    app = read_pid_file(home.pid_file("app"))
    assert app is not None
    resource.prlimit(app.pid, resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))


def written_bytes(home: NodeHome) -> int:
    """Return the size of the database's largest file."""
    return max((path.stat().st_size for path in home.app_directory.rglob("*.log")), default=0)


@pytest.mark.localnet
def test_a_node_on_a_full_disk_ends_with_an_error_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    home = make_hub_home(tmp_path / "home", app="tests.support.cramped_app", comet=BUSY)
    with running_node(home) as node:
        wait_for_blocks(home)
        eventually(lambda: written_bytes(home) > ROOM, "a database that is larger than the room")
        cramp(home)
        assert node.wait(PATIENCE_S) != 0
    said = [line for line in home.log_file("app").read_text().splitlines() if line.startswith("error: ")]
    assert said
    assert all(line.endswith("[node/20]") for line in said)
    assert "[node/47]" in home.log_file("test").read_text()
    with open_store(home.app_directory) as store:
        store.verify_content()
        stopped_at = store.latest().height
        assert stopped_at > 0
    (home.path / LIMIT_FILE).unlink()
    with running_node(home):
        eventually(lambda: height_of(home) > stopped_at + 2, "blocks after the disk had room again")
        with CometRpc(load_config(home).rpc_url) as rpc:
            for height in range(max(1, stopped_at - 2), stopped_at + 2):
                assert rpc.header(height + 1).app_hash == rpc.block_results(height).app_hash


def test_a_blob_that_finds_no_room_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = SegmentStore(tmp_path, {})
    segments.publish(segments.append([make_blob(b"first")]))
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()

    def write_half(descriptor: int, data: bytes) -> NoReturn:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("abci_app.segments.write_all", write_half)
    with pytest.raises(DiskFull):
        segments.append([make_blob(b"second")])
    assert file.read_bytes() == before


def make_blob(data: bytes) -> Blob:
    return Blob(b"segment", sha256(data).digest(), data)


def test_a_log_that_finds_no_room_does_not_keep_a_failure_from_ending_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def take(*_: object, **__: object) -> None:
        pass

    log = SimpleNamespace(info=take, warning=take, error=take, critical=refuse)
    monkeypatch.setattr("abci_app.server.LOG", log)
    request = types_pb2.Request(finalize_block=types_pb2.RequestFinalizeBlock(height=1))
    with run_server(FailingApplication()) as running, AbciClient(running.address) as client:
        assert client.call(request).WhichOneof("value") == "exception"
        running.join()
        assert isinstance(running.failure, ApplicationFailed)
