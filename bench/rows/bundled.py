"""The same updates through the gateway, which bundles those that arrive together, beside ways without bundling.

Participants hand their updates to a node over gRPC.  Many at once travel to CometBFT in one transaction; how much that
saves is told by a node whose gateway posts each by itself, and by posting to CometBFT without a gateway.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from aggregation.constants import PARAMS_PER_BLOB
from aggregation.kzg import load_setup, setup_path
from bench.figures import Line, summarise
from bench.load import await_empty, post_all
from bench.material import draw_contents
from bench.rows.updates import WARM_UP, make_updates
from bench.shardnet import NetPlan, bundle_tx, check_accepted, running_shard
from wire.gradchain.shard.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.context import BenchContext
    from bench.shardnet import ShardNet
    from wire.gradchain.fl.v1 import update_pb2

ROW: Final = "bundled"
CALLERS: Final = 16
"""Participants that submit at the same time."""

UNBUNDLED_APP: Final = "bench.unbundled_node"


def run(context: BenchContext) -> list[Line]:
    """Measure with one validator."""
    repetitions, count = context.choose(3, 2), context.choose(500, 200)
    directory = context.fresh_directory(ROW)
    rounds = (WARM_UP, *[count] * repetitions)
    contents = draw_contents(load_setup(setup_path().read_bytes()), PARAMS_PER_BLOB, 3 * sum(rounds))
    context.say(f"{ROW}: opening {3 * len(rounds)} rounds on two shards")
    bundling = NetPlan(1, rounds, PARAMS_PER_BLOB)
    single = NetPlan(1, tuple(size for size in rounds for _ in range(2)), PARAMS_PER_BLOB, UNBUNDLED_APP)
    rates: dict[str, list[float]] = {"bundled": [], "unbundled": [], "posted": []}
    with (
        running_shard(directory / "bundling", bundling) as bundler,
        running_shard(directory / "single", single) as loner,
    ):
        for number, seats in enumerate(bundler.rounds):
            found = {
                "bundled": _submit(bundler, make_updates(seats, contents)),
                "unbundled": _submit(loner, make_updates(loner.rounds[2 * number], contents)),
                "posted": _post(loner, make_updates(loner.rounds[2 * number + 1], contents)),
            }
            if number:
                shown = ", ".join(f"{name} {rate:.0f}" for name, rate in found.items())
                context.say(f"{ROW}: {shown} a second")
                for name, rate in found.items():
                    rates[name].append(rate)
    bundled = summarise(rates["bundled"], "updates/s")
    notes = (f"{count} updates a run from {CALLERS} callers; both sides of a call run on this machine",)
    return [
        Line(
            ROW,
            "gateway",
            bundled,
            summarise(rates["unbundled"], "updates/s"),
            "gateway, unbundled",
            notes=notes,
        ),
        Line(ROW, "gateway", bundled, summarise(rates["posted"], "updates/s"), "posted to CometBFT"),
    ]


def _submit(net: ShardNet, updates: Sequence[update_pb2.Update]) -> float:
    """Return the rate at which updates are taken over gRPC."""
    requests = [query_pb2.SubmitUpdateRequest(update=update) for update in updates]
    connection = net.connection

    def submit(request: query_pb2.SubmitUpdateRequest) -> None:
        connection.shard(lambda stub: stub.SubmitUpdate(request, timeout=connection.timeout_s))

    with ThreadPoolExecutor(CALLERS) as pool:
        begin = time.perf_counter()
        for done in [pool.submit(submit, request) for request in requests]:
            done.result()
        await_empty([node.config.rpc for node in net.shard.nodes])
        seconds = time.perf_counter() - begin
    check_accepted(connection, updates)
    return len(updates) / seconds


def _post(net: ShardNet, updates: Sequence[update_pb2.Update]) -> float:
    """Return the rate at which updates are taken by CometBFT, each a transaction."""
    seconds = post_all(
        [node.config.rpc for node in net.shard.nodes], [bundle_tx([update]) for update in updates]
    )
    check_accepted(net.connection, updates)
    return len(updates) / seconds
