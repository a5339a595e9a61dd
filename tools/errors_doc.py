"""Generate docs/errors.md from the error classes; with --check, fail when the file is not current."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

from tx.errors import REGISTRY, AppError

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "errors.md"
PACKAGES = (
    "tx",
    "aggregation",
    "ibc",
    "abci_app",
    "hub",
    "shards",
    "relayer",
    "participant",
    "localnet",
    "cli",
    "bench",
)
HEAD = """\
# Errors

Every expected failure has a codespace and a code that never change.  A refused transaction carries both; the command
line prints them behind the message as `[codespace/code]`.  This page is generated from the error classes by
`./run docs`.
"""


def load_errors() -> list[type[AppError]]:
    """Import every module that can define an error and return all errors, sorted."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            if module.name.endswith((".errors", ".failures")):
                importlib.import_module(module.name)
    return [REGISTRY[key] for key in sorted(REGISTRY)]


def render(errors: list[type[AppError]]) -> str:
    """Return the page."""
    lines = [HEAD]
    codespace = ""
    for error in errors:
        if codespace != error.CODESPACE:
            codespace = error.CODESPACE
            lines += [f"## {codespace}\n", "| code | name | cause | cure |", "|---|---|---|---|"]
        cause = " ".join((error.__doc__ or "").split()).replace("|", "\\|")
        cure = " ".join(error.CURE.split()).replace("|", "\\|")
        lines.append(f"| {error.CODE} | {error.__name__} | {cause} | {cure} |")
    text = "\n".join(lines) + "\n"
    return text.replace("\n## ", "\n\n## ").replace("\n\n\n", "\n\n")


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = render(load_errors())
    if check:
        if TARGET.read_text(encoding="utf-8") != text:
            print("docs/errors.md is not current: ./run docs")
            return 1
        return 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
