"""A hub's node and a relayer as Prometheus sees them: their real metrics, scraped again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from abci_app.metrics import Metrics
from relayer.metrics import RelayMetrics
from relayer.state import Lane, RelayOptions, RelayState
from relayer.types import (
    NO_HEIGHT,
    NS_PER_SECOND,
    BodyKey,
    BodyRecord,
    ChainId,
    ClientId,
    ClientStatus,
    ClientView,
    Duty,
    Height,
    LinkEnd,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)
from tests.support.prometheus_go import Firing, Sample, Scrape, find_firing
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

RULES: Final = ROOT / "ops" / "prometheus" / "gradchain.rules.yml"
HUB: Final = LinkEnd(ChainId("hub-1"), ClientId("07-tendermint-0"))
SHARD: Final = LinkEnd(ChainId("shard-1"), ClientId("07-tendermint-0"))
CHAINS: Final = (HUB.chain, SHARD.chain)
FIRST, SECOND = "http://10.0.0.1:26657", "http://10.0.0.2:26657"
"""Nodes of each chain."""
RELAYER, NODE = "relayer", "node"
"""Jobs."""
START_S: Final = 1_000_000
TRUSTING_S: Final = 86_400


class Watched:
    """A network that does well until told otherwise, and all scrapes of it."""

    def __init__(self, step_s: int = 15) -> None:
        self.step_s = step_s
        self.now_s = START_S
        self.relay = self.start_relayer()
        self.node = Metrics(HUB.chain)
        self.state = RelayState(RelayOptions())
        for end, origin in ((HUB, SHARD), (SHARD, HUB)):
            self.state.lanes[end] = Lane(end, origin, self.make_view())
        self.height = 100
        self.cursor_lag = 0
        self.down: set[str] = set()
        """Jobs that cannot be scraped."""
        self.is_halted = False
        """No chain makes blocks."""
        self.scrapes: list[Scrape] = []

    def start_relayer(self) -> RelayMetrics:
        """Take the metrics of a relayer that begins."""
        self.relay = RelayMetrics(CHAINS, lambda: self.now_s)
        for chain in CHAINS:
            for node in (FIRST, SECOND):
                self.relay.set_node(chain, node, answers=True)
        for end in (HUB, SHARD):
            self.relay.set_client(end, ClientStatus.ACTIVE)
        self.relay.set_minimum(HUB.chain, 1)
        self.relay.set_balance(HUB.chain, "grad1relayer", 1_000)
        return self.relay

    def make_view(self, age_s: float = 0, status: ClientStatus = ClientStatus.ACTIVE) -> ClientView:
        """Return a client whose newest header is that old."""
        time_ns = TimeNs(int((self.now_s - age_s) * NS_PER_SECOND))
        return ClientView(Height(1), time_ns, TRUSTING_S * NS_PER_SECOND, status)

    def add_packet(self, sequence: int = 1, step: Step = Step.WAITING) -> PacketRecord:
        """Have a packet of the hub's become known, or reach another step."""
        key = PacketKey(HUB, sequence)
        seen_ns = TimeNs(int(self.now_s * NS_PER_SECOND))
        record = PacketRecord(key, b"", 0, Duty.RECEIVE, step, NO_HEIGHT, seen_ns, seen_ns)
        self.state.keep(record)
        if step is Step.WAITING:
            self.state.lanes[SHARD].waiting[key] = None
        else:
            self.state.lanes[SHARD].waiting.pop(key, None)
        self.relay.count_packet(record, 0.5)
        return record

    def count_tx(self, state: TxState) -> None:
        """Have a transaction of the relayer's meet its fate."""
        self.relay.count_tx(TxRecord(TxHash(b""), HUB, b"", TimeNs(0), state, TimeNs(0)))

    def count_body(self) -> None:
        """Have a body arrive."""
        key = BodyKey(SHARD, 1, 1, 1)
        self.relay.count_body(BodyRecord(key, b"", 1, True, TimeNs(0), TimeNs(0), outcome="accepted"))

    def run(self, seconds: int, happen: Callable[[], None] = lambda: None) -> None:
        """Let time pass; at each step something may happen before everything is scraped."""
        for _ in range(0, seconds, self.step_s):
            self.now_s += self.step_s
            happen()
            self._make_block()
            self.relay.sample(self.state)
            self._scrape(RELAYER, self.relay.registry)
            self._scrape(NODE, self.node.registry)

    def _make_block(self) -> None:
        self.height += not self.is_halted
        self.node.observe_block(self.height, ())
        self.node.commit_seconds.observe(0.01)
        self.node.finalize_seconds.observe(0.01)
        for name in CHAINS:
            chain = self.state.chain(name)
            chain.head, chain.cursor = Height(self.height), Height(self.height - self.cursor_lag)

    def _scrape(self, job: str, registry: CollectorRegistry) -> None:
        target = {"job": job, "instance": f"{job}:1"}
        is_up = job not in self.down
        samples = [Sample({"__name__": "up"} | target, float(is_up))]
        if is_up:
            samples += [
                Sample({"__name__": found.name} | found.labels | target, found.value)
                for family in text_string_to_metric_families(generate_latest(registry).decode())
                for found in family.samples
            ]
        self.scrapes.append(Scrape(self.now_s * 1_000, job, tuple(samples)))

    def find_firing(self) -> tuple[Firing, ...]:
        """Return the alerts that fire now, every step until now having been evaluated."""
        first_ms = (START_S + self.step_s) * 1_000
        return find_firing(RULES.read_text(), self.scrapes, first_ms, self.now_s * 1_000, self.step_s * 1_000)

    def name_firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        return {alert.name for alert in self.find_firing()}


def make_busy(network: Watched) -> None:
    """Have everything happen that is counted, for ten minutes or ten scrapes."""
    waiting = network.add_packet()
    acknowledged = replace(waiting, duty=Duty.ACKNOWLEDGE, step=Step.DONE)

    def happen() -> None:
        network.relay.count_packet(replace(waiting, duty=Duty.ACKNOWLEDGE), 0.5)
        network.relay.count_packet(acknowledged, 0.5)
        for state in TxState:
            network.count_tx(state)
        network.count_body()
        network.relay.count_misbehaviour(SHARD.chain, "frozen")
        network.node.refused.labels("sdk", "5").inc()
        network.node.transactions.labels("accepted").inc()

    network.run(max(600, 10 * network.step_s), happen)
