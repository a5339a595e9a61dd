"""Programs that tests need and that are not Python packages."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / ".tools" / "bin"


def require_tool(name: str) -> str:
    """Return the path of a program, from the repository's own tools or else from PATH.

    A test fails without it, with the cure, instead of being skipped: what is not tested does not work.
    """
    own = TOOLS / name
    found = str(own) if own.exists() else shutil.which(name)
    assert found is not None, f"{name} is missing: run `./run setup`, which builds it into {TOOLS}"
    return found
