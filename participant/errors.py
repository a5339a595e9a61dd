"""Expected failures on the side of who trains."""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class ParticipantError(AppError):
    """Root of the failures of a participant."""

    CODESPACE: ClassVar[str] = "participant"


class ModelMismatch(ParticipantError):
    """The module has other float tensors than the task's spec: names, shapes or order."""

    CODE = 1
    CURE = "Build the module that the task was created with (`gradchain task show` lists its tensors)."


class UnverifiedData(ParticipantError):
    """What a node served does not match the chain's proven state."""

    CODE = 2
    CURE = "Ask another node: the one that answered is out of date or lies; or take the genesis file of its chain."


class NotAssigned(ParticipantError):
    """The participant has no part in this round."""

    CODE = 4
    CURE = "Wait for the next round; registration takes effect with the next one that opens."


class StateMismatch(ParticipantError):
    """The state directory belongs to another participant, task or chain, or is damaged."""

    CODE = 5
    CURE = (
        "Use a directory of its own for each key and task; remove it to start afresh (the residual is lost)."
    )


class DataUnavailable(ParticipantError):
    """The demo's data set is not installed, or is not the file that is expected."""

    CODE = 6
    CURE = "Install the participant extra: pip install gradchain[participant]."


class UpdateRefused(ParticipantError):
    """The shard did not take the update before the round closed."""

    CODE = 7
    CURE = "See the code in the message (docs/errors.md), and go on with the next round: this one is lost."


class WeightsUnreadable(ParticipantError):
    """The file holds no weights that can be read safely: not .npz or .pt, or more than plain tensors."""

    CODE = 8
    CURE = "Save a state_dict with torch.save, or the arrays by name with numpy.savez."


class TrustMissing(ParticipantError):
    """There is nothing from which a light client of the chain can start: no genesis file."""

    CODE = 9
    CURE = "Give the chain's genesis file, obtained from someone you trust."
