"""A relayer between real chains that is killed at every arrow of its journal loses nothing and pays for nothing twice.

`tests/relayer/test_restart.py` tries every turn of the machine against chains in memory; here the processes, the disk
and the chains are real.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from bench.packetnet import running_packet_net
from tests.support.localnet import use_real_cometbft
from tests.support.packet_relay import check_delivered, relayer_process
from tests.support.processes import python_module, run_process
from tests.support.relayer_arrows import ARROWS, TIMEOUT_ARROWS
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from bench.packetnet import PacketChain, PacketNet

pytestmark = pytest.mark.localnet

LATE_S = 4
"""Seconds after which a packet that is to time out can no longer be received."""


def die_at(net: PacketNet, arrow: str) -> None:
    """Run a relayer that dies at an arrow, and wait until it has."""
    log = net.directory / "dying.log"
    with run_process(log, *python_module("tests.support.relayer_arrows", arrow, str(net.config))) as process:
        assert process.wait(PATIENCE_S) == -signal.SIGKILL, f"{arrow}:\n{log.read_text()[-3000:]}"


def send_late(sender: PacketChain, receiver: PacketChain) -> None:
    """Send a packet that nobody can receive by the time that this returns: the receiver's blocks say so too."""
    sender.send(1, timeout_s=LATE_S)
    over_ns = (int(time.time()) + LATE_S + 1) * 1_000_000_000
    eventually(lambda: not sender.is_finished(sender.sent), "the packet to be sent")
    eventually(lambda: receiver.connection.status().block_time_ns > over_ns, "the packet's time to be over")


def test_a_relayer_that_is_killed_at_any_arrow_loses_nothing_and_pays_nothing_twice(tmp_path: Path) -> None:
    use_real_cometbft()
    with running_packet_net(tmp_path, block_time_ms=50) as net:
        for arrow in ARROWS:
            for chain in net.chains:
                chain.send(1)
            die_at(net, arrow)
        for arrow in TIMEOUT_ARROWS:
            send_late(net.hub, net.shard)
            die_at(net, arrow)
        with relayer_process(net.config) as relayer:
            for chain in net.chains:
                eventually(lambda chain=chain: chain.count_pending() == 0, "every packet to end")  # type: ignore[misc]
            relayer.send_signal(signal.SIGTERM)
            assert relayer.wait(PATIENCE_S) == 0
        for chain, late in ((net.hub, len(TIMEOUT_ARROWS)), (net.shard, 0)):
            here, there = check_delivered(net, chain, late)
            assert here.twice() == []
            assert there.twice() == []
