"""`gradchain bench`: measure beside the yardsticks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bench.registry import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.context import BenchContext
    from bench.figures import Report, RowOutcome

DOCS_PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
FAILED_EXIT: Final = 1
ROW_LIST: Final = "\n".join(f"  {name:<10} {row.title}" for name, row in ROWS.items())

HELP: Final = f"""Measure beside the yardsticks; docs/benchmarks.md says how to read the table.

Without ROWS all of them run, which takes about fourteen minutes; with --quick a few.  The exit code is not zero when a
row could not be measured, whatever the others found.  An aim that is missed is shown and is no failure.

\b
Rows:
{ROW_LIST}
"""


@click.command(name="bench", help=HELP)
@click.argument("rows", nargs=-1, type=click.Choice(list(ROWS)))
@click.option("--quick", is_flag=True, help="Smaller counts and fewer repetitions: rougher figures.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write everything there, samples included.",
)
@click.option("--write-docs", is_flag=True, help="Put the table into docs/benchmarks.md as the last run.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".gradchain/bench"),
    show_default=True,
    help="Where chains and logs are kept; emptied first.",
)
def bench_command(
    rows: tuple[str, ...], quick: bool, json_file: Path | None, write_docs: bool, directory: Path
) -> None:
    """Run rows and print their table."""
    from abci_app.supervisor import ONE_THREAD  # noqa: PLC0415 - help must be fast

    # Arithmetic is measured as nodes do it.  It must be said before numpy is loaded.
    os.environ.update(ONE_THREAD)

    from rich.console import Console  # noqa: PLC0415

    from bench.report import print_report, report_to_json, report_to_markdown  # noqa: PLC0415
    from localnet.demo.directory import claim_directory  # noqa: PLC0415
    from tools.page_parts import LAST_RUN, replace_part  # noqa: PLC0415

    progress = Console(stderr=True, highlight=False, markup=False)
    chosen = [name for name in ROWS if name in rows] if rows else list(ROWS)
    with claim_directory(directory.absolute()):
        report = run_rows(chosen, directory.absolute(), quick=quick, say=progress.print)
    print_report(Console(width=None if sys.stdout.isatty() else 200), report)
    if json_file is not None:
        json_file.write_text(report_to_json(report), encoding="utf-8")
    if write_docs:
        page = DOCS_PAGE.read_text(encoding="utf-8")
        DOCS_PAGE.write_text(replace_part(page, LAST_RUN, report_to_markdown(report)), encoding="utf-8")
    if report.failed:
        sys.exit(FAILED_EXIT)


def run_rows(names: Sequence[str], directory: Path, *, quick: bool, say: Callable[[str], None]) -> Report:
    """Run rows one after the other; one that fails does not keep the others from running."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from bench.context import BenchContext  # noqa: PLC0415
    from bench.figures import Report  # noqa: PLC0415
    from bench.machine import list_facts  # noqa: PLC0415

    started = datetime.now(UTC).isoformat(timespec="minutes")
    machine = list_facts()
    context = BenchContext(directory, quick, say)
    outcomes = tuple(_run_row(name, context) for name in names)
    return Report(started, quick, machine, outcomes)


def _run_row(name: str, context: BenchContext) -> RowOutcome:
    """Measure one row."""
    import time  # noqa: PLC0415
    import traceback  # noqa: PLC0415

    from bench.figures import RowOutcome  # noqa: PLC0415
    from tx.errors import AppError  # noqa: PLC0415

    row = ROWS[name]
    begin = time.monotonic()
    try:
        lines = tuple(row.load()(context))
    except AppError as error:
        return RowOutcome(name, row.title, time.monotonic() - begin, error=str(error))
    except Exception as error:  # noqa: BLE001 - the other rows are still wanted
        context.say(traceback.format_exc())
        text = f"unexpected {type(error).__name__}: {error}"
        return RowOutcome(name, row.title, time.monotonic() - begin, error=text)
    return RowOutcome(name, row.title, time.monotonic() - begin, lines)
