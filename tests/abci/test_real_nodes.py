"""The server and the kvstore under real CometBFT nodes, with every call checked against ABCI's grammar."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest

from tests.support.comet_node import CometNode, join_nodes, pick
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.localnet

TRANSPORTS = ["unix", "tcp"]

FAIL_POINTS = 10
"""Places between two writes at which CometBFT can be told to exit; one block passes them all."""


@pytest.fixture
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a path short enough for sockets."""
    return tmp_path_factory.mktemp("n")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_transaction_is_committed_and_read_back_and_survives_a_kill(homes: Path, transport: str) -> None:
    with CometNode(homes / "a", transport) as node:
        node.start()
        node.send("key=value")
        assert node.query("key") == "value"
        node.send("other=1")
        committed_height, app_hash = node.wait_until_idle()
        node.kill()

        node.start()
        assert node.app_state() == (committed_height, app_hash)
        assert node.query("key") == "value"
        assert node.send("key=again") == committed_height + 1
        assert node.header(committed_height + 1)["app_hash"] == app_hash
        assert node.query("key") == "again"


def test_a_chain_without_transactions_does_not_produce_blocks(homes: Path) -> None:
    with CometNode(homes / "a") as node:
        node.start()
        heights = []
        for number in range(4):
            heights.append(node.send(f"key={number}"))
            assert node.wait_until_idle()[0] == heights[-1] + 1
        # A block for each transaction, one that proves its app hash, and no other.
        assert [height - heights[0] for height in heights] == [0, 2, 4, 6]


@pytest.mark.parametrize("point", range(FAIL_POINTS))
def test_a_crash_of_comet_between_any_two_writes_is_recovered_from(homes: Path, point: int) -> None:
    with CometNode(homes / "a") as node:
        node.start(FAIL_TEST_INDEX=str(point))
        assert node.comet is not None
        assert node.comet.wait(PATIENCE_S) != 0
        node.kill()
        node.start()
        node.send("key=value")
        node.wait_until_idle()
        assert node.query("key") == "value"


def answers(node: CometNode) -> bool:
    """Tell whether CometBFT can ask its application."""
    try:
        node.call("abci_query", data='"key"')
    except (AssertionError, HTTPException, OSError):
        return False
    return True


def test_a_crash_of_the_application_is_recovered_from(homes: Path) -> None:
    with CometNode(homes / "a") as node:
        node.start()
        node.send("key=value")
        assert node.app is not None
        node.app.kill()
        # CometBFT does not connect again: it stops, which on a busy machine has taken it over two minutes.
        eventually(lambda: not answers(node), "a node that has lost its application")
        node.kill()
        node.start()
        node.send("other=1")
        assert (node.query("key"), node.query("other")) == ("value", "1")


def test_a_validator_is_added_and_removed_by_transactions(homes: Path) -> None:
    with CometNode(homes / "a") as node:
        key = base64.b64encode(b"\x07" * 32).decode()
        node.start()

        def powers(height: int) -> list[str]:
            answer = eventually(lambda: node.try_call("validators", height=str(height)), "validators")
            assert isinstance(answer, dict)
            return [validator["voting_power"] for validator in answer["validators"]]

        changed = node.send(f"val=ed25519!{key}!1")
        node.wait_until_idle()
        removed = node.send(f"val=ed25519!{key}!0")
        node.wait_until_idle()
        node.send("a=1")
        assert powers(changed + 1) == ["10"]
        assert powers(changed + 2) == ["10", "1"]
        assert powers(removed + 2) == ["10"]


def test_votes_are_extended_and_verified_by_two_validators(homes: Path) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(CometNode(homes / name)) for name in "ab"]
        join_nodes(nodes, validators=2, vote_extensions=True)
        for node in nodes:
            node.start()
        nodes[0].send("key=value")
        height = nodes[1].send("other=1")
        for node in nodes:
            # The block that proves the app hash: when it is there, the application has committed the one before.
            node.wait_for_height(height + 1)
            assert node.query("other") == "1"
        # Whoever proposed the last block was given the extensions of all votes that the block's commit holds.
        carried = [node.query("", "/extensions") for node in nodes]
        assert any(count is not None and int(count) == len(nodes) for count in carried)


def test_a_fresh_node_syncs_its_state_from_a_running_one(homes: Path) -> None:
    interval = 10
    with ExitStack() as stack:
        source = stack.enter_context(CometNode(homes / "a", snapshot_interval=interval))
        fresh = stack.enter_context(CometNode(homes / "b", snapshot_interval=interval))
        join_nodes([source, fresh], validators=1)
        source.start()
        value = "x" * 40_000
        for number in range(2):
            source.send(f"large{number}={value}{number}")
        while source.height() < interval + 3:
            source.send(f"height={source.height()}")
        block = eventually(lambda: source.try_call("block", height="1"), "the first block")
        fresh.configure(
            {
                "statesync.enable": "true",
                "statesync.rpc_servers": f'"{source.rpc_address},{source.rpc_address}"',
                "statesync.trust_height": "1",
                "statesync.trust_hash": f'"{pick(block, "block_id", "hash")}"',
                "statesync.trust_period": '"1h"',
                "statesync.discovery_time": '"5s"',
            }
        )
        fresh.start()
        fresh.wait_for_height(source.height())
        status = fresh.call("status")
        assert int(pick(status, "sync_info", "earliest_block_height")) > interval
        assert fresh.query("large1") == f"{value}1"
        height = source.send("after=sync")
        fresh.wait_for_height(height + 1)
        assert fresh.query("after") == "sync"
        assert fresh.header(height + 1)["app_hash"] == source.header(height + 1)["app_hash"]
