"""Why a shard refuses a genesis, a packet, a round, an update or a query.

Codes 1-9 are those of genesis and packets, 10-19 of rounds, 20-49 of updates, 50-59 of checkpoints, 60-69 of queries.

```
ShardError
|- InvalidGenesis, UnexpectedPacket, ForeignClient
|- InvalidRound, RoundExists, UnknownRound
|- RoundClosed, WrongDestination, WrongSpec, WrongBase, WrongScale, NotAssigned, WrongPayloadSize,
|  WrongCommitmentCount, AlreadyAccepted, SecondUpdate, SlotSpent, PayloadMismatch
|- LyingUpdate              the participant signed something untrue; its slot is spent
|  |- PayloadOutOfRange, CountMismatch, CommitmentMismatch
|- MissingBlob
|- InvalidQuery, UnknownUpdate, UnknownPayload, UnknownBody
```
"""

from __future__ import annotations

from tx.errors import AppError


class ShardError(AppError):
    """Root of the failures of the shard app."""

    CODESPACE = "shard"


class InvalidGenesis(ShardError):
    """The `app_state` of the shard's genesis file lacks a field, has an unknown one, or one of the wrong form."""

    CODE = 1
    CURE = "Write the genesis file again; the message names the field."


class UnexpectedPacket(ShardError):
    """A packet for the shard's port holds nothing that a shard takes from the hub."""

    CODE = 2
    CURE = "Run hub and shard in versions that speak the same port version."


class ForeignClient(ShardError):
    """A packet for the shard's port came over a light client that does not follow the shard's hub."""

    CODE = 3
    CURE = "Send over the client that the shard's genesis names as `hub_client_id`."


class InvalidRound(ShardError):
    """The hub opened a round with values that no round can have here."""

    CODE = 10
    CURE = "Compare the task with the limits of the shard's genesis; the message names the field."


class RoundExists(ShardError):
    """The hub opened a round and attempt that this shard knows already."""

    CODE = 11
    CURE = "Nothing has to be done: the first opening counts."


class UnknownRound(ShardError):
    """This shard knows no such task, round and attempt."""

    CODE = 12
    CURE = "Wait until the hub's packet has arrived, or ask the shard to which the participant is assigned."


class RoundClosed(ShardError):
    """The round takes no more updates: its close time has come, or its checkpoint is made."""

    CODE = 20
    CURE = "Train for the next round; check that your clock agrees with block time."


class WrongDestination(ShardError):
    """The statement was signed for another hub or another shard."""

    CODE = 21
    CURE = (
        "Ask the hub for the assignment (`gradchain participant assignment`), sign for the shard that it names, and "
        "send the update there."
    )


class WrongSpec(ShardError):
    """The statement names another task spec than the round."""

    CODE = 22
    CURE = "Fetch the task again and sign its spec's digest."


class WrongBase(ShardError):
    """The update starts from another model than the round's."""

    CODE = 23
    CURE = "Fetch the round's base model and train again."


class WrongScale(ShardError):
    """The update is quantised with another scale than the round's."""

    CODE = 24
    CURE = "Quantise with the scale of the round as the hub announced it."


class NotAssigned(ShardError):
    """The assignment proof does not place the participant among those of this shard and round."""

    CODE = 25
    CURE = (
        "Ask the hub for the proof of this round and attempt (`gradchain participant assignment`). Who is not assigned "
        "waits for the next round."
    )


class WrongPayloadSize(ShardError):
    """The payload has not one byte for each parameter of the task."""

    CODE = 26
    CURE = "Make the update with all tensors of the task spec and no others, in its order (`gradchain task show`)."


class WrongCommitmentCount(ShardError):
    """The statement has not one commitment for each blob of the payload."""

    CODE = 27
    CURE = "Commit to every blob of the payload, and to no more."


class AlreadyAccepted(ShardError):
    """The same statement was accepted before, so a transaction with it would bring nothing new."""

    CODE = 28
    CURE = "Nothing has to be done: the update counts."


class SecondUpdate(ShardError):
    """Another statement of this participant was accepted in this round; two of them are equivocation."""

    CODE = 29
    CURE = "Sign one update a round, and keep it until the round is over."


class SlotSpent(ShardError):
    """The participant signed an untrue statement in this round before, which used the round up for it."""

    CODE = 30
    CURE = "Train for the next round, with an SDK that computes counts and commitments from the payload."


class PayloadMismatch(ShardError):
    """The payload is not the one whose root was signed.  Anyone can have swapped it, so nothing is spent."""

    CODE = 31
    CURE = "Send payload and statement as they were made together; nothing is lost, the round still takes the update."


class LyingUpdate(ShardError):
    """The participant signed something about its own payload that is untrue."""


class PayloadOutOfRange(LyingUpdate):
    """A coordinate of the signed payload is -128, which no update has."""

    CODE = 40
    CURE = (
        "The participant's part in this round is used up. For the next one quantise with the SDK or "
        "`gradchain update make`, which clip to -127..127."
    )


class CountMismatch(LyingUpdate):
    """The signed numbers of clipped or large coordinates are not those of the signed payload."""

    CODE = 41
    CURE = (
        "The participant's part in this round is used up. For the next one make the update with the SDK or "
        "`gradchain update make`, which count on the very bytes that are sent."
    )


class CommitmentMismatch(LyingUpdate):
    """A signed commitment does not commit to its blob of the signed payload."""

    CODE = 42
    CURE = (
        "The participant's part in this round is used up. For the next one compute the commitments with the ceremony "
        "file of the release, from the very bytes that are sent, as the SDK and `gradchain update make` do."
    )


class MissingBlob(ShardError):
    """The node's disk lacks bytes that its state says it holds; it cannot go on without them."""

    CODE = 50
    CURE = "Restore the node's home from a backup, or sync it again from the other nodes."


class InvalidQuery(ShardError):
    """A field of a query is out of range or has the wrong size."""

    CODE = 60
    CURE = "Correct the field that the message names."


class UnknownUpdate(ShardError):
    """The shard holds no update of this participant in this round."""

    CODE = 61
    CURE = "Check task, round, attempt and participant; an update shows once its block is committed."


class UnknownPayload(ShardError):
    """The shard holds no payload with this root in this round, or has dropped it since."""

    CODE = 62
    CURE = "Check root and round; payloads are dropped when the hub has settled the round."


class UnknownBody(ShardError):
    """The round has no checkpoint with a body: it is open, had no updates, or its body was dropped."""

    CODE = 63
    CURE = "Wait for the round to close; bodies are dropped when the hub has settled the round."
