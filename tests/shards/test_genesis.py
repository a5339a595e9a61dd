"""The shard's part of the genesis file."""

from __future__ import annotations

import pytest

from ibc.state import get_authority
from shards.config import hub_chain_id, hub_client_id, shard_params
from shards.errors import InvalidGenesis
from shards.genesis import parse_genesis
from shards.params import ShardParams
from tests.support.shard_rounds import HUB_CHAIN
from tests.support.shards import AUTHORITY, HUB_CLIENT, ShardChain, genesis_state


def test_a_genesis_fixes_hub_client_authority_and_limits() -> None:
    params = {"max_assigned": 5, "checkpoint_allowance_s": 7, "retention_s": 9}
    chain = ShardChain().start({**genesis_state(), "params": params}, linked=False)
    assert hub_chain_id(chain.state) == HUB_CHAIN
    assert hub_client_id(chain.state) == HUB_CLIENT
    assert get_authority(chain.state) == AUTHORITY.public_key
    assert shard_params(chain.state) == ShardParams(5, 7, 9)


def test_params_that_are_left_out_have_defaults() -> None:
    assert parse_genesis(genesis_state()).config.params == ShardParams()


@pytest.mark.parametrize("name", ["authority", "hub_chain_id", "hub_client_id", "params"])
def test_a_missing_entry_is_refused(name: str) -> None:
    app_state = genesis_state()
    del app_state[name]
    with pytest.raises(InvalidGenesis):
        parse_genesis(app_state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("surplus", 1),
        ("authority", 7),
        ("authority", "grad1nonsense"),
        ("hub_chain_id", ""),
        ("hub_chain_id", "x" * 51),
        ("hub_chain_id", None),
        ("hub_client_id", "no client"),
        ("hub_client_id", ["07-tendermint-0"]),
        ("params", []),
        ("params", {"surplus": 1}),
        ("params", {"max_assigned": 0}),
        ("params", {"max_assigned": 65_536}),
        ("params", {"max_assigned": True}),
        ("params", {"max_assigned": 5.0}),
        ("params", {"checkpoint_allowance_s": -1}),
        ("params", {"checkpoint_allowance_s": 86_401}),
        ("params", {"retention_s": "9"}),
        ("params", {"checkpoint_allowance_s": 10, "retention_s": 9}),
    ],
)
def test_a_wrong_entry_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidGenesis):
        parse_genesis({**genesis_state(), name: value})
