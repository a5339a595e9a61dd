"""The ABCI server with an app that does nothing, in a process of its own: `python -m bench.blockserver ADDRESS`."""

from __future__ import annotations

import sys

from abci_app.server import BaseApplication, serve

if __name__ == "__main__":
    serve(BaseApplication(), sys.argv[1])
