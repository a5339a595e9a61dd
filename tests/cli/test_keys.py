from __future__ import annotations

import json
import stat

import pytest

from tests.support.cli import Cli, fails
from tx.keys import format_address, parse_address


def test_a_new_key_is_readable_by_its_owner_alone(cli: Cli) -> None:
    cli.new_key("alice")
    assert stat.S_IMODE((cli.home / "keys/alice.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((cli.home / "keys").stat().st_mode) == 0o700


def test_a_new_key_is_shown_with_its_address(cli: Cli) -> None:
    result = cli.run("key", "new", "alice", "--json")
    view = json.loads(result.stdout)
    assert list(view) == ["name", "address", "public_key", "file"]
    assert format_address(bytes.fromhex(view["public_key"])) == view["address"]


def test_the_secret_is_never_printed(cli: Cli) -> None:
    printed = cli.run("key", "new", "alice").stdout + cli.run("key", "show", "alice").stdout
    seed = json.loads((cli.home / "keys/alice.json").read_text())["seed"]
    assert seed not in printed + cli.run("key", "list", "--json").stdout


def test_a_key_is_never_overwritten(cli: Cli) -> None:
    address = cli.new_key("alice")
    fails(cli.run("key", "new", "alice"), 5, "[node/10]")
    assert address in cli.run("key", "show", "alice").stdout


def test_the_list_has_every_key_by_name(cli: Cli) -> None:
    addresses = [cli.new_key(name) for name in ("zoe", "alice")]
    view = json.loads(cli.run("key", "list", "--json").stdout)
    assert [row["name"] for row in view["keys"]] == ["alice", "zoe"]
    assert {row["address"] for row in view["keys"]} == set(addresses)
    assert all(address in cli.run("key", "list").stdout for address in addresses)


def test_no_keys_are_an_empty_list(cli: Cli) -> None:
    assert json.loads(cli.run("key", "list", "--json").stdout) == {"keys": []}
    assert cli.run("key", "list").stdout == "no keys\n"


def test_one_bad_file_does_not_hide_the_other_keys(cli: Cli) -> None:
    address = cli.new_key("alice")
    (cli.home / "keys/broken.json").write_text("{}")
    (cli.home / "keys/broken.json").chmod(0o600)
    rows = json.loads(cli.run("key", "list", "--json").stdout)["keys"]
    assert rows[0]["address"] == address
    assert rows[1]["address"] is None
    assert "expected a JSON object" in rows[1]["problem"]


def test_a_key_that_others_can_read_is_refused(cli: Cli) -> None:
    cli.new_key("alice")
    (cli.home / "keys/alice.json").chmod(0o644)
    fails(cli.run("key", "show", "alice"), 5, "expected mode 600")


def test_a_missing_key_is_named(cli: Cli) -> None:
    fails(cli.run("key", "show", "nobody"), 5, "nobody.json")


def test_a_key_is_shown_from_a_file_too(cli: Cli) -> None:
    address = cli.new_key("alice")
    result = cli.run("key", "show", str(cli.home / "keys/alice.json"), "--json")
    assert json.loads(result.stdout)["address"] == address
    assert len(parse_address(address)) == 32


@pytest.mark.parametrize("name", ["", "../alice", ".hidden", "a b", "a" * 65, "grad1alice", "ä"])
def test_a_name_that_is_no_name_is_a_usage_error(cli: Cli, name: str) -> None:
    fails(cli.run("key", "new", name), 2, "expected a name")
    assert not (cli.home / "keys").exists()


def test_the_home_is_the_one_of_the_environment(cli: Cli) -> None:
    other = cli.home.parent / "other"
    cli.run("key", "new", "alice", env={"GRADCHAIN_HOME": str(other)})
    assert (other / "keys/alice.json").exists()


def test_without_a_home_in_the_environment_it_is_below_that_of_the_user(cli: Cli) -> None:
    user = cli.home.parent / "user"
    cli.run("key", "new", "alice", env={"GRADCHAIN_HOME": None, "HOME": str(user)})
    assert (user / ".gradchain/keys/alice.json").exists()
