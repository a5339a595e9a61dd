"""The app process of a node on a disk that is full: no file of it may grow beyond a limit while the home says so.

The file `cramped` in the home holds the limit in bytes; without it there is no limit.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from cli.main import main

LIMIT_FILE = "cramped"


def cramp(home: Path) -> None:
    """Take the limit over."""
    path = home / LIMIT_FILE
    if path.exists():
        limit = int(path.read_text())
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    cramp(Path(sys.argv[sys.argv.index("--home") + 1]))
    sys.argv[1:1] = ["node", "app"]
    main()
