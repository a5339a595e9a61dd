"""A shard's app whose gateway posts every update by itself: `python -m bench.unbundled_node --home HOME`."""

from __future__ import annotations

import sys
from functools import partial

from abci_app.gateway import UpdateBundler
from cli import node_app


def turn_bundling_off() -> None:
    """Turn one switch of the ordinary app's gateway off."""
    setattr(node_app, UpdateBundler.__name__, partial(UpdateBundler, bundling=False))


if __name__ == "__main__":
    sys.exit(node_app.run_variant(__doc__, turn_bundling_off))
