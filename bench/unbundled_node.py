"""A shard's app whose gateway posts every update by itself: `python -m bench.unbundled_node --home HOME`."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path

from abci_app.gateway import UpdateBundler
from cli import node_app
from tx.errors import AppError


def main() -> int:
    """Run the app until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        # The ordinary app with one switch of its gateway turned off.
        setattr(node_app, UpdateBundler.__name__, partial(UpdateBundler, bundling=False))
        node_app.run_app(arguments.home)
    except AppError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - an expected failure has no traceback
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
