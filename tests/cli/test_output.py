from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.output import format_time, format_value, show, show_line, to_json


class Colour(IntEnum):
    DARK_RED = 1


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    amount: int


@dataclass(frozen=True, slots=True)
class Inner:
    inner_name: str


@dataclass(frozen=True, slots=True)
class View:
    root: bytes
    amount: int
    share: float
    colour: Colour
    opened_at_ns: int
    round_duration_ns: int
    missing: str | None
    is_good: bool
    inner: Inner
    shape: tuple[int, ...]
    rows: tuple[Row, ...]


VIEW = View(
    root=b"\x01\xff",
    amount=2**63,
    share=0.5,
    colour=Colour.DARK_RED,
    opened_at_ns=1_800_000_000_000_000_000,
    round_duration_ns=1_500_000_000,
    missing=None,
    is_good=True,
    inner=Inner("nested"),
    shape=(2, 3),
    rows=(Row("first", 1), Row("second", 20)),
)


def test_json_keeps_numbers_and_writes_bytes_as_hex(capsys: pytest.CaptureFixture[str]) -> None:
    show(VIEW, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "root": "01ff",
        "amount": 2**63,
        "share": 0.5,
        "colour": "dark_red",
        "opened_at_ns": 1_800_000_000_000_000_000,
        "round_duration_ns": 1_500_000_000,
        "missing": None,
        "is_good": True,
        "inner": {"inner_name": "nested"},
        "shape": [2, 3],
        "rows": [{"name": "first", "amount": 1}, {"name": "second", "amount": 20}],
    }


def test_people_get_a_line_a_field_and_a_table_for_rows(capsys: pytest.CaptureFixture[str]) -> None:
    show(VIEW, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    words = [line.split() for line in lines]
    assert ["root", "01ff"] in words
    assert ["opened", "at", "2027-01-15", "08:00:00Z"] in words
    assert ["round", "duration", "1.5", "s"] in words
    assert ["missing", "-"] in words
    assert ["is", "good", "yes"] in words
    assert ["inner", "name", "nested"] in words
    assert ["shape", "2,", "3"] in words
    assert words[-3:] == [["name", "amount"], ["first", "1"], ["second", "20"]]
    assert all(line == line.rstrip() for line in lines)


def test_fields_behind_a_table_are_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True, slots=True)
    class Mixed:
        rows: tuple[Row, ...]
        last: str

    show(Mixed((Row("a", 1),), "end"), as_json=False)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["last", "end"]


def test_what_an_inner_view_repeats_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True, slots=True)
    class Outer:
        name: str
        row: Row

    show(Outer("same", Row("same", 3)), as_json=False)
    assert capsys.readouterr().out == "name    same\namount  3\n"


def test_numbers_stand_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    show(VIEW, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith(" 1")
    assert len(lines[-2]) == len(lines[-1])


def test_a_stream_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_line(Row("a", 1))
    show_line(Row("b", 2))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"name": "a", "amount": 1}, {"name": "b", "amount": 2}]


def test_foreign_text_is_cleaned_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show(Row("[red]\x1b[31mname\nsecond line", 1), as_json=False)
    assert capsys.readouterr().out == "name    [red] [31mname second line\namount  1\n"


def test_foreign_text_is_escaped_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    show(Row("\x1b[31m\u202e", 1), as_json=True)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed)["name"] == "\x1b[31m\u202e"


def test_a_value_that_no_view_can_hold_is_a_bug() -> None:
    with pytest.raises(TypeError, match="expected a value that a view can hold"):
        to_json({1, 2})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (None, "-"), ("", "-"), (b"", "-"), ((), "-"), (False, "no"), (1.5, "1.5"), (b"\x00", "00")],
    ids=repr,
)
def test_values_read_well(value: object, text: str) -> None:
    assert format_value("field", value) == text


@given(st.integers(-(2**70), 2**70))
def test_any_time_can_be_shown(time_ns: int) -> None:
    assert format_time(time_ns)
