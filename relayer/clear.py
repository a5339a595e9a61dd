"""Clearing: seeing a fixed set of open packets through, beside whatever relayer runs.

It is a second relayer with a journal that lives as long as the command, told of those packets alone: so it holds up
no live packet, which is the running relayer's; what both deliver, a chain takes once.  Packets that the running
relayer has given up as refused are tried anew.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relayer.actions import PutPacket
from relayer.driver import Driver
from relayer.each_link import ask_links
from relayer.errors import ClearUnfinished
from relayer.events import BodyWanted
from relayer.filters import keep_packets, takes_packet
from relayer.journal import Journal
from relayer.pending import list_open
from relayer.types import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from relayer.actions import RelayAction
    from relayer.config import RelayerConfig
    from relayer.each_link import UnknownLink
    from relayer.events import RelayEvent
    from relayer.keyring import KeyRing
    from relayer.nodes import ChainNodes
    from relayer.state import RelayState
    from relayer.types import ChainId, PacketKey, PacketRecord, TimeNs
    from tx.errors import AppError

OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class ClearedPacket:
    """What became of one packet."""

    chain: str
    """The chain that sent it."""
    client: str
    sequence: int
    outcome: str
    """acknowledged, timed_out, gone; or how far it got: refused, open, ..."""
    ended: bool
    reason: str
    """Why it has not ended."""


@dataclass(frozen=True, slots=True)
class ClearReport:
    """What became of all packets that were open when it began."""

    found: int
    cleared: int
    packets: tuple[ClearedPacket, ...]
    unknown: tuple[UnknownLink, ...]
    """Links that could not be asked for their open packets."""


@dataclass(slots=True)
class _Watch:
    """Lets the driver know of the wanted packets only, and sees how they end."""

    wanted: dict[PacketKey, PacketRecord | None]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    state: RelayState | None = None
    """What the driver's machine knew at its last turn."""

    def admit(self, event: RelayEvent) -> RelayEvent | None:
        """Return what concerns the wanted packets."""
        if isinstance(event, BodyWanted):
            return None  # those of the wanted packets follow from their acknowledgements
        return keep_packets(event, lambda packet: packet.key in self.wanted)

    def find_reason(self, record: PacketRecord) -> str:
        """Return why a packet has not ended, as far as it is known."""
        if record.failure is not None or record.step is Step.DONE:
            return "" if record.failure is None else str(record.failure)
        blocked = None if self.state is None else self.state.lane_of(record).blocked
        return "" if blocked is None else str(blocked)

    def note(self, decided: Iterable[RelayAction], state: RelayState, now_ns: TimeNs) -> None:
        """Take note of what moved."""
        del now_ns
        for action in decided:
            if isinstance(action, PutPacket) and action.record.key in self.wanted:
                self.wanted[action.record.key] = action.record
        self.state = state
        if not state.bodies and all(record is not None and _rests(record) for record in self.wanted.values()):
            self.done.set()


def _rests(record: PacketRecord) -> bool:
    return record.step in {Step.DONE, Step.REFUSED}


async def clear(
    config: RelayerConfig,
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
    keys: KeyRing,
    is_wanted: Callable[[PacketKey], bool],
    timeout_s: float,
) -> tuple[ClearReport, AppError | None]:
    """See the open packets of some shards through; return what became of them, and an error if some are left.

    What the configuration's filter leaves out is left to other relayers.  A link that cannot be asked about is
    reported, with its error, and does not keep others from being cleared.
    """
    watch = _Watch({})
    found, unknown, problem = await ask_links(list_open, hub, shards)
    for _, ends in found.values():
        for _, packets in ends:
            watch.wanted.update(
                (sent.key, None)
                for sent in packets
                if is_wanted(sent.key) and takes_packet(sent.packet_bytes, config.filter)
            )
    if watch.wanted:
        await _run(config, hub, {shard: shards[shard] for shard in found}, keys, watch, timeout_s)
    report = _report(watch, unknown)
    left = report.found - report.cleared
    if not left or problem is not None:
        return report, problem
    refused = sum(1 for record in watch.wanted.values() if record is not None and record.step is Step.REFUSED)
    text = f"expected {report.found} packets to end, got {left} left, {refused} of them refused"
    return report, ClearUnfinished(text)


async def _run(
    config: RelayerConfig,
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
    keys: KeyRing,
    watch: _Watch,
    timeout_s: float,
) -> None:
    """Relay until all wanted packets rest, or the time is over."""
    with (
        tempfile.TemporaryDirectory(prefix="gradchain-clear-") as directory,
        Journal(Path(directory) / "clear.db") as journal,
    ):
        # What it was asked for is its own, whoever leads.
        alone = replace(config, options=replace(config.options, relayers=1, position=0))
        driver = Driver(alone, journal, hub, shards, keys, listeners=(watch,), admit=watch.admit)
        running = asyncio.create_task(driver.run())
        waiting = asyncio.create_task(watch.done.wait())
        try:
            await asyncio.wait((running, waiting), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            waiting.cancel()
            results = await asyncio.gather(running, waiting, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]


def _report(watch: _Watch, unknown: tuple[UnknownLink, ...]) -> ClearReport:
    packets = tuple(
        _describe(key, record, "" if record is None else watch.find_reason(record))
        for key, record in sorted(watch.wanted.items(), key=lambda item: item[0])
    )
    return ClearReport(len(packets), sum(packet.ended for packet in packets), packets, unknown)


def _describe(key: PacketKey, record: PacketRecord | None, reason: str) -> ClearedPacket:
    return ClearedPacket(
        chain=key.sender.chain,
        client=key.sender.client,
        sequence=key.sequence,
        outcome=OPEN if record is None else record.stage,
        ended=record is not None and record.step is Step.DONE,
        reason=reason,
    )
