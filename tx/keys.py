"""Keys, signatures and addresses.

An account's address *is* its Ed25519 public key; people read and write it as Bech32m text.  Signatures always cover
a 32-byte digest that starts from a domain string (`tx.domains`), so that no signature can be used for anything but
what it was made for.  Verification is libsodium's: without cofactor, refusing keys and points of small order and
scalars that are not reduced, which makes the verdict the same on every node.
"""

from __future__ import annotations

from typing import Final, NewType

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from tx.bech32m import bytes_to_values, decode_bech32m, encode_bech32m, values_to_bytes
from tx.failures import InvalidAddress, InvalidPublicKey, InvalidSignature

PublicKey = NewType("PublicKey", bytes)
"""The bytes of an Ed25519 public key, which are also the account's address."""

ADDRESS_PREFIX: Final = "grad"
PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class SigningKey:
    """An Ed25519 key pair.  Its secret part leaves it only through `seed`, and never through `repr`."""

    __slots__ = ("_secret", "_seed", "public_key")

    public_key: PublicKey
    """The public half."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidPublicKey(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
        public_key, self._secret = crypto_sign_seed_keypair(seed)
        self.public_key = PublicKey(public_key)
        self._seed = bytes(seed)

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key pair of a 32-byte secret seed.

        Raises:
          InvalidPublicKey: the seed has another length.

        """
        return cls(seed)

    @property
    def seed(self) -> bytes:
        """The secret seed, for key files only."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over the message."""
        return crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey({format_address(self.public_key)})"


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Verify an Ed25519 signature (RFC 8032).

    Raises:
      InvalidSignature: a length is wrong, or the signature does not verify.

    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(
            f"expected a key of {PUBLIC_KEY_BYTES} bytes and a signature of {SIGNATURE_BYTES}, "
            f"got {len(public_key)} and {len(signature)}"
        )
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        raise InvalidSignature(f"expected a signature of key {public_key.hex()}, got another one") from None


def format_address(public_key: bytes) -> str:
    """Return the text form of an address.

    Raises:
      InvalidPublicKey: the key has not 32 bytes.

    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidPublicKey(f"expected a key of {PUBLIC_KEY_BYTES} bytes, got {len(public_key)}")
    return encode_bech32m(ADDRESS_PREFIX, bytes_to_values(public_key))


def parse_address(text: str) -> PublicKey:
    """Return the public key of an address.  One key has one text: upper case is refused.

    Raises:
      InvalidAddress: the text is not what `format_address` gives for any key.

    """
    prefix, values = decode_bech32m(text)
    if text != text.lower():
        raise InvalidAddress("expected an address in lower case, got upper case")
    if prefix != ADDRESS_PREFIX:
        raise InvalidAddress(f"expected the prefix {ADDRESS_PREFIX!r}, got {prefix!r}")
    public_key = values_to_bytes(values)
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidAddress(f"expected an address of {PUBLIC_KEY_BYTES} bytes, got {len(public_key)}")
    return PublicKey(public_key)
