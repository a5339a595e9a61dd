"""Packets that we and the released ibc-go (v11.2.0) hold to be well-formed or not otherwise than each other, on purpose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ibc import errors


@dataclass(frozen=True, slots=True)
class PacketDifference:
    """A kind of packet with two verdicts."""

    name: str
    why: str
    error: type[errors.IbcError] | None
    """What we answer; None where the packet is well-formed for us."""
    pattern: str
    """What our message holds; where the packet is well-formed for us, theirs."""

    def covers(self, ours: errors.IbcError | None, their_reason: str) -> bool:
        """Whether these two answers are of this kind."""
        if ours is None:
            return self.error is None and re.search(self.pattern, their_reason) is not None
        return type(ours) is self.error and re.search(self.pattern, ours.message) is not None


SEVERAL_PAYLOADS: Final = PacketDifference(
    "a packet of several payloads",
    "IBC v2 has lists of payloads; ibc-go v11 takes one until its applications can undo one of several.  Ours can.",
    None,
    "payload length is [2-9], must be 1",
)
LABEL: Final = PacketDifference(
    "a version or encoding that is long or not of printable characters",
    "These names are shown to people and compared with known ones; ibc-go asks only that they are not blank.",
    errors.InvalidPacket,
    "expected a payload (version|encoding) of printable characters",
)

PACKET_DIFFERENCES: Final = (SEVERAL_PAYLOADS, LABEL)


def explain_form(ours: errors.IbcError | None, their_reason: str) -> PacketDifference:
    """Return why two verdicts on a packet's form differ.

    Raises:
      AssertionError: they do not differ on purpose.

    """
    found = [difference for difference in PACKET_DIFFERENCES if difference.covers(ours, their_reason)]
    assert found, f"ours: {ours!r}; theirs: {their_reason}"
    return found[0]
