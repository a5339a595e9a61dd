"""The configuration file: every key known, every value checked, the example complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ibc.voting import Fraction
from relayer.config import CHAIN_KEYS, TABLES, NodeAddress, TrustedHeader, load_config, parse_config
from relayer.config_tables import REMOVED
from relayer.config_text import list_settings
from relayer.errors import ConfigInvalid, ConfigMissing
from relayer.state import RelayOptions
from relayer.types import Height
from tests.support.tools import ROOT

EXAMPLE = ROOT / "relayer" / "relayer.example.toml"
HERE = Path("/somewhere")
HASH = "0a" * 32
NODE = '{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }'
MINIMAL = """
[hub]
chain_id = "hub-1"
key_files = ["r.json"]
nodes = [{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]
[[shards]]
chain_id = "shard-1"
key_files = ["r.json"]
nodes = [{ rpc = "tcp://127.0.0.1:3", grpc = "127.0.0.1:4" }]
"""


def with_table(text: str) -> str:
    return text + MINIMAL


def test_the_example_is_a_valid_configuration() -> None:
    config = load_config(EXAMPLE)
    assert config.hub.chain_id == "hub-1"
    assert [shard.chain_id for shard in config.shards] == ["shard-1", "shard-2"]
    assert len(config.hub.nodes) == 2


def test_the_values_that_the_example_comments_out_are_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert parse_config(uncommented, EXAMPLE.parent) == load_config(EXAMPLE)
    assert uncommented != text


def test_the_example_mentions_every_setting() -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    values = tomllib.loads(text)
    assert set(values) == set(TABLES)
    mentioned = {(table, key) for table in set(TABLES) - {"hub", "shards"} for key in values[table]}
    assert mentioned == {(table, key) for table, key, _ in list_settings(load_config(EXAMPLE))}
    assert set(values["hub"]) == set(CHAIN_KEYS)
    assert set(values["shards"][0]) == set(CHAIN_KEYS) - {"min_balance"}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    config = load_config(path)
    assert config.journal == tmp_path / "relayer.db"
    assert config.hub.key_files == (tmp_path / "r.json",)
    assert config.hub.authority_key_file is None


def test_a_minimal_configuration_has_the_defaults() -> None:
    config = parse_config(MINIMAL, HERE)
    assert config.options == RelayOptions()
    assert config.client.trust_level == Fraction(2, 3)
    assert config.http is None
    assert config.shards[0].nodes == (NodeAddress("http://127.0.0.1:3", "127.0.0.1:4"),)
    assert [chain.trusted for chain in config.chains] == [None, None]


@pytest.mark.parametrize("digits", [HASH, HASH.upper()])
def test_each_chain_may_have_a_trusted_header(digits: str) -> None:
    lines = f'trusted_height = 7\ntrusted_hash = "{digits}"\n'
    expected = TrustedHeader(Height(7), b"\x0a" * 32)
    of_shard = parse_config(MINIMAL + lines, HERE)
    assert [chain.trusted for chain in of_shard.chains] == [None, expected]
    of_hub = parse_config(MINIMAL.replace("[[shards]]", f"{lines}[[shards]]"), HERE)
    assert [chain.trusted for chain in of_hub.chains] == [expected, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_table("colour = 1\n"), "colour"),
        (with_table("[relayer]\ncolour = 1\n"), "colour"),
        (with_table("[batches]\nsize = 1\n"), "size"),
        (with_table("[retries]\nnever = true\n"), "never"),
        (with_table("[client]\ntrust = 1\n"), "trust"),
        (MINIMAL.replace('key_files = ["r.json"]\n', "", 1), "key_files"),
        (MINIMAL.replace("nodes", "peers", 1), "nodes"),
        (MINIMAL.replace("grpc", "grcp", 1), "grpc"),
        (MINIMAL.replace("http://127.0.0.1:1", "ftp://x"), "ftp"),
        (MINIMAL.replace("127.0.0.1:4", "127.0.0.1"), "host:port"),
        (MINIMAL.replace("shard-1", "hub-1"), "twice"),
        (
            MINIMAL.replace('[{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]', "[]"),
            "at least one entry as nodes",
        ),
        (MINIMAL.replace('[{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]', "[7]"), "table"),
        (with_table('[relayer]\nlog_level = "loud"\n'), "log_level"),
        (with_table('[relayer]\nhttp = "0.0.0.0:9"\n'), "loopback"),
        (with_table('[relayer]\nhttp = "nowhere"\n'), "http"),
        (with_table('[filter]\nshards = ["shard-7"]\n'), "shard-7"),
        (with_table("[filter]\nports = [1]\n"), "ports"),
        (with_table("[health]\nmax_lag_blocks = 0\n"), "max_lag_blocks"),
        (with_table('journal = "x"\n'), "journal"),
        (MINIMAL.replace('["r.json"]', "[]", 1), "key_files"),
        (MINIMAL.replace('["r.json"]', '["r.json", "r.json"]', 1), "twice"),
        (MINIMAL.replace("nodes = [", f"nodes = [{NODE}, ", 1), "each node once in [hub]"),
        (MINIMAL.replace('["r.json"]', '"r.json"', 1), "key_files"),
        (MINIMAL + "min_balance = 5\n", "min_balance"),
        (MINIMAL + "trusted_height = 5\n", "trusted_height alone"),
        (MINIMAL + f'trusted_hash = "{HASH}"\n', "trusted_hash alone"),
        (MINIMAL + f'trusted_height = 0\ntrusted_hash = "{HASH}"\n', "trusted_hash alone"),
        (MINIMAL + f'trusted_height = -1\ntrusted_hash = "{HASH}"\n', "trusted_height"),
        (MINIMAL + f'trusted_height = "5"\ntrusted_hash = "{HASH}"\n', "trusted_height"),
        (MINIMAL + f'trusted_height = {2**63}\ntrusted_hash = "{HASH}"\n', "trusted_height"),
        (MINIMAL + f'trusted_height = 5\ntrusted_hash = "{HASH}00"\n', "64 hexadecimal digits"),
        (MINIMAL + f'trusted_height = 5\ntrusted_hash = "0x{HASH[2:]}"\n', "64 hexadecimal digits"),
        (MINIMAL + f'trusted_height = 5\ntrusted_hash = "{" " * 64}"\n', "64 hexadecimal digits"),
        (MINIMAL + f'trusted_hight = 5\ntrusted_hash = "{HASH}"\n', "trusted_height was meant"),
        (with_table("[relayer]\ntx_life_s = 700\n"), "tx_life_s"),
        (with_table("[relayer]\nmax_tx_bytes = 2000000\n"), "parts"),
        (with_table('[client]\ntrust_level = "1/4"\n'), "trust_level"),
        (with_table('[client]\ntrust_level = "2"\n'), "fraction"),
        (with_table('[client]\ntrust_level = "0/0"\n'), "trust_level"),
        (with_table("[client]\ntrusting_period_s = 2000000\n"), "unbonding"),
        (with_table("[batches]\npackets = 0\n"), "packets"),
        (with_table("[batches]\npackets = true\n"), "packets"),
        (
            with_table('[retries]\nrefresh_share = "1/5"\n'),
            "expected 1/3 to below 1/2 as refresh_share, got 1/5",
        ),
        (
            with_table('[retries]\nrefresh_share = "1/2"\n'),
            "expected 1/3 to below 1/2 as refresh_share, got 1/2",
        ),
        (
            with_table('[retries]\nrefresh_share = "1/1"\n'),
            "expected 1/3 to below 1/2 as refresh_share, got 1/1",
        ),
        ("[hub\n", "the configuration"),
        ("", "hub"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(ConfigInvalid, match=re.escape(reason)):
        parse_config(text, HERE)


@pytest.mark.parametrize("share", ["1/3", "2/5", "49/100"])
def test_a_refresh_may_wait_as_long_as_health_does(share: str) -> None:
    options = parse_config(with_table(f'[retries]\nrefresh_share = "{share}"\n'), HERE).options
    assert f"{options.refresh_numerator}/{options.refresh_denominator}" == share


def test_a_file_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissing):
        load_config(tmp_path / "relayer.toml")


def test_a_file_that_is_no_text_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigMissing):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (with_table("[relayer]\n\ncolour = 1\n"), 3),
        (with_table("# colour = 1\n[batches]\n'colour' = 1\n"), 3),
        (MINIMAL + "colour = 1\n", 10),
        (MINIMAL.replace("grpc =", "colour = 1, grpc =", 1), 5),
        (with_table("[retries]\nfirst_ms = 0\n"), 2),
        (with_table("[retries]\nfirst_ms = '1'\n"), 2),
        (with_table("[client]\ntrust_level = '1/7'\n"), 2),
        (MINIMAL + "\n[[shards]]\nchain_id = 's'\nkey_files = [7]\nnodes = []\n", 13),
        (MINIMAL + "trusted_height = 5\n", 10),
        (MINIMAL + "trusted_height = 5\ntrusted_hash = 'abc'\n", 11),
    ],
)
def test_the_line_of_a_mistake_is_named(text: str, line: int) -> None:
    with pytest.raises(ConfigInvalid, match=rf"\(line {line}\)"):
        parse_config(text, HERE)


def test_a_misspelt_key_comes_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigInvalid, match="log_level was meant"):
        parse_config(with_table('[relayer]\nlog_levle = "info"\n'), HERE)


@pytest.mark.parametrize(("table", "key"), sorted(REMOVED))
def test_a_key_of_an_older_version_comes_with_its_replacement_and_line(table: str, key: str) -> None:
    old = f'{key} = "x"\n'
    if table == "relayer":
        text, line = with_table(f"[relayer]\n{old}"), 2
    else:
        place = 0 if table == "hub" else 1
        parts = MINIMAL.split('key_files = ["r.json"]\n')

        text = parts[0] + (old if place == 0 else 'key_files = ["r.json"]\n') + parts[1]
        text += (old if place == 1 else 'key_files = ["r.json"]\n') + parts[2]
        line = text.splitlines().index(old.strip()) + 1
    with pytest.raises(ConfigInvalid, match=re.escape(REMOVED[table, key])) as raised:
        parse_config(text, HERE)
    assert f"(line {line})" in raised.value.message


def test_the_filter_chooses_shards_and_ports() -> None:
    more = MINIMAL + MINIMAL[MINIMAL.index("[[shards]]") :].replace("shard-1", "shard-2")
    served = parse_config('[filter]\nskip_shards = ["shard-1"]\nports = ["fl.hub"]\n' + more, HERE)
    assert [shard.chain_id for shard in served.served_shards] == ["shard-2"]
    assert served.filter.takes_port("fl.hub")
    assert not served.filter.takes_port("fl.shard")
    assert len(parse_config(more, HERE).served_shards) == 2
