"""Read access to the bodies of checkpoints for the gRPC service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregation.merkle import merkle_paths
from shards.checkpoints.state import get_body
from shards.errors import UnknownBody
from wire.gradchain.shard.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader
    from shards.rounds.types import RoundId

MAX_PARTS: Final = 32
"""Parts in one answer: two mebibytes, half of what gRPC takes by default."""


def list_body_parts(
    state: StateReader, round_id: RoundId, first: int, limit: int
) -> query_pb2.GetBodyPartsResponse:
    """Return parts of a body from `first` on, each with its audit path to the header's body root.

    A limit of 0 asks for as many as an answer may hold; past the last part there are none.

    Raises:
      UnknownBody: the round has no checkpoint with a body, or it was dropped.

    """
    body = get_body(state, round_id)
    if body is None:
        raise UnknownBody(f"expected a round with a body, got {round_id}")
    last = min(first + min(limit or MAX_PARTS, MAX_PARTS), len(body))
    paths = merkle_paths(body)
    return query_pb2.GetBodyPartsResponse(
        total_parts=len(body),
        parts=[
            query_pb2.BodyPart(index=index, data=body[index], path=paths[index])
            for index in range(first, last)
        ],
    )
