from __future__ import annotations

import json
import tomllib
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.comet import (
    BLOCK_BYTES_CAP,
    GO_FORM_BYTES,
    LOCALNET,
    MIB,
    NETWORK,
    CometEndpoints,
    CometSettings,
    apply_settings,
    build_tables,
    changed_settings,
    find_drift,
    format_config,
)
from abci_app.comet_home import Genesis, format_genesis
from abci_app.comet_limits import explain_limits
from abci_app.errors import HomeInvalid, InvalidSetting

ENDPOINTS = CometEndpoints("node", "unix:///run/abci.sock", "127.0.0.1:1", "127.0.0.1:2", ("id@127.0.0.1:3",))

settings = st.builds(
    CometSettings,
    max_tx_bytes=st.integers(1, 4 * MIB),
    max_block_bytes=st.integers(8 * MIB, BLOCK_BYTES_CAP),
    mempool_txs=st.integers(1, 10**6),
    timeout_commit_ms=st.integers(1, 10**4),
    recheck=st.booleans(),
    same_host=st.booleans(),
    log_level=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def read_config(values: CometSettings) -> dict[str, object]:
    return tomllib.loads(format_config(values, ENDPOINTS))


@given(settings)
def test_a_config_that_was_just_written_has_not_drifted(values: CometSettings) -> None:
    assert find_drift(format_config(values, ENDPOINTS), values, ENDPOINTS) == []


@given(settings)
def test_changed_settings_bring_all_settings_back(values: CometSettings) -> None:
    assert apply_settings(NETWORK, changed_settings(values), "node.toml") == values


def test_every_setting_has_an_effect_on_a_file_of_the_home() -> None:
    genesis = Genesis("chain", 0, (), {})
    for item in fields(CometSettings):
        value = getattr(NETWORK, item.name)
        other = f"{value}x" if isinstance(value, str) else not value if isinstance(value, bool) else value - 1
        changed = apply_settings(NETWORK, {item.name: other}, "test")
        before = format_config(NETWORK, ENDPOINTS) + format_genesis(genesis, NETWORK)
        assert format_config(changed, ENDPOINTS) + format_genesis(genesis, changed) != before, item.name


def test_an_edited_a_removed_and_a_misplaced_setting_are_drift() -> None:
    text = format_config(NETWORK, ENDPOINTS)
    text = text.replace("max_tx_bytes = 4194304", "max_tx_bytes = 1048576")
    text = text.replace("recheck = false\n", "").replace("[storage]", "[elsewhere]")
    drift = {item.setting: (item.expected, item.found) for item in find_drift(text, NETWORK, ENDPOINTS)}
    assert drift == {
        "mempool.max_tx_bytes": (4 * MIB, "1048576"),
        "mempool.recheck": (False, "missing"),
        "storage.discard_abci_responses": (False, "missing"),
    }


def test_a_config_that_is_no_toml_is_refused() -> None:
    with pytest.raises(HomeInvalid, match="expected TOML"):
        find_drift("[rpc\n", NETWORK, ENDPOINTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_tx_bytes": 0},
        {"max_tx_bytes": GO_FORM_BYTES // 2},
        {"max_tx_bytes": 4 * MIB, "mempool_bytes": 3 * MIB},
        {"max_tx_bytes": 4 * MIB, "max_block_bytes": 7 * MIB},
        {"max_block_bytes": BLOCK_BYTES_CAP + 1},
        {"max_evidence_bytes": 33 * MIB},
        {"timeout_commit_ms": 0},
        {"peer_bytes_per_second": -1},
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidSetting, match="expected"):
        CometSettings(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{"max_tx_byte": 1}, {"max_tx_bytes": "1"}, {"max_tx_bytes": True}, {"recheck": 1}]
)
def test_unknown_settings_and_wrong_types_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting, match=r"node\.toml"):
        apply_settings(NETWORK, changes, "node.toml")


@given(settings)
def test_the_largest_transaction_fits_through_every_limit_before_the_block(values: CometSettings) -> None:
    config = read_config(values)
    form = len("tx=0x") + 2 * values.max_tx_bytes
    assert form <= config["rpc"]["max_body_bytes"]  # type: ignore[index]
    assert form <= GO_FORM_BYTES
    assert values.max_tx_bytes < values.max_block_bytes


def test_relayers_can_read_results_of_old_blocks() -> None:
    assert read_config(LOCALNET)["storage"] == {"discard_abci_responses": False}


def test_nodes_that_share_a_host_accept_each_other() -> None:
    p2p = read_config(LOCALNET)["p2p"]
    assert isinstance(p2p, dict)
    assert (p2p["addr_book_strict"], p2p["allow_duplicate_ip"], p2p["pex"]) == (False, True, False)
    assert p2p["persistent_peers"] == "id@127.0.0.1:3"
    assert p2p["send_rate"] == p2p["recv_rate"]


def test_every_limit_names_a_setting_that_is_written() -> None:
    config = {
        f"{table}.{key}" if table else key
        for table, keys in build_tables(NETWORK, ENDPOINTS).items()
        for key in keys
    }
    genesis = json.loads(format_genesis(Genesis("chain", 0, (), {}), NETWORK))
    for limit in explain_limits(NETWORK):
        if limit.file == "config/config.toml":
            assert limit.setting in config
        elif limit.file:
            value = genesis
            for key in limit.setting.split("."):
                value = value[key]
            assert value in limit.value
        assert limit.exceeded
