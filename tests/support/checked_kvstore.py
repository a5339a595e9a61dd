"""The kvstore example behind the checker of ABCI's call order, as a process: `ADDRESS HOME SNAPSHOT_INTERVAL`."""

from __future__ import annotations

import sys
from pathlib import Path

from abci_app.examples.kvstore import KvStore
from abci_app.examples.kvstore_storage import Storage
from abci_app.grammar import CheckedApplication
from abci_app.server import serve

if __name__ == "__main__":
    serve(
        CheckedApplication(KvStore(Storage(Path(sys.argv[2])), snapshot_interval=int(sys.argv[3]))),
        sys.argv[1],
    )
