"""What became of kills, by the blocks of all chains."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from bench.soak.figures import FaultRecord
from ibc.events import PacketEventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.soak.audit import DirectionAudit
    from bench.soak.chaos import Chaos, Fault

ALL: Final = ""
"""Stands for all chains."""

_ENDS: Final = (PacketEventKind.ACKNOWLEDGE, PacketEventKind.TIME_OUT)


def list_moves(audits: Sequence[DirectionAudit]) -> dict[str, list[int]]:
    """Return when packets were received or ended, in order, by the chains that they concern; Unix nanoseconds."""
    moves: dict[str, list[int]] = defaultdict(list)
    for audit in audits:
        chains = (ALL, audit.source, audit.destination)
        for blocks, kinds in ((audit.there, (PacketEventKind.RECEIVE,)), (audit.here, _ENDS)):
            for (kind, _), height in blocks.heights.items():
                if kind in kinds:
                    for chain in chains:
                        moves[chain].append(blocks.committed_ns(height))
    return {chain: sorted(times) for chain, times in moves.items()}


def describe_faults(chaos: Chaos, audits: Sequence[DirectionAudit]) -> tuple[FaultRecord, ...]:
    """Return the records of all kills, in order."""
    moves = list_moves(audits)
    return tuple(_describe(fault, chaos, moves) for fault in chaos.faults)


def _describe(fault: Fault, chaos: Chaos, moves: dict[str, list[int]]) -> FaultRecord:
    node = fault.kill.node
    times = moves.get(chaos.localnet.node(node).chain if node else ALL, [])
    recovered_ns = fault.recovered_ns
    if not node:
        next_move = bisect_right(times, fault.restarted_ns)
        recovered_ns = times[next_move] if next_move < len(times) else 0
    relayed = bisect_left(times, fault.restarted_ns) - bisect_right(times, fault.killed_ns)
    return FaultRecord(
        victim=fault.kill.victim.value,
        node=node,
        process=fault.kill.process if node else "",
        at_s=round((fault.killed_ns - chaos.begin_ns) / 1e9, 1),
        down_s=round((fault.restarted_ns - fault.killed_ns) / 1e9, 1),
        recovered_s=round(max(0, recovered_ns - fault.restarted_ns) / 1e9, 1),
        relayed=max(0, relayed),
    )
