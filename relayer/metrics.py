"""Prometheus metrics of a relayer.  Names are listed in docs/operations.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from relayer.types import NS_PER_SECOND, STAGE_NAMES, ClientStatus, Step, TxState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from relayer.state import Lane, RelayState
    from relayer.types import BodyRecord, ChainId, LinkEnd, PacketRecord, TimeNs, TxRecord

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600)

ForkOutcome: TypeAlias = Literal["frozen", "unproven", "refused"]
"""What came of telling a chain of a fork: its client is frozen, there is no evidence, or the chain did not take it."""
NODE_CHECKS: Final = ("chain_id", "height", "block_age", "clock")
"""What is looked at of a node that answers, as `gradchain relayer health` calls it."""


class RelayMetrics:
    """The metrics of one relayer, on a registry of its own so that tests can run several in a process.

    What can be counted of the given chains begins at zero: of a counter that appears with its first event, Prometheus
    sees no increase.
    """

    def __init__(self, chains: Iterable[ChainId] = (), clock_s: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock_s = clock_s
        self._make_counters()
        self._make_gauges_of_links()
        self._make_gauges_of_nodes()
        self._expires_at_s: dict[LinkEnd, float] = {}
        self._waits_since_s: dict[LinkEnd, float | None] = {}
        self._open_since_s: float | None = None
        self._oldest_open.set_function(lambda: self._age_s(self._open_since_s))
        for chain in chains:
            self._begin_at_zero(chain)

    def _make_counters(self) -> None:
        self._stages = self._counter(
            "packets",
            "Packets that reached a stage of their life, by the chain that sent them.",
            "chain",
            "stage",
        )
        self._seconds = Histogram(
            "gradchain_relayer_packet_seconds",
            "From a packet's being seen to a stage of its life.",
            ["chain", "stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._txs = self._counter("txs", "Transactions by target chain and fate.", "chain", "state")
        self._bodies = self._counter("bodies", "Bodies that came to an end.", "chain", "outcome")
        self._misbehaviours = self._counter(
            "misbehaviours",
            "Forks of a chain, by what came of telling another chain: frozen, unproven, refused.",
            "chain",
            "outcome",
        )

    def _make_gauges_of_links(self) -> None:
        lane = ("chain", "client")
        self._height = self._gauge("height", "Newest block seen.", "chain")
        self._cursor = self._gauge("cursor", "Newest block whose events were read.", "chain")
        self._open = self._gauge("open", "Packets that are known and not done.")
        self._oldest_open = self._gauge(
            "oldest_open_seconds", "Age of the oldest packet that is neither done nor refused."
        )
        self._waiting = self._gauge("waiting", "Packets that wait to be submitted.", *lane)
        self._oldest = self._gauge(
            "oldest_seconds", "Age of the oldest packet that waits to be submitted.", *lane
        )
        self._blocked = self._gauge("blocked", "1 while nothing can be submitted.", *lane)
        self._active = self._gauge(
            "client_active", "1 while the light client is neither expired nor frozen.", *lane
        )
        self._expiry = self._gauge(
            "client_expiry_seconds",
            "Until the light client expires, if it is not shown another header.",
            *lane,
        )
        self._trusting = self._gauge("client_trusting_seconds", "Trusting period of the light client.", *lane)

    def _make_gauges_of_nodes(self) -> None:
        self._balance = self._gauge("balance", "Tokens of an account that signs.", "chain", "address")
        self._minimum = self._gauge("balance_minimum", "Tokens that each such account should hold.", "chain")
        self._node_up = self._gauge("node_up", "1 while the node answers.", "chain", "node")
        self._node_problem = self._gauge(
            "node_problem",
            "1 while a check of the node fails: " + ", ".join(NODE_CHECKS),
            "chain",
            "node",
            "check",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gradchain_relayer_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"gradchain_relayer_{name}", text, labels, registry=self.registry)

    def _begin_at_zero(self, chain: ChainId) -> None:
        for stage in STAGE_NAMES.values():
            self._stages.labels(chain, stage)
        for state in TxState:
            self._txs.labels(chain, state.value)
        for outcome in get_args(ForkOutcome):
            self._misbehaviours.labels(chain, outcome)

    def _age_s(self, since_s: float | None) -> float:
        return 0.0 if since_s is None else self._clock_s() - since_s

    def set_balance(self, chain: str, address: str, tokens: int) -> None:
        """Take over what an account holds."""
        self._balance.labels(chain, address).set(tokens)

    def set_minimum(self, chain: str, tokens: int) -> None:
        """Take over what each account of a chain should hold."""
        self._minimum.labels(chain).set(tokens)

    def set_node(self, chain: str, node: str, *, answers: bool, problems: Collection[str] = ()) -> None:
        """Take over whether a node answers, and which of `NODE_CHECKS` it fails."""
        self._node_up.labels(chain, node).set(answers)
        for check in NODE_CHECKS:
            self._node_problem.labels(chain, node, check).set(check in problems)

    def set_client(self, end: LinkEnd, status: ClientStatus) -> None:
        """Take over what a chain says of its light client."""
        self._active.labels(end.chain, end.client).set(status is ClientStatus.ACTIVE)

    def count_packet(self, record: PacketRecord, elapsed_s: float) -> None:
        """Count a packet that changed."""
        if record.step is Step.WAITING and record.attempts:
            return  # it did not move on
        self._stages.labels(record.key.sender.chain, record.stage).inc()
        self._seconds.labels(record.key.sender.chain, record.stage).observe(elapsed_s)

    def count_tx(self, record: TxRecord) -> None:
        """Count a transaction that was sent or whose fate is known."""
        self._txs.labels(record.lane.chain, record.state.value).inc()

    def count_body(self, record: BodyRecord) -> None:
        """Count a body that came to an end."""
        self._bodies.labels(record.key.shard.chain, record.outcome).inc()

    def count_misbehaviour(self, chain: ChainId, outcome: ForkOutcome) -> None:
        """Count what came of evidence against a chain."""
        self._misbehaviours.labels(chain, outcome).inc()

    def sample(self, state: RelayState) -> None:
        """Take over what is not counted but measured."""
        for chain_id, chain in state.chains.items():
            self._height.labels(chain_id).set(chain.head)
            self._cursor.labels(chain_id).set(chain.cursor)
        self._open.set(len(state.packets))
        # Packets stand in the order in which they became known; few of them are refused.
        working = (record.seen_ns for record in state.packets.values() if record.step is not Step.REFUSED)
        self._open_since_s = _seconds(next(working, None))
        for end, lane in state.lanes.items():
            self._sample_lane(state, end, lane)

    def _sample_lane(self, state: RelayState, end: LinkEnd, lane: Lane) -> None:
        names = (end.chain, end.client)
        first = next(iter(lane.waiting), None)
        self._waits_since_s[end] = None if first is None else _seconds(state.packets[first].seen_ns)
        is_new = end not in self._expires_at_s
        self._expires_at_s[end] = (lane.client.time_ns + lane.client.trusting_period_ns) / NS_PER_SECOND
        if is_new:
            # Read at each scrape, so that they go on even while nothing happens.
            self._expiry.labels(*names).set_function(lambda: self._expires_at_s[end] - self._clock_s())
            self._oldest.labels(*names).set_function(lambda: self._age_s(self._waits_since_s[end]))
        self._waiting.labels(*names).set(len(lane.waiting))
        is_blocked = lane.blocked is not None or lane.client.status is not ClientStatus.ACTIVE
        self._blocked.labels(*names).set(is_blocked)
        self._trusting.labels(*names).set(lane.client.trusting_period_ns / NS_PER_SECOND)


def _seconds(time_ns: TimeNs | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_SECOND
