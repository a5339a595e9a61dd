"""The one encoding of the hub's own records in the bulk store.

Records are frozen dataclasses.  Fields follow each other in the order of their definition, without tags: numbers as
eight bytes big-endian, bytes and text with a length of four bytes before them, tuples with a count of four bytes
before their items, nested records in place.  A record has therefore exactly one encoding, which is what a value under
the app hash needs; changing the fields of a record is a change of consensus.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RecordT = TypeVar("RecordT", bound="DataclassInstance")

_NUMBER_BYTES: Final = 8
_LENGTH_BYTES: Final = 4


def encode_record(record: DataclassInstance) -> bytes:
    """Return the encoding of a record.

    Raises:
      TypeError: a field has a type that records do not have.
      OverflowError: a number is negative or does not fit in eight bytes.

    """
    out = bytearray()
    _write_record(out, record)
    return bytes(out)


def decode_record(record_class: type[RecordT], data: bytes) -> RecordT:
    """Return the record whose encoding `data` is.

    Raises:
      ValueError: the bytes are not the encoding of such a record: the state is damaged.

    """
    record, end = _read_record(record_class, data, 0)
    if end != len(data):
        raise ValueError(f"expected {end} bytes of a {record_class.__name__}, got {len(data)}")
    return record


@cache
def _field_types(record_class: type[DataclassInstance]) -> tuple[tuple[str, object], ...]:
    hints = get_type_hints(record_class)
    return tuple((field.name, hints[field.name]) for field in fields(record_class))


def _write_record(out: bytearray, record: DataclassInstance) -> None:
    for name, _ in _field_types(type(record)):
        _write_value(out, getattr(record, name))


def _write_value(out: bytearray, value: object) -> None:
    if isinstance(value, int):
        out += value.to_bytes(_NUMBER_BYTES, "big")
    elif isinstance(value, bytes | str):
        content = value.encode() if isinstance(value, str) else value
        out += len(content).to_bytes(_LENGTH_BYTES, "big")
        out += content
    elif isinstance(value, tuple):
        out += len(value).to_bytes(_LENGTH_BYTES, "big")
        for item in value:
            _write_value(out, item)
    elif is_dataclass(value) and not isinstance(value, type):
        _write_record(out, value)
    else:
        raise TypeError(f"expected a type that records have, got {type(value).__name__}")


def _read_record(record_class: type[RecordT], data: bytes, start: int) -> tuple[RecordT, int]:
    values: dict[str, object] = {}
    for name, kind in _field_types(record_class):
        values[name], start = _read_value(kind, data, start)
    return record_class(**values), start


def _read_value(kind: object, data: bytes, start: int) -> tuple[object, int]:
    if isinstance(kind, type) and issubclass(kind, int):
        number = int.from_bytes(_take(data, start, _NUMBER_BYTES), "big")
        return (kind(number) if issubclass(kind, bool | IntEnum) else number), start + _NUMBER_BYTES
    if get_origin(kind) is tuple:
        count, start = _read_length(data, start)
        items = []
        for _ in range(count):
            item, start = _read_value(get_args(kind)[0], data, start)
            items.append(item)
        return tuple(items), start
    if kind is bytes or kind is str:
        length, start = _read_length(data, start)
        content = _take(data, start, length)
        return (content.decode() if kind is str else content), start + length
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_record(kind, data, start)
    raise TypeError(f"expected a type that records have, got {kind}")


def _read_length(data: bytes, start: int) -> tuple[int, int]:
    return int.from_bytes(_take(data, start, _LENGTH_BYTES), "big"), start + _LENGTH_BYTES


def _take(data: bytes, start: int, length: int) -> bytes:
    taken = data[start : start + length]
    if len(taken) != length:
        raise ValueError(f"expected {length} bytes at {start}, got {len(taken)}")
    return taken
