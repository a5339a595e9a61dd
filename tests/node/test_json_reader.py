from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.errors import RpcMalformed
from abci_app.json_reader import JsonReader, parse_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def read(value: object) -> JsonReader:
    return JsonReader({"key": value}, "answer")


@given(st.integers(-(2**63), 2**64))
def test_integers_are_read_as_numbers_and_as_text(value: int) -> None:
    assert read(value).integer("key") == read(str(value)).integer("key") == value


@given(st.binary(max_size=40))
def test_bytes_are_read_in_both_forms(value: bytes) -> None:
    assert read(value.hex().upper()).hexadecimal("key") == value
    assert read(base64.b64encode(value).decode()).base64("key") == value


@given(st.integers(0, 7 * 10**9), st.integers(0, 999_999_999))
def test_times_keep_their_nanoseconds(seconds: int, nanoseconds: int) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    whole = seconds * 10**9
    assert read(f"{text}.{nanoseconds:09}Z").time_ns("key") == whole + nanoseconds
    # Go leaves trailing zeros out.
    assert read(f"{text}.5Z").time_ns("key") == whole + 500_000_000
    assert read(f"{text}Z").time_ns("key") == whole


@pytest.mark.parametrize(
    ("value", "method"),
    [
        ("1.5", "integer"),
        (True, "integer"),
        (1.0, "integer"),
        ("9" * 30, "integer"),
        ("٣", "integer"),
        (None, "integer"),
        (1, "text"),
        (None, "text"),
        ("true", "boolean"),
        ("abc", "hexadecimal"),
        ("a b c d", "hexadecimal"),
        ("a===", "base64"),
        ("a b=", "base64"),
        (7, "base64"),
        ("2026-01-01 00:00:00Z", "time_ns"),
        ("2026-13-01T00:00:00Z", "time_ns"),
        ("2026-01-01T00:00:00+01:00", "time_ns"),
        ("2026-01-01T00:00:00.1234567890Z", "time_ns"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_path(value: object, method: str) -> None:
    with pytest.raises(RpcMalformed, match=r"^answer\.key: expected"):
        getattr(read(value), method)("key")


def test_what_go_leaves_out_has_its_zero() -> None:
    reader = JsonReader({"none": None}, "answer")
    assert (reader.text_or_empty("none"), reader.integer_or_zero("absent"), reader.base64("absent")) == (
        "",
        0,
        b"",
    )
    assert list(reader.items("none")) == []


def test_elements_of_a_list_know_their_index() -> None:
    elements = list(read([{"a": 1}, {"a": "x"}]).items("key"))
    assert elements[0].integer("a") == 1
    with pytest.raises(RpcMalformed, match=r"answer\.key\[1\]\.a"):
        elements[1].integer("a")


@given(json_values, st.sampled_from(["text", "integer", "boolean", "hexadecimal", "base64", "time_ns"]))
def test_any_json_is_either_read_or_refused(value: object, method: str) -> None:
    reader = parse_json(json.dumps(value).encode(), "answer")
    try:
        getattr(reader, method)("key")
        list(reader.items("key"))
    except RpcMalformed:
        pass


@pytest.mark.parametrize("data", [b"", b"{", b"<html>", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(RpcMalformed, match="expected JSON"):
        parse_json(data, "answer")
