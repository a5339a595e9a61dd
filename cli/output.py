"""What a command prints: one frozen dataclass, shown as JSON or as tables.

The fields' names are the keys of the JSON, so they are part of the command line's interface.  A tuple of dataclasses
becomes a table, everything else a line each; views inside a view are flattened for people.  Units stand in the names: `..._ns` are Unix nanoseconds for points in
time and nanoseconds for durations.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeGuard

import click

from cli.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import DataclassInstance
    from rich.console import Console, RenderableType

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

PIPE_WIDTH: Final = 4_096
"""Columns where no terminal says how many there are: wide enough that nothing is folded."""

NOTHING: Final = "-"
DURATION_SUFFIX: Final = "_duration_ns"
TIME_SUFFIX: Final = "_ns"


def to_json(value: object) -> JsonValue:
    """Return a value of a view as JSON: bytes as hex, enumerations by name in lower case."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.name.lower() if isinstance(value, Enum) else value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"expected a value that a view can hold, got {type(value).__name__}")


def show(view: DataclassInstance, *, as_json: bool) -> None:
    """Print a view to standard output."""
    if as_json:
        click.echo(json.dumps(to_json(view), indent=2))
        return
    console = open_console()
    with console.capture() as captured:
        for renderable in render(view):
            console.print(renderable)
    # Tables pad their last column; nobody who copies or compares a line wants that.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_line(view: DataclassInstance) -> None:
    """Print a view as one line of JSON, for commands that print many."""
    click.echo(json.dumps(to_json(view), separators=(",", ":")))
    sys.stdout.flush()


def open_console() -> Console:
    """Return a console on standard output that prints text as it is."""
    from rich.console import Console  # noqa: PLC0415 - not for JSON

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def render(view: DataclassInstance) -> Iterator[RenderableType]:
    """Yield what is printed of a view, in order.

    A view inside a view often repeats what stands around it; people need that once.
    """
    lines: list[tuple[str, str]] = []
    for name, value in _flatten(view):
        if not _is_table(value):
            line = (_label(name), format_value(name, value))
            if line not in lines:
                lines.append(line)
            continue
        if lines:
            yield _render_lines(lines)
            lines = []
        yield _render_table(name, value)
    if lines:
        yield _render_lines(lines)


def _flatten(view: DataclassInstance) -> Iterator[tuple[str, object]]:
    """Yield the fields of a view, those of views inside it in their place."""
    for field in dataclasses.fields(view):
        value = getattr(view, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _flatten(value)
        else:
            yield field.name, value


def _is_table(value: object) -> TypeGuard[tuple[DataclassInstance, ...]]:
    return isinstance(value, tuple) and all(dataclasses.is_dataclass(item) for item in value)


def _render_lines(lines: list[tuple[str, str]]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(label, text)
    return grid


def _render_table(name: str, rows: tuple[DataclassInstance, ...]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not rows:
        return Text(f"no {_label(name)}")
    names = [field.name for field in dataclasses.fields(rows[0])]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in names:
        numeric = all(type(getattr(row, column)) is int for row in rows) and not column.endswith(TIME_SUFFIX)
        table.add_column(_label(column), overflow="fold", justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(format_value(column, getattr(row, column)) for column in names))
    return table


def _label(name: str) -> str:
    return name.removesuffix(TIME_SUFFIX).replace("_", " ")


def format_value(name: str, value: object) -> str:
    """Return the text for a value of that name."""
    if value is None or value in ("", b"", ()):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, int) and name.endswith(DURATION_SUFFIX):
        return f"{value / 1e9:g} s"
    if isinstance(value, int) and name.endswith(TIME_SUFFIX):
        return format_time(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return ", ".join(format_value("", item) for item in value)
    return clean(str(value))


def format_time(time_ns: int) -> str:
    """Return a Unix time in nanoseconds as UTC, to the second; a dash for none."""
    if time_ns <= 0:
        return NOTHING
    try:
        return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError):
        return str(time_ns)
