"""True updates in bulk, cheaply.

What is measured is how fast updates are checked, so making them must not take longer than that.  Commitments are
linear: a few dozen updates are committed to the ordinary way, and every further one is the sum of two of them, whose
commitment is the sum of theirs less that of the update of zeros.  No two updates share a run of bytes that a
compressor could find.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.kzg import commit_update, compress, decompress
from aggregation.payload import payload_root
from aggregation.quantise import count_clipped, count_large
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from py_arkworks_bls12381 import G1Point

    from aggregation.kzg import Setup
    from participant.updates import Assignment
    from tx.keys import SigningKey

BASE_LIMIT: Final = 63
"""Largest magnitude in an update that is a part of others: the sum of two stays in range."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What an update says, with the commitments to it."""

    payload: bytes
    commitments: tuple[bytes, ...]
    """One a blob."""


def draw_contents(setup: Setup, parameters: int, count: int, seed: int = 0) -> Iterator[Content]:
    """Yield so many different contents of updates with that many parameters, all of them true."""
    parts = 2
    while parts * (parts - 1) // 2 < count:
        parts += 1
    random = np.random.default_rng(seed)
    drawn: NDArray[np.int8] = random.integers(
        -BASE_LIMIT, BASE_LIMIT, (parts, parameters), np.int8, endpoint=True
    )
    commitments = [_commit(setup, part) for part in drawn]
    zero = _commit(setup, np.zeros(parameters, np.int8))
    for left, right in islice(combinations(range(parts), 2), count):
        columns = zip(commitments[left], commitments[right], zero, strict=True)
        yield Content(
            (drawn[left] + drawn[right]).tobytes(),
            tuple(compress(one + two - less) for one, two, less in columns),
        )


def sign_update(key: SigningKey, assignment: Assignment, content: Content) -> update_pb2.Update:
    """Return the update of a participant for a round, as it travels to its shard."""
    info = assignment.info
    q = np.frombuffer(content.payload, np.int8)
    statement = update_pb2.UpdateStatement(
        hub_chain_id=assignment.hub_chain_id,
        task=info.task,
        round=info.round,
        attempt=info.attempt,
        shard=assignment.shard,
        participant=key.public_key,
        spec_digest=info.spec_digest,
        base_root=info.base_root,
        scale=info.scale,
        commitments=content.commitments,
        payload_root=payload_root(content.payload),
        clipped=count_clipped(q),
        large=count_large(q),
    )
    return update_pb2.Update(
        signed=sign_statement(statement, key), assignment=assignment.proof, payload=content.payload
    )


def _commit(setup: Setup, q: NDArray[np.int8]) -> list[G1Point]:
    return [decompress(commitment) for commitment in commit_update(setup, q)]
