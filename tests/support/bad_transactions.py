"""Transactions of a hub that are bad in one way each, and the code that each must be refused with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.errors import BundleRefused, UnknownMessageType
from hub.errors import InsufficientBalance, InvalidField
from tests.support.hub import CREATOR, HUB_CHAIN, SUPPLY
from tests.support.miniapp import bundle_tx
from tests.support.txs import SECOND_NS, build_key
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
    from google.protobuf.message import Message

    from tx.errors import AppError
    from tx.keys import SigningKey

BOB: Final = build_key(1)
START: Final = SUPPLY - 1_000
"""What the creator holds."""


@dataclass(frozen=True)
class Case:
    tx: bytes
    error: type[AppError]
    is_malformed: bool = False
    """No honest proposer takes it, and no honest validator votes for it."""

    @property
    def verdict(self) -> tuple[str, int]:
        return self.error.CODESPACE, self.error.CODE


def transfer(amount: int = 1, *, sender: SigningKey = CREATOR) -> hub_tx.MsgTransfer:
    message = hub_tx.MsgTransfer(to=BOB.public_key, amount=amount)
    setattr(message, "from", sender.public_key)
    return message


def sign_body(body: bytes) -> bytes:
    """Return the transaction of a body in any encoding, rightly signed."""
    signature = CREATOR.sign(body_digest(body))
    return encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=body, signatures=[signature])))


def body_of(tx: bytes) -> bytes:
    return tx_pb2.Envelope.FromString(tx).tx.body


def append_signature(tx: bytes, key: SigningKey = BOB) -> bytes:
    """Return the transaction with one more signature over its body, as anybody can make it."""
    envelope = tx_pb2.Envelope.FromString(tx)
    envelope.tx.signatures.append(key.sign(body_digest(envelope.tx.body)))
    return encode(envelope)


def spoil_signature(tx: bytes) -> bytes:
    envelope = tx_pb2.Envelope.FromString(tx)
    signature = envelope.tx.signatures[0]
    envelope.tx.signatures[0] = bytes([signature[0] ^ 1]) + signature[1:]
    return encode(envelope)


@dataclass(frozen=True)
class Signer:
    """Signs for a chain whose time is about `now_ns`."""

    now_ns: int

    @property
    def soon_ns(self) -> int:
        return self.now_ns + 60 * SECOND_NS

    def sign(
        self,
        *messages: Message,
        keys: tuple[SigningKey, ...] = (CREATOR,),
        chain_id: str = HUB_CHAIN,
        after_ns: int = 60 * SECOND_NS,
        nonce: bytes = b"a nonce of its own",
    ) -> bytes:
        """Return a transaction that expires so long after now."""
        return make_tx(chain_id, messages, keys, self.now_ns + after_ns, nonce)

    def good(self, number: int = 0) -> bytes:
        """Return a transfer of one unit from the creator to Bob."""
        return self.sign(transfer(), nonce=b"good %03d" % number)

    def pack_raw(self, value: bytes) -> bytes:
        """Return a signed transaction with a transfer whose bytes are these."""
        packed = pack_message(transfer())
        packed.value = value
        body = tx_pb2.TxBody(
            chain_id=HUB_CHAIN, messages=[packed], expires_at_ns=self.soon_ns, nonce=b"a nonce of its own"
        )
        return sign_body(encode(body))


def bad_transactions(now_ns: int) -> dict[str, Case]:
    """Return one bad transaction of each kind, for a hub whose time is about `now_ns`."""
    return {**malformed_transactions(now_ns), **refused_transactions(now_ns)}


def malformed_transactions(now_ns: int) -> dict[str, Case]:
    """Return those that no honest proposer takes."""
    signer = Signer(now_ns)
    return {
        "noise": Case(b"\xff" * 40, MalformedEncoding, is_malformed=True),
        "a truncated transaction": Case(signer.good()[:-1], MalformedEncoding, is_malformed=True),
        "a body that is none": Case(sign_body(b"\n\x02\xff\xff"), MalformedEncoding, is_malformed=True),
        "no bytes at all": Case(b"", EmptyEnvelope, is_malformed=True),
        "a default spelled out": Case(
            sign_body(body_of(signer.good()) + b"(\x00"), NonCanonicalEncoding, is_malformed=True
        ),
        "an unknown field of the envelope": Case(
            signer.good() + b"\xf8\x07\x01", UnknownField, is_malformed=True
        ),
        "an unknown field of the body": Case(
            sign_body(body_of(signer.good()) + b"\xf8\x07\x01"), UnknownField, is_malformed=True
        ),
        "no message": Case(signer.sign(), WrongMessageCount, is_malformed=True),
        "too many messages": Case(signer.sign(*[transfer()] * 65), WrongMessageCount, is_malformed=True),
        "updates for a hub": Case(bundle_tx(b"update"), BundleRefused, is_malformed=True),
        "a bundle of nothing": Case(
            encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle())), WrongUpdateCount, is_malformed=True
        ),
    }


def refused_transactions(now_ns: int) -> dict[str, Case]:
    """Return those that may stand in a block, and fail there."""
    signer = Signer(now_ns)
    return {
        "a message that is none": Case(signer.pack_raw(b"\n"), MalformedEncoding),
        "a varint that is too long": Case(
            signer.pack_raw(encode(transfer())[:-1] + b"\x81\x00"), NonCanonicalEncoding
        ),
        "fields out of order": Case(
            signer.pack_raw(b"\x18\x01" + encode(transfer())[:-2]), NonCanonicalEncoding
        ),
        "an unknown field of a message": Case(
            signer.pack_raw(encode(transfer()) + b"\xf8\x07\x01"), UnknownField
        ),
        "another chain": Case(signer.sign(transfer(), chain_id="hub-2"), WrongChain),
        "an expiry in the past": Case(signer.sign(transfer(), after_ns=-3600 * SECOND_NS), Expired),
        "an expiry before 1970": Case(signer.sign(transfer(), after_ns=-1 - now_ns), Expired),
        "an expiry too far ahead": Case(signer.sign(transfer(), after_ns=3600 * SECOND_NS), ExpiryTooFar),
        "a short nonce": Case(signer.sign(transfer(), nonce=b"short"), BadNonce),
        "a long nonce": Case(signer.sign(transfer(), nonce=b"l" * 33), BadNonce),
        "a message of no chain": Case(signer.sign(shard_query.GetRoundRequest()), UnknownMessageType),
        "a spoilt signature": Case(spoil_signature(signer.good()), InvalidSignature),
        "the signature of another key": Case(signer.sign(transfer(), keys=(BOB,)), InvalidSignature),
        "no signature": Case(signer.sign(transfer(), keys=()), WrongSigners),
        "a signature too many": Case(append_signature(signer.sign(transfer())), WrongSigners),
        "the same signature twice": Case(append_signature(signer.sign(transfer()), CREATOR), WrongSigners),
        "an amount of nothing": Case(signer.sign(transfer(0)), InvalidField),
        "more than there is": Case(signer.sign(transfer(START + 1)), InsufficientBalance),
    }
