from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from abci_app.comet_binary import BINARY_VARIABLE
from abci_app.doctor import Check, Examination, examine
from abci_app.errors import HomeInvalid, HomeMissing
from abci_app.nodehome import NodeHome, load_config
from tests.support.localnet import make_kvstore_home, running_node, use_real_cometbft, write_fake_cometbft
from tests.support.ports import taken_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    use_real_cometbft()
    return make_kvstore_home(tmp_path / "home")


def find_check(examination: Examination, name: str) -> Check:
    return next(check for check in examination.checks if check.name == name)


def assert_only_bad(home: NodeHome, name: str, found: str) -> None:
    examination = examine(home)
    assert [check.name for check in examination.checks if not check.is_good] == [name]
    assert found in find_check(examination, name).found
    assert not examination.is_good


def test_a_fresh_home_is_well(home: NodeHome) -> None:
    examination = examine(home)
    assert examination.is_good, [check for check in examination.checks if not check.is_good]
    assert examination.drift == ()
    assert {limit.name for limit in examination.limits} >= {"transaction", "block", "RPC request"}


@pytest.mark.localnet
def test_a_running_node_is_well(home: NodeHome) -> None:
    with running_node(home):
        eventually(lambda: home.pid_file("comet").exists() and examine(home).is_good, "a healthy node")
        assert find_check(examine(home), "port rpc").found.endswith("the node listens")
    assert find_check(examine(home), "data").found.startswith("CometBFT's data and the app's state")


def test_an_edited_setting_is_shown_with_the_limit_in_force(home: NodeHome) -> None:
    text = home.comet_config_file.read_text()
    home.comet_config_file.write_text(text.replace("max_tx_bytes = 4194304", "max_tx_bytes = 1000"))
    assert_only_bad(home, "settings", "mempool.max_tx_bytes")
    limit = next(limit for limit in examine(home).limits if limit.name == "transaction")
    assert limit.value == "1000 (expected 4194304 bytes)"


def test_settings_that_are_gone_are_all_missed(home: NodeHome) -> None:
    home.comet_config_file.unlink()
    assert {item.found for item in examine(home).drift} == {"missing"}


def test_another_genesis_is_seen(home: NodeHome) -> None:
    genesis = json.loads(home.genesis_file.read_text())
    home.genesis_file.write_text(json.dumps(genesis | {"chain_id": "other"}))
    assert_only_bad(home, "genesis", "chain other (expected kv-test)")
    home.genesis_file.write_text("{}")
    assert_only_bad(home, "genesis", "expected a string")


def test_a_key_that_others_can_read_is_seen(home: NodeHome) -> None:
    (home.path / "config" / "node_key.json").chmod(0o644)
    assert_only_bad(home, "keys", "node_key.json")
    (home.path / "config" / "node_key.json").unlink()
    assert_only_bad(home, "keys", "no ")


def test_an_app_whose_engine_was_wiped_is_seen(home: NodeHome) -> None:
    (home.app_directory / "kvstore.db").touch()
    assert_only_bad(home, "data", "CometBFT's data is gone")


def test_an_engine_whose_app_was_wiped_will_be_replayed(home: NodeHome) -> None:
    (home.path / "data" / "blockstore.db").mkdir()
    check = find_check(examine(home), "data")
    assert check.is_good
    assert "replayed" in check.found


def test_a_port_that_another_process_has_is_seen(home: NodeHome) -> None:
    endpoint = load_config(home).p2p
    with taken_port(endpoint.port):
        assert_only_bad(home, "port p2p", "taken by another process")


def test_a_clock_behind_the_chain_is_seen(home: NodeHome) -> None:
    genesis = json.loads(home.genesis_file.read_text())
    home.genesis_file.write_text(json.dumps(genesis | {"genesis_time": "2999-01-01T00:00:00Z"}))
    assert_only_bad(home, "clock", "behind the genesis")


def test_a_cometbft_of_another_line_is_seen(
    home: NodeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(write_fake_cometbft(tmp_path, "0.34.0")))
    assert_only_bad(home, "cometbft", "got 0.34.0")


def test_what_is_no_home_cannot_be_examined(tmp_path: Path, home: NodeHome) -> None:
    with pytest.raises(HomeMissing):
        examine(NodeHome(tmp_path))
    home.comet_config_file.write_text("[")
    with pytest.raises(HomeInvalid):
        examine(home)
