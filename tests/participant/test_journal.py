"""The participant's state directory: nothing is lost, and no round is signed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from participant.errors import StateMismatch
from participant.journal import Identity, ParticipantJournal
from participant.updates import PreparedUpdate
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from pathlib import Path

OWNER = Identity("hub-1", 7, "grad1someone")
DIMENSION = 5


def prepared(mark: int) -> PreparedUpdate:
    signed = update_pb2.SignedStatement(statement=bytes([mark]), signature=b"s")
    return PreparedUpdate(
        update_pb2.Update(signed=signed, payload=b"p"), np.full(DIMENSION, float(mark), np.float64)
    )


def before(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(DIMENSION, value, np.float64)


def test_the_first_round_starts_without_a_residual(tmp_path: Path) -> None:
    journal = ParticipantJournal(tmp_path, OWNER, DIMENSION)
    assert journal.load() is None
    assert not journal.residual_for(1).any()


def test_a_signed_update_is_found_again_after_a_restart(tmp_path: Path) -> None:
    ParticipantJournal(tmp_path, OWNER, DIMENSION).save(3, 1, prepared(9), before(0.5))
    journal = ParticipantJournal(tmp_path, OWNER, DIMENSION)
    assert journal.find(3, 1) == prepared(9).update
    assert journal.find(3, 0) is None
    assert journal.find(2, 1) is None


def test_the_next_round_starts_from_what_the_last_one_left_over(tmp_path: Path) -> None:
    journal = ParticipantJournal(tmp_path, OWNER, DIMENSION)
    journal.save(3, 0, prepared(9), before(0.5))
    assert journal.residual_for(4)[0] == 9.0


def test_a_round_that_is_tried_again_starts_from_what_it_started_from_before(tmp_path: Path) -> None:
    journal = ParticipantJournal(tmp_path, OWNER, DIMENSION)
    journal.save(3, 0, prepared(9), before(0.5))
    assert journal.residual_for(3)[0] == 0.5


@pytest.mark.parametrize(
    ("owner", "dimension"),
    [
        (Identity("hub-2", 7, "grad1someone"), DIMENSION),
        (Identity("hub-1", 8, "grad1someone"), DIMENSION),
        (Identity("hub-1", 7, "grad1other"), DIMENSION),
        (OWNER, DIMENSION + 1),
    ],
)
def test_the_state_of_somebody_else_is_refused(tmp_path: Path, owner: Identity, dimension: int) -> None:
    ParticipantJournal(tmp_path, OWNER, DIMENSION)
    with pytest.raises(StateMismatch):
        ParticipantJournal(tmp_path, owner, dimension)


@pytest.mark.parametrize("name", ["identity.json", "signed.npz"])
def test_a_damaged_file_is_said_and_not_guessed_around(tmp_path: Path, name: str) -> None:
    ParticipantJournal(tmp_path, OWNER, DIMENSION).save(3, 0, prepared(9), before(0.5))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StateMismatch):
        ParticipantJournal(tmp_path, OWNER, DIMENSION).load()


def test_state_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    ParticipantJournal(tmp_path, OWNER, DIMENSION).save(3, 0, prepared(9), before(0.5))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_crash_while_writing_leaves_the_old_state(tmp_path: Path) -> None:
    journal = ParticipantJournal(tmp_path, OWNER, DIMENSION)
    journal.save(3, 0, prepared(9), before(0.5))
    (tmp_path / "signed.npz.new").write_bytes(b"half a fi")
    assert ParticipantJournal(tmp_path, OWNER, DIMENSION).find(3, 0) == prepared(9).update
