"""Updates of 41 KB into one shard, every check on, beside the Go kvstore.

Both chains take transactions of the same size from the same loader over the same kind of request.  Ours carry one
true update each: signed, assigned, committed to, of a participant and round of their own.  The clock runs from the
first request until no node has a transaction left that is in no block; then every transaction is read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.comet import LOCALNET, NETWORK
from aggregation.constants import PARAMS_PER_BLOB
from aggregation.kzg import load_setup, setup_path
from bench.figures import Aim, Line, Relation, summarise
from bench.kvchain import check_kept, imitate, running_kvstore
from bench.load import post_all
from bench.material import draw_contents, sign_update
from bench.shardnet import NetPlan, bundle_tx, check_accepted, running_shard
from bench.usage import measure_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.context import BenchContext
    from bench.kvchain import KvNode
    from bench.material import Content
    from bench.shardnet import Seat, ShardNet
    from bench.usage import Usage
    from wire.gradchain.fl.v1 import update_pb2

WARM_UP: Final = 64
"""Updates that are sent before any clock runs."""

BLOCK_TIMES_MS: Final = (NETWORK.timeout_commit_ms, LOCALNET.timeout_commit_ms)
"""Pauses between blocks, the same on both sides: of chains of `gradchain node init`, and of a localnet."""

AIM: Final = Aim(Relation.AT_LEAST, 0.5)


def run_one(context: BenchContext) -> list[Line]:
    """Measure with one validator."""
    return measure_updates(context, "updates-1", 1, context.choose(900, 300))


def run_four(context: BenchContext) -> list[Line]:
    """Measure with four validators."""
    return measure_updates(context, "updates-4", 4, context.choose(400, 150))


def measure_updates(context: BenchContext, row: str, validators: int, count: int) -> list[Line]:
    """Measure with so many validators on both sides, that many updates a run, and each of the pauses.

    Raises:
      LoadLost: not all that was sent is in blocks, as it was sent.
      AppError: a chain does not start, or refuses something.

    """
    return [_measure_pause(context, row, validators, count, pause_ms) for pause_ms in BLOCK_TIMES_MS]


def _measure_pause(context: BenchContext, row: str, validators: int, count: int, pause_ms: int) -> Line:
    repetitions = context.choose(4, 2)
    directory = context.fresh_directory(f"{row}-{pause_ms}")
    context.say(f"{row}: making {repetitions * count} updates, opening {repetitions + 1} rounds")
    sizes = (WARM_UP, *[count] * repetitions)
    contents = draw_contents(load_setup(setup_path().read_bytes()), PARAMS_PER_BLOB, sum(sizes))
    plan = NetPlan(validators, sizes, PARAMS_PER_BLOB, block_time_ms=pause_ms)
    ours: list[float] = []
    theirs: list[float] = []
    with (
        running_kvstore(directory / "kvstore", validators, pause_ms) as nodes,
        running_shard(directory, plan) as net,
    ):
        sides = _Sides(net, nodes)
        tx_bytes = 0
        for number, seats in enumerate(net.rounds):
            updates = make_updates(seats, contents)
            txs = [bundle_tx([update]) for update in updates]
            ours_rate = sides.send_ours(txs, updates)
            theirs_rate = sides.send_theirs(txs)
            tx_bytes = len(txs[0])
            if number:
                context.say(f"{row}: ours {ours_rate:.0f}, kvstore {theirs_rate:.0f} a second")
                ours.append(ours_rate)
                theirs.append(theirs_rate)
        notes = (f"{count} transactions of {tx_bytes:,} bytes a run", *sides.describe())
    return Line(
        row=row,
        case=f"{validators} validator{'s' if validators > 1 else ''}, pause of {pause_ms} ms",
        ours=summarise(ours, "tx/s"),
        yardstick=summarise(theirs, "tx/s"),
        yardstick_name="Go kvstore",
        aim=AIM,
        notes=notes,
    )


def make_updates(seats: Sequence[Seat], contents: Iterator[Content]) -> list[update_pb2.Update]:
    """Return a true update for each seat."""
    return [sign_update(seat.key, seat.assignment, next(contents)) for seat in seats]


class _Sides:
    """The two chains, and what their processes used while they were measured."""

    def __init__(self, net: ShardNet, nodes: Sequence[KvNode]) -> None:
        self._net = net
        self._nodes = nodes
        self._spent: dict[str, float] = {}
        self._largest: dict[str, float] = {}
        self._sent = 0

    def send_ours(self, txs: Sequence[bytes], updates: Sequence[update_pb2.Update]) -> float:
        """Return the rate at which our chain takes updates."""
        processes = self._net.localnet.processes()
        pids = {
            kind: [process.pid for process in processes if process.kind == kind] for kind in ("app", "comet")
        }
        endpoints = [node.config.rpc for node in self._net.shard.nodes]
        before = measure_usage(pids)
        seconds = post_all(endpoints, txs)
        self._note(before, measure_usage(pids))
        self._sent += len(txs)
        check_accepted(self._net.connection, updates)
        return len(txs) / seconds

    def send_theirs(self, txs: Sequence[bytes]) -> float:
        """Return the rate at which the kvstore takes transactions that look like ours."""
        imitated = [imitate(tx) for tx in txs]
        pids = {"kvstore": [node.process.pid for node in self._nodes]}
        before = measure_usage(pids)
        seconds = post_all([node.rpc for node in self._nodes], [tx.encoded for tx in imitated])
        self._note(before, measure_usage(pids))
        check_kept(self._nodes[0], imitated)
        return len(txs) / seconds

    def _note(self, before: Mapping[str, Usage], after: Mapping[str, Usage]) -> None:
        for kind, usage in after.items():
            spent = usage.cpu_seconds - before[kind].cpu_seconds
            self._spent[kind] = self._spent.get(kind, 0.0) + spent
            self._largest[kind] = max(self._largest.get(kind, 0.0), usage.largest_mib)

    def describe(self) -> Iterable[str]:
        """Yield where processor time and memory went."""
        names = {"app": "our app", "comet": "our CometBFT", "kvstore": "CometBFT with kvstore"}
        for kind, name in names.items():
            each = 1e3 * self._spent[kind] / self._sent
            yield f"{name}: {each:.2f} ms of processor a transaction, {self._largest[kind]:.0f} MiB"
