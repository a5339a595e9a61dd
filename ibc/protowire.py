"""Protobuf fields as CometBFT's Go code writes them, for bytes that are hashed or signed.

Scalars at their zero value are left out; messages inside a message are always written, even when empty, because the
Go types hold them by value.  That is what the message classes of Python cannot be told to do.
"""

from __future__ import annotations

_VARINT = 0
_FIXED_64 = 1
_LENGTH_DELIMITED = 2

_UINT_64_MASK = (1 << 64) - 1


def encode_uvarint(number: int) -> bytes:
    """Return the shortest unsigned varint of a non-negative number."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint_field(field: int, number: int) -> bytes:
    """Return an int64, uint64 or enum field; a negative number takes its two's complement in 64 bits."""
    if number == 0:
        return b""
    return encode_uvarint(field << 3 | _VARINT) + encode_uvarint(number & _UINT_64_MASK)


def sfixed64_field(field: int, number: int) -> bytes:
    """Return an sfixed64 field."""
    if number == 0:
        return b""
    return encode_uvarint(field << 3 | _FIXED_64) + number.to_bytes(8, "little", signed=True)


def bytes_field(field: int, data: bytes) -> bytes:
    """Return a bytes or string field."""
    return message_field(field, data) if data else b""


def message_field(field: int, data: bytes) -> bytes:
    """Return a message field, also when the message is empty."""
    return encode_uvarint(field << 3 | _LENGTH_DELIMITED) + encode_uvarint(len(data)) + data
