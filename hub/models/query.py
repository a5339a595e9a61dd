"""What can be asked about models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregation.merkle import merkle_paths
from hub.checks import check_hash, part_count
from hub.models.state import find_complete_model, read_chunk
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader

MAX_CHUNKS: Final = 32
"""Most chunks in one answer: two mebibytes, half of what gRPC takes by default."""


def read_model_chunks(
    state: StateReader, root: bytes, first: int, limit: int
) -> query_pb2.GetModelChunksResponse:
    """Return chunks of a model from `first` on, each with its audit path to the root.

    A limit of zero means as many as one answer holds; past the last chunk there are none.

    Raises:
      InvalidField: that is no root.
      UnknownChunk: no complete model with that root is kept.

    """
    check_hash("model_root", root)
    model = find_complete_model(state, root)
    total = part_count(model.total_bytes)
    chunks = [read_chunk(state, model, index) for index in range(total)]
    paths = merkle_paths(chunks)
    last = min(total, first + min(limit or MAX_CHUNKS, MAX_CHUNKS))
    return query_pb2.GetModelChunksResponse(
        total_chunks=total,
        parts=[
            tx_pb2.DataPart(index=index, data=chunks[index], path=paths[index])
            for index in range(first, last)
        ],
    )
