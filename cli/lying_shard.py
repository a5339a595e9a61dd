"""The app of a shard that lies about its sum: `python -m cli.lying_shard --home HOME`, for `demo --tamper sum`.

All validators of a shard that run it agree with each other, so their chain signs the false checkpoint: exactly the
case in which nobody but the hub's check on commitments stands between the lie and the model.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from aggregation.aggregate import encode_aggregate
from cli import node_app
from shards.checkpoints import body

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode_lie(aggregate: NDArray[np.int64] | NDArray[np.int32]) -> bytes:
    """Encode a sum with one added to its first coordinate."""
    changed = np.array(aggregate, np.int64)
    changed[0] += 1
    return encode_aggregate(changed)


def exchange_encoder() -> None:
    """Exchange one function of the honest app: everything else about this shard is genuine."""
    setattr(body, encode_aggregate.__name__, encode_lie)


if __name__ == "__main__":
    sys.exit(node_app.run_variant(__doc__, exchange_encoder))
