"""Why a transaction, a statement, a task spec or an address is refused."""

from __future__ import annotations

from tx.errors import AppError


class TxError(AppError):
    """A transaction or one of its signed parts breaks a rule that needs no state."""

    CODESPACE = "tx"


class MalformedEncoding(TxError):
    """The bytes are no message of the expected type: truncated, wrong field types, or invalid UTF-8."""

    CODE = 1
    CURE = "Encode the message with the published .proto files and send it unchanged."


class NonCanonicalEncoding(TxError):
    """The bytes decode, but are not the one encoding that their content has.

    A field out of order or given twice, a default value spelled out, or a varint longer than it needs to be: each
    would give one content several hashes.
    """

    CODE = 2
    CURE = "Encode deterministically: fields in ascending order, defaults left out, shortest varints."


class UnknownField(TxError):
    """The message, or one inside it, has a field that this version of the format does not define."""

    CODE = 3
    CURE = "Use the .proto files of the version that the chain runs."


class InvalidAddress(TxError):
    """The text is no address: wrong prefix, length, case, character or checksum."""

    CODE = 4
    CURE = "Copy the address again, in lower case; it starts with `grad1`."


class InvalidPublicKey(TxError):
    """The bytes have not the length of an Ed25519 public key or seed."""

    CODE = 5
    CURE = "Give the 32 bytes of the key."


class InvalidSignature(TxError):
    """The signature does not verify under the key over the digest of the signed bytes."""

    CODE = 6
    CURE = "Sign the digest of exactly the bytes that are sent, with the key of the account that must sign."


class WrongSigners(TxError):
    """There are more or fewer signatures than required signers."""

    CODE = 7
    CURE = "Sign once with each required signer, in the order in which the messages name them first."


class WrongChain(TxError):
    """The transaction is meant for another chain."""

    CODE = 8
    CURE = "Sign again with the chain id of the chain that you send to."


class Expired(TxError):
    """Block time has passed the transaction's expiry."""

    CODE = 9
    CURE = "Sign again with a later expiry; check that your clock agrees with the chain's block time."


class ExpiryTooFar(TxError):
    """The expiry lies further ahead than the chain keeps the hashes that stop replays."""

    CODE = 10
    CURE = "Choose an expiry at most ten minutes after block time; check your clock."


class BadNonce(TxError):
    """The nonce is shorter or longer than allowed."""

    CODE = 11
    CURE = "Use 8 to 32 random bytes."


class WrongMessageCount(TxError):
    """The transaction holds no message, or more than one transaction may."""

    CODE = 12
    CURE = "Send at least one message, and split long lists over several transactions."


class EmptyEnvelope(TxError):
    """The envelope holds neither a transaction nor a bundle of updates."""

    CODE = 13
    CURE = "Set one of the two."


class WrongUpdateCount(TxError):
    """The bundle holds no update, or more than one bundle may."""

    CODE = 14
    CURE = "Send at least one update, and split long lists over several bundles."


class InvalidStatement(TxError):
    """A field of an update statement has a size or value that no valid update has."""

    CODE = 15
    CURE = "Build the statement with the SDK, from the round's opening record."


class InvalidSpec(TxError):
    """A field of a task spec is out of range, or contradicts another one."""

    CODE = 16
    CURE = "Correct the field that the message names."
