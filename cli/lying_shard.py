"""The app of a shard that lies about its sum: `python -m cli.lying_shard --home HOME`, for `demo --tamper sum`.

All validators of a shard that run it agree with each other, so their chain signs the false checkpoint: exactly the
case in which nobody but the hub's check on commitments stands between the lie and the model.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aggregation.aggregate import encode_aggregate
from cli.node_app import run_app
from shards.checkpoints import body
from tx.errors import AppError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode_lie(aggregate: NDArray[np.int64] | NDArray[np.int32]) -> bytes:
    """Encode a sum with one added to its first coordinate."""
    changed = np.array(aggregate, np.int64)
    changed[0] += 1
    return encode_aggregate(changed)


def main() -> int:
    """Run the app until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        # The honest app with one function exchanged: everything else about this shard is genuine.
        setattr(body, encode_aggregate.__name__, encode_lie)
        run_app(arguments.home)
    except AppError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - an expected failure has no traceback
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
