"""A process that commits blocks until something stops it: run by the tests of crashes and full disks.

Arguments: home, database, and the largest file in bytes that it may write, zero for any.
"""

from __future__ import annotations

import resource
import sys
from itertools import count
from pathlib import Path

from abci_app.errors import DiskFull, StoreClosed
from abci_app.state import Overlay
from abci_app.store import open_store
from tests.support.store import commit_overlay, make_block

FULL = 3
"""Exit code for a disk that is full, after which the store takes no more blocks."""


def main() -> int:
    home, name, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    store = open_store(home, name)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for _ in count():
        try:
            snapshot = commit_overlay(store, make_block(store.latest()))
        except DiskFull as error:
            sys.stderr.write(f"{error}\n")
            break
        sys.stdout.write(f"{snapshot.height} {snapshot.app_hash.hex()}\n")
        sys.stdout.flush()
    try:
        commit_overlay(store, Overlay(store.latest()))
    except StoreClosed:
        return FULL
    return 0


if __name__ == "__main__":
    sys.exit(main())
