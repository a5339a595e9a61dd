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
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tx.failures import MalformedEncoding, NonCanonicalEncoding, UnknownField

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

M = TypeVar("M", bound=Message)


class _NestedField(NamedTuple):
    """A field that holds one message or many."""

    name: str
    is_repeated: bool


def encode(message: Message) -> bytes:
    """Return the canonical encoding of a message."""
    return message.SerializeToString(deterministic=True)


def decode_canonical(message_class: type[M], data: bytes) -> M:
    """Return the message whose canonical encoding `data` is.

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
    _check_unknown_fields(message)
    if encode(message) != data:
        raise NonCanonicalEncoding(f"expected the canonical encoding of a {name}, got another one")
    return message


def _check_unknown_fields(message: Message) -> None:
    """Walk the message and everything inside it.  Decoding has bounded the depth already."""
    unknown = UnknownFieldSet(message)
    if len(unknown) > 0:
        raise UnknownField(
            f"expected only defined fields in {message.DESCRIPTOR.full_name}, got field {unknown[0].field_number}"
        )
    for field in _nested_fields(message.DESCRIPTOR):
        if field.is_repeated:
            for item in getattr(message, field.name):
                _check_unknown_fields(item)
        elif message.HasField(field.name):
            _check_unknown_fields(getattr(message, field.name))


@cache
def _nested_fields(descriptor: Descriptor) -> tuple[_NestedField, ...]:
    """Return the fields that hold messages, so that the walk never touches (and copies) large bytes.

    Raises:
      TypeError: the format has a map, whose order no encoding fixes; our formats have none.

    """
    found = []
    for field in descriptor.fields:
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            raise TypeError(f"{descriptor.full_name}.{field.name} is a map, which has no canonical encoding")
        found.append(_NestedField(field.name, field.is_repeated))
    return tuple(found)
