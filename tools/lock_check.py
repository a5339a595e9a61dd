"""Fail when requirements/dev.txt no longer answers pyproject.toml, or names a package index."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.txt"


def main() -> int:
    """Resolve again, with the lock's own versions preferred, and compare."""
    text = LOCK.read_text(encoding="utf-8")
    if re.search(r"https?://|--index|--find-links", text):
        print(f"{LOCK.name} names a package index")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / LOCK.name
        shutil.copy(LOCK, fresh)
        command = ["uv", "pip", "compile", "-q", "pyproject.toml", "--extra", "participant", "--group", "dev"]
        done = subprocess.run([*command, "-o", str(fresh)], cwd=ROOT, check=False)
        if done.returncode or fresh.read_text(encoding="utf-8") != text:
            print("requirements/dev.txt is not current: ./run lock")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
