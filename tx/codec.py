"""The one encoding that a message has.

Protobuf lets several byte strings mean the same message, and keeps fields that it does not know.  What is signed,
hashed or stored must have one form only: a message is accepted when its bytes are exactly its deterministic
encoding and no field is unknown, at any depth.  The content of a `google.protobuf.Any` is opaque here, and is
checked by whoever decodes it.

Source: Cosmos SDK ADR-027 (deterministic protobuf serialisation) and the note "Proto Serialization Is Not
Canonical" of protobuf.dev, which names the ways in which encodings differ.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from tx.failures import MalformedEncoding, NonCanonicalEncoding, UnknownField

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Return the canonical encoding of a message."""
    return message.SerializeToString(deterministic=True)


def decode_canonical(message_class: type[M], data: bytes) -> M:
    """Return the message whose canonical encoding `data` is.

    Anyone may send the bytes, and two of them are enough for an empty message inside: nothing here walks over messages
    one by one, the library does that.

    Raises:
      MalformedEncoding: the bytes do not decode.
      UnknownField: there is a field that the format does not define, at any depth.
      NonCanonicalEncoding: the message has another encoding than these bytes.

    """
    name = message_class.DESCRIPTOR.full_name
    try:
        message = message_class.FromString(data)
    except DecodeError:
        # The library's text differs between versions, so it is not passed on.
        raise MalformedEncoding(f"expected a {name}, got {len(data)} bytes that do not decode") from None
    _check_format(message_class.DESCRIPTOR)
    message.DiscardUnknownFields()  # type: ignore[attr-defined]  # the stubs do not know it
    encoded = encode(message)
    if encoded == data:
        return message
    # An unknown field is written again with everything else, so its bytes are what is missing.
    if len(encode(message_class.FromString(data))) != len(encoded):
        raise UnknownField(f"expected only defined fields in a {name}, got an unknown one")
    raise NonCanonicalEncoding(f"expected the canonical encoding of a {name}, got another one")


@cache
def _check_format(descriptor: Descriptor, *outer: str) -> None:
    """Refuse a format that cannot be canonical here; ours all can.

    A map has no order.  A message inside itself could be nested deeper than the library looks for unknown fields.

    Raises:
      TypeError: there is a map, or a message inside itself, at any depth.

    """
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None:
            continue
        if inner.GetOptions().map_entry:
            raise TypeError(f"{descriptor.full_name}.{field.name} is a map, which has no canonical encoding")
        if inner.full_name in {*outer, descriptor.full_name}:
            raise TypeError(f"{descriptor.full_name}.{field.name} is inside itself, without a bound on depth")
        _check_format(inner, *outer, descriptor.full_name)
