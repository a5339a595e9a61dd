"""The configuration file: every key known, every value checked, the example complete."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.endpoint import Endpoint
from ibc.voting import Fraction
from relayer.config import (
    ChainConfig,
    NodeAddress,
    RelayerConfig,
    format_config,
    load_config,
    parse_config,
)
from relayer.errors import ConfigInvalid, ConfigMissing
from relayer.state import RelayOptions
from relayer.types import ChainId
from tests.support.tools import ROOT

EXAMPLE = ROOT / "relayer" / "relayer.example.toml"
HERE = Path("/somewhere")
MINIMAL = """
[hub]
chain_id = "hub-1"
key_file = "r.json"
nodes = [{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]
[[shards]]
chain_id = "shard-1"
key_file = "r.json"
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
    taken: set[str] = set()
    for name in ("relayer", "client", "batches", "sharing", "retries", "hub"):
        taken |= {f"{name}.{key}" for key in values[name]}
    source = (ROOT / "relayer" / "config.py").read_text(encoding="utf-8")
    keys = set(re.findall(r'(?:take|_take_\w+)\(\s*(?:table, |batches, |retries, )?"(\w+)"', source))
    keys -= {"hub", "shards", "client", "batches", "sharing", "retries", "relayer", "rpc", "grpc"}
    assert keys == {name.partition(".")[2] for name in taken}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    config = load_config(path)
    assert config.journal == tmp_path / "relayer.db"
    assert config.hub.key_file == tmp_path / "r.json"
    assert config.hub.authority_key_file is None


def test_a_minimal_configuration_has_the_defaults() -> None:
    config = parse_config(MINIMAL, HERE)
    assert config.options == RelayOptions()
    assert config.client.trust_level == Fraction(2, 3)
    assert config.metrics is None
    assert config.shards[0].nodes == (NodeAddress("http://127.0.0.1:3", "127.0.0.1:4"),)


def test_a_configuration_that_was_written_reads_as_it_was() -> None:
    node = NodeAddress("http://127.0.0.1:1", "127.0.0.1:2")
    chain = ChainConfig(ChainId('hub "1"'), (node, node), HERE / "r.json", HERE / "a.json")
    shard = ChainConfig(ChainId("shard-1"), (node,), HERE / "r.json")
    config = RelayerConfig(chain, (shard,), HERE / "x.db", metrics=Endpoint("127.0.0.1", 9464))
    config = replace(config, client=replace(config.client, trusting_period_s=600))
    assert parse_config(format_config(config), HERE) == config


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_table("colour = 1\n"), "colour"),
        (with_table("[relayer]\ncolour = 1\n"), "colour"),
        (with_table("[batches]\nsize = 1\n"), "size"),
        (with_table("[retries]\nnever = true\n"), "never"),
        (with_table("[client]\ntrust = 1\n"), "trust"),
        (MINIMAL.replace('key_file = "r.json"\n', "", 1), "key_file"),
        (MINIMAL.replace("nodes", "peers", 1), "nodes"),
        (MINIMAL.replace("grpc", "grcp", 1), "grpc"),
        (MINIMAL.replace("http://127.0.0.1:1", "ftp://x"), "ftp"),
        (MINIMAL.replace("127.0.0.1:4", "127.0.0.1"), "host:port"),
        (MINIMAL.replace("shard-1", "hub-1"), "twice"),
        (
            MINIMAL.replace('[{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]', "[]"),
            "at least one node",
        ),
        (MINIMAL.replace('[{ rpc = "http://127.0.0.1:1", grpc = "127.0.0.1:2" }]', "[7]"), "table"),
        (with_table('[relayer]\nlog_level = "loud"\n'), "log_level"),
        (with_table('[relayer]\nmetrics = "0.0.0.0:9"\n'), "loopback"),
        (with_table('[relayer]\nmetrics = "nowhere"\n'), "metrics"),
        (with_table("[relayer]\ntx_life_s = 700\n"), "tx_life_s"),
        (with_table("[relayer]\nmax_tx_bytes = 2000000\n"), "parts"),
        (with_table('[client]\ntrust_level = "1/4"\n'), "trust_level"),
        (with_table('[client]\ntrust_level = "2"\n'), "fraction"),
        (with_table('[client]\ntrust_level = "0/0"\n'), "trust_level"),
        (with_table("[client]\ntrusting_period_s = 2000000\n"), "unbonding"),
        (with_table("[batches]\npackets = 0\n"), "packets"),
        (with_table("[batches]\npackets = true\n"), "packets"),
        (with_table('[retries]\nrefresh_share = "1/5"\n'), "refresh_share"),
        ("[hub\n", "the configuration"),
        ("", "hub"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(ConfigInvalid, match=re.escape(reason)):
        parse_config(text, HERE)


def test_a_file_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissing):
        load_config(tmp_path / "relayer.toml")


def test_a_file_that_is_no_text_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "relayer.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigMissing):
        load_config(path)
