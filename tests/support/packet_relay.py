"""Relayers as processes of their own between real chains, and what the chains say afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.chainaudit import audit_chain
from ibc.events import PacketEventKind
from tests.support.processes import python_module, run_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from bench.chainaudit import ChainAudit
    from bench.packetnet import PacketChain, PacketNet


@contextmanager
def relayer_process(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a relayer as a user would; it is killed at the end if it still runs."""
    command = python_module("cli.main", "relayer", "start", "--config", str(config))
    with run_process(config.with_suffix(".log"), *command) as process:
        yield process


def check_delivered(net: PacketNet, sender: PacketChain, late: int = 0) -> tuple[ChainAudit, ChainAudit]:
    """Check what became of the packets of a chain, `late` of which could not be received in time.

    Each packet was received and acknowledged once, or timed out once, and no relayed transaction failed.  Return
    what the blocks of the sender and of the receiver hold.
    """
    receiver = net.shard if sender is net.hub else net.hub
    here, there = (audit_chain(side.chain.rpc_urls[0]) for side in (sender, receiver))
    everyone = set(range(1, sender.sent + 1))
    timed_out = set(here.events[PacketEventKind.TIME_OUT])
    assert set(here.events[PacketEventKind.SEND]) == everyone
    assert len(timed_out) == late
    assert set(there.events[PacketEventKind.RECEIVE]) == everyone - timed_out
    assert set(there.events[PacketEventKind.WRITE_ACK]) == everyone - timed_out
    assert set(here.events[PacketEventKind.ACKNOWLEDGE]) == everyone - timed_out
    for audit in (here, there):
        assert all(times == 1 for counted in audit.events.values() for times in counted.values())
        assert audit.failed == [], audit.failed
    return here, there
