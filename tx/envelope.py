"""Transactions: how they are built, parsed, and checked without state.

There are no sequence numbers.  A replay is stopped by the hash of the *body*, which a chain keeps until block time
has passed the body's expiry; hence the expiry may lie only so far ahead, and one key can have any number of
transactions in flight.  Signatures are not part of what stops a replay, so adding or changing one gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from google.protobuf import any_pb2

from tx.codec import decode_canonical, encode
from tx.domains import TX_SIGNATURE
from tx.failures import (
    BadNonce,
    EmptyEnvelope,
    Expired,
    ExpiryTooFar,
    WrongChain,
    WrongMessageCount,
    WrongSigners,
    WrongUpdateCount,
)
from tx.keys import PublicKey, SigningKey, verify_signature
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from wire.gradchain.fl.v1 import update_pb2

MAX_MESSAGES: Final = 64
"""Messages in one transaction."""

MAX_UPDATES: Final = 1_024
"""Updates in one bundle."""

MAX_LIFE_NS: Final = 10 * 60 * 1_000_000_000
"""How far ahead of block time an expiry may lie, in nanoseconds."""

MIN_NONCE_BYTES: Final = 8
MAX_NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ParsedTx:
    """A well-formed transaction of accounts, not yet verified."""

    body: tx_pb2.TxBody
    body_bytes: bytes
    """The canonical encoding of the body, as received: what signatures cover."""
    body_hash: bytes
    """sha256 of the body's bytes: what stops a replay."""
    messages: tuple[any_pb2.Any, ...]
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ParsedBundle:
    """A well-formed bundle of updates, none of them verified."""

    updates: tuple[update_pb2.Update, ...]


def pack_message(message: Message) -> any_pb2.Any:
    """Wrap a message under the type URL by which the apps find its handler: a slash and its full name."""
    return any_pb2.Any(type_url="/" + message.DESCRIPTOR.full_name, value=encode(message))


def body_digest(body_bytes: bytes) -> bytes:
    """Return the 32-byte digest that the signers of a body sign."""
    return sha256(TX_SIGNATURE + body_bytes).digest()


def make_tx(
    chain_id: str,
    messages: Sequence[Message],
    keys: Sequence[SigningKey],
    expires_at_ns: int,
    nonce: bytes,
    max_fee: int = 0,
) -> bytes:
    """Return the encoded envelope of a signed transaction.

    `keys` are those of the required signers, in the order in which the messages first name them.
    """
    body = encode(
        tx_pb2.TxBody(
            chain_id=chain_id,
            messages=[pack_message(message) for message in messages],
            expires_at_ns=expires_at_ns,
            nonce=nonce,
            max_fee=max_fee,
        )
    )
    digest = body_digest(body)
    return encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=body, signatures=[key.sign(digest) for key in keys])))


def parse_envelope(data: bytes) -> ParsedTx | ParsedBundle:
    """Parse what travels as one CometBFT transaction.

    Raises:
      MalformedEncoding, NonCanonicalEncoding, UnknownField: of the envelope or of the body in it.
      EmptyEnvelope: it holds nothing.
      WrongMessageCount, WrongUpdateCount: it holds too little or too much.

    """
    envelope = decode_canonical(tx_pb2.Envelope, data)
    kind = envelope.WhichOneof("kind")
    if kind == "tx":
        return _parse_tx(envelope.tx)
    if kind == "updates":
        updates = envelope.updates.updates
        if not 1 <= len(updates) <= MAX_UPDATES:
            raise WrongUpdateCount(f"expected 1 to {MAX_UPDATES} updates, got {len(updates)}")
        return ParsedBundle(tuple(updates))
    raise EmptyEnvelope("expected a transaction or a bundle of updates, got neither")


def _parse_tx(tx: tx_pb2.Tx) -> ParsedTx:
    body_bytes = tx.body
    body = decode_canonical(tx_pb2.TxBody, body_bytes)
    if not 1 <= len(body.messages) <= MAX_MESSAGES:
        raise WrongMessageCount(f"expected 1 to {MAX_MESSAGES} messages, got {len(body.messages)}")
    return ParsedTx(
        body=body,
        body_bytes=body_bytes,
        body_hash=sha256(body_bytes).digest(),
        messages=tuple(body.messages),
        signatures=tuple(tx.signatures),
    )


def check_body(body: tx_pb2.TxBody, chain_id: str, now_ns: int) -> None:
    """Check that a body may be included on this chain at this block time.

    The expiry itself is the last instant at which it may: a chain keeps a body's hash until block time is later.

    Raises:
      WrongChain, Expired, ExpiryTooFar, BadNonce: as their names say.

    """
    if body.chain_id != chain_id:
        raise WrongChain(f"expected chain id {chain_id!r}, got {body.chain_id!r}")
    if body.expires_at_ns < now_ns:
        raise Expired(f"expected an expiry at or after block time {now_ns}, got {body.expires_at_ns}")
    if body.expires_at_ns > now_ns + MAX_LIFE_NS:
        raise ExpiryTooFar(f"expected an expiry up to {now_ns + MAX_LIFE_NS}, got {body.expires_at_ns}")
    if not MIN_NONCE_BYTES <= len(body.nonce) <= MAX_NONCE_BYTES:
        raise BadNonce(f"expected {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes, got {len(body.nonce)}")


def verify_signatures(parsed: ParsedTx, signers: Sequence[bytes]) -> tuple[PublicKey, ...]:
    """Verify that exactly the required signers have signed the body, in the order of their first appearance.

    `signers` are the public keys that the messages require, message by message; a key may appear again.  Returns
    each key once, in order.

    Raises:
      WrongSigners: nobody is required to sign, or the number of signatures differs.
      InvalidSignature: a signature is not that of the signer at its place.

    """
    required = tuple(PublicKey(signer) for signer in dict.fromkeys(signers))
    if not required or len(parsed.signatures) != len(required):
        raise WrongSigners(
            f"expected one signature of each of {len(required)} signers, got {len(parsed.signatures)}"
        )
    digest = body_digest(parsed.body_bytes)
    for signer, signature in zip(required, parsed.signatures, strict=True):
        verify_signature(signer, digest, signature)
    return required
