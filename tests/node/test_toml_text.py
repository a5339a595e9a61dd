from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.errors import HomeInvalid
from abci_app.toml_text import TableReader, TomlValue, format_toml

# Surrogates cannot be written as UTF-8, and a file with a lone carriage return is not what TOML calls text.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.lists(texts, max_size=4))
tables = st.dictionaries(texts, values, max_size=5)


@given(top=tables, inner=tables, name=texts.filter(bool))
def test_what_is_written_reads_back(
    top: dict[str, TomlValue], inner: dict[str, TomlValue], name: str
) -> None:
    top.pop(name, None)
    text = format_toml({"": top, name: inner}, "a comment\nof two lines")
    assert tomllib.loads(text) == top | {name: inner}


def test_the_top_of_a_file_stands_before_its_tables() -> None:
    assert format_toml({"b": {"y": 1}, "": {"x": True}}) == "x = true\n\n[b]\ny = 1\n"


def test_a_key_that_nobody_takes_is_refused() -> None:
    reader = TableReader({"rpc": "a", "rcp": "b"}, "node.toml", HomeInvalid)
    assert reader.take("rpc", str) == "a"
    with pytest.raises(HomeInvalid, match="rcp"):
        reader.finish()


def test_a_missing_key_is_refused_by_its_name() -> None:
    with pytest.raises(HomeInvalid, match=r"expected rpc in node\.toml, got nothing"):
        TableReader({}, "node.toml", HomeInvalid).take("rpc", str)


@pytest.mark.parametrize(("value", "kind"), [("1", int), (1, str), (True, int), (1, bool), ([], dict)])
def test_a_value_of_another_type_is_refused(value: object, kind: type[object]) -> None:
    with pytest.raises(HomeInvalid, match="of type"):
        TableReader({"key": value}, "node.toml", HomeInvalid).take("key", kind)
