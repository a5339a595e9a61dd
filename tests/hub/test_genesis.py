from __future__ import annotations

from dataclasses import fields

import pytest

from hub.errors import InvalidGenesis
from hub.genesis import parse_genesis
from hub.params import _RANGES, HubParams, get_params
from hub.registry.state import get_authority
from hub.settlement.state import get_treasury
from ibc.state import get_authority as get_ibc_authority
from tests.support.hub import AUTHORITY, CREATOR, TREASURY, HubChain, genesis_state
from tx.keys import format_address

ADDRESS = format_address(CREATOR.public_key)


def test_the_genesis_names_authority_treasury_and_params() -> None:
    chain = HubChain().start(missing_limit=7)
    assert get_authority(chain.state) == AUTHORITY.public_key
    assert get_ibc_authority(chain.state) == AUTHORITY.public_key
    assert get_treasury(chain.state) == TREASURY.public_key
    assert get_params(chain.state) == HubParams(missing_limit=7)


def test_a_genesis_without_balances_has_no_supply() -> None:
    assert parse_genesis({**genesis_state(), "balances": {}}).balances == {}


def test_the_largest_supply_is_accepted() -> None:
    genesis = parse_genesis({**genesis_state(), "balances": {ADDRESS: str(2**63 - 1)}})
    assert genesis.balances == {CREATOR.public_key: 2**63 - 1}


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"authority": "grad1x"},
        {"authority": 5},
        {"authority": ADDRESS.upper()},
        {"treasury": ""},
        {"balances": []},
        {"balances": {"x": "1"}},
        {"balances": {ADDRESS: 1}},
        {"balances": {ADDRESS: "0"}},
        {"balances": {ADDRESS: "01"}},
        {"balances": {ADDRESS: "-1"}},
        {"balances": {ADDRESS: "1.0"}},
        {"balances": {ADDRESS: "٣"}},
        {"balances": {ADDRESS: ""}},
        {"balances": {ADDRESS: "9" * 5_000}},
        {"balances": {ADDRESS: str(2**63)}},
        {"balances": {ADDRESS: str(2**63 - 1), format_address(TREASURY.public_key): "1"}},
        {"params": None},
        {"params": {"unknown": 1}},
        {"params": {"missing_limit": 0}},
        {"params": {"missing_limit": "3"}},
        {"params": {"missing_limit": 3.0}},
        {"params": {"keep_models": True}},
        {"params": {"max_shards": 2_000}},
    ],
)
def test_a_malformed_genesis_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidGenesis):
        parse_genesis({**genesis_state(), **change})


@pytest.mark.parametrize("entry", ["authority", "treasury", "balances", "params"])
def test_a_genesis_that_lacks_an_entry_is_refused(entry: str) -> None:
    app_state = genesis_state()
    del app_state[entry]
    with pytest.raises(InvalidGenesis):
        parse_genesis(app_state)


def test_every_parameter_has_a_range_that_holds_its_default() -> None:
    assert {field.name for field in fields(HubParams)} == set(_RANGES)
    for name, (low, high) in _RANGES.items():
        assert low <= getattr(HubParams(), name) <= high
