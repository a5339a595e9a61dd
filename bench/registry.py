"""The rows, by the names under which the command line knows them.  Their modules are imported when they run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.context import BenchContext
    from bench.figures import Line

    RowFunction = Callable[[BenchContext], Sequence[Line]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the benchmarks."""

    title: str
    target: str
    """`module:function`."""

    def load(self) -> RowFunction:
        """Return the function that measures the row."""
        module, _, name = self.target.partition(":")
        return cast("RowFunction", getattr(import_module(module), name))


ROWS: Final = {
    "updates-1": Row("updates of 41 KB into one shard, one validator", "bench.rows.updates:run_one"),
    "updates-4": Row("updates of 41 KB into one shard, four validators", "bench.rows.updates:run_four"),
    "bundled": Row("the same, bundled by the gateway", "bench.rows.bundled:run"),
    "kzg": Row("commitment check a blob", "bench.rows.kzg:run"),
    "hub": Row("one checkpoint on the hub", "bench.rows.hub:run"),
    "socket": Row("FinalizeBlock of 64 MiB through the ABCI server", "bench.rows.blocks:run"),
    "demo": Row("a round of the demo", "bench.rows.demo:run"),
    "start": Row("start of a hub and two shards", "bench.rows.start:run"),
    "client": Row("a client update of 4, 100 and 150 validators", "bench.rows.client:run"),
    "relay": Row("packets between two chains", "bench.rows.relay:run"),
    "relay-64": Row("a relayer of 64 shards", "bench.rows.relayscale:run"),
    "memory": Row("memory of each kind of process", "bench.rows.memory:run"),
}
"""In the order in which they run and stand in the table."""
