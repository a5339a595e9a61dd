"""From a change of the model to a signed update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregation.kzg import commit_update
from aggregation.payload import encode_payload, payload_root
from aggregation.quantise import quantise
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aggregation.kzg import Setup
    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import round_pb2


@dataclass(frozen=True, slots=True)
class Assignment:
    """A participant's verified part of a round."""

    hub_chain_id: str
    info: round_pb2.RoundInfo
    shard: str
    proof: update_pb2.AssignmentProof


@dataclass(frozen=True, slots=True, eq=False)
class PreparedUpdate:
    """An update ready to be submitted, and what its quantisation left over."""

    update: update_pb2.Update
    residual: NDArray[np.float64]
    """Residual to carry into the next round, shape (d,)."""


def make_update(
    setup: Setup,
    key: SigningKey,
    assignment: Assignment,
    delta: NDArray[np.float32] | NDArray[np.float64],
    residual: NDArray[np.float64],
    *,
    max_fee: int = 0,
) -> PreparedUpdate:
    """Quantise, commit and sign a change of the model.

    `delta` is the trained model less the round's base model, shape (d,); `residual` is what earlier rounds left
    over, shape (d,).

    Raises:
      NotFiniteError: training diverged; a value is not finite.
      SizeMismatchError: the vectors are not of one size.

    """
    info = assignment.info
    quantised = quantise(delta, residual, info.scale)
    payload = encode_payload(quantised.q)
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
        commitments=commit_update(setup, quantised.q),
        payload_root=payload_root(payload),
        clipped=quantised.clipped,
        large=quantised.large,
        max_fee=max_fee,
    )
    update = update_pb2.Update(
        signed=sign_statement(statement, key), assignment=assignment.proof, payload=payload
    )
    return PreparedUpdate(update, quantised.residual)
