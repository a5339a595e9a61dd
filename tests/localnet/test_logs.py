from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localnet.logs import LogSource, follow_logs, merge_logs, parse_time

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 11, 22, 15, 46, 36, 500_000, UTC)


def write_source(path: Path, *lines: str, node: str = "hub.0", name: str = "app") -> LogSource:
    source = path / f"{node}.{name}.log"
    source.write_text("".join(f"{line}\n" for line in lines))
    return LogSource(node, name, source)


@pytest.mark.parametrize(
    "line",
    [
        MOMENT.astimezone().strftime("I[%Y-%m-%d|%H:%M:%S.500] committed state module=state"),
        MOMENT.astimezone().strftime("\x1b[31mE[%Y-%m-%d|%H:%M:%S.500] error\x1b[0m"),
        "2026-11-22T15:46:36.500+00:00 app 1 started",
        "2026-11-22T15:46:36.500Z [info] x",
        MOMENT.astimezone().strftime("%Y-%m-%d %H:%M:%S.500 [info     ] server_listening"),
        '{"event": "x", "timestamp": "2026-11-22T15:46:36.500Z"}',
    ],
)
def test_the_stamp_of_every_kind_of_line_is_read(line: str) -> None:
    assert parse_time(line) == MOMENT.timestamp()


@pytest.mark.parametrize(
    "line",
    ["", "Traceback (most recent call last):", "{broken", '{"timestamp": 5}', "2026-99-99T00:00:00Z", "{}"],
)
def test_other_lines_have_no_stamp(line: str) -> None:
    assert parse_time(line) is None


@given(st.text())
def test_any_text_is_a_line(line: str) -> None:
    parse_time(line)


def test_lines_of_all_logs_are_merged_by_time_and_tracebacks_stay_together(tmp_path: Path) -> None:
    app = write_source(
        tmp_path, "2026-11-22T15:00:01Z first", "Traceback", "  File", "2026-11-22T15:00:05Z last"
    )
    comet = write_source(tmp_path, "2026-11-22T15:00:02Z second", "2026-11-22T15:00:04Z third", name="comet")
    missing = LogSource("hub.1", "app", tmp_path / "nothing.log")
    merged = [(line.prefix, line.text.rpartition(" ")[2]) for line in merge_logs([app, comet, missing])]
    assert merged == [
        ("hub.0 app", "first"),
        ("hub.0 app", "Traceback"),
        ("hub.0 app", "File"),
        ("hub.0 comet", "second"),
        ("hub.0 comet", "third"),
        ("hub.0 app", "last"),
    ]


lines = st.lists(
    st.one_of(
        st.integers(0, 59).map(lambda second: f"2026-11-22T15:00:{second:02}Z x"),
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=5),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, min_size=1, max_size=3))
def test_a_merge_keeps_every_line_and_the_order_of_each_log(tmp_path: Path, logs: list[list[str]]) -> None:
    sources = [write_source(tmp_path, *log, node=f"n{index}") for index, log in enumerate(logs)]
    merged = list(merge_logs(sources))
    for source, log in zip(sources, logs, strict=True):
        assert [line.text for line in merged if line.prefix == source.prefix] == log
    assert [line.time_s for line in merged] == sorted(line.time_s for line in merged)


def test_followed_logs_show_what_is_there_once_and_then_what_is_added(tmp_path: Path) -> None:
    source = write_source(tmp_path, "2026-11-22T15:00:01Z old")
    # A line without its end is still being written.
    with source.path.open("a") as file:
        file.write("half")
    steps = iter(("-line\nnew\n", "", "again\n"))

    def sleep(_seconds: float) -> None:
        with source.path.open("a") as log:
            log.write(next(steps))

    followed = follow_logs([source], sleep)
    assert [next(followed).text for _ in range(4)] == [
        "2026-11-22T15:00:01Z old",
        "half-line",
        "new",
        "again",
    ]


def test_a_log_that_is_begun_again_is_followed_from_its_start(tmp_path: Path) -> None:
    source = write_source(tmp_path, "a long first line of the old file")

    def sleep(_seconds: float) -> None:
        source.path.write_text("fresh\n")

    followed = follow_logs([source], sleep)
    next(followed)
    assert next(followed).text == "fresh"
