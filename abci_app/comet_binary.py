"""Find the `cometbft` binary and refuse one of another release line, or one with a known hole.

The ABCI protocol is the same on the lines listed here and on no other: 0.34 and 0.37 speak older ones, 1.x a newer
one that was given up.  A wrong binary would fail late and oddly, hence the check before anything starts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from abci_app.errors import CometMissing, CometUnsupported

BINARY_VARIABLE: Final = "GRADCHAIN_COMETBFT"
"""Environment variable that names the binary."""

REPOSITORY_ROOT: Final = Path(__file__).resolve().parents[1]

FIRST_VERSIONS: Final = ((0, 38, 21), (0, 39, 0), (0, 40, 0))
"""The first version that may be used of each release line with ABCI 2.0 in the package `tendermint.abci`.

Before 0.38.21 a proposer can forge the time of a block: the address of a vote need not be that of the validator whose
signature is checked (advisory GHSA-c32p-wcqj-j677, "Tachyon").  0.39.0 and 0.40.0 compare the two from the start."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_VERSION_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class CometBinary:
    """A `cometbft` that may be used."""

    path: Path
    version: str
    """As the binary prints it, such as 0.39.4."""


def find_cometbft() -> Path:
    """Return the binary: the one the environment names, the repository's own, or the first on PATH.

    Raises:
      CometMissing: none of them exists.

    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise CometMissing(f"expected a program at {named} (from {BINARY_VARIABLE}), got none")
        return Path(named)
    own = REPOSITORY_ROOT / ".tools" / "bin" / "cometbft"
    if os.access(own, os.X_OK):
        return own
    on_path = shutil.which("cometbft")
    if on_path is None:
        raise CometMissing(f"expected `cometbft` in {own.parent} or on PATH, got none")
    return Path(on_path)


def parse_version(text: str) -> tuple[int, int, int]:
    """Return major, minor and patch of what `cometbft version` prints.

    Raises:
      CometUnsupported: the text is no version.

    """
    match = _VERSION.match(text.strip())
    if match is None:
        raise CometUnsupported(
            f"expected a version such as 0.39.4 from `cometbft version`, got {text.strip()[:80]!r}"
        )
    major, minor, patch = (int(group) for group in match.groups())
    return major, minor, patch


def check_version(text: str) -> None:
    """Check that a version is of a supported line, and not before the first version of it that may be used.

    Raises:
      CometUnsupported: it is not.

    """
    version = parse_version(text)
    if not any(first[:2] == version[:2] and first <= version for first in FIRST_VERSIONS):
        firsts = ", ".join(".".join(map(str, first)) for first in FIRST_VERSIONS)
        raise CometUnsupported(f"expected CometBFT {firsts} or a later patch of these, got {text.strip()}")


def require_cometbft() -> CometBinary:
    """Return the binary after checking its version.

    Raises:
      CometMissing: there is none, or it does not run.
      CometUnsupported: it is of another release line, or too old.

    """
    path = find_cometbft()
    try:
        answer = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CometMissing(f"expected `{path} version` to answer, got: {error}") from error
    check_version(answer.stdout)
    return CometBinary(path, answer.stdout.strip())
