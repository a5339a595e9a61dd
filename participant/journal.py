"""What a participant must not lose: its residual, and the update that it has signed for a round.

Signing two different updates of one round is equivocation and can be proven, so after a crash the update that was
signed first is sent again, whatever training would now give.  Files are written aside, synced and renamed.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

import numpy as np

from participant.errors import StateMismatch
from tx.codec import decode_canonical, encode
from tx.errors import AppError
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from participant.updates import PreparedUpdate

FORMAT: Final = 1
PRIVATE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose state a directory holds."""

    hub_chain_id: str
    task: int
    participant: str
    """Address as text."""


@dataclass(frozen=True, slots=True, eq=False)
class SignedRound:
    """The update that was signed for a round, with the residuals before and after it."""

    round_number: int
    attempt: int
    update: update_pb2.Update
    residual_before: NDArray[np.float64]
    residual_after: NDArray[np.float64]


class ParticipantJournal:
    """The state directory of one participant in one task."""

    def __init__(self, directory: Path, identity: Identity, dimension: int) -> None:
        """Open the directory, or make it.

        Raises:
          StateMismatch: it belongs to someone else.

        """
        self._directory = directory
        self._dimension = dimension
        directory.mkdir(parents=True, exist_ok=True)
        wanted = {
            "format": FORMAT,
            "hub_chain_id": identity.hub_chain_id,
            "task": identity.task,
            "participant": identity.participant,
            "dimension": dimension,
        }
        path = directory / "identity.json"
        if not path.exists():
            _write(path, json.dumps(wanted, indent=1).encode())
            return
        try:
            found = json.loads(path.read_bytes())
        except ValueError as error:
            raise StateMismatch(f"{path} is damaged") from error
        if found != wanted:
            raise StateMismatch(f"expected state of {wanted}, {path} says {found}")

    def load(self) -> SignedRound | None:
        """Return the newest signed update, or None before the first.

        Raises:
          StateMismatch: the file is damaged.

        """
        path = self._directory / "signed.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                signed = SignedRound(
                    int(stored["round"]),
                    int(stored["attempt"]),
                    decode_canonical(update_pb2.Update, stored["update"].tobytes()),
                    stored["before"],
                    stored["after"],
                )
        except (OSError, EOFError, ValueError, KeyError, BadZipFile, AppError) as error:
            raise StateMismatch(f"{path} is damaged: {error}") from error
        if signed.residual_after.shape != (self._dimension,):
            raise StateMismatch(f"expected a residual of {self._dimension} values in {path}")
        return signed

    def residual_for(self, round_number: int) -> NDArray[np.float64]:
        """Return the residual to start a round from.

        A round that is tried again starts from what it started from before.
        """
        signed = self.load()
        if signed is None:
            return np.zeros(self._dimension, np.float64)
        return signed.residual_before if signed.round_number == round_number else signed.residual_after

    def find(self, round_number: int, attempt: int) -> update_pb2.Update | None:
        """Return the update that was already signed for that attempt of a round, if it is the newest."""
        signed = self.load()
        if signed is None or (signed.round_number, signed.attempt) != (round_number, attempt):
            return None
        return signed.update

    def save(
        self, round_number: int, attempt: int, prepared: PreparedUpdate, residual_before: NDArray[np.float64]
    ) -> None:
        """Make a signed update durable.  Must be done before it is submitted."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            round=np.uint64(round_number),
            attempt=np.uint64(attempt),
            update=np.frombuffer(encode(prepared.update), np.uint8),
            before=residual_before,
            after=prepared.residual,
        )
        _write(self._directory / "signed.npz", buffer.getvalue())


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step, durably."""
    aside = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
