"""What a person sees while the demo runs: a line a round, and a bar within the round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from localnet.demo.options import RoundRow


def format_bytes(count: int) -> str:
    """Return a number of bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


class DemoDisplay:
    """Live on a terminal; plain lines elsewhere."""

    def __init__(self, console: Console, shards: list[str], rounds: int) -> None:
        self._console = console
        self._rounds = rounds
        self.table = Table(title=None, expand=False)
        for heading in ("round", "accuracy", "updates", "hub", *shards, "bytes", "paid", "time"):
            self.table.add_column(heading, justify="right")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(40),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self._bar: TaskID = self._progress.add_task("starting", total=1.0, note="")
        self._live = Live(
            Group(self.table, self._progress), console=console, refresh_per_second=4, transient=False
        )
        self._last_note = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def stage(self, text: str) -> None:
        """Say what is being set up."""
        self._progress.update(self._bar, description=text, completed=0.0, note="")
        if not self._console.is_terminal:
            self._console.print(text)

    def within_round(self, number: int, share: float, note: str) -> None:
        """Show how far the round is; `share` is between 0 and 1."""
        self._progress.update(
            self._bar, description=f"round {number}/{self._rounds}", completed=min(1.0, share), note=note
        )

    def round_done(self, row: RoundRow) -> None:
        """Add the line of a finished round."""
        cells = (
            str(row.number),
            f"{row.accuracy:.1f} %",
            str(row.updates),
            str(row.hub_height),
            *(str(height) for height in row.shard_heights),
            format_bytes(row.update_bytes),
            f"{row.paid:,}",
            f"{row.seconds:.1f} s",
        )
        self.table.add_row(*cells)
        if not self._console.is_terminal:
            self._console.print(
                f"round {row.number}/{self._rounds}: accuracy {row.accuracy:.1f} %, {row.updates} updates in, "
                f"hub height {row.hub_height}, checkpoints at {list(row.shard_heights)}, "
                f"{format_bytes(row.update_bytes)}, paid {row.paid:,}, {row.seconds:.1f} s",
                soft_wrap=True,
            )
