"""The three forms of a report: a table for a terminal, JSON for machines, Markdown for the docs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from bench.figures import Aim, Figure, Line, Report

COLUMNS: Final = ("row", "case", "ours", "yardstick", "ratio", "aim", "met?")
NUMERIC: Final = frozenset({"ours", "yardstick", "ratio"})
NOTHING: Final = "-"
REPORTED: Final = "reported"
_DIGITS: Final = 3


def format_number(value: float) -> str:
    """Return a number to three significant digits, without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, _DIGITS - 1 - int(f"{value:.{_DIGITS - 1}e}".partition("e")[2]))
    return f"{value:,.{decimals}f}"


def format_figure(figure: Figure | None, name: str = "") -> str:
    """Return a figure with its unit, behind what it is a figure of."""
    if figure is None:
        return NOTHING
    shown = f"{format_number(figure.value)} {figure.unit}".rstrip()
    return f"{name}: {shown}" if name else shown


def format_aim(aim: Aim | None) -> str:
    """Return an aim in words."""
    if aim is None:
        return REPORTED
    subject = "ratio" if aim.of_ratio else "ours"
    return f"{subject} {aim.relation.value} {format_number(aim.bound)}"


def format_met(line: Line) -> str:
    """Return whether an aim is met, in words."""
    return {True: "yes", False: "NO", None: NOTHING}[line.met]


def list_cells(line: Line) -> tuple[str, ...]:
    """Return the cells of a line, in the order of the columns."""
    return (
        line.row,
        line.case,
        format_figure(line.ours),
        format_figure(line.yardstick, line.yardstick_name),
        NOTHING if line.ratio is None else format_number(line.ratio),
        format_aim(line.aim),
        format_met(line),
    )


def build_table(report: Report) -> Table:
    """Return the table of a report."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMERIC else "left", overflow="fold")
    for outcome in report.outcomes:
        for line in outcome.lines:
            style = "red" if line.met is False else ""
            table.add_row(*(Text(cell, style=style) for cell in list_cells(line)))
        if outcome.error:
            table.add_row(outcome.row, Text("FAILED, see below", style="bold red"))
    return table


def print_report(console: Console, report: Report) -> None:
    """Print the machine, the table, the notes and what failed."""
    for fact in report.machine:
        console.print(f"{fact.name}: {fact.value}", markup=False, highlight=False)
    console.print(build_table(report))
    for note in list_notes(report):
        console.print(note, markup=False, highlight=False)
    for outcome in report.failed:
        console.print(f"{outcome.row} failed: {outcome.error}", markup=False, highlight=False)


def list_notes(report: Report) -> list[str]:
    """Return the notes of all lines, each behind the name of its row."""
    return [
        f"{line.row}, {line.case}: {note}"
        for outcome in report.outcomes
        for line in outcome.lines
        for note in line.notes
    ]


def report_to_json(report: Report) -> str:
    """Return everything as JSON; docs/benchmarks.md describes it."""
    document = {
        "started": report.started,
        "quick": report.quick,
        "machine": {fact.name: fact.value for fact in report.machine},
        "rows": [
            {
                "row": outcome.row,
                "title": outcome.title,
                "seconds": round(outcome.seconds, 1),
                "error": outcome.error,
                "lines": [_line_to_json(line) for line in outcome.lines],
            }
            for outcome in report.outcomes
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _line_to_json(line: Line) -> dict[str, object]:
    aim = None
    if line.aim is not None:
        aim = {
            "of": "ratio" if line.aim.of_ratio else "ours",
            "relation": line.aim.relation.value,
            "bound": line.aim.bound,
        }
    return {
        "case": line.case,
        "ours": dataclasses.asdict(line.ours),
        "yardstick": None if line.yardstick is None else dataclasses.asdict(line.yardstick),
        "yardstick_name": line.yardstick_name,
        "ratio": line.ratio,
        "aim": aim,
        "met": line.met,
        "notes": list(line.notes),
    }


def report_to_markdown(report: Report) -> str:
    """Return the report as it stands in the docs."""
    kind = "quick run" if report.quick else "full run"
    lines = [f"A {kind}, {report.started}.", "", "| | |", "|---|---|"]
    lines += [f"| {fact.name} | {fact.value} |" for fact in report.machine]
    lines += ["", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|" + "|".join("---:" if column in NUMERIC else "---" for column in COLUMNS) + "|")
    for outcome in report.outcomes:
        lines += ["| " + " | ".join(map(_escape, list_cells(line))) + " |" for line in outcome.lines]
        if outcome.error:
            lines.append(f"| {outcome.row} | failed | {' | '.join(NOTHING for _ in COLUMNS[2:])} |")
    notes = list_notes(report)
    if notes:
        lines += ["", *[f"- {note}" for note in notes]]
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
