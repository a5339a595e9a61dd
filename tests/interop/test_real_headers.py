"""Headers of a real chain whose validators change, verified by us and by the reference implementations."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from ibc.identifiers import Height, parse_revision
from ibc.light import Done, LightClient, Need, to_client_message
from ibc.rpcjson import parse_light_block_answers
from ibc.tendermint import TrustedState, TrustOptions, verify_update
from ibc.voting import Fraction
from tests.interop import comparisons
from tests.interop.differences import name_of
from tests.support.comet_node import CometNode, join_nodes, pick
from tests.support.differential import Tally
from tests.support.ibc import SECOND_NS, TRUSTING_PERIOD_NS
from tests.support.judge_go import UNTRUSTED, VERIFIED, Judge, UpdateJudgement

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import ReportCases
    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
    from wire.tendermint.types import types_pb2

pytestmark = pytest.mark.localnet

LEVELS = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))

CHANGES = (
    ((3, 10), (2, 0)),  # a third: the third of three validators makes way for the fourth
    ((3, 20),),
    ((4, 20), (3, 0)),  # a half: 20 of 40
    ((3, 11), (2, 10), (0, 0), (1, 0), (4, 0)),  # all
)
"""Powers that validators are given, by their number, one transaction each; no transaction twice, since nodes remember them."""


def public_key_of(node: CometNode) -> str:
    validators = node.read_genesis()["validators"]
    assert isinstance(validators, list)
    return pick(validators[0], "pub_key", "value")


def make_chain(folder: Path, stack: ExitStack) -> list[types_pb2.LightBlock]:
    """Run a chain while its validators change, and return all its light blocks."""
    nodes = [stack.enter_context(CometNode(folder / name)) for name in "abcde"]
    keys = [public_key_of(node) for node in nodes]
    join_nodes(nodes, validators=3)
    for node in nodes:
        node.start()
    height = nodes[0].send("before=1")
    for changes in CHANGES:
        for number, power in changes:
            nodes[0].send(f"val=ed25519!{keys[number]}!{power}")
        for count in range(3):  # changes are in force two blocks later
            height = nodes[0].send(f"after{height}={count}")
    nodes[0].wait_for_height(height)
    return [fetch(nodes[0], number) for number in range(1, height + 1)]


def fetch(node: CometNode, height: int) -> types_pb2.LightBlock:
    commit = node.call("commit", height=str(height))
    return parse_light_block_answers(
        commit, [node.call("validators", height=str(height), per_page="100", page="1")]
    )


def state_of(block: types_pb2.LightBlock) -> TrustedState:
    header = block.signed_header.header
    return TrustedState(
        header.height, header.time.ToNanoseconds(), header.app_hash, header.next_validators_hash
    )


class Referee:
    """Compares the verdicts on headers of one chain."""

    def __init__(self, judge: Judge, blocks: list[types_pb2.LightBlock]) -> None:
        self.judge = judge
        self.blocks = blocks
        last = blocks[-1].signed_header.header
        self.chain_id = last.chain_id
        self.now_ns = last.time.ToNanoseconds() + SECOND_NS

    def options(self, level: Fraction) -> TrustOptions:
        return TrustOptions(self.chain_id, level, TRUSTING_PERIOD_NS, 10 * SECOND_NS)

    def header(self, start: int, height: int) -> tendermint_pb2.Header:
        validators = self.blocks[start].validator_set  # of the height after the start
        trusted_height = Height(parse_revision(self.chain_id), start)
        return to_client_message(self.blocks[height - 1], trusted_height, validators)

    def judge_both(
        self, trusted: TrustedState, header: tendermint_pb2.Header, level: Fraction
    ) -> tuple[str, UpdateJudgement]:
        ours = verify_update(trusted, header, self.options(level), self.now_ns)
        theirs = self.judge.judge_update(trusted, header, self.options(level), self.now_ns)
        return name_of(ours), theirs

    def compare(self, start: int, height: int, level: Fraction) -> str:
        trusted = state_of(self.blocks[start - 1])
        ours, theirs = self.judge_both(trusted, self.header(start, height), level)
        assert {ours} == {theirs.ibc.verdict, theirs.light.verdict}, (start, height, theirs)
        return ours


def check_pairs(referee: Referee) -> Tally:
    """Compare every way from one height to another, at every trust level."""
    tally = Tally()
    for start, height in combinations(range(1, len(referee.blocks) + 1), 2):
        for level in LEVELS:
            verdict = referee.compare(start, height, level)
            tally.count(verdict)
            if height == start + 1:
                assert verdict == VERIFIED
    return tally


def check_replacement_of_all(referee: Referee) -> None:
    """Nobody whom the first height trusts has signed the last one."""
    assert referee.compare(1, len(referee.blocks), Fraction(1, 3)) == UNTRUSTED


def check_bisection(referee: Referee) -> int:
    """Follow the chain from its first to its last height, and have every header on the way judged."""
    client = LightClient(state_of(referee.blocks[0]), referee.options(Fraction(1, 3)))
    progress = client.begin(len(referee.blocks))
    while isinstance(progress, Need):
        progress = client.step(referee.blocks[progress.height - 1], referee.now_ns)
    assert isinstance(progress, Done)
    for header in progress.headers:
        trusted = state_of(referee.blocks[header.trusted_height.revision_height - 1])
        ours, theirs = referee.judge_both(trusted, header, Fraction(1, 3))
        assert (ours, theirs.ibc.verdict, theirs.light.verdict) == (VERIFIED,) * 3
    return len(progress.headers)


def test_headers_of_a_chain_whose_validators_change_have_the_same_verdict_everywhere(
    tmp_path_factory: pytest.TempPathFactory, judge: Judge, report_cases: ReportCases
) -> None:
    with ExitStack() as stack:
        blocks = make_chain(tmp_path_factory.mktemp("n"), stack)
    assert len({block.signed_header.header.validators_hash for block in blocks}) >= len(CHANGES)
    referee = Referee(judge, blocks)
    tally = check_pairs(referee)
    assert min(tally[VERIFIED], tally[UNTRUSTED]) >= 20, tally
    check_replacement_of_all(referee)
    assert 2 <= check_bisection(referee) < len(blocks) - 1
    report_cases(comparisons.REAL_HEADERS, tally)
