"""Bech32m: text with a prefix and a checksum that finds any four wrong characters.

Written here because no maintained library offers Bech32m (BIP-350) alone: the packages that have it bring a whole
wallet or only the older Bech32 with them.  The test vectors are those of the specification.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Final

from tx.failures import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
"""The character of each value of five bits."""

CHECKSUM_CONSTANT: Final = 0x2BC830A3
"""What tells Bech32m from Bech32."""

CHECKSUM_LENGTH: Final = 6
MAX_LENGTH: Final = 90
"""Longest text for which the checksum keeps its guarantee."""

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SUMS: Final = tuple(
    reduce(xor, (generator for bit, generator in enumerate(_GENERATORS) if top >> bit & 1), 0)
    for top in range(32)
)
"""The generators of the bits of each value of five bits, added up."""


def encode_bech32m(prefix: str, values: Sequence[int]) -> str:
    """Return the text for a lower-case prefix and values of five bits each."""
    expanded = (*_expand_prefix(prefix), *values)
    checksum = _polymod((*expanded, *([0] * CHECKSUM_LENGTH))) ^ CHECKSUM_CONSTANT
    tail = [(checksum >> 5 * (CHECKSUM_LENGTH - 1 - i)) & 31 for i in range(CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(ALPHABET[value] for value in (*values, *tail))


def decode_bech32m(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the prefix in lower case, and the values of five bits without the checksum.

    Raises:
      InvalidAddress: the text is too long, mixes cases, has no prefix, a foreign character or a wrong checksum.

    """
    if len(text) > MAX_LENGTH:
        raise InvalidAddress(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    if any(not 33 <= ord(character) <= 126 for character in text):
        raise InvalidAddress("expected visible ASCII characters, got others")
    if text not in {text.lower(), text.upper()}:
        raise InvalidAddress("expected one case, got a mixture")
    prefix, separator, data = text.lower().rpartition("1")
    if not separator or not prefix:
        raise InvalidAddress("expected a prefix followed by `1`, got none")
    if len(data) < CHECKSUM_LENGTH:
        raise InvalidAddress(f"expected a checksum of {CHECKSUM_LENGTH} characters, got {len(data)}")
    if any(character not in _VALUES for character in data):
        raise InvalidAddress("expected characters of the Bech32 alphabet, got others")
    values = tuple(_VALUES[character] for character in data)
    if _polymod((*_expand_prefix(prefix), *values)) != CHECKSUM_CONSTANT:
        raise InvalidAddress("expected a matching checksum, got a different one")
    return prefix, values[:-CHECKSUM_LENGTH]


def bytes_to_values(data: bytes) -> tuple[int, ...]:
    """Cut bytes into values of five bits, the last one padded with zero bits."""
    bits = len(data) * 8
    padding = -bits % 5
    number = int.from_bytes(data, "big") << padding
    return tuple((number >> shift) & 31 for shift in range(bits + padding - 5, -1, -5))


def values_to_bytes(values: Sequence[int]) -> bytes:
    """Join values of five bits to bytes.

    Raises:
      InvalidAddress: the padding is a whole value or more, or is not zero; another text would give the same bytes.

    """
    padding = len(values) * 5 % 8
    if padding >= 5:
        raise InvalidAddress(f"expected less than five bits of padding, got {padding}")
    number = 0
    for value in values:
        number = number << 5 | value
    if number & ((1 << padding) - 1):
        raise InvalidAddress("expected padding of zero bits, got others")
    return (number >> padding).to_bytes(len(values) * 5 // 8, "big")


def _expand_prefix(prefix: str) -> tuple[int, ...]:
    codes = [ord(character) for character in prefix]
    return (*(code >> 5 for code in codes), 0, *(code & 31 for code in codes))


def _polymod(values: Iterable[int]) -> int:
    """Return the remainder of the BCH code's division, as BIP-173 defines it."""
    remainder = 1
    for value in values:
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value ^ _SUMS[remainder >> 25]
    return remainder
