"""Evidence of misbehaviour that holds, for tests that then break one thing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ibc.tendermint import TrustedState, TrustOptions, check_misbehaviour
from ibc.times import time_to_wire
from tests.support.ibc import SECOND_NS, START_NS, SimulatedChain, sign_header
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibc import errors
    from tests.support.ibc import Members

FORGED_ROOT = b"\x66" * 32


def fork_block(
    chain: SimulatedChain,
    height: int,
    *,
    app_hash: bytes = FORGED_ROOT,
    time_ns: int | None = None,
    voters: Sequence[int] | None = None,
    members: Members | None = None,
) -> types_pb2.LightBlock:
    """Return another block of a height that exists, signed by the same validators unless told otherwise."""
    header = types_pb2.Header()
    header.CopyFrom(chain.light_block(height).signed_header.header)
    header.app_hash = app_hash
    if time_ns is not None:
        header.time.CopyFrom(time_to_wire(time_ns))
    return sign_header(header, members or chain.members_at(height), voters)


@dataclass
class Evidence:
    """A fork at height 5 of a chain that is trusted from height 1 and from height 2."""

    chain: SimulatedChain = field(default_factory=SimulatedChain)
    height: int = 5
    starts: tuple[int, int] = (1, 2)
    now_ns: int = START_NS + 20 * SECOND_NS
    message: tendermint_pb2.Misbehaviour = field(init=False)
    options: TrustOptions = field(init=False)

    def __post_init__(self) -> None:
        if not self.chain.blocks:
            self.chain.add_blocks(6)
        self.options = self.chain.options()
        self.message = tendermint_pb2.Misbehaviour()
        self.show(0, fork_block(self.chain, self.height))
        self.show(1, self.chain.light_block(self.height))

    def header(self, place: int) -> tendermint_pb2.Header:
        """Return the first or the second header."""
        return self.message.header_2 if place else self.message.header_1

    def show(self, place: int, block: types_pb2.LightBlock) -> None:
        """Put a block in the place of a header."""
        self.header(place).CopyFrom(self.chain.wrap(block, self.starts[place]))

    @property
    def trusted(self) -> tuple[TrustedState, TrustedState]:
        one, other = self.starts
        return self.chain.trusted_state(one), self.chain.trusted_state(other)

    def check(self) -> None:
        check_misbehaviour(*self.trusted, self.message, self.options, self.now_ns)

    def refused(self, expected: type[errors.IbcError]) -> None:
        with pytest.raises(expected) as caught:
            self.check()
        assert type(caught.value) is expected, caught.value


def out_of_time(later_ns: int = 0) -> Evidence:
    """Return evidence that height 6 is later than height 5 by so many nanoseconds: with 0 it holds."""
    evidence = Evidence()
    time_ns = evidence.chain.trusted_state(5).time_ns + later_ns
    evidence.show(0, fork_block(evidence.chain, 6, time_ns=time_ns))
    return evidence
