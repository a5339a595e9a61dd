"""Whole networks of real nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.client import ChainConnection
from abci_app.errors import EndpointUnreachable, PortInUse
from abci_app.nodehome import lock_home
from abci_app.nodestate import read_state
from abci_app.process import ProcessId, identify, is_alive, read_pid_file
from abci_app.supervisor import PROCESS_KINDS
from localnet.errors import StartFailed, StillRunning
from localnet.manifest import load_manifest
from localnet.network import Localnet
from localnet.status import check_agreement, collect_reports
from tests.support.localnet import build_manifest, running_localnet, use_real_cometbft, write_fake_cometbft
from tests.support.ports import taken_port
from tests.support.tools import ROOT
from tests.support.waiting import eventually
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localnet.nodes import NodeHandle
    from localnet.processes import ProcessUsage

pytestmark = pytest.mark.localnet


def height_of(node: NodeHandle) -> int:
    with node.open_rpc() as rpc:
        try:
            return rpc.status().height
        except EndpointUnreachable:
            return 0


def count_peers(node: NodeHandle) -> int:
    (report,) = collect_reports([node])
    return report.peers


def wait_for_height(node: NodeHandle, height: int) -> None:
    eventually(lambda: height_of(node) >= height, f"height {height} of {node.name}")


def wait_for_change(localnet: Localnet, is_done: Callable[[list[ProcessUsage]], bool], what: str) -> None:
    eventually(lambda: is_done(localnet.processes()), what)


def list_pids(localnet: Localnet) -> list[ProcessId]:
    """Return the identities of all processes."""
    files = [node.home.pid_file(kind) for node in localnet.nodes for kind in PROCESS_KINDS]
    found = [read_pid_file(path) for path in files]
    nurseries = [identify(item.pid) for item in localnet.processes() if item.kind == "nursery"]
    return [process for process in (*found, *nurseries, localnet.supervisor) if process is not None]


def assert_all_ended(processes: list[ProcessId]) -> None:
    eventually(lambda: not any(map(is_alive, processes)), "the end of all processes")


def test_two_chains_of_one_validator_make_blocks_and_stop_without_a_trace(tmp_path: Path) -> None:
    with running_localnet(build_manifest(chains=2), tmp_path) as localnet:
        for node in localnet.nodes:
            wait_for_height(node, 2)
        usage = localnet.processes()
        kinds = [item.kind for item in usage if item.kind != "nursery"]
        assert sorted(kinds) == ["app", "app", "comet", "comet", "supervisor"]
        assert len({item.pid for item in usage}) == len(usage)
        assert all(item.resident_bytes > item.unique_bytes > 0 for item in usage)
        processes = list_pids(localnet)
        assert len(processes) == len(usage)
        localnet.start()
        assert list_pids(localnet) == processes
        with pytest.raises(StillRunning):
            localnet.reset()
    assert not any(map(is_alive, processes))
    assert not localnet.is_running
    assert localnet.processes() == []
    assert not list(tmp_path.rglob("*.pid"))
    localnet.stop()


def test_four_validators_agree_survive_the_loss_of_one_and_take_it_back(tmp_path: Path) -> None:
    with running_localnet(build_manifest(validators=4), tmp_path) as localnet:
        first, *_, last = localnet.nodes
        with first.open_rpc() as rpc:
            rpc.broadcast_tx_sync(b"a=1")
        localnet.stop_node(last.name)
        eventually(lambda: read_state(last.home).phase == "stopped", "a stopped node")
        start = height_of(first)
        wait_for_height(first, start + 3)
        reports = {report.node: report for report in collect_reports(localnet.nodes)}
        assert not reports[last.name].answers
        assert reports[first.name].answers
        assert read_pid_file(last.home.pid_file("comet")) is None

        localnet.start_node(last.name)
        wait_for_height(last, start + 3)
        reports = {report.node: report for report in collect_reports(localnet.nodes)}
        check_agreement(reports.values())
        assert all(report.answers and report.states for report in reports.values())
        # It may have got the blocks from one peer before it found the others.
        eventually(lambda: count_peers(first) == 3, "a connection to each of the others")


@pytest.mark.parametrize("kind", ["app", "comet", "both"])
def test_a_killed_validator_comes_back(tmp_path: Path, kind: str) -> None:
    with running_localnet(build_manifest(), tmp_path) as localnet:
        (node,) = localnet.nodes
        before = list_pids(localnet)
        height = height_of(node)
        localnet.kill(node.name, kind)  # type: ignore[arg-type]
        eventually(lambda: read_state(node.home).restarts == 1, "a restart")
        wait_for_height(node, height + 2)
        check_agreement(collect_reports(localnet.nodes))
        assert localnet.supervisor in before


def test_a_paused_validator_goes_on_when_it_is_continued(tmp_path: Path) -> None:
    with running_localnet(build_manifest(), tmp_path) as localnet:
        (node,) = localnet.nodes
        localnet.kill(node.name, "app", signal.SIGSTOP)
        localnet.kill(node.name, "app", signal.SIGCONT)
        wait_for_height(node, height_of(node) + 1)
        assert read_state(node.home).restarts == 0


def test_a_killed_supervisor_is_noticed_and_swept_up(tmp_path: Path) -> None:
    with running_localnet(build_manifest(), tmp_path) as localnet:
        processes = list_pids(localnet)
        supervisor = localnet.supervisor
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        eventually(lambda: not localnet.is_running, "the end of the supervisor")
        localnet.stop()
        assert_all_ended(processes)
        localnet.start(detach=False)
        localnet.wait_ready()


def test_a_localnet_ends_with_the_process_that_it_is_tied_to(tmp_path: Path) -> None:
    use_real_cometbft()
    localnet = Localnet.create(build_manifest(), tmp_path)
    program = (
        "import sys, time; from pathlib import Path; from localnet.network import Localnet;"
        "net = Localnet.open(Path(sys.argv[1])); net.start(detach=False); net.wait_ready(); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT) as owner:
        try:
            wait_for_height(localnet.nodes[0], 1)
            processes = list_pids(localnet)
        finally:
            owner.kill()
    assert_all_ended(processes)
    localnet.stop()


def test_an_interrupt_of_the_supervisor_stops_everything(tmp_path: Path) -> None:
    with running_localnet(build_manifest(chains=2), tmp_path) as localnet:
        processes = list_pids(localnet)
        assert localnet.supervisor is not None
        os.kill(localnet.supervisor.pid, signal.SIGINT)
        assert_all_ended(processes)
        assert {read_state(node.home).phase for node in localnet.nodes} == {"stopped"}


def test_a_chain_starts_again_from_nothing_after_a_reset(tmp_path: Path) -> None:
    manifest = build_manifest()
    with running_localnet(manifest, tmp_path) as localnet:
        wait_for_height(localnet.nodes[0], 4)
    reset_ns = time.time_ns()
    localnet.reset()
    with running_localnet(manifest, tmp_path) as again, again.nodes[0].open_rpc() as rpc:
        wait_for_height(again.nodes[0], 2)
        assert rpc.status().earliest_height == 1
        # The first block has the time of the genesis, which is in whole seconds.
        assert rpc.header(2).time_ns > reset_ns


def test_a_port_that_was_taken_meanwhile_is_named(tmp_path: Path) -> None:
    use_real_cometbft()
    localnet = Localnet.create(build_manifest(), tmp_path)
    endpoint = localnet.nodes[0].config.rpc
    with taken_port(endpoint.port), pytest.raises(PortInUse, match=str(endpoint.port)):
        localnet.start()
    assert not localnet.is_running


@pytest.mark.parametrize("detach", [True, False])
def test_a_supervisor_that_cannot_start_says_why(tmp_path: Path, detach: bool) -> None:
    use_real_cometbft()
    localnet = Localnet.create(build_manifest(), tmp_path)
    with lock_home(localnet.nodes[0].home), pytest.raises(StartFailed, match="expected no node on"):
        localnet.start(detach=detach)
    assert not localnet.is_running
    localnet.stop()


def test_a_detached_localnet_outlives_its_starter_and_can_be_stopped_by_another(tmp_path: Path) -> None:
    use_real_cometbft()
    Localnet.create(build_manifest(), tmp_path)
    program = (
        "import sys; from pathlib import Path; from localnet.network import Localnet;"
        "Localnet.open(Path(sys.argv[1])).start()"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
    localnet = Localnet.open(tmp_path)
    try:
        localnet.wait_ready()
        processes = list_pids(localnet)
    finally:
        localnet.stop()
    assert not any(map(is_alive, processes))


def test_a_node_that_cannot_start_ends_the_wait_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    fake = write_fake_cometbft(tmp_path / "bin", "0.39.4", 'echo "panic: broken"; exit 2')
    monkeypatch.setenv("GRADCHAIN_COMETBFT", str(fake))
    localnet = Localnet.create(build_manifest(), tmp_path / "net")
    try:
        localnet.start(detach=False)
        with pytest.raises(StartFailed, match=r"panic: broken|the supervisor"):
            localnet.wait_ready()
    finally:
        localnet.stop()


def test_the_small_network_of_the_package_has_a_hub_and_shards_that_answer(tmp_path: Path) -> None:
    with running_localnet(replace(load_manifest("small"), base_port=0), tmp_path) as localnet:
        for node in localnet.nodes:
            wait_for_height(node, 1)
            status = ask_status(node.grpc_address)
            assert (status.chain_id, status.kind) == (node.config.chain_id, localnet.chains[node.chain].kind)
            assert status.rpc_address == str(node.config.rpc)
        check_agreement(collect_reports(localnet.nodes))


def ask_status(address: str) -> query_pb2.GetStatusResponse:
    connection = ChainConnection([address])
    try:
        return connection.call(
            lambda channel: query_pb2_grpc.NodeServiceStub(channel).GetStatus(query_pb2.GetStatusRequest())
        )
    finally:
        connection.close()


def test_all_validators_state_their_hash_of_a_common_height(tmp_path: Path) -> None:
    with running_localnet(build_manifest(validators=4), tmp_path) as localnet:
        wait_for_height(localnet.nodes[0], 2)
        reports = collect_reports(localnet.nodes)
        check_agreement(reports)
        heights = {state.height for report in reports for state in report.states}
        shared = min(heights)
        # Every node has said what the state after the lowest height is, whatever its own height.
        assert all(shared in {state.height for state in report.states} for report in reports)
