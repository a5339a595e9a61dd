from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from abci_app.errors import EndpointUnreachable, HomeExists, HomeMissing, NodeUnavailable
from abci_app.nodecli import node_group
from abci_app.nodehome import NodeHome, load_config
from cli.errors import Exit
from tests.support.localnet import make_kvstore_home, running_node, use_real_cometbft
from tests.support.ports import free_ports
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(node_group, [str(argument) for argument in arguments])


def init(home: Path, *more: str | Path) -> Result:
    rpc, p2p = free_ports(2)
    addresses = ("--rpc", f"127.0.0.1:{rpc}", "--p2p", f"127.0.0.1:{p2p}")
    return run("init", "--home", home, "--kind", "kvstore", "--chain-id", "kv", *addresses, *more)


def test_init_makes_a_home_that_the_doctor_finds_well(tmp_path: Path) -> None:
    use_real_cometbft()
    made = init(tmp_path / "home", "--json")
    assert made.exit_code == 0, made.output
    values = json.loads(made.output)
    assert len(values["node_id"]) == 40
    doctor = run("doctor", "--home", tmp_path / "home", "--json")
    assert doctor.exit_code == 0
    assert all(check["is_good"] for check in json.loads(doctor.output)["checks"])


def test_init_can_build_one_genesis_for_several_hosts(tmp_path: Path) -> None:
    other = json.loads(init(tmp_path / "b", "--json").output)
    state = tmp_path / "state.json"
    state.write_text('{"balances": {"a": "5"}}')
    first = json.loads(
        init(tmp_path / "a", "--json", "--validator", f"{other['validator']}:7", "--app-state", state).output
    )
    genesis = json.loads((tmp_path / "a" / "config" / "genesis.json").read_text())
    assert [validator["power"] for validator in genesis["validators"]] == ["10", "7"]
    assert genesis["app_state"] == {"balances": {"a": "5"}}
    joined = init(
        tmp_path / "c", "--genesis", first["genesis"], "--peer", f"{first['node_id']}@10.0.0.1:26656"
    )
    assert joined.exit_code == 0
    assert (tmp_path / "c" / "config" / "genesis.json").read_text() == (
        tmp_path / "a" / "config" / "genesis.json"
    ).read_text()
    assert load_config(NodeHome(tmp_path / "c")).peers == (f"{first['node_id']}@10.0.0.1:26656",)


@pytest.mark.parametrize("validator", ["aa:1", "zz:1", f"{'ab' * 32}:0", f"{'ab' * 32}:x", "ab" * 32])
def test_init_refuses_a_malformed_validator(tmp_path: Path, validator: str) -> None:
    refused = init(tmp_path / "home", "--validator", validator)
    assert refused.exit_code == 2
    assert "KEY:POWER" in refused.output


def test_init_refuses_a_second_home_and_a_bad_chain_id(tmp_path: Path) -> None:
    init(tmp_path / "home")
    assert isinstance(init(tmp_path / "home").exception, HomeExists)
    refused = run("init", "--home", tmp_path / "x", "--kind", "hub", "--chain-id", "a b")
    assert refused.exit_code == 2
    assert "got 'a b'" in refused.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rpc", "abc"), "'--rpc': expected an address of the form host:port, got 'abc'"),
        (("--metrics", "127.0.0.1:99999"), "'--metrics': expected an address of the form host:port"),
        (("--external-p2p", "abc"), "'--external-p2p': expected an address of the form host:port"),
        (("--peer", "abc@127.0.0.1:1"), "expected ID@HOST:PORT"),
        (("--peer", f"{'a' * 40}@here"), "expected an address of the form host:port, got 'here'"),
        (
            ("--grpc", "127.0.0.1:26657"),
            "expected an address of its own for --grpc, got 127.0.0.1:26657 of --rpc",
        ),
    ],
)
def test_init_refuses_what_would_fail_only_when_the_node_starts(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    home = tmp_path / "home"
    refused = run("init", "--home", home, "--kind", "hub", "--chain-id", "hub", *arguments)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not home.exists()


@pytest.mark.parametrize(
    ("content", "said"), [("no", "expected JSON in"), ("[]", "expected a JSON object in")]
)
@pytest.mark.parametrize("option", ["--app-state", "--genesis"])
def test_init_refuses_a_file_that_is_no_json_object(
    tmp_path: Path, option: str, content: str, said: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)
    refused = init(tmp_path / "home", option, file)
    assert refused.exit_code == 2
    assert said in refused.output
    assert option in refused.output


def test_init_refuses_the_genesis_of_another_chain(tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    file.write_text('{"chain_id": "other"}')
    refused = init(tmp_path / "home", "--genesis", file)
    assert refused.exit_code == 2
    assert "expected the genesis of kv" in refused.output


def test_init_says_what_is_missing_before_a_hub_can_start_and_the_doctor_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = run("init", "--home", home, "--kind", "hub", "--chain-id", "hub")
    assert "this one has no app_state" in made.output
    found = run("doctor", "--home", home, "--json")
    checks = {check["name"]: check for check in json.loads(found.output)["checks"]}
    assert found.exit_code == 5
    assert "expected an app_state" in checks["genesis"]["found"]


def test_doctor_fails_and_explains_when_something_is_wrong(tmp_path: Path) -> None:
    use_real_cometbft()
    home = make_kvstore_home(tmp_path / "home")
    text = home.comet_config_file.read_text()
    home.comet_config_file.write_text(text.replace('indexer = "null"', 'indexer = "kv"'))
    result = run("doctor", "--home", home.path)
    assert result.exit_code == Exit.ENVIRONMENT
    assert "BAD" in result.output
    assert "tx_index.indexer" in result.output
    assert "max_body_bytes" in result.output


@pytest.mark.localnet
def test_status_follows_a_node_from_start_to_stop(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    assert json.loads(run("status", "--home", home.path, "--json").output)["phase"] == "stopped"
    with running_node(home):

        def look() -> dict[str, object] | None:
            result = run("status", "--home", home.path, "--json")
            if isinstance(result.exception, EndpointUnreachable):
                return None
            values: dict[str, object] = json.loads(result.output)
            height = values.get("height")
            return values if isinstance(height, int) and height >= 1 else None

        values = eventually(look, "a status with a height")
        assert (values["phase"], values["chain_id"], values["peers"]) == ("running", "kv-test", 0)
        assert "height" in run("status", "--home", home.path).output
    assert "stopped" in run("status", "--home", home.path).output


def test_commands_on_nothing_say_so(tmp_path: Path) -> None:
    for command in ("start", "status", "doctor"):
        assert isinstance(run(command, "--home", tmp_path).exception, HomeMissing)
    (port,) = free_ports(1)
    assert isinstance(run("status", "--grpc", f"127.0.0.1:{port}").exception, NodeUnavailable)
