"""An update that verifies, for tests that then break one thing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from abci_app.context import VerificationCache
from ibc.tendermint import (
    Invalid,
    NotEnoughTrust,
    TrustedState,
    TrustOptions,
    Verified,
    verify_update,
)
from tests.support.ibc import (
    SECOND_NS,
    START_NS,
    Members,
    SimulatedChain,
    make_slot,
    sign_header,
    validator_key,
)
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibc import errors


class RecordingCache(VerificationCache):
    """Says what was looked up, and what was remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.verdicts: list[bool] = []

    def get(self, digest: bytes) -> bool | None:
        self.asked.append(digest)
        return super().get(digest)

    def put(self, digest: bytes, *, verdict: bool) -> None:
        self.verdicts.append(verdict)
        super().put(digest, verdict=verdict)


@dataclass
class Case:
    """An update that verifies, for tests that then break one thing."""

    chain: SimulatedChain = field(default_factory=SimulatedChain)
    trusted_height: int = 1
    height: int = 2
    now_ns: int = START_NS + 20 * SECOND_NS
    header: tendermint_pb2.Header = field(init=False)
    trusted: TrustedState = field(init=False)
    options: TrustOptions = field(init=False)

    def __post_init__(self) -> None:
        if not self.chain.blocks:
            self.chain.add_blocks(6)
        self.header = tendermint_pb2.Header()
        self.header.CopyFrom(self.chain.update(self.trusted_height, self.height))
        self.trusted = self.chain.trusted_state(self.trusted_height)
        self.options = self.chain.options()

    @property
    def inner(self) -> types_pb2.Header:
        return self.header.signed_header.header

    @property
    def commit(self) -> types_pb2.Commit:
        return self.header.signed_header.commit

    @property
    def members(self) -> Members:
        return self.chain.members_at(self.height)

    def sign_again(self, voters: Sequence[int] | None = None) -> None:
        """Let the validators sign the header as it is now."""
        block = sign_header(self.inner, self.members, voters)
        self.header.signed_header.commit.CopyFrom(block.signed_header.commit)

    def vote(self, place: int, key_number: int | None = None, flag: int = 2) -> None:
        """Replace a slot by a freshly signed one, of the validator in its place or of another key."""
        key = self.members[place].key if key_number is None else validator_key(key_number)
        wire_flag = validator_pb2.BLOCK_ID_FLAG_NIL if flag == 3 else validator_pb2.BLOCK_ID_FLAG_COMMIT
        slot = make_slot(self.chain.chain_id, self.commit, key, START_NS, wire_flag)
        self.commit.signatures[place].CopyFrom(slot)

    def check(self) -> Verified | NotEnoughTrust | Invalid:
        return verify_update(self.trusted, self.header, self.options, self.now_ns)

    def refused(self, expected: type[errors.IbcError]) -> None:
        verdict = self.check()
        assert isinstance(verdict, Invalid)
        assert type(verdict.error) is expected, verdict.error


def skipping() -> Case:
    return Case(height=5)


both_ways = pytest.mark.parametrize("make_case", [Case, skipping], ids=["next height", "far height"])
