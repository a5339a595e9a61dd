"""Expected failures of the hub.

Codes 1-19 belong to accounts, 20-39 to tasks, 40-59 to models, 60-79 to the registry, 80-119 to rounds, 120-139 to
settlement, 140-159 to genesis and queries.

```
HubError
|- InvalidField            a field of a message has a size or value that no valid message has
|- InsufficientBalance     an account does not hold what is to leave it
|- TaskNotFound            no task of that number
|- TaskClosed              the task no longer takes participants
|- AlreadyRegistered       the participant is registered for the task
|- TaskFull                the task has as many participants as a task may have
|- NotCreator              only the creator of a task may do that
|- TaskNotUploading        the task no longer waits for its model
|- UnknownChunk            a chunk of no model that is kept
|- WrongChunk              a chunk of another size than its index asks for
|- NotAuthority            only the authority of the genesis may do that
|- ShardExists             the chain, or the light client, is registered already
|- ClientUnusable          the light client does not exist or is not active
|- ClientOfAnotherChain    the light client follows another chain
|- TooManyShards           the hub has as many shards as it may have
|- RoundNotFound           no such round or attempt, or the shard is not part of it
|- UnknownPacket           a packet that the hub does not know
|- ForeignClient           a checkpoint over a client of no shard
|- AlreadyCheckpointed     the shard has sent its checkpoint of the round
|- InvalidCheckpoint       a header whose fields contradict the round
|- CheckpointTooLate       the checkpoint can no longer be folded into a round
|- NoCheckpoint            parts of a body for which no header waits
|- WrongPart               a part of a body of another size than its index asks for
|- BodyMismatch            a body that is not what its header says
|- CertificateMismatch     a certificate that does not belong to the round
|- WeightMismatch          a weight that does not follow from the Gram matrix
|- NotAssigned             the participant is not assigned in the round
|- SettlementNotFound      the round is not settled
|- InvalidGenesis          the hub's part of the genesis file is malformed
```
"""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class HubError(AppError):
    """A failure of the hub's modules."""

    CODESPACE: ClassVar[str] = "hub"


class InvalidField(HubError):
    """A field of a message has a size or value that no valid message has."""

    CODE: ClassVar[int] = 1
    CURE: ClassVar[str] = (
        "Correct the field that the message names; addresses are 32 bytes, amounts at least 1."
    )


class InsufficientBalance(HubError):
    """The account does not hold as much as is to leave it."""

    CODE: ClassVar[int] = 2
    CURE: ClassVar[str] = (
        "Look up the balance (`gradchain account show`) and send less, or fund the account first."
    )


class TaskNotFound(HubError):
    """There is no task of that number."""

    CODE: ClassVar[int] = 20
    CURE: ClassVar[str] = "List the tasks (`gradchain task list`) and use a number from there."


class TaskClosed(HubError):
    """The task takes no participants: its model is not complete, or it has ended."""

    CODE: ClassVar[int] = 21
    CURE: ClassVar[str] = (
        "Wait until the creator has uploaded the model, or choose a task that is still running."
    )


class AlreadyRegistered(HubError):
    """The participant is registered for the task."""

    CODE: ClassVar[int] = 22
    CURE: ClassVar[str] = (
        "Nothing has to be done: the registration holds for all rounds from the next one on."
    )


class TaskFull(HubError):
    """The task has as many participants as a task may have."""

    CODE: ClassVar[int] = 23
    CURE: ClassVar[str] = "Choose another task."


class NotCreator(HubError):
    """Only the account that created the task may do that."""

    CODE: ClassVar[int] = 24
    CURE: ClassVar[str] = "Sign with the key of the task's creator."


class TaskNotUploading(HubError):
    """The task no longer waits for its model: it takes participants already, or it has ended."""

    CODE: ClassVar[int] = 25
    CURE: ClassVar[str] = (
        "Look at the task (`gradchain task show`): one that takes participants runs to its end, and what no round "
        "has earned comes back then."
    )


class UnknownChunk(HubError):
    """The model root, or the chunk's index, is of no model that the hub keeps."""

    CODE: ClassVar[int] = 40
    CURE: ClassVar[str] = "Ask for the newest model of the task: older ones are dropped after a few rounds."


class WrongChunk(HubError):
    """A chunk of a model has another index or size than a model of the task's parameters."""

    CODE: ClassVar[int] = 41
    CURE: ClassVar[str] = "Cut the encoded model in chunks of 64 KiB; only the last one may be shorter."


class NotAuthority(HubError):
    """Only the authority that the genesis names may do that."""

    CODE: ClassVar[int] = 60
    CURE: ClassVar[str] = "Ask the operator of the hub's authority key."


