from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.figures import Aim, Line, Relation, Report
from bench.main import DOCS_PAGE
from bench.report import (
    COLUMNS,
    format_aim,
    format_number,
    list_cells,
    print_report,
    report_to_json,
    report_to_markdown,
)
from bench.soak.command import DOCS_PAGE as SOAK_PAGE
from tests.support.bench import build_line, build_report
from tools.page_parts import LAST_RUN, read_part


def show(report: Report) -> str:
    """Return what is printed of a report."""
    stream = io.StringIO()
    print_report(Console(file=stream, width=160), report)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.04166, "0.0417"),
        (0.5, "0.500"),
        (9.999, "10.0"),
        (1.5, "1.50"),
        (52.4, "52.4"),
        (846.2, "846"),
        (12345.6, "12,346"),
    ],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_number_is_shown_within_half_a_percent(value: float) -> None:
    assert float(format_number(value).replace(",", "")) == pytest.approx(value, rel=0.005)


def test_a_line_has_a_cell_a_column() -> None:
    assert list_cells(build_line()) == (
        "speed",
        "some | case",
        "30.0 tx/s",
        "another chain: 50.0 tx/s",
        "0.600",
        "ratio at least 0.500",
        "yes",
    )
    assert len(list_cells(build_line())) == len(COLUMNS)


def test_a_line_without_yardstick_and_aim_says_so() -> None:
    assert list_cells(build_line(30.0, None, None))[3:] == ("-", "-", "reported", "-")


def test_an_aim_of_our_own_figure_is_named_as_such() -> None:
    assert format_aim(Aim(Relation.AT_MOST, 191.0, of_ratio=False)) == "ours at most 191"


def test_the_table_shows_machine_lines_and_notes() -> None:
    shown = show(build_report(build_line()))
    for expected in ("processor: one", "some | case", "0.600", "yes", "measured with care"):
        assert expected in shown


def test_the_table_shows_a_missed_aim() -> None:
    assert "NO" in show(build_report(build_line(10.0)))


def test_the_table_shows_why_a_row_failed() -> None:
    shown = show(build_report(error="expected [all] of it"))
    assert "FAILED" in shown
    assert "speed failed: expected [all] of it" in shown


def test_the_json_holds_samples_ratio_and_verdict() -> None:
    document = json.loads(report_to_json(build_report(build_line())))
    assert document["machine"] == {"processor": "one"}
    assert (document["started"], document["quick"]) == ("2026-01-02T03:04+00:00", True)
    (row,) = document["rows"]
    assert {key: row[key] for key in ("row", "title", "seconds", "error")} == {
        "row": "speed",
        "title": "how fast",
        "seconds": 1.2,
        "error": "",
    }
    (line,) = row["lines"]
    assert line["ours"] == {"value": 30.0, "unit": "tx/s", "samples": [29.0, 30.0, 35.0]}
    assert line["yardstick"] == {"value": 50.0, "unit": "tx/s", "samples": [50.0]}
    assert line["aim"] == {"of": "ratio", "relation": "at least", "bound": 0.5}
    assert (line["ratio"], line["met"], line["yardstick_name"]) == (0.6, True, "another chain")
    assert line["notes"] == ["measured with care"]


@pytest.mark.parametrize("line", [build_line(30.0, None, None), build_line(30.0, None)])
def test_the_json_has_nulls_where_there_is_nothing(line: Line) -> None:
    document = json.loads(report_to_json(build_report(line)))
    (found,) = document["rows"][0]["lines"]
    assert found["yardstick"] is None
    assert found["ratio"] is None


def test_every_row_of_the_markdown_has_the_same_number_of_cells() -> None:
    for report in (build_report(build_line(30.0, None, None)), build_report(error="lost")):
        table = [line for line in report_to_markdown(report).splitlines() if line.startswith("| ")][2:]
        assert {line.count(" | ") for line in table} == {len(COLUMNS) - 1}


def test_the_docs_have_a_place_for_the_last_run() -> None:
    for page in (DOCS_PAGE, SOAK_PAGE):
        assert read_part(page.read_text(encoding="utf-8"), LAST_RUN)
