"""Rounds as a hub opens them on a shard, with participants who sign true and false updates for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.assignment import assignment_proof, assignment_root
from aggregation.kzg import commit_update
from aggregation.payload import payload_root
from aggregation.quantise import count_clipped, count_large
from aggregation.weights import unit_weight
from shards.rounds.types import RoundId
from tests.support.aggregation import draw_updates, shared_setup
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.statements import statement_digest
from wire.gradchain.fl.v1 import packet_pb2, task_pb2, update_pb2
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tx.keys import SigningKey

HUB_CHAIN: Final = "hub-1"
SHARD_CHAIN: Final = "shard-1"
MEAN: Final = task_pb2.Rule(mean=task_pb2.RuleMean())


@lru_cache(maxsize=1024)
def _commit(payload: bytes) -> tuple[bytes, ...]:
    return commit_update(shared_setup(), np.frombuffer(payload, np.int8))


@dataclass(frozen=True, slots=True)
class TestRound:
    """A round with the keys of its participants, who can sign updates for it."""

    __test__ = False

    opened: packet_pb2.RoundOpened
    keys: tuple[SigningKey, ...]
    shard: str = SHARD_CHAIN

    @property
    def round_id(self) -> RoundId:
        return RoundId(self.opened.task, self.opened.round, self.opened.attempt)

    @property
    def participants(self) -> list[bytes]:
        return [key.public_key for key in self.keys]

    def proof(self, index: int) -> update_pb2.AssignmentProof:
        opened = self.opened
        return assignment_proof(
            opened.task, opened.round, opened.attempt, self.shard, self.participants, index=index
        )

    def values(self, index: int) -> NDArray[np.int8]:
        """Return the coordinates that a participant sends unless told otherwise."""
        drawn: NDArray[np.int8] = draw_updates(index + 1000 * self.opened.round, 1, self.opened.parameters)[0]
        return drawn

    def statement(self, index: int, payload: bytes) -> update_pb2.UpdateStatement:
        """Return the true statement of a payload."""
        opened = self.opened
        q = np.frombuffer(payload, np.int8)
        return update_pb2.UpdateStatement(
            hub_chain_id=HUB_CHAIN,
            task=opened.task,
            round=opened.round,
            attempt=opened.attempt,
            shard=self.shard,
            participant=self.keys[index].public_key,
            spec_digest=opened.spec_digest,
            base_root=opened.base_root,
            scale=opened.scale,
            commitments=_commit(payload),
            payload_root=payload_root(payload),
            clipped=count_clipped(q),
            large=count_large(q),
        )

    def sign(self, index: int, statement: update_pb2.UpdateStatement, payload: bytes) -> update_pb2.Update:
        """Return an update with a statement as it is, true or not, signed by a participant."""
        statement_bytes = encode(statement)
        signature = self.keys[index].sign(statement_digest(statement_bytes))
        return update_pb2.Update(
            signed=update_pb2.SignedStatement(statement=statement_bytes, signature=signature),
            assignment=self.proof(index),
            payload=payload,
        )

    def update(self, index: int, values: NDArray[np.int8] | None = None) -> update_pb2.Update:
        """Return a participant's true update."""
        payload = (self.values(index) if values is None else values).tobytes()
        return self.sign(index, self.statement(index, payload), payload)

    def changed_update(
        self, index: int, change: Callable[[update_pb2.UpdateStatement], None]
    ) -> update_pb2.Update:
        """Return an update whose statement was changed before it was signed."""
        payload = self.values(index).tobytes()
        statement = self.statement(index, payload)
        change(statement)
        return self.sign(index, statement, payload)

    def miscounted(self, index: int) -> update_pb2.Update:
        """Return an update with a wrong number of large coordinates."""

        def miscount(statement: update_pb2.UpdateStatement) -> None:
            statement.large += 1

        return self.changed_update(index, miscount)

    def miscommitted(self, index: int) -> update_pb2.Update:
        """Return an update with the commitments of another payload."""
        other = self.values(index + 500).tobytes()

        def exchange(statement: update_pb2.UpdateStatement) -> None:
            statement.commitments[:] = _commit(other)

        return self.changed_update(index, exchange)


def build_round(
    participants: int = 4,
    *,
    task: int = 1,
    number: int = 1,
    attempt: int = 1,
    parameters: int = 25,
    rule: task_pb2.Rule = MEAN,
    unit: int | None = None,
    close_after_s: int = 60,
    deadline_after_s: int = 120,
    shard: str = SHARD_CHAIN,
) -> TestRound:
    """Return a round that closes so many seconds after `NOW_NS`."""
    keys = tuple(build_key(index + 1) for index in range(participants))
    return TestRound(
        packet_pb2.RoundOpened(
            task=task,
            round=number,
            attempt=attempt,
            spec_digest=sha256(b"spec").digest(),
            base_root=sha256(b"base %d" % number).digest(),
            scale=10,
            unit_weight=unit_weight(participants) if unit is None else unit,
            rule=rule,
            parameters=parameters,
            assigned=participants,
            assignment_root=assignment_root(task, number, attempt, shard, [key.public_key for key in keys]),
            seed=sha256(b"seed %d" % number).digest(),
            close_time_ns=NOW_NS + close_after_s * SECOND_NS,
            deadline_ns=NOW_NS + deadline_after_s * SECOND_NS,
        ),
        keys,
        shard,
    )


def bundle(*updates: update_pb2.Update) -> bytes:
    """Return the transaction that carries the updates."""
    return encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle(updates=updates)))
