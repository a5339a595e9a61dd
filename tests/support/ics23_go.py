"""The reference implementation of ICS-23, cosmos/ics23/go, behind a function.

The program in `tests/interop/ics23` is built once and kept in the repository's cache under the hash of its sources.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_REPOSITORY: Final = Path(__file__).parents[2]
_SOURCES: Final = _REPOSITORY / "tests" / "interop" / "ics23"
_CACHE: Final = _REPOSITORY / ".cache" / "interop"


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a value is, or nothing (None) is, at [store, key] under a root."""

    root: bytes
    store: bytes
    key: bytes
    value: bytes | None
    proofs: tuple[bytes, bytes]
    """Encoded `CommitmentProof` of the key in the store, and of the store."""

    def to_json(self) -> str:
        """Return the line that the program reads."""
        return json.dumps(
            {
                "root": self.root.hex(),
                "store": self.store.hex(),
                "key": self.key.hex(),
                "value": None if self.value is None else self.value.hex(),
                "proofs": [proof.hex() for proof in self.proofs],
            }
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the reference implementation says."""

    accepted: bool
    reason: str


def build_program() -> Path:
    """Build the program unless its sources were built before, and return its path.

    Raises:
      RuntimeError: Go is not installed, or the build failed.

    """
    content = b"".join((_SOURCES / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    program = _CACHE / f"ics23-{sha256(content).hexdigest()[:16]}"
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise RuntimeError("these tests need Go 1.24 or later on PATH: run the set-up command of the README")
    _CACHE.mkdir(parents=True, exist_ok=True)
    draft = program.with_name(f"{program.name}.{os.getpid()}")
    command = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(draft), "."]
    built = subprocess.run(command, cwd=_SOURCES, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` in {_SOURCES} failed:\n{built.stderr}")
    draft.replace(program)  # several test processes may build at once; the last one wins
    return program


def ask(questions: Sequence[Question]) -> list[Verdict]:
    """Return the verdicts of the reference implementation, in order."""
    lines = "".join(f"{question.to_json()}\n" for question in questions)
    done = subprocess.run([str(build_program())], input=lines, capture_output=True, text=True, check=True)
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    if len(verdicts) != len(questions):
        raise RuntimeError(f"expected {len(questions)} verdicts, got {len(verdicts)}")
    return [Verdict(verdict["accepted"], verdict["reason"]) for verdict in verdicts]
