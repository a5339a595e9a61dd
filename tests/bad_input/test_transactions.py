"""Bad transactions on the real hub app and store: each is refused with its own code, and harms nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from abci_app.errors import BundleRefused, TxReplayed, UnknownMessageType
from abci_app.execution import MAX_LOG_CHARACTERS
from hub.accounts.state import get_balance
from hub.app import build_hub_app
from hub.errors import InsufficientBalance, InvalidField
from tests.support.app_node import AppNode
from tests.support.hub import CREATOR, HUB_CHAIN, SUPPLY, genesis_state
from tests.support.miniapp import bundle_tx
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.envelope import body_digest, make_tx, pack_message
from tx.failures import (
    BadNonce,
    EmptyEnvelope,
    Expired,
    ExpiryTooFar,
    InvalidSignature,
    MalformedEncoding,
    NonCanonicalEncoding,
    UnknownField,
    WrongChain,
    WrongMessageCount,
    WrongSigners,
    WrongUpdateCount,
)
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.message import Message

    from tx.errors import AppError
    from tx.keys import SigningKey

BOB: Final = build_key(1)
START: Final = SUPPLY - 1_000
SOON: Final = NOW_NS + 60 * SECOND_NS


def transfer(amount: int = 1, *, sender: SigningKey = CREATOR) -> hub_tx.MsgTransfer:
    message = hub_tx.MsgTransfer(to=BOB.public_key, amount=amount)
    setattr(message, "from", sender.public_key)
    return message


def sign(
    *messages: Message,
    keys: tuple[SigningKey, ...] = (CREATOR,),
    chain_id: str = HUB_CHAIN,
    expires_at_ns: int = SOON,
    nonce: bytes = b"a nonce of its own",
) -> bytes:
    return make_tx(chain_id, messages, keys, expires_at_ns, nonce)


def good(number: int = 0) -> bytes:
    return sign(transfer(), nonce=b"good %03d" % number)


def sign_body(body: bytes) -> bytes:
    """Return the transaction of a body in any encoding, rightly signed."""
    signature = CREATOR.sign(body_digest(body))
    return encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=body, signatures=[signature])))


def body_of(tx: bytes) -> bytes:
    return tx_pb2.Envelope.FromString(tx).tx.body


def append_signature(tx: bytes, key: SigningKey = BOB) -> bytes:
    envelope = tx_pb2.Envelope.FromString(tx)
    envelope.tx.signatures.append(key.sign(body_digest(envelope.tx.body)))
    return encode(envelope)


def spoil_signature(tx: bytes) -> bytes:
    envelope = tx_pb2.Envelope.FromString(tx)
    envelope.tx.signatures[0] = bytes([envelope.tx.signatures[0][0] ^ 1]) + envelope.tx.signatures[0][1:]
    return encode(envelope)


def pack_raw(value: bytes) -> bytes:
    """Return a signed transaction with a transfer whose bytes are these."""
    packed = pack_message(transfer())
    packed.value = value
    body = tx_pb2.TxBody(
        chain_id=HUB_CHAIN, messages=[packed], expires_at_ns=SOON, nonce=b"a nonce of its own"
    )
    return sign_body(encode(body))


@dataclass(frozen=True)
class Case:
    tx: bytes
    error: type[AppError]
    is_malformed: bool = False
    """No honest proposer takes it, and no honest validator votes for it."""


CASES: Final = {
    "noise": Case(b"\xff" * 40, MalformedEncoding, is_malformed=True),
    "a truncated transaction": Case(good()[:-1], MalformedEncoding, is_malformed=True),
    "a body that is none": Case(sign_body(b"\x0a\x02\xff\xff"), MalformedEncoding, is_malformed=True),
    "a message that is none": Case(pack_raw(b"\x0a"), MalformedEncoding),
    "no bytes at all": Case(b"", EmptyEnvelope, is_malformed=True),
    "a default spelled out": Case(
        sign_body(body_of(good()) + b"\x28\x00"), NonCanonicalEncoding, is_malformed=True
    ),
    "a varint that is too long": Case(pack_raw(encode(transfer())[:-1] + b"\x81\x00"), NonCanonicalEncoding),
    "fields out of order": Case(pack_raw(b"\x18\x01" + encode(transfer())[:-2]), NonCanonicalEncoding),
    "an unknown field of the envelope": Case(good() + b"\xf8\x07\x01", UnknownField, is_malformed=True),
    "an unknown field of the body": Case(
        sign_body(body_of(good()) + b"\xf8\x07\x01"), UnknownField, is_malformed=True
    ),
    "an unknown field of a message": Case(pack_raw(encode(transfer()) + b"\xf8\x07\x01"), UnknownField),
    "another chain": Case(sign(transfer(), chain_id="hub-2"), WrongChain),
    "an expiry in the past": Case(sign(transfer(), expires_at_ns=NOW_NS - 1), Expired),
    "an expiry before 1970": Case(sign(transfer(), expires_at_ns=-1), Expired),
    "an expiry too far ahead": Case(sign(transfer(), expires_at_ns=NOW_NS + 700 * SECOND_NS), ExpiryTooFar),
    "a short nonce": Case(sign(transfer(), nonce=b"short"), BadNonce),
    "a long nonce": Case(sign(transfer(), nonce=b"l" * 33), BadNonce),
    "no message": Case(sign(), WrongMessageCount, is_malformed=True),
    "too many messages": Case(sign(*[transfer()] * 65), WrongMessageCount, is_malformed=True),
    "a message of no chain": Case(sign(shard_query.GetRoundRequest()), UnknownMessageType),
    "a spoilt signature": Case(spoil_signature(good()), InvalidSignature),
    "the signature of another key": Case(sign(transfer(), keys=(BOB,)), InvalidSignature),
    "no signature": Case(sign(transfer(), keys=()), WrongSigners),
    "a signature too many": Case(append_signature(sign(transfer())), WrongSigners),
    "the same signature twice": Case(append_signature(sign(transfer()), CREATOR), WrongSigners),
    "updates for a hub": Case(bundle_tx(b"update"), BundleRefused, is_malformed=True),
    "a bundle of nothing": Case(encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle())), WrongUpdateCount, is_malformed=True),
    "an amount of nothing": Case(sign(transfer(0)), InvalidField),
    "more than there is": Case(sign(transfer(START + 1)), InsufficientBalance),
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AppNode]:
    node = AppNode(tmp_path / "app", build_hub_app(), HUB_CHAIN, genesis_state())
    node.block()
    yield node
    node.close()


def verdict(error: type[AppError]) -> tuple[str, int]:
    return error.CODESPACE, error.CODE


@pytest.mark.parametrize("name", CASES)
def test_a_bad_transaction_has_its_own_code_and_harms_no_other(node: AppNode, name: str) -> None:
    case = CASES[name]
    assert node.check(case.tx) == verdict(case.error)
    assert node.accepts(case.tx) is not case.is_malformed
    assert node.block(good(1), case.tx, good(2)) == [("", 0), verdict(case.error), ("", 0)]
    assert get_balance(node.state, CREATOR.public_key) == START - 2
    assert get_balance(node.state, BOB.public_key) == 2
    node.restart()


@pytest.mark.parametrize("name", CASES)
def test_a_proposer_leaves_out_only_what_a_validator_would_refuse(node: AppNode, name: str) -> None:
    case = CASES[name]
    assert node.propose(good(1), case.tx) == ([good(1)] if case.is_malformed else [good(1), case.tx])


def test_a_chain_lives_on_after_everything_at_once(node: AppNode) -> None:
    txs = [case.tx for case in CASES.values()]
    assert node.block(*txs) == [verdict(case.error) for case in CASES.values()]
    assert node.block(good()) == [("", 0)]
    node.restart()
    assert node.block(good(1)) == [("", 0)]


def test_a_replay_is_refused_in_every_block_until_it_expires(node: AppNode) -> None:
    tx = good()
    assert node.block(tx, tx) == [("", 0), verdict(TxReplayed)]
    assert node.check(tx) == verdict(TxReplayed)
    node.restart()
    assert node.block(tx, after_s=SOON // SECOND_NS - node.time_ns // SECOND_NS) == [verdict(TxReplayed)]
    assert node.block(tx) == [verdict(Expired)]
    assert get_balance(node.state, BOB.public_key) == 1


def test_a_replay_under_another_signature_is_refused(node: AppNode) -> None:
    """Other bytes, hence another hash to CometBFT, and the same body."""
    tx = good()
    again = append_signature(tx)
    assert node.check(tx) == ("", 0)
    assert node.check(again) == verdict(TxReplayed)
    assert node.block(tx, again) == [("", 0), verdict(TxReplayed)]
    assert node.block(again) == [verdict(TxReplayed)]
    assert get_balance(node.state, BOB.public_key) == 1


def test_a_signature_appended_on_the_way_does_not_spend_the_body(node: AppNode) -> None:
    """Who carries a transaction can spoil it, but not keep the genuine one out."""
    tx = good()
    assert node.block(append_signature(tx), spoil_signature(tx), tx) == [
        verdict(WrongSigners),
        verdict(InvalidSignature),
        ("", 0),
    ]


def test_a_failed_body_is_spent(node: AppNode) -> None:
    tx = sign(transfer(START + 1))
    assert node.block(tx) == [verdict(InsufficientBalance)]
    assert node.block(tx) == [verdict(TxReplayed)]


def test_a_refusal_does_not_quote_megabytes(node: AppNode) -> None:
    tx = sign(transfer(), chain_id="\x01" * 1_000_000)
    assert node.block(tx) == [verdict(WrongChain)]
    assert len(node.results[0].log) == MAX_LOG_CHARACTERS
