"""Hypothesis strategies for arbitrary protobuf messages, from their descriptors."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from wire.tendermint.abci.types_pb2 import Request

M = TypeVar("M", bound=Message)

SCALARS: dict[int, st.SearchStrategy[object]] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 9),
}
MAX_DEPTH = 5


def messages(message_class: type[M]) -> st.SearchStrategy[M]:
    """Return a strategy for messages of a type, with any fields set and unset."""
    return st.composite(lambda draw: _draw_message(draw, message_class, 0))()


def requests(kind: str) -> st.SearchStrategy[Request]:
    """Return a strategy for ABCI requests of a kind, with any content."""
    field = Request.DESCRIPTOR.fields_by_name[kind]

    def wrap(content: Message) -> Request:
        request = Request()
        getattr(request, kind).CopyFrom(content)
        # So that the kind is set even if the content is empty.
        getattr(request, kind).SetInParent()
        return request

    return messages(GetMessageClass(field.message_type)).map(wrap)


def _draw_message(draw: st.DrawFn, message_class: type[M], depth: int) -> M:
    message = message_class()
    _fill(draw, message, depth)
    return message


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()) or (field.message_type is not None and depth >= MAX_DEPTH):
            continue
        count = draw(st.integers(0, 3)) if field.is_repeated else 1
        values = [_draw_value(draw, field, depth) for _ in range(count)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])


def _draw_value(draw: st.DrawFn, field: FieldDescriptor, depth: int) -> object:
    if field.message_type is not None:
        return _draw_message(draw, GetMessageClass(field.message_type), depth + 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw(st.text(max_size=8))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw(
            st.one_of(st.binary(max_size=40), st.sampled_from([b"key=value", b"val=ed25519!!", b"a="]))
        )
    return draw(SCALARS[field.cpp_type])
