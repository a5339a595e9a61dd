"""Writing configurations: with all comments, and reading as what was meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.endpoint import Endpoint
from ibc.voting import Fraction
from relayer.config import (
    ChainConfig,
    ClientConfig,
    FilterConfig,
    HealthConfig,
    NodeAddress,
    RelayerConfig,
    TrustedHeader,
    load_config,
    parse_config,
)
from relayer.config_text import (
    add_key_file,
    format_config,
    list_settings,
    read_example,
    set_value,
    write_new_config,
)
from relayer.errors import ConfigExists, ConfigInvalid, ConfigUneditable
from relayer.state import RelayOptions
from relayer.types import ChainId, Height

HERE = Path("/somewhere")
NODE = NodeAddress("http://127.0.0.1:1", "127.0.0.1:2")
OTHER_NODE = NodeAddress("http://127.0.0.1:3", "127.0.0.1:4")
TRUSTED = TrustedHeader(Height(7), bytes(range(32)))
HUB = ChainConfig(
    ChainId('hub "1"'), (NODE, OTHER_NODE), (HERE / "r.json", HERE / "s.json"), HERE / "a.json", 5, TRUSTED
)
SHARDS = tuple(ChainConfig(ChainId(f"shard-{number}"), (NODE,), (HERE / "r.json",)) for number in range(2))
PLAIN = RelayerConfig(HUB, SHARDS, HERE / "x.db")
EVERYTHING_ELSE = RelayerConfig(
    hub=HUB,
    shards=SHARDS,
    journal=HERE / "y.db",
    log_format="json",
    log_level="debug",
    http=Endpoint("127.0.0.1", 9464),
    request_timeout_s=3,
    tx_life_s=60,
    max_tx_bytes=5_000_000,
    filter=FilterConfig(("shard-1",), ("shard-0",), ("fl.hub",), ("fl.shard",)),
    health=HealthConfig(3, 4, 6),
    client=ClientConfig(Fraction(1, 2), 600, 700, 5),
    options=RelayOptions(
        max_batch_packets=7,
        max_batch_bytes=100_000,
        max_in_flight=2,
        max_parts=3,
        max_part_groups=2,
        first_retry_ns=10**8,
        max_retry_ns=7 * 10**9,
        answer_timeout_ns=8 * 10**9,
        resend_after_ns=9 * 10**9,
        refresh_numerator=2,
        refresh_denominator=5,
        relayers=3,
        position=2,
        grace_ns=10**9,
    ),
)


@pytest.mark.parametrize(
    "config",
    [PLAIN, EVERYTHING_ELSE, replace(PLAIN, shards=())],
    ids=["plain", "everything else", "no shard"],
)
def test_a_configuration_that_was_written_reads_as_it_was(config: RelayerConfig) -> None:
    assert parse_config(format_config(config), HERE) == config


def test_no_setting_keeps_its_default_in_the_test_above() -> None:
    plain = {(table, key): value for table, key, value in list_settings(PLAIN)}
    assert all(plain[table, key] != value for table, key, value in list_settings(EVERYTHING_ELSE))


def test_what_is_written_has_the_comments_of_the_example() -> None:
    written = format_config(EVERYTHING_ELSE).splitlines()
    head = read_example().partition("\n[hub]\n")[0].splitlines()
    explained = [line for line in head if line.startswith("#") and " = " not in line]
    assert len(explained) > 30
    assert set(explained) <= set(written)


def test_a_chain_without_a_trusted_header_shows_where_to_name_one() -> None:
    of_shard = format_config(PLAIN).partition("[[shards]]")[2]
    assert '# trusted_height = 0\n# trusted_hash = ""\n' in of_shard


def test_a_value_is_set_in_its_own_table_only() -> None:
    text = "[a]\n# x = 1\n[b]\nx = 2\n[[c]]\nx = 3\n[[c]]\nx = 4\n"
    assert set_value(text, "a", "x", 9) == text.replace("# x = 1", "x = 9")
    assert set_value(text, "b", "x", 9) == text.replace("x = 2", "x = 9")
    assert set_value(text, "c", "x", 9, index=1) == text.replace("x = 4", "x = 9")


@pytest.mark.parametrize("text", ["[a]\ny = 1\n", "[a]\nx = [\n1]\n", "x = 1\n[b]\nx = 1\n"])
def test_a_value_that_is_not_on_one_line_is_left_alone(text: str) -> None:
    with pytest.raises(ConfigUneditable):
        set_value(text, "a", "x", 9)


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "relayer.toml"
    write_new_config(path, PLAIN)
    with pytest.raises(ConfigExists):
        write_new_config(path, PLAIN)
    assert load_config(path) == PLAIN


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    with pytest.raises(ConfigInvalid):
        write_new_config(path, replace(PLAIN, tx_life_s=0))
    assert not path.exists()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_key_is_added_to_one_chain(tmp_path: Path, place: int) -> None:
    path = tmp_path / "relayer.toml"
    write_new_config(path, PLAIN)
    add_key_file(path, PLAIN, PLAIN.chains[place], "keys/b.json")
    for index, (before, after) in enumerate(zip(PLAIN.chains, load_config(path).chains, strict=True)):
        added = (tmp_path / "keys/b.json",) if index == place else ()
        assert after == replace(before, key_files=before.key_files + added)


def test_a_file_that_is_laid_out_otherwise_is_not_edited(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    text = format_config(PLAIN).replace('["/somewhere/r.json", ', '[\n"/somewhere/r.json", ')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigUneditable):
        add_key_file(path, load_config(path), load_config(path).hub, "keys/b.json")
    assert path.read_text(encoding="utf-8") == text
