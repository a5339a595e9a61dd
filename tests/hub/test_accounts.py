from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.state import BULK, Overlay
from hub.accounts.keys import balance_key
from hub.accounts.query import read_account, read_supply
from hub.accounts.state import (
    get_balance,
    get_circulating,
    get_earned,
    get_escrowed,
    get_supply,
    init_balances,
    move_to_escrow,
    pay_from_escrow,
    release_escrow,
    transfer,
)
from hub.errors import InsufficientBalance, InvalidField
from tests.support.hub import CREATOR, RELAYER, SUPPLY, HubChain
from tests.support.shards import MemoryState
from tests.support.txs import build_key
from wire.gradchain.hub.v1 import tx_pb2

ALICE = b"a" * 32
BOB = b"b" * 32
STRANGER = build_key(77)


def make_transfer(sender: bytes, receiver: bytes, amount: int) -> tx_pb2.MsgTransfer:
    message = tx_pb2.MsgTransfer(to=receiver, amount=amount)
    setattr(message, "from", sender)
    return message


@pytest.fixture
def chain() -> HubChain:
    return HubChain().start()


def test_a_transfer_moves_tokens(chain: HubChain) -> None:
    events = chain.must_send(RELAYER, make_transfer(RELAYER.public_key, ALICE, 300))
    assert get_balance(chain.state, RELAYER.public_key) == 700
    assert get_balance(chain.state, ALICE) == 300
    assert [event.kind for event in events] == ["transfer"]


def test_an_account_can_be_emptied_and_leaves_no_entry(chain: HubChain) -> None:
    chain.must_send(RELAYER, make_transfer(RELAYER.public_key, ALICE, 1_000))
    assert chain.state.get(BULK, balance_key(RELAYER.public_key)) is None


def test_a_transfer_to_oneself_changes_nothing(chain: HubChain) -> None:
    chain.must_send(RELAYER, make_transfer(RELAYER.public_key, RELAYER.public_key, 400))
    assert get_balance(chain.state, RELAYER.public_key) == 1_000


def test_nobody_can_send_more_than_there_is(chain: HubChain) -> None:
    assert chain.send(RELAYER, make_transfer(RELAYER.public_key, ALICE, 1_001)) == ("hub", 2)
    assert chain.send(RELAYER, make_transfer(RELAYER.public_key, RELAYER.public_key, 1_001)) == ("hub", 2)


def test_nobody_can_send_for_another_account(chain: HubChain) -> None:
    assert chain.send(STRANGER, make_transfer(CREATOR.public_key, ALICE, 1)) == ("tx", 6)


@pytest.mark.parametrize(
    ("receiver", "amount"), [(ALICE, 0), (ALICE, 2**63), (ALICE, 2**64 - 1), (b"a" * 31, 1), (b"", 1)]
)
def test_a_malformed_transfer_is_refused(chain: HubChain, receiver: bytes, amount: int) -> None:
    assert chain.send(RELAYER, make_transfer(RELAYER.public_key, receiver, amount)) == ("hub", 1)


def test_two_transfers_in_one_transaction_happen_both_or_not_at_all(chain: HubChain) -> None:
    both = [make_transfer(RELAYER.public_key, ALICE, 600), make_transfer(RELAYER.public_key, BOB, 600)]
    assert chain.send(RELAYER, *both) == ("hub", 2)
    assert get_balance(chain.state, ALICE) == 0


def test_a_question_about_an_unused_account_is_answered_with_zero(chain: HubChain) -> None:
    answer = read_account(chain.state, ALICE)
    assert (answer.balance, answer.earned) == (0, 0)


def test_a_question_about_what_is_no_address_is_refused(chain: HubChain) -> None:
    with pytest.raises(InvalidField):
        read_account(chain.state, b"short")


def test_the_supply_is_that_of_the_genesis(chain: HubChain) -> None:
    answer = read_supply(chain.state)
    assert (answer.balances, answer.escrowed, answer.supply) == (SUPPLY, 0, SUPPLY)


moves = st.lists(
    st.tuples(
        st.sampled_from(["transfer", "escrow", "release", "pay"]),
        st.sampled_from([ALICE, BOB]),
        st.sampled_from([ALICE, BOB]),
        st.integers(0, 120),
    ),
    max_size=30,
)


@given(moves)
def test_no_move_makes_or_loses_tokens(steps: list[tuple[str, bytes, bytes, int]]) -> None:
    state = Overlay(MemoryState())
    init_balances(state, {ALICE: 100, BOB: 2**63 - 101})
    escrowed = 0
    earned = 0
    for kind, account, other, amount in steps:
        try:
            if kind == "transfer":
                transfer(state, account, other, amount)
            elif kind == "escrow":
                move_to_escrow(state, account, amount)
                escrowed += amount
            elif amount <= escrowed:
                (release_escrow if kind == "release" else pay_from_escrow)(state, account, amount)
                escrowed -= amount
                earned += amount if kind == "pay" else 0
        except InsufficientBalance:
            continue
    assert get_escrowed(state) == escrowed
    assert get_earned(state, ALICE) + get_earned(state, BOB) == earned
    assert get_balance(state, ALICE) + get_balance(state, BOB) == get_circulating(state)
    assert get_circulating(state) + get_escrowed(state) == get_supply(state) == 2**63 - 1
