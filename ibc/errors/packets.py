"""What can be wrong with packets: codes 70-89."""

from __future__ import annotations

from ibc.errors.root import IbcError


class InvalidPacket(IbcError):
    """A packet has a field that is empty, malformed or out of range."""

    CODE = 70
    CURE = "Correct the field that the message names."


class PayloadTooLarge(IbcError):
    """The payloads of a packet are too large or too many."""

    CODE = 71
    CURE = "Send a root of the content, and the content itself outside of the packet."


class InvalidAcknowledgement(IbcError):
    """An acknowledgement is empty, or does not fit its packet."""

    CODE = 72
    CURE = "Send the acknowledgement unchanged, as the other chain wrote it."


class TimeoutElapsed(IbcError):
    """The packet's timeout has passed, so it can no longer be sent or received."""

    CODE = 73
    CURE = "Prove to the sender that the packet was not received in time."


class TimeoutTooFar(IbcError):
    """The packet's timeout lies too far ahead."""

    CODE = 74
    CURE = "Use a timeout of at most a day."


class TimeoutNotReached(IbcError):
    """At the proof height the packet's timeout had not passed, so it may still be received."""

    CODE = 75
    CURE = "Wait until the other chain's block time has passed the timeout, and prove at such a height."


class CommitmentMismatch(IbcError):
    """The packet differs from the one that was sent under its number."""

    CODE = 76
    CURE = "Send the packet unchanged, as the `send_packet` event or the pending list shows it."


class UnknownPort(IbcError):
    """No application of this chain listens on the port."""

    CODE = 77
    CURE = "Check the port names and the kind of chain (hub or shard)."


class RelayRedundant(IbcError):
    """Everything that the transaction relays was relayed before."""

    CODE = 78
    CURE = "Nothing has to be done."


class MalformedEvent(IbcError):
    """A packet event lacks an attribute, or holds no packet."""

    CODE = 79
    CURE = "Read the packet from the chain's pending list instead."
