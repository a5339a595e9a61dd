from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest
from google.protobuf.descriptor import FieldDescriptor

import wire

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor


class FieldFacts(TypedDict, total=False):
    number: int
    type: str
    repeated: bool
    oneof: str


class ReferenceFacts(TypedDict):
    messages: dict[str, dict[str, FieldFacts]]
    enums: dict[str, dict[str, int]]


REFERENCE_FILE = Path(__file__).parent.parent / "vectors" / "descriptors.json"
REFERENCE: ReferenceFacts = json.loads(REFERENCE_FILE.read_text("utf-8"))
PUBLIC_ROOTS = ("cosmos", "ibc", "tendermint")
TYPE_NAMES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def list_public_files() -> list[FileDescriptor]:
    names = [
        module.name
        for root in PUBLIC_ROOTS
        for module in pkgutil.walk_packages([f"{wire.__path__[0]}/{root}"], f"wire.{root}.")
        if module.name.endswith("_pb2")
    ]
    return [import_module(name).DESCRIPTOR for name in sorted(names)]


def walk_message(message: Descriptor) -> list[Descriptor]:
    return [message, *(inner for nested in message.nested_types for inner in walk_message(nested))]


FILES = list_public_files()
MESSAGES = {
    message.full_name: message
    for file in FILES
    for top in file.message_types_by_name.values()
    for message in walk_message(top)
}
ENUMS: dict[str, EnumDescriptor] = {
    enum.full_name: enum
    for enums in (
        *(file.enum_types_by_name.values() for file in FILES),
        *(message.enum_types for message in MESSAGES.values()),
    )
    for enum in enums
}


def describe_field(field: FieldDescriptor) -> FieldFacts:
    named = field.message_type or field.enum_type
    facts: FieldFacts = {
        "number": field.number,
        "type": named.full_name if named is not None else TYPE_NAMES[field.type],
        "repeated": field.is_repeated,
    }
    if field.containing_oneof is not None:
        facts["oneof"] = field.containing_oneof.name
    return facts


def test_the_same_messages_and_enums_are_compared_as_are_generated() -> None:
    assert sorted(MESSAGES) == sorted(REFERENCE["messages"])
    assert sorted(ENUMS) == sorted(REFERENCE["enums"])


@pytest.mark.parametrize("name", sorted(REFERENCE["messages"]))
def test_a_message_has_the_fields_of_the_reference(name: str) -> None:
    described = {field.name: describe_field(field) for field in MESSAGES[name].fields}
    assert described == REFERENCE["messages"][name]


@pytest.mark.parametrize("name", sorted(REFERENCE["enums"]))
def test_an_enum_has_the_values_of_the_reference(name: str) -> None:
    assert {value.name: value.number for value in ENUMS[name].values} == REFERENCE["enums"][name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_declares_the_package_of_its_folder(file: FileDescriptor) -> None:
    assert file.package == file.name.rpartition("/")[0].replace("/", ".")
