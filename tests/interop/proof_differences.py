"""Proofs that we refuse and the released cosmos/ics23 (v0.11.0) accepts, on purpose: none of them is made by a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ibc import errors


@dataclass(frozen=True, slots=True)
class Stricter:
    """What we refuse and the released cosmos/ics23 (v0.11.0) accepts."""

    error: type[errors.IbcError]
    our_message: str
    why: str


STRICTER: Final = (
    Stricter(
        errors.InnerMismatch,
        "expected prefix and suffix to hold",
        "A node has two children: with other lengths a proof can leave room for a third, or none (cosmos/ics23#369).",
    ),
    Stricter(
        errors.InnerMismatch,
        "expected an inner prefix that starts with",
        "An inner node of a simple map starts with 0x01; with another byte it is a node of no such tree.",
    ),
    Stricter(
        errors.InnerMismatch,
        "expected three non-negative varints",
        "IAVL writes the shortest varints; a padded one would be a second way to write the same node.",
    ),
    Stricter(errors.LeafMismatch, "expected three non-negative varints", "The same in a leaf."),
    Stricter(
        errors.LeafMismatch, "expected an IAVL leaf of height 0 and size 1", "No leaf has another size."
    ),
    Stricter(errors.UnsupportedProof, "expected a single proof", "Batches were dropped from ICS-23 (#390)."),
    Stricter(errors.EmptyKeyOrValue, "expected a key, got an empty one", "No tree can hold an empty key."),
)


def is_stricter_on_purpose(error: errors.IbcError) -> bool:
    """Whether the refusal is of a listed kind."""
    return any(type(error) is item.error and item.our_message in error.message for item in STRICTER)
