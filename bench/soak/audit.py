"""The audit at the end: what blocks and states of both sides say, and nothing that a relayer says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.chainaudit import ChainAudit, audit_clients, block_latencies
from bench.figures import find_percentile
from bench.soak.figures import Direction, Latency, SoakCheck
from bench.soak.load import Fate
from ibc.events import PacketEventKind
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.packetnet import PacketChain, PacketNet
    from bench.soak.load import Ask, Sender
    from localnet.status import NodeReport

PAGE: Final = 1_000
"""Packets whose status a node tells at once."""
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What the states of both ends hold of packets, by their sequences."""

    committed: frozenset[int]
    """In the state of the sender: still open."""
    received: frozenset[int]
    answered: frozenset[int]
    """The receiver has written an acknowledgement."""


def audit_ends(net: PacketNet) -> dict[tuple[str, str], ChainAudit]:
    """Read all blocks of all chains, from their first validators; the audits are named by chain and client."""
    found = {}
    for chain in net.localnet.chains.values():
        clients = [end.client_id for end in net.chains if end.chain is chain]
        for client_id, audit in audit_clients(chain.rpc_urls[0], clients).items():
            found[chain.name, client_id] = audit
    return found


def read_stored(source: PacketChain, destination: PacketChain, count: int) -> Stored:
    """Read what both states hold of the first packets of an end."""
    here, there = (_list_statuses(end, count) for end in (source, destination))
    return Stored(
        frozenset(number for number, status in enumerate(here, 1) if status.committed),
        frozenset(number for number, status in enumerate(there, 1) if status.received),
        frozenset(number for number, status in enumerate(there, 1) if status.acknowledgement),
    )


def _list_statuses(end: PacketChain, count: int) -> list[ibc_query.GetPacketStatusResponse]:
    found: list[ibc_query.GetPacketStatusResponse] = []
    for start in range(1, count + 1, PAGE):
        sequences = range(start, min(start + PAGE, count + 1))
        request = ibc_query.ListPacketStatusesRequest(client_id=end.client_id, sequences=sequences)
        found += end.connection.ibc(
            lambda stub, request=request: stub.ListPacketStatuses(request, timeout=TIMEOUT_S)  # type: ignore[misc]
        ).statuses
    return found


def count_asked(asked: Iterable[Ask], codes: dict[bytes, int]) -> tuple[int, int]:
    """Return how many packets executed transactions asked for, and how many transactions are not what was told.

    One that was said to be committed must be in a block and executed, one that was refused must not be.
    """
    packets = wrong = 0
    for ask in asked:
        was_executed = codes.get(ask.tx_hash) == 0
        packets += ask.packets if was_executed else 0
        wrong += ask.fate is not Fate.UNKNOWN and was_executed != (ask.fate is Fate.COMMITTED)
    return packets, wrong


def describe_latency(blocks: Sequence[float]) -> Latency | None:
    """Return the middle, the slow end and the longest of some latencies."""
    if not blocks:
        return None
    return Latency(find_percentile(blocks, 50), find_percentile(blocks, 99), max(blocks))


