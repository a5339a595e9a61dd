"""Follows a task until it ends: one row a finished round."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

from abci_app.errors import NodeUnavailable
from abci_app.grpc_errors import RemoteError
from aggregation.model import to_float
from localnet.demo.options import ROUND_SECONDS, RoundRow
from localnet.errors import DemoStalled
from participant.digits import build_network, to_tensors
from participant.tensors import load_vector
from participant.training import accuracy
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from localnet.demo.chaos import Chaos
    from localnet.demo.children import Children, Report
    from localnet.demo.display import DemoDisplay
    from localnet.demo.setup import DemoChains
    from participant.data import Digits
    from participant.verified import VerifiedHub

POLL_S: Final = 0.15
PATIENCE_S: Final = 3.0 * ROUND_SECONDS
"""Without any finished round for so long the demo gives up."""

ENDED: Final = (hub_query.TASK_STATUS_COMPLETE, hub_query.TASK_STATUS_FAILED)
DONE: Final = (hub_query.ROUND_STATUS_AGGREGATED, hub_query.ROUND_STATUS_SETTLED)


class Progress:
    """What the participants' processes report, counted.  Filled by reader threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._submitted: dict[int, int] = {}
        self.reports: list[Report] = []

    def take(self, report: Report) -> None:
        """Take one report."""
        with self._lock:
            self.reports.append(report)
            number = report.get("round")
            if report["event"] == "submitted" and isinstance(number, int):
                self._submitted[number] = self._submitted.get(number, 0) + 1

    def submitted(self, round_number: int) -> int:
        """Return how many updates of a round are in blocks."""
        with self._lock:
            return self._submitted.get(round_number, 0)

    def reports_of(self, event: str) -> list[Report]:
        """Return the reports of an event, such as `submitted` or `refused` for an update, in order."""
        with self._lock:
            return [report for report in self.reports if report["event"] == event]

    def mean_seconds(self, name: str) -> float:
        """Return the mean of a duration over all submitted updates."""
        with self._lock:
            values = [report[name] for report in self.reports if report["event"] == "submitted"]
        numbers = [value for value in values if isinstance(value, float)]
        return sum(numbers) / len(numbers) if numbers else 0.0


class RoundWatch:
    """Looks at the hub until the task ends."""

    def __init__(
        self,
        chains: DemoChains,
        hub: VerifiedHub,
        task: int,
        test: Digits,
        children: Children,
        progress: Progress,
        display: DemoDisplay,
        chaos: Chaos | None = None,
    ) -> None:
        self._chains = chains
        self._hub = hub
        self._task = task
        self._spec = hub.task_spec(task)
        self._images, self._labels = to_tensors(test)
        self._module = build_network(0)
        self._children = children
        self._progress = progress
        self._display = display
        self._chaos = chaos
        self.rows: list[RoundRow] = []
        self.memory_mib: dict[str, float] = {}
        self.memory_total_mib = 0.0

    def follow(self, on_row: Callable[[RoundRow], None]) -> hub_query.Task:
        """Return the task when it has ended and its last round is settled.

        Raises:
          ChildFailed: relayer or participants ended early.
          DemoStalled: nothing moves any more.

        """
        begin = last = time.monotonic()
        while True:
            self._children.check()
            self._measure()
            task = self._hub.get_task(self._task)
            while len(self.rows) < task.rounds_done:
                found = self._settled_round(len(self.rows) + 1)
                if found is None:
                    break
                row = self._make_row(found, time.monotonic() - last)
                last = time.monotonic()
                self.rows.append(row)
                on_row(row)
            if task.status in ENDED and len(self.rows) == task.rounds_done:
                return task
            if time.monotonic() - max(last, begin) > PATIENCE_S:
                raise DemoStalled(f"expected round {len(self.rows) + 1} to end within {PATIENCE_S:.0f} s")
            if task.status == hub_query.TASK_STATUS_TRAINING:
                self._show(task)
            time.sleep(POLL_S)

    def _settled_round(self, number: int) -> hub_query.Round | None:
        for attempt in range(max(1, self._spec.max_attempts)):
            request = hub_query.GetRoundRequest(task=self._task, round=number, attempt=attempt)
            found = self._ask_round(request)
            if found.info.attempt == attempt and found.status == hub_query.ROUND_STATUS_SETTLED:
                return found
        return None

    def _ask_round(self, request: hub_query.GetRoundRequest) -> hub_query.Round:
        return self._chains.hub_connection.hub(lambda stub: stub.GetRound(request, timeout=30.0)).round

    def _make_row(self, found: hub_query.Round, seconds: float) -> RoundRow:
        result = found.result
        model = self._hub.model_at(result.model_root, self._spec.parameters)
        load_vector(self._module, to_float(model).astype(np.float32))
        updates = sum(shard.updates for shard in result.shards)
        return RoundRow(
            number=result.round,
            attempt=result.attempt,
            accuracy=accuracy(self._module, self._images, self._labels),
            updates=updates,
            hub_height=self._chains.hub_connection.status().height,
            shard_heights=tuple(
                self._checkpoint_height(found, shard.chain_id) for shard in self._chains.shards
            ),
            update_bytes=updates * self._spec.parameters,
            paid=found.paid,
            relay_paid=found.relay_paid,
            seconds=seconds,
            model_root=result.model_root.hex(),
        )

    def _checkpoint_height(self, found: hub_query.Round, chain_id: str) -> int:
        request = shard_query.GetRoundRequest(
            task=found.info.task, round=found.info.round, attempt=found.info.attempt
        )
        connection = self._chains.shard_connections[chain_id]
        try:
            return connection.shard(lambda stub: stub.GetRound(request, timeout=30.0)).round.checkpoint_height
        except (RemoteError, NodeUnavailable):
            return 0  # the shard had no part in the round, or a node restarts: only the display misses it

    def _show(self, task: hub_query.Task) -> None:
        found = self._ask_round(hub_query.GetRoundRequest(task=self._task))
        expected = sum(shard.assigned for shard in found.shards) or 1
        submitted = self._progress.submitted(found.info.round)
        complete = sum(1 for shard in found.shards if shard.status == hub_query.SHARD_ROUND_STATUS_COMPLETE)
        share = 0.7 * submitted / expected + 0.3 * complete / max(1, len(found.shards))
        note = f"{submitted}/{expected} updates, {complete}/{len(found.shards)} shards verified"
        self._display.within_round(task.round, share, note)
        if self._chaos is not None:
            self._chaos.step(task.round)

    def _measure(self) -> None:
        sizes = [("demo", psutil.Process().memory_info().rss / 2**20), *self._children.resident_mib()]
        sizes += [
            (process.kind, process.resident_bytes / 2**20) for process in self._chains.localnet.processes()
        ]
        for kind, size in sizes:
            self.memory_mib[kind] = max(size, self.memory_mib.get(kind, 0.0))
        self.memory_total_mib = max(self.memory_total_mib, sum(size for _, size in sizes))
