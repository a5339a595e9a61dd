"""Bad transactions on the real hub app and store: each is refused with its own code, and harms nobody else."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from abci_app.errors import TxReplayed
from abci_app.execution import MAX_LOG_CHARACTERS
from hub.accounts.state import get_balance
from hub.app import build_hub_app
from hub.errors import InsufficientBalance
from tests.support.app_node import AppNode
from tests.support.bad_transactions import (
    BOB,
    START,
    Signer,
    append_signature,
    bad_transactions,
    spoil_signature,
    transfer,
)
from tests.support.hub import CREATOR, HUB_CHAIN, genesis_state, make_spec
from tests.support.txs import NOW_NS, SECOND_NS
from tx.failures import Expired, InvalidSignature, WrongChain, WrongSigners
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tx.errors import AppError

CASES: Final = bad_transactions(NOW_NS)
SIGNER: Final = Signer(NOW_NS)


def verdict(error: type[AppError]) -> tuple[str, int]:
    return error.CODESPACE, error.CODE


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AppNode]:
    node = AppNode(tmp_path / "app", build_hub_app(), HUB_CHAIN, genesis_state())
    node.block()
    yield node
    node.close()


@pytest.mark.parametrize("name", CASES)
def test_a_bad_transaction_has_its_own_code_and_harms_no_other(node: AppNode, name: str) -> None:
    case = CASES[name]
    assert node.check(case.tx) == case.verdict
    assert node.accepts(case.tx) is not case.is_malformed
    assert node.block(SIGNER.good(1), case.tx, SIGNER.good(2)) == [("", 0), case.verdict, ("", 0)]
    assert get_balance(node.state, CREATOR.public_key) == START - 2
    assert get_balance(node.state, BOB.public_key) == 2
    node.restart()


@pytest.mark.parametrize("name", CASES)
def test_a_proposer_leaves_out_only_what_a_validator_would_refuse(node: AppNode, name: str) -> None:
    case = CASES[name]
    assert node.propose(SIGNER.good(1), case.tx) == (
        [SIGNER.good(1)] if case.is_malformed else [SIGNER.good(1), case.tx]
    )


def test_a_chain_lives_on_after_everything_at_once(node: AppNode) -> None:
    txs = [case.tx for case in CASES.values()]
    assert node.block(*txs) == [case.verdict for case in CASES.values()]
    assert node.block(SIGNER.good()) == [("", 0)]
    node.restart()
    assert node.block(SIGNER.good(1)) == [("", 0)]


def test_a_replay_is_refused_in_every_block_until_it_expires(node: AppNode) -> None:
    tx = SIGNER.good()
    assert node.block(tx, tx) == [("", 0), verdict(TxReplayed)]
    assert node.check(tx) == verdict(TxReplayed)
    node.restart()
    assert node.block(tx, after_s=SIGNER.soon_ns // SECOND_NS - node.time_ns // SECOND_NS) == [
        verdict(TxReplayed)
    ]
    assert node.block(tx) == [verdict(Expired)]
    assert get_balance(node.state, BOB.public_key) == 1


def test_a_replay_under_another_signature_is_refused(node: AppNode) -> None:
    """Other bytes, hence another hash to CometBFT, and the same body."""
    tx = SIGNER.good()
    again = append_signature(tx)
    assert node.check(tx) == ("", 0)
    assert node.check(again) == verdict(TxReplayed)
    assert node.block(tx, again) == [("", 0), verdict(TxReplayed)]
    assert node.block(again) == [verdict(TxReplayed)]
    assert get_balance(node.state, BOB.public_key) == 1


def test_a_signature_appended_on_the_way_does_not_spend_the_body(node: AppNode) -> None:
    """Who carries a transaction can spoil it, but not keep the genuine one out."""
    tx = SIGNER.good()
    assert node.block(append_signature(tx), spoil_signature(tx), tx) == [
        verdict(WrongSigners),
        verdict(InvalidSignature),
        ("", 0),
    ]


def test_a_failed_body_is_spent(node: AppNode) -> None:
    tx = SIGNER.sign(transfer(START + 1))
    assert node.block(tx) == [verdict(InsufficientBalance)]
    assert node.block(tx) == [verdict(TxReplayed)]


def test_before_the_first_block_a_transaction_meets_the_state_of_the_genesis(tmp_path: Path) -> None:
    """Nothing is committed yet: without the genesis there are no parameters to judge a task by."""
    message = hub_tx.MsgCreateTask(creator=CREATOR.public_key, spec=make_spec(), model_root=bytes(32))
    with closing(AppNode(tmp_path / "app", build_hub_app(), HUB_CHAIN, genesis_state())) as node:
        assert node.check(SIGNER.sign(message)) == ("", 0)
        assert node.check(SIGNER.sign(transfer(START + 1))) == verdict(InsufficientBalance)
        assert node.block(SIGNER.sign(message)) == [("", 0)]


def test_a_refusal_does_not_quote_megabytes(node: AppNode) -> None:
    tx = SIGNER.sign(transfer(), chain_id="\x01" * 1_000_000)
    assert node.block(tx) == [verdict(WrongChain)]
    assert len(node.results[0].log) == MAX_LOG_CHARACTERS
