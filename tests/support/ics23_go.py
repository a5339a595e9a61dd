"""What ibc-go makes of chained proofs of our two-tree store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibc.proof_spec import DEFAULT_SPECS, spec_to_wire
from ibc.protowire import message_field
from tests.support.judge_go import VERIFIED, Judge

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a value is, or nothing (None) is, at [store, key] under a root."""

    root: bytes
    store: bytes
    key: bytes
    value: bytes | None
    proofs: tuple[bytes, bytes]
    """Encoded `CommitmentProof` of the key in the store, and of the store."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the reference implementation says."""

    accepted: bool
    reason: str


def ask(questions: Sequence[Question]) -> list[Verdict]:
    """Return the verdicts of the reference implementation, in order."""
    with Judge() as judge:
        return [_ask_one(judge, question) for question in questions]


def _ask_one(judge: Judge, question: Question) -> Verdict:
    specs = [spec_to_wire(spec) for spec in DEFAULT_SPECS]
    chained = b"".join(
        message_field(1, proof) for proof in question.proofs
    )  # a `MerkleProof`, damaged or not
    path = (question.store, question.key)
    judged = judge.judge_chain(specs, question.root, chained, path, question.value)
    return Verdict(judged.verdict == VERIFIED, judged.reason)
