"""A node stores a block before its app executes it: what looks at nodes in between."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from abci_app.endpoint import Endpoint
from localnet.demo.audit import count_events
from localnet.network import Localnet
from localnet.readiness import has_blocks
from localnet.status import collect_reports
from tests.support.localnet import build_manifest
from tests.support.rpc_server import Reply, build_error, build_result, running_rpc_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localnet.nodes import ChainHandle

EXECUTED, STORED = 2, 3


def answer_status() -> Reply:
    sync = {
        "latest_block_height": str(STORED),
        "latest_app_hash": "AA",
        "latest_block_time": "2026-01-01T00:00:00Z",
        "earliest_block_height": "1",
        "catching_up": False,
    }
    node = {"network": "kv", "id": "ab", "moniker": "played", "version": "0.39.4"}
    return build_result({"node_info": node, "sync_info": sync, "validator_info": {"voting_power": "10"}})


def answer_results(height: int) -> Reply:
    if height > EXECUTED:
        return build_error(f"could not find results for height #{height}")
    return build_result(
        {"height": str(height), "txs_results": [{"code": 0}, {"code": 7}], "app_hash": "qg=="}
    )


@contextmanager
def running_chain(directory: Path, app_info: Reply) -> Iterator[ChainHandle]:
    """Run a chain of one node, whose app says of itself what is given."""

    def answer(target: str, _body: bytes) -> Reply:
        path, _, height = target.partition("?height=")
        match path:
            case "/status":
                return answer_status()
            case "/abci_info":
                return app_info
            case "/block_results":
                return answer_results(int(height))
            case "/net_info":
                return build_result({"n_peers": "0"})
            case _:
                return build_result({"n_txs": "0", "total": "0", "total_bytes": "0"})

    chain = Localnet.create(build_manifest(), directory / "net").chains["kv-0"]
    (node,) = chain.nodes
    with running_rpc_server(answer) as server:
        port = urlsplit(server.url).port
        assert port is not None
        served = replace(node, config=replace(node.config, rpc=Endpoint("127.0.0.1", port)))
        yield replace(chain, nodes=(served,))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainHandle]:
    """A chain whose app is a block behind its node."""
    said = build_result({"response": {"last_block_height": str(EXECUTED), "last_block_app_hash": "qg=="}})
    with running_chain(tmp_path, said) as running:
        yield running


@pytest.fixture
def headless(tmp_path: Path) -> Iterator[ChainHandle]:
    """A chain whose app has just been killed, which ends its node soon."""
    with running_chain(tmp_path, build_error("EOF")) as running:
        yield running


def test_the_audit_counts_the_blocks_that_are_executed(chain: ChainHandle) -> None:
    assert count_events(chain) == {"transactions": EXECUTED, "failed_transactions": EXECUTED}


def test_a_node_has_a_block_when_its_app_has_executed_it(chain: ChainHandle) -> None:
    (node,) = chain.nodes
    assert has_blocks(node, EXECUTED)
    assert not has_blocks(node, STORED)


def test_a_node_whose_app_does_not_answer_has_no_block(headless: ChainHandle) -> None:
    assert not has_blocks(headless.nodes[0], 1)


def test_the_report_of_a_node_whose_app_does_not_answer_says_so(headless: ChainHandle) -> None:
    (report,) = collect_reports(headless.nodes)
    assert (report.answers, report.states) == (False, ())
