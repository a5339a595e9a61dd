from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localnet import status
from localnet.cli import localnet_group
from localnet.errors import AppHashesDiverge, LocalnetMissing, ManifestChanged, ManifestMissing, UnknownNode
from localnet.manifest import load_manifest
from localnet.network import Localnet
from localnet.relay import ensure_relayer_config, find_http
from localnet.status import NodeReport, Observation
from tests.support.localnet import build_manifest, build_report, use_real_cometbft

if TYPE_CHECKING:
    from click.testing import Result

MANIFEST = """
name = "cli"
seed = "cli"
block_time_ms = 50
empty_block_interval_ms = 300
[[chains]]
name = "kv"
kind = "kvstore"
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(localnet_group, [str(argument) for argument in arguments])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "net.toml"
    path.write_text(MANIFEST)
    return path


@pytest.mark.localnet
def test_a_localnet_goes_up_and_down_and_both_may_be_repeated(tmp_path: Path, manifest: Path) -> None:
    use_real_cometbft()
    directory = tmp_path / "net"
    try:
        up = run("up", "--dir", directory, "--network", manifest)
        assert up.exit_code == 0, up.output
        assert "chains make blocks" in up.output
        again = run("up", "--dir", directory, "--json")
        (row,) = json.loads(again.output)
        assert row["node"] == "kv.0"
        assert row["rpc"] == str(Localnet.open(directory).nodes[0].config.rpc)

        rows = json.loads(run("status", "--dir", directory, "--json").output)
        assert [(item["node"], item["phase"], item["answers"]) for item in rows] == [
            ("kv.0", "running", True)
        ]
        shown = run("status", "--dir", directory)
        assert shown.exit_code == 0
        assert "running" in shown.output
        assert "kv.0 supervisor" in run("logs", "--dir", directory, "--process", "supervisor").output
    finally:
        down = run("down", "--dir", directory)
    assert down.output == "stopped\n"
    assert run("down", "--dir", directory).output == "was not running\n"
    assert json.loads(run("reset", "--dir", directory, "--json").output) == {"outcome": "reset"}
    assert "stopped" in run("status", "--dir", directory).output
    assert run("reset", "--dir", directory, "--remove").output == "removed\n"
    assert not directory.exists()


def test_status_fails_when_two_nodes_have_different_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Localnet.create(build_manifest(validators=2), tmp_path / "net")

    def report_lies(_nodes: object) -> list[NodeReport]:
        return [
            replace(build_report("kv-0.0"), states=(Observation(5, "aa"),)),
            replace(build_report("kv-0.1"), states=(Observation(5, "bb"),)),
        ]

    monkeypatch.setattr(status, "collect_reports", report_lies)
    result = run("status", "--dir", tmp_path / "net")
    assert result.exit_code != 0
    assert isinstance(result.exception, AppHashesDiverge)
    assert "kv-0.1" in result.output


def test_the_options_of_a_program_are_those_of_the_ports(tmp_path: Path) -> None:
    Localnet.create(replace(load_manifest("small"), base_port=0), tmp_path / "net")
    words = run("ports", "--dir", tmp_path / "net", "--options").output.split()
    options = list(zip(words[::2], words[1::2], strict=True))
    rows = json.loads(run("ports", "--dir", tmp_path / "net", "--json").output)
    grpc = {("--hub" if row["chain_id"] == "hub" else "--shard", row["grpc"]) for row in rows}
    assert {option for option in options if option[0] != "--genesis"} == grpc
    (genesis,) = (value for name, value in options if name == "--genesis")
    assert json.loads(Path(genesis).read_bytes())["chain_id"] == "hub"
    assert run("ports", "--dir", tmp_path / "net", "--options", "--json").exit_code == 2


def test_ports_of_a_localnet_that_does_not_run_are_shown(tmp_path: Path) -> None:
    localnet = Localnet.create(build_manifest(chains=2), tmp_path / "net")
    rows = json.loads(run("ports", "--dir", tmp_path / "net", "--json").output)
    assert [row["rpc"] for row in rows] == [str(node.config.rpc) for node in localnet.nodes]
    table = run("ports", "--dir", tmp_path / "net").output
    assert all(str(node.config.p2p) in table for node in localnet.nodes)


def test_ports_name_the_address_of_the_relayer(tmp_path: Path) -> None:
    localnet = Localnet.create(replace(load_manifest("small"), base_port=0), tmp_path / "net")
    ensure_relayer_config(localnet)
    shown = run("ports", "--dir", tmp_path / "net").output
    assert f"relayer's HTTP, while it runs: http://{find_http(localnet)}\n" in shown


def test_logs_of_one_node_bear_its_name(tmp_path: Path) -> None:
    localnet = Localnet.create(build_manifest(chains=2), tmp_path / "net")
    for node in localnet.nodes:
        node.home.log_file("app").write_text(f"2026-11-22T15:00:00Z I am {node.name}\n")
    both = run("logs", "--dir", tmp_path / "net").output.splitlines()
    assert len(both) == 2
    (one,) = run("logs", "--dir", tmp_path / "net", "--node", "kv-1.0").output.splitlines()
    assert one.startswith("kv-1.0 app")
    assert one.endswith("I am kv-1.0")
    (line,) = run("logs", "--dir", tmp_path / "net", "--node", "kv-1.0", "--json").output.splitlines()
    assert json.loads(line)["source"] == "kv-1.0 app"


def test_a_localnet_does_not_become_another_network(tmp_path: Path, manifest: Path) -> None:
    Localnet.create(build_manifest(), tmp_path / "net")
    refused = run("up", "--dir", tmp_path / "net", "--network", manifest)
    assert isinstance(refused.exception, ManifestChanged)


def test_commands_on_nothing_say_so(tmp_path: Path) -> None:
    for command in ("down", "status", "reset", "ports", "logs"):
        assert isinstance(run(command, "--dir", tmp_path).exception, LocalnetMissing)
    assert isinstance(run("up", "--dir", tmp_path, "--network", "huge").exception, ManifestMissing)
    Localnet.create(build_manifest(), tmp_path / "net")
    refused = run("logs", "--dir", tmp_path / "net", "--node", "kv-9.0")
    assert isinstance(refused.exception, UnknownNode)
