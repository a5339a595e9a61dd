"""The logs of many processes as one stream, each line with the name of its node.

CometBFT and the app stamp their lines each in their own way; lines without a stamp, such as those of a traceback,
belong to the line before them.
"""

from __future__ import annotations

import heapq
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from localnet.nodes import NodeHandle

LOG_NAMES: Final = ("app", "comet", "supervisor")
POLL_S: Final = 0.2

_COMET: Final = re.compile(r"\x1b?\[?[0-9;]*m?[A-Z]\[(\d{4}-\d\d-\d\d)\|(\d\d:\d\d:\d\d\.\d{3})\]")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)")


@dataclass(frozen=True, slots=True)
class LogSource:
    """A log of one process."""

    node: str
    name: str
    """`app`, `comet` or `supervisor`."""
    path: Path

    @property
    def prefix(self) -> str:
        """What stands before each of its lines."""
        return f"{self.node} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class LogLine:
    """A line, ordered by time."""

    time_s: float
    """Unix seconds."""
    prefix: str
    text: str = field(compare=False)


def list_sources(nodes: Iterable[NodeHandle], names: Sequence[str] = LOG_NAMES) -> list[LogSource]:
    """Return the logs of nodes."""
    return [LogSource(node.name, name, node.home.log_file(name)) for node in nodes for name in names]


def parse_time(line: str) -> float | None:
    """Return the time stamped on a line in Unix seconds, or None if there is none."""
    comet = _COMET.match(line)
    if comet is not None:
        # CometBFT writes local time.
        return datetime.fromisoformat(f"{comet.group(1)}T{comet.group(2)}").astimezone().timestamp()
    text = line
    if line.startswith("{"):
        try:
            text = str(json.loads(line).get("timestamp", ""))
        except ValueError:
            return None
    iso = _ISO.match(text)
    if iso is None:
        return None
    try:
        moment = datetime.fromisoformat(iso.group(1))
    except ValueError:
        return None
    return moment.astimezone().timestamp()


def read_lines(source: LogSource, end: int | None = None) -> Iterator[LogLine]:
    """Yield the lines of a log with their times, up to a size in bytes."""
    time_s = 0.0
    if not source.path.exists():
        return
    with source.path.open("rb") as file:
        while end is None or file.tell() < end:
            line = file.readline().decode("utf-8", "replace")
            if not line:
                return
            found = parse_time(line)
            # A clock that steps back must not take the lines that follow out of their order.
            time_s = max(time_s, found) if found is not None else time_s
            yield LogLine(time_s, source.prefix, line.rstrip("\n"))


def merge_logs(sources: Iterable[LogSource]) -> Iterator[LogLine]:
    """Yield the lines of all logs by time; lines of one log stay in their order."""
    return heapq.merge(*(read_lines(source) for source in sources))


def follow_logs(
    sources: Sequence[LogSource], sleep: Callable[[float], None] = time.sleep
) -> Iterator[LogLine]:
    """Yield all lines so far by time, and then, for ever, those that are added."""
    offsets = {source: _complete_size(source) for source in sources}
    yield from heapq.merge(*(read_lines(source, offsets[source]) for source in sources))
    while True:
        fresh: list[LogLine] = []
        for source in sources:
            lines, offsets[source] = _read_added(source, offsets[source])
            fresh += lines
        yield from fresh
        sleep(POLL_S)


def _complete_size(source: LogSource) -> int:
    """Return the size of a log without a line that is still being written."""
    return _read_added(source, 0)[1]


def _read_added(source: LogSource, offset: int) -> tuple[list[LogLine], int]:
    """Return the complete lines behind an offset, and the offset behind them; a shorter file was begun again."""
    if not source.path.exists():
        return [], 0
    with source.path.open("rb") as file:
        size = file.seek(0, 2)
        start = offset if size >= offset else 0
        file.seek(start)
        data = file.read(size - start)
    end = data.rfind(b"\n") + 1
    lines = data[:end].decode("utf-8", "replace").splitlines()
    return [LogLine(time.time(), source.prefix, line) for line in lines], start + end
