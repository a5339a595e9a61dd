"""Prometheus metrics of a relayer.  Names are listed in docs/operations.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from relayer.types import NS_PER_SECOND, ClientStatus, Step

if TYPE_CHECKING:
    from relayer.state import Lane, RelayState
    from relayer.types import BodyRecord, ChainId, LinkEnd, PacketRecord, TxRecord

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600)


class RelayMetrics:
    """The metrics of one relayer, on a registry of its own so that tests can run several in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = Counter(
            "gradchain_relayer_packets",
            "Packets that reached a stage of their life, by the chain that sent them.",
            ["chain", "stage"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "gradchain_relayer_packet_seconds",
            "From a packet's being seen to a stage of its life.",
            ["chain", "stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._txs = Counter(
            "gradchain_relayer_txs",
            "Transactions by target chain and fate.",
            ["chain", "state"],
            registry=self.registry,
        )
        self._bodies = Counter(
            "gradchain_relayer_bodies",
            "Bodies that came to an end.",
            ["chain", "outcome"],
            registry=self.registry,
        )
        self._misbehaviours = Counter(
            "gradchain_relayer_misbehaviours",
            "Forks of a chain, by what came of telling another chain: frozen, unproven, refused.",
            ["chain", "outcome"],
            registry=self.registry,
        )
        self._height = Gauge(
            "gradchain_relayer_height", "Newest block seen.", ["chain"], registry=self.registry
        )
        self._cursor = Gauge(
            "gradchain_relayer_cursor",
            "Newest block whose events were read.",
            ["chain"],
            registry=self.registry,
        )
        self._waiting = Gauge(
            "gradchain_relayer_waiting",
            "Packets that wait to be submitted.",
            ["chain", "client"],
            registry=self.registry,
        )
        self._oldest = Gauge(
            "gradchain_relayer_oldest_seconds",
            "Age of the oldest packet that waits to be submitted.",
            ["chain", "client"],
            registry=self.registry,
        )
        self._blocked = Gauge(
            "gradchain_relayer_blocked",
            "1 while nothing can be submitted.",
            ["chain", "client"],
            registry=self.registry,
        )
        self._expiry = Gauge(
            "gradchain_relayer_client_expiry_seconds",
            "Until the light client expires, if it is not shown another header.",
            ["chain", "client"],
            registry=self.registry,
        )
        self._trusting = Gauge(
            "gradchain_relayer_client_trusting_seconds",
            "Trusting period of the light client.",
            ["chain", "client"],
            registry=self.registry,
        )
        self._open = Gauge(
            "gradchain_relayer_open", "Packets that are known and not done.", registry=self.registry
        )
        self._balance = Gauge(
            "gradchain_relayer_balance",
            "Tokens of an account that signs.",
            ["chain", "address"],
            registry=self.registry,
        )
        self._node_up = Gauge(
            "gradchain_relayer_node_up",
            "1 while the node answers, or was not asked yet.",
            ["chain", "node"],
            registry=self.registry,
        )
        self._expires_at_s: dict[LinkEnd, float] = {}

    def set_balance(self, chain: str, address: str, tokens: int) -> None:
        """Take over what an account holds."""
        self._balance.labels(chain, address).set(tokens)

    def set_node(self, chain: str, node: str, *, answers: bool) -> None:
        """Take over whether a node answers."""
        self._node_up.labels(chain, node).set(answers)

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

    def count_misbehaviour(self, chain: ChainId, outcome: str) -> None:
        """Count what came of evidence against a chain."""
        self._misbehaviours.labels(chain, outcome).inc()

    def sample(self, state: RelayState) -> None:
        """Take over what is not counted but measured."""
        for chain_id, chain in state.chains.items():
            self._height.labels(chain_id).set(chain.head)
            self._cursor.labels(chain_id).set(chain.cursor)
        self._open.set(len(state.packets))
        for end, lane in state.lanes.items():
            self._sample_lane(state, end, lane)

    def _sample_lane(self, state: RelayState, end: LinkEnd, lane: Lane) -> None:
        names = (end.chain, end.client)
        self._waiting.labels(*names).set(len(lane.waiting))
        first = next(iter(lane.waiting), None)
        age_s = 0.0 if first is None else time.time() - state.packets[first].seen_ns / NS_PER_SECOND
        self._oldest.labels(*names).set(age_s)
        is_blocked = lane.blocked is not None or lane.client.status is not ClientStatus.ACTIVE
        self._blocked.labels(*names).set(is_blocked)
        if end not in self._expires_at_s:
            # Read at each scrape, so that it falls even while nothing happens.
            self._expiry.labels(*names).set_function(lambda: self._expires_at_s[end] - time.time())
        self._trusting.labels(*names).set(lane.client.trusting_period_ns / NS_PER_SECOND)
        self._expires_at_s[end] = (lane.client.time_ns + lane.client.trusting_period_ns) / NS_PER_SECOND
