"""The commands that write a configuration, on a played pair of chains."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from abci_app.endpoint import Endpoint
from bench.played.app import RELAYER
from cli.errors import Exit
from cli.main import root
from relayer.config import FilterConfig, load_config
from relayer.config_text import format_config
from tests.support.ports import free_ports
from tests.support.relayer import running_pair
from tests.support.relayer_cli import write_config

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.support.relayer import Pair


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["relayer", *arguments], env={"GRADCHAIN_DEBUG": None})


def test_config_init_asks_the_nodes_which_chains_they_belong_to(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "new" / "relayer.toml"
    hub, shard = pair.hub.address, pair.shard.address
    made = invoke("config", "init", "--hub", hub.grpc, "--shard", shard.grpc, "--out", str(out), "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["chains"] == ["hub-1", "shard-1"]
    config = load_config(out)
    assert (config.hub.nodes, config.shards[0].nodes) == ((hub,), (shard,))
    assert config.hub.key_files == (out.parent / "keys" / "relayer.json",)
    assert "# Pause after a first failure" in out.read_text()


def test_from_config_init_to_a_link_that_is_healthy(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        out = tmp_path / "new" / "relayer.toml"
        authority = str(pair.config.hub.authority_key_file)
        made = invoke(
            "config", "init", "--hub", pair.hub.address.grpc, "--shard", pair.shard.address.grpc,
            "--authority-key-file", authority, "--out", str(out),
        )  # fmt: skip
        assert made.exit_code == 0, made.output
        config = ("--config", str(out))
        added = json.loads(invoke("keys", "add", "relayer", *config, "--json").stdout)
        assert added["made"]
        assert added["chains"] == []
        key = RELAYER.public_key
        pair.hub.toy.balances[bytes.fromhex(added["public_key"])] = pair.hub.toy.balances.pop(key)
        assert invoke("link", *config).exit_code == 0
        assert "complete already" in invoke("link", *config).stdout
        assert invoke("health", *config).exit_code == 0
        assert invoke("config", "validate", "--live", *config).exit_code == 0


def test_config_init_names_commands_that_can_be_run_next(pair: Pair, tmp_path: Path) -> None:
    hub, shard = pair.hub.address.grpc, pair.shard.address.grpc
    out = tmp_path / "mine.toml"
    made = invoke(
        "config", "init", "--hub", hub, "--shard", shard, "--key-file", "keys/r.json", "--out", str(out)
    )
    (line,) = [line for line in made.stdout.splitlines() if line.startswith("next: ")]
    commands = [command.split()[2:] for command in line.removeprefix("next: ").split(", ")]
    assert [command[:2] for command in commands] == [["keys", "add"], ["config", "validate"]]
    assert invoke(*commands[0]).exit_code == 0
    assert invoke(*commands[1][:2], *commands[1][3:]).exit_code == 0


@pytest.mark.parametrize("live", [(), ("--live",)])
def test_config_validate_notes_a_port_that_no_chain_has(pair: Pair, live: tuple[str, ...]) -> None:
    path = write_config(replace(pair.config, filter=FilterConfig(ports=("fl.shrad",))))
    found = invoke("config", "validate", *live, "--config", str(path), "--json")
    assert found.exit_code == 0, found.output
    (check,) = [check for check in json.loads(found.stdout)["checks"] if check["name"] == "filter"]
    assert (check["is_good"], check["is_note"]) == (True, True)
    assert "ports names fl.shrad" in check["found"]


def test_config_init_takes_over_a_localnet(pair: Pair, tmp_path: Path) -> None:
    written = tmp_path / "net" / "relayer" / "relayer.toml"
    written.parent.mkdir(parents=True)
    http = Endpoint("127.0.0.1", free_ports(1)[0])
    written.write_text(format_config(replace(pair.config, http=http)))
    out = tmp_path / "mine.toml"
    made = invoke("config", "init", "--localnet", str(tmp_path / "net"), "--out", str(out))
    assert made.exit_code == 0, made.output
    config = load_config(out)
    assert [chain.nodes for chain in config.chains] == [chain.nodes for chain in pair.config.chains]
    assert config.journal == tmp_path / "relayer.db"
    assert config.http is None


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ((), Exit.USAGE),
        (("--localnet", "a", "--hub", "b"), Exit.USAGE),
        (("--localnet", "nowhere"), Exit.ENVIRONMENT),
        (("--hub", "127.0.0.1:9"), Exit.USAGE),
        (("--hub", "127.0.0.1", "--shard", "SHARD"), Exit.USAGE),
        (("--hub", "HUB", "--shard", "http://127.0.0.1:9"), Exit.USAGE),
        (("--hub", "DEAD", "--shard", "DEAD"), Exit.UNREACHABLE),
        (("--hub", "SHARD", "--shard", "HUB"), Exit.ENVIRONMENT),
        (("--hub", "HUB", "--shard", "SHARD", "--out", "TAKEN"), Exit.ENVIRONMENT),
    ],
)
def test_config_init_fails_in_one_line(pair: Pair, arguments: tuple[str, ...], exit_code: Exit) -> None:
    names = {
        "HUB": pair.hub.address.grpc,
        "SHARD": pair.shard.address.grpc,
        "DEAD": f"127.0.0.1:{free_ports(1)[0]}",
        "TAKEN": str(pair.directory / "relayer.toml"),
    }
    found = [names.get(argument, argument) for argument in arguments]
    if "--out" not in found:
        found += ["--out", str(pair.directory / "new.toml")]
    result = invoke("config", "init", *found)
    assert result.exit_code == exit_code, result.output
    assert result.stderr.startswith("error: ")
    assert not (pair.directory / "new.toml").exists()
