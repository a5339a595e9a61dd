"""Packets between two chains of one validator each: how many a second, how fast, and beside a backlog."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.chainaudit import ChainAudit, audit_chain, block_latencies
from bench.errors import LoadLost, NetworkStalled
from bench.figures import Aim, Line, Relation, find_percentile, summarise
from bench.packetnet import PAYLOAD_BYTES, running_packet_net
from bench.relayerproc import running_relayer
from ibc.events import PacketEventKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.context import BenchContext
    from bench.packetnet import PacketChain, PacketNet
    from bench.relayerproc import RelayerProcess

ROW: Final = "relay"
BLOCK_TIME_MS: Final = 150
PATIENCE_S: Final = 300.0
POLL_S: Final = 0.1
LIVE_PAUSE_S: Final = 0.4
"""Between two packets whose latency is taken."""
SLOW_PERCENT: Final = 99

RATE_AIM: Final = Aim(Relation.AT_LEAST, 200, of_ratio=False)
COMPLETE_AIM: Final = Aim(Relation.AT_LEAST, 100, of_ratio=False)
LATENCY_AIM: Final = Aim(Relation.AT_MOST, 3, of_ratio=False)
"""Two blocks, and the one whose header proves the packet."""
BACKLOG_AIM: Final = Aim(Relation.AT_MOST, 60, of_ratio=False)
DELAY_AIM: Final = Aim(Relation.AT_MOST, 1, of_ratio=False)
"""Block times of the receiving chain.  Counted blocks would not do: how many it makes while a packet waits for the block
that proves it is no delay, and differs by one with the phase of its blocks."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Packets that the hub has sent for one purpose."""

    first: int
    last: int
    relayer: RelayerProcess
    seconds: float = 0.0
    """From the relayer's start until all had ended."""
    used: Mapping[str, float] = field(default_factory=dict)
    """Seconds of processor time by kind of process."""

    @property
    def sequences(self) -> range:
        """All of them."""
        return range(self.first, self.last + 1)


def run(context: BenchContext) -> list[Line]:
    """Measure latency alone, throughput, and a backlog with live packets beside it."""
    burst, backlog = context.choose(6_000, 1_500), context.choose(10_000, 4_000)
    alone = context.choose(60, 20)
    with running_packet_net(context.fresh_directory(ROW), BLOCK_TIME_MS) as net:
        with running_relayer(net.config, "calm") as calm_relayer:
            context.say(f"{ROW}: {alone} packets one by one")
            calm = _send_one_by_one(net.hub, alone, calm_relayer)
        with running_relayer(net.config, "busy") as busy_relayer:
            context.say(f"{ROW}: {burst} packets at once")
            busy = _send_at_once(net, burst, busy_relayer)
        context.say(f"{ROW}: a backlog of {backlog} packets, and live ones beside it")
        old, live = _clear_backlog(net, backlog)
        here, there = (audit_chain(chain.chain.rpc_urls[0]) for chain in net.chains)
    check_complete(net.hub.sent, here, there)
    block_ms = _block_ms(busy, here)
    return [
        _rate_line(busy, here, block_ms),
        Line(ROW, "packets complete", summarise([_complete(net.hub, here, there)], "%"), aim=COMPLETE_AIM),
        _latency_line(calm, here, there, block_ms),
        _backlog_line(old),
        *_delay_lines(live, calm, here, there),
        _cpu_line(busy),
        _bytes_line(net.hub, here, there),
    ]


# --- load ------------------------------------------------------------------------------------------------------------


def _send_one_by_one(chain: PacketChain, count: int, relayer: RelayerProcess) -> Phase:
    # One packet first, so that the start of the relayer is no latency.
    chain.send(1)
    _await_end(chain)
    first = chain.sent + 1
    for _ in range(count):
        chain.send(1)
        time.sleep(LIVE_PAUSE_S)
    _await_end(chain)
    return Phase(first, chain.sent, relayer)


def _send_at_once(net: PacketNet, count: int, relayer: RelayerProcess) -> Phase:
    chain = net.hub
    # One packet first, so that the relayer is at work when the clock starts.
    chain.send(1)
    _await_end(chain)
    first, before = chain.sent + 1, _processor_times(net, relayer)
    chain.send(count)
    _await_end(chain)
    used = {kind: seconds - before[kind] for kind, seconds in _processor_times(net, relayer).items()}
    return Phase(first, chain.sent, relayer, used=used)