@dataclass(frozen=True, slots=True)
class DirectionAudit:
    """The packets of one sender, seen from all sides."""

    source: str
    """Name of the chain."""
    destination: str
    asked: Sequence[Ask]
    here: ChainAudit
    there: ChainAudit
    stored: Stored

    @property
    def name(self) -> str:
        """The two chains."""
        return f"{self.source} to {self.destination}"

    def _numbers(self, audit: ChainAudit, kind: PacketEventKind) -> frozenset[int]:
        return frozenset(audit.events[kind])

    def describe(self) -> Direction:
        """Return the counters."""
        kinds = PacketEventKind
        received = sorted(self._numbers(self.there, kinds.RECEIVE))
        repeated = sum(
            times - 1
            for audit, names in ((self.there, {"receive"}), (self.here, {"acknowledge", "time out"}))
            for (name, _), times in audit.messages.items()
            if name in names
        )
        return Direction(
            source=self.source,
            destination=self.destination,
            asked=count_asked(self.asked, self.here.codes)[0],
            sent=self.here.count(kinds.SEND),
            received=len(received),
            acknowledged=self.here.count(kinds.ACKNOWLEDGE),
            timed_out=self.here.count(kinds.TIME_OUT),
            receipts=len(self.stored.received),
            acknowledgements=len(self.stored.answered),
            open=len(self.stored.committed),
            repeated=repeated,
            failed=self.there.failed_relays.total(),
            latency=describe_latency(block_latencies(received, self.here, self.there)),
        )

    def check(self) -> list[SoakCheck]:
        """Return what must hold."""
        kinds = PacketEventKind
        sent = self._numbers(self.here, kinds.SEND)
        received = self._numbers(self.there, kinds.RECEIVE)
        acknowledged = self._numbers(self.here, kinds.ACKNOWLEDGE)
        timed_out = self._numbers(self.here, kinds.TIME_OUT)
        packets, wrong = count_asked(self.asked, self.here.codes)
        twice = sum(
            times > 1
            for audit, kind in (
                (self.here, kinds.SEND),
                (self.there, kinds.RECEIVE),
                (self.there, kinds.WRITE_ACK),
                (self.here, kinds.ACKNOWLEDGE),
                (self.here, kinds.TIME_OUT),
            )
            for times in audit.events[kind].values()
        )
        either = received ^ timed_out
        return [
            self._equal("packets sent are those asked for", packets, len(sent)),
            self._equal("transactions whose senders were told the truth", 0, wrong),
            self._equal("each packet was received or timed out, none both", len(sent), len(sent & either)),
            self._equal("nothing else was", 0, len((received | timed_out) - sent)),
            self._equal("steps that happened twice", 0, twice),
            self._equal("acknowledgements taken that are not those of packets received", 0, len(acknowledged ^ received)),
            self._equal("receipts in the state that differ from the blocks", 0, len(self.stored.received ^ received)),
            self._equal("acknowledgements in the state that differ", 0, len(self.stored.answered ^ received)),
            self._equal("commitments left in the state", 0, len(self.stored.committed)),
        ]  # fmt: skip

    def _equal(self, what: str, expected: int, got: int) -> SoakCheck:
        return SoakCheck(f"{self.name}: {what}", str(expected), str(got))


def audit_directions(net: PacketNet, senders: Sequence[Sender]) -> list[DirectionAudit]:
    """Read blocks and states of all chains."""
    audits = audit_ends(net)
    found = []
    for link in net.links:
        for source, destination in ((link.hub, link.shard), (link.shard, link.hub)):
            here = audits[source.chain.name, source.client_id]
            there = audits[destination.chain.name, destination.client_id]
            stored = read_stored(source, destination, max(here.events[PacketEventKind.SEND], default=0))
            asked = next(sender.asked for sender in senders if sender.end is source)
            names = (source.chain.name, destination.chain.name)
            found.append(DirectionAudit(*names, asked, here, there, stored))
    return found


def check_tokens(net: PacketNet) -> list[SoakCheck]:
    """Check that the hub's tokens are where the genesis put them: nobody is paid for these packets, none is lost."""
    connection, accounts = net.hub.connection, net.localnet.manifest.accounts
    supply = connection.hub(lambda stub: stub.GetSupply(hub_query.GetSupplyRequest(), timeout=TIMEOUT_S))
    checks = [SoakCheck("hub: tokens in balances and escrows", str(sum(accounts.values())),
                        str(supply.balances + supply.escrowed))]  # fmt: skip
    for name, amount in sorted(accounts.items()):
        request = hub_query.GetAccountRequest(account=net.localnet.key(name).public_key)
        balance = connection.hub(lambda stub, request=request: stub.GetAccount(request, timeout=TIMEOUT_S))  # type: ignore[misc]
        checks.append(SoakCheck(f"hub: tokens of {name}", str(amount), str(balance.balance)))
    return checks


def check_nodes(reports: Sequence[NodeReport]) -> list[SoakCheck]:
    """Check that all nodes of each chain run and state the same hash at a height that all have."""
    checks = []
    for chain in dict.fromkeys(report.chain for report in reports):
        own = [report for report in reports if report.chain == chain]
        answering = sum(report.answers and not report.catching_up for report in own)
        checks.append(SoakCheck(f"{chain}: nodes that run and keep up", str(len(own)), str(answering)))
        heights = set.intersection(*({state.height for state in report.states} for report in own))
        common = max(heights, default=0)
        hashes = {state.app_hash for report in own for state in report.states if state.height == common}
        got = (
            f"one at height {common}" if heights and len(hashes) == 1 else f"{len(hashes)} at height {common}"
        )
        checks.append(SoakCheck(f"{chain}: app hashes of all nodes", f"one at height {common}", got))
    return checks
