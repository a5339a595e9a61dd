"""What a node checks of a proposal while validators vote on it, through the calls of ABCI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aggregation.batch import are_all_true, verify_claims
from shards.app import build_shard_app
from shards.updates import verification
from tests.support.app_node import AppNode
from tests.support.shard_link import SimulatedHub
from tests.support.shard_rounds import SHARD_CHAIN, TestRound, build_round, bundle
from tests.support.shards import genesis_state
from tests.support.txs import NOW_NS, SECOND_NS
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aggregation.batch import BlobClaim
    from aggregation.kzg import Setup


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AppNode]:
    node = AppNode(tmp_path / "app", build_shard_app(), SHARD_CHAIN, genesis_state())
    yield node
    node.close()


@pytest.fixture
def item(node: AppNode) -> TestRound:
    """An open round of four participants."""
    hub, item = SimulatedHub(), build_round()
    opening = packet_pb2.HubPacket(round_opened=item.opened)
    assert node.block(hub.link()) == [("", 0)]
    assert node.block(hub.relay(hub.send(opening, timeout_s=NOW_NS // SECOND_NS + 100))) == [("", 0)]
    return item


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each check of commitments."""
    made: list[str] = []

    def check_ahead(setup: Setup, claims: Sequence[BlobClaim]) -> bool:
        made.append("ahead")
        return are_all_true(setup, claims)

    def check(setup: Setup, claims: Sequence[BlobClaim]) -> list[bool]:
        made.append("block")
        return verify_claims(setup, claims)

    monkeypatch.setattr(verification, "are_all_true", check_ahead)
    monkeypatch.setattr(verification, "verify_claims", check)
    return made


def test_a_proposer_checks_once_and_its_block_nothing(
    node: AppNode, item: TestRound, calls: list[str]
) -> None:
    txs = [bundle(item.update(0), item.update(1)), bundle(item.update(2))]
    assert node.propose(*txs) == txs
    assert node.accepts(*txs)
    assert node.block(*txs) == [("", 0), ("", 0)]
    assert calls == ["ahead"]


def test_a_voter_checks_what_is_proposed(node: AppNode, item: TestRound, calls: list[str]) -> None:
    txs = [bundle(item.update(0))]
    assert node.accepts(*txs)
    assert node.block(*txs) == [("", 0)]
    assert calls == ["ahead"]


def test_a_node_that_replays_checks_in_the_block(node: AppNode, item: TestRound, calls: list[str]) -> None:
    assert node.block(bundle(item.update(0))) == [("", 0)]
    assert calls == ["block"]


def test_a_block_other_than_the_proposal_is_checked_as_well(
    node: AppNode, item: TestRound, calls: list[str]
) -> None:
    assert node.accepts(bundle(item.update(0)))
    assert node.block(bundle(item.update(1)), bundle(item.miscommitted(2))) == [("", 0), ("shard", 42)]
    assert calls == ["ahead", "block"]


def test_a_lie_in_a_proposal_is_refused_in_its_block(
    node: AppNode, item: TestRound, calls: list[str]
) -> None:
    txs = [bundle(item.update(0)), bundle(item.miscommitted(1))]
    assert node.accepts(*txs)
    assert node.block(*txs) == [("", 0), ("shard", 42)]
    assert calls == ["ahead", "block"]


def test_a_proposal_that_is_refused_is_not_checked(node: AppNode, item: TestRound, calls: list[str]) -> None:
    assert not node.accepts(bundle(item.update(0)), bundle(item.update(0)))
    assert calls == []