def _processor_times(net: PacketNet, relayer: RelayerProcess) -> dict[str, float]:
    """Return the processor time so far of the relayer, both apps, and both engines."""
    times = {"relayer": relayer.used_s(), "app": 0.0, "comet": 0.0}
    for process in net.localnet.processes():
        if process.kind in times:
            times[process.kind] += process.cpu_seconds
    return times


def _clear_backlog(net: PacketNet, count: int) -> tuple[Phase, Phase]:
    """Return the packets of the backlog, and those that were sent while it was cleared."""
    chain = net.hub
    first = chain.sent + 1
    chain.send(count)
    last = chain.sent
    begin = time.perf_counter()
    with running_relayer(net.config, "backlog") as relayer:
        while not _has_begun(chain, first, count):
            time.sleep(POLL_S)
        while not chain.is_finished(last):
            chain.send(1)
            time.sleep(LIVE_PAUSE_S)
            _check_patience(begin)
        _await_end(chain)
        seconds = time.perf_counter() - begin
    return Phase(first, last, relayer, seconds), Phase(last + 1, chain.sent, relayer)


def _has_begun(chain: PacketChain, first: int, count: int) -> bool:
    return any(chain.is_finished(first + place) for place in (0, count // 2, count - 1))


def _await_end(chain: PacketChain) -> None:
    """Wait until all packets have ended.  Few questions: they cost the chain time.

    Raises:
      NetworkStalled: it takes too long.

    """
    begin = time.perf_counter()
    for sequence in (chain.sent // 2, chain.sent):
        while sequence and not chain.is_finished(sequence):
            _check_patience(begin)
            time.sleep(POLL_S)
    while chain.count_pending():
        _check_patience(begin)
        time.sleep(POLL_S)


def _check_patience(begin: float) -> None:
    if time.perf_counter() - begin > PATIENCE_S:
        raise NetworkStalled(f"expected all packets to end within {PATIENCE_S:g} s")


# --- lines -----------------------------------------------------------------------------------------------------------


def check_complete(sent: int, here: ChainAudit, there: ChainAudit) -> None:
    """Check that every packet was received once, acknowledged once, and paid for once.

    Raises:
      LoadLost: one was not.

    """
    everyone = dict.fromkeys(range(1, sent + 1), 1)
    for audit, kind in (
        (here, PacketEventKind.SEND),
        (there, PacketEventKind.RECEIVE),
        (here, PacketEventKind.ACKNOWLEDGE),
    ):
        if dict(audit.events[kind]) != everyone:
            raise LoadLost(f"expected {sent} packets with {kind.value}, got {audit.count(kind)}")
    twice, failed = [*here.twice(), *there.twice()], [*here.failed, *there.failed]
    if twice or failed:
        raise LoadLost(f"expected each message once and none to fail, got {twice[:5]} and {failed[:5]}")


def _complete(chain: PacketChain, here: ChainAudit, there: ChainAudit) -> float:
    done = min(there.count(PacketEventKind.RECEIVE), here.count(PacketEventKind.ACKNOWLEDGE))
    return 100 * done / chain.sent


def _rate_line(phase: Phase, here: ChainAudit, block_ms: float) -> Line:
    sent = [here.committed_ns(here.heights[PacketEventKind.SEND, number]) for number in phase.sequences]
    ended = [
        here.committed_ns(here.heights[PacketEventKind.ACKNOWLEDGE, number]) for number in phase.sequences
    ]
    rate = len(phase.sequences) * 1e9 / (max(ended) - min(sent))
    return Line(
        ROW,
        "received there and acknowledged here",
        summarise([rate], "packets/s"),
        aim=RATE_AIM,
        notes=(
            f"{len(phase.sequences):,} packets of {PAYLOAD_BYTES} bytes sent at once, until the last was acknowledged",
            f"one validator a chain, a pause of {BLOCK_TIME_MS} ms after a block, {block_ms:.0f} ms a block",
        ),
    )


def _block_ms(phase: Phase, here: ChainAudit) -> float:
    """Return the median time between two blocks, from the first packet's sending to the last acknowledgement."""
    kinds = (PacketEventKind.SEND, PacketEventKind.ACKNOWLEDGE)
    return 1000 * _find_block_s(
        here, [here.heights[kind, number] for kind in kinds for number in phase.sequences]
    )


def _find_block_s(audit: ChainAudit, heights: Sequence[int]) -> float:
    """Return the median time between two blocks, from the one below the lowest of some heights to the highest."""
    times = [audit.times_ns[height] for height in range(min(heights) - 1, max(heights) + 1)]
    return median(after - before for before, after in pairwise(times)) / 1e9


def _latency_line(phase: Phase, here: ChainAudit, there: ChainAudit, block_ms: float) -> Line:
    blocks = block_latencies(phase.sequences, here, there)
    seconds = median(_list_seconds(phase.sequences, here, there))
    return Line(
        ROW,
        "from a block here to a block there, in blocks there",
        summarise(blocks, "blocks"),
        aim=LATENCY_AIM,
        notes=(
            f"median {seconds:.2f} s, {1000 * seconds / block_ms:.1f} times the {block_ms:.0f} ms of a block under load",
            "the aim is two blocks and the one that proves the packet; the chain there makes none before the packet comes",
        ),
    )


def _list_seconds(numbers: Sequence[int], here: ChainAudit, there: ChainAudit) -> list[float]:
    """Return the time from each packet's block here to its block there."""
    return [
        (
            there.committed_ns(there.heights[PacketEventKind.RECEIVE, number])
            - here.committed_ns(here.heights[PacketEventKind.SEND, number])
        )
        / 1e9
        for number in numbers
    ]


def _backlog_line(phase: Phase) -> Line:
    return Line(
        ROW,
        f"a backlog of {len(phase.sequences):,} packets, there and back",
        summarise([phase.seconds], "s"),
        aim=BACKLOG_AIM,
        notes=("from the start of the relayer's process",),
    )


def _delay_lines(live: Phase, calm: Phase, here: ChainAudit, there: ChainAudit) -> list[Line]:
    """Return by how many block times of the receiving chain packets came later than alone: in the middle, at the end."""
    numbers = live.sequences
    beside, alone = (_list_seconds(phase.sequences, here, there) for phase in (live, calm))
    block_s = _find_block_s(
        there, [there.heights[PacketEventKind.RECEIVE, number] for number in (numbers[0], numbers[-1])]
    )
    counts = block_latencies(numbers, here, there)
    delays = list_delays(beside, alone, block_s)
    return [
        Line(
            ROW,
            "delay of live packets beside the backlog, in blocks there",
            summarise(delays, "blocks"),
            aim=DELAY_AIM,
            notes=(
                f"{len(beside)} packets, median {median(beside):.2f} s, alone {median(alone):.2f} s, a block {block_s:.2f} s",
                f"blocks made there since the block here: median {median(counts):.0f}, at most {max(counts):.0f}",
                "alone, the chain there makes none while the packet waits for its proof, so that one is the least",
            ),
        ),
        Line(
            ROW,
            f"the same delay, {SLOW_PERCENT}th percentile",
            summarise([find_percentile(delays, SLOW_PERCENT)], "blocks"),
            notes=(
                f"{find_percentile(beside, SLOW_PERCENT):.2f} s, alone {find_percentile(alone, SLOW_PERCENT):.2f} s",
            ),
        ),
    ]


def list_delays(beside: Sequence[float], alone: Sequence[float], block_s: float) -> list[float]:
    """Return by how many block times each packet came later than packets do alone, in the middle."""
    usual = median(alone)
    return [(seconds - usual) / block_s for seconds in beside]


def _cpu_line(phase: Phase) -> Line:
    relayer, count = phase.relayer, len(phase.sequences)
    shares = ", ".join(f"{part} {share:.1%}" for part, share in relayer.shares().items())
    return Line(
        ROW,
        "the relayer's processor time a packet",
        summarise([1000 * phase.used["relayer"] / count], "ms"),
        notes=(
            f"where it was seen when it did something: {shares}",
            f"it waited in {relayer.waiting():.0%} of the time from its start to its end",
            _describe_chains(phase, count),
            f"{relayer.peak_mib:.0f} MiB at the end",
        ),
    )


def _describe_chains(phase: Phase, count: int) -> str:
    app, comet = (1000 * phase.used[kind] / count for kind in ("app", "comet"))
    return f"both chains beside it: apps {app:.2f} ms a packet, engines {comet:.2f} ms"


def _bytes_line(chain: PacketChain, here: ChainAudit, there: ChainAudit) -> Line:
    relayed = here.relayed_bytes + there.relayed_bytes
    proofs, updates = here.proof_bytes + there.proof_bytes, here.update_bytes + there.update_bytes
    txs = here.relayed_txs + there.relayed_txs
    rest = relayed - proofs - updates
    shares = f"proofs {proofs / relayed:.0%}, client updates {updates / relayed:.0%}, the rest {rest / relayed:.0%}"
    return Line(
        ROW,
        "bytes a packet in blocks, there and back",
        summarise([relayed / chain.sent], "B"),
        notes=(f"of it: {shares}", f"{2 * chain.sent / txs:.1f} packets a transaction"),
    )