class ShardExists(HubError):
    """The chain is registered and active, or the light client serves another shard."""

    CODE: ClassVar[int] = 61
    CURE: ClassVar[str] = (
        "Nothing has to be done for a chain that is registered; use a light client of its own for another."
    )


class ClientUnusable(HubError):
    """The light client does not exist, has expired, or is frozen."""

    CODE: ClassVar[int] = 62
    CURE: ClassVar[str] = (
        "Create a light client of the shard on the hub, and keep it updated (the relayer does)."
    )


class ClientOfAnotherChain(HubError):
    """The light client follows another chain than the one to be registered."""

    CODE: ClassVar[int] = 63
    CURE: ClassVar[str] = "Name the client that was created for this chain id."


class TooManyShards(HubError):
    """The hub has as many shards as its parameters allow."""

    CODE: ClassVar[int] = 64
    CURE: ClassVar[str] = "Raise max_shards in the genesis of a new hub, or use the shards that there are."


class RoundNotFound(HubError):
    """There is no such round or attempt of the task, or the shard has no part in it."""

    CODE: ClassVar[int] = 80
    CURE: ClassVar[str] = "Look up the task's newest round and attempt, and the shards that take part in it."


class UnknownPacket(HubError):
    """A packet on the hub's port is of a kind, version or encoding that the hub does not know."""

    CODE: ClassVar[int] = 81
    CURE: ClassVar[str] = "Send checkpoints of version gradchain-1; update whichever chain is older."


class ForeignClient(HubError):
    """A checkpoint came over a light client that serves no shard, or not the current client of its shard."""

    CODE: ClassVar[int] = 82
    CURE: ClassVar[str] = "Register the shard with this client first (authority)."


class AlreadyCheckpointed(HubError):
    """The shard has sent its checkpoint of this round and attempt."""

    CODE: ClassVar[int] = 83
    CURE: ClassVar[str] = "Nothing has to be done: the first checkpoint counts."


class InvalidCheckpoint(HubError):
    """A field of a checkpoint's header contradicts the round that it answers."""

    CODE: ClassVar[int] = 84
    CURE: ClassVar[str] = "Check that the shard runs the same version as the hub."


class CheckpointTooLate(HubError):
    """The checkpoint came after the last round into which the task lets it be folded."""

    CODE: ClassVar[int] = 85
    CURE: ClassVar[str] = "Nothing can be done for this round; look at why the shard or the relayer was slow."


class NoCheckpoint(HubError):
    """The hub waits for no body of this shard and round: the header has not arrived, or it stopped waiting."""

    CODE: ClassVar[int] = 86
    CURE: ClassVar[str] = "Relay the checkpoint's packet first, then deliver its body."


class WrongPart(HubError):
    """A part of a body has another index or size than the header's number of bytes asks for."""

    CODE: ClassVar[int] = 87
    CURE: ClassVar[str] = "Cut the body in parts of 64 KiB; only the last one may be shorter."


class BodyMismatch(HubError):
    """A checkpoint's body matches its root, but not the other fields of the header or of the round."""

    CODE: ClassVar[int] = 88
    CURE: ClassVar[str] = (
        "Nothing can be done for this round: the shard's validators signed a false checkpoint."
    )


class CertificateMismatch(HubError):
    """A certificate names another round, base model, shard or scale, or a participant twice."""

    CODE: ClassVar[int] = 89
    CURE: ClassVar[str] = (
        "Nothing can be done for this round: the shard's validators signed a false checkpoint."
    )


class WeightMismatch(HubError):
    """A weight, or the total weight, does not follow from the Gram matrices by the task's rule."""

    CODE: ClassVar[int] = 90
    CURE: ClassVar[str] = (
        "Nothing can be done for this round: the shard's validators signed a false checkpoint."
    )


class NotAssigned(HubError):
    """The participant is not assigned to any shard in the round."""

    CODE: ClassVar[int] = 91
    CURE: ClassVar[str] = (
        "Register for the task and wait for its next round; a round may sample only some participants."
    )


class SettlementNotFound(HubError):
    """The round is not settled, or does not exist."""

    CODE: ClassVar[int] = 120
    CURE: ClassVar[str] = "Wait until the round is aggregated and the challenge window is over."


class InvalidGenesis(HubError):
    """The hub's part of the genesis file is malformed."""

    CODE: ClassVar[int] = 140
    CURE: ClassVar[str] = (
        "Correct the entry of app_state that the message names, or let `gradchain localnet` write the file."
    )
