"""The bundling of updates, on the mini app with a sink that decides and executes at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from abci_app.errors import CommitTimeout, NodeUnavailable, UpdatesNotTaken
from abci_app.execution import execute_block
from abci_app.gateway import CommittedUpdate, UpdateBundler
from abci_app.grpc_errors import RemoteError
from abci_app.outcomes import OutcomeIndex
from abci_app.rpc_answers import BroadcastOutcome
from tests.support.miniapp import CHAIN, MemoryReader, MiniError, MiniItems, block_at, mini_app
from tests.support.waiting import eventually
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.application import ChainApplication


@dataclass
class InstantChain:
    """Executes every transaction in a block of its own, unless it is told otherwise."""

    reader: MemoryReader = field(default_factory=MemoryReader)
    outcomes: OutcomeIndex = field(default_factory=OutcomeIndex)
    txs: list[bytes] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    refuse_bundles: bool = False
    unreachable: bool = False
    silent: bool = False

    def __post_init__(self) -> None:
        self.gate.set()
        self.definition = mini_app(MiniItems())
        self.application = cast(
            "ChainApplication",
            SimpleNamespace(
                definition=self.definition,
                store=SimpleNamespace(latest=lambda: self.snapshot),
                chain_id=CHAIN,
                services=block_at().services,
                outcomes=self.outcomes,
            ),
        )

    @property
    def snapshot(self) -> object:
        return SimpleNamespace(
            height=4, time_ns=block_at().time_ns, get=self.reader.get, scan=self.reader.scan
        )

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        self.arrived.set()
        self.gate.wait(10)
        if self.unreachable:
            raise NodeUnavailable("no answer")
        self.txs.append(tx)
        if self.refuse_bundles and len(items_of(tx)) > 1:
            return BroadcastOutcome(sha256(tx).digest(), code=7, codespace="mini", log="no bundles")
        if not self.silent:
            outcome = execute_block(self.definition, block_at(), self.reader, [tx])
            self.reader.commit(outcome.state)
            self.outcomes.record(5, {sha256(tx).digest(): outcome.results[0]})
        return BroadcastOutcome(sha256(tx).digest())


def items_of(tx: bytes) -> list[bytes]:
    envelope = tx_pb2.Envelope.FromString(tx)
    return [update.payload for update in envelope.updates.updates]


def block_the_first(
    chain: InstantChain, bundler: UpdateBundler, pool: ThreadPoolExecutor
) -> Future[CommittedUpdate]:
    """Submit one update and hold it at the node, so that all that follow have to wait."""
    chain.gate.clear()
    first = pool.submit(bundler.submit, update(b"first"), wait=True, timeout_s=10)
    assert chain.arrived.wait(10)
    return first


def wait_for(bundler: UpdateBundler, count: int) -> None:
    eventually(lambda: bundler.waiting() >= count, f"{count} updates that wait")


def update(payload: bytes, name: bytes | None = None) -> update_pb2.Update:
    signed = update_pb2.SignedStatement(statement=name or payload, signature=b"s")
    return update_pb2.Update(signed=signed, payload=payload)


@pytest.fixture
def chain() -> InstantChain:
    return InstantChain()


@pytest.fixture
def bundler(chain: InstantChain) -> Iterator[UpdateBundler]:
    bundler = UpdateBundler(chain.application, chain, max_tx_bytes=4_096)
    yield bundler
    chain.gate.set()
    bundler.stop()


def test_updates_that_wait_travel_in_one_transaction(chain: InstantChain, bundler: UpdateBundler) -> None:
    with ThreadPoolExecutor(5) as pool:
        pending = [
            block_the_first(chain, bundler, pool),
            *(
                pool.submit(bundler.submit, update(b"u%d" % index), wait=True, timeout_s=10)
                for index in range(4)
            ),
        ]
        wait_for(bundler, 4)
        chain.gate.set()
        done = [future.result() for future in pending]
    assert sorted(len(items_of(tx)) for tx in chain.txs) == [1, 4]
    assert {item.height for item in done} == {5}


def test_an_update_that_fails_its_check_is_not_posted(chain: InstantChain, bundler: UpdateBundler) -> None:
    with pytest.raises(MiniError):
        bundler.submit(update(b"bad"), wait=True, timeout_s=5)
    assert chain.txs == []


def test_a_refusal_in_the_block_comes_back_with_its_code(bundler: UpdateBundler) -> None:
    with pytest.raises(RemoteError) as caught:
        bundler.submit(update(b"lie"), wait=True, timeout_s=5)
    assert caught.value.is_error(MiniError)


def test_when_a_bundle_is_refused_its_updates_go_one_by_one(
    chain: InstantChain, bundler: UpdateBundler
) -> None:
    chain.refuse_bundles = True
    with ThreadPoolExecutor(3) as pool:
        pending = [
            block_the_first(chain, bundler, pool),
            *(
                pool.submit(bundler.submit, update(b"u%d" % index), wait=True, timeout_s=10)
                for index in range(2)
            ),
        ]
        wait_for(bundler, 2)
        chain.gate.set()
        assert {future.result().height for future in pending} == {5}


def test_two_updates_of_one_identity_never_share_a_bundle(
    chain: InstantChain, bundler: UpdateBundler
) -> None:
    with ThreadPoolExecutor(3) as pool:
        first = block_the_first(chain, bundler, pool)
        twins = [
            pool.submit(bundler.submit, update(b"u%d" % index, b"twin"), wait=False, timeout_s=10)
            for index in range(2)
        ]
        wait_for(bundler, 2)
        chain.gate.set()
        first.result()
        for twin in twins:
            twin.result()
    assert [len(items_of(tx)) for tx in chain.txs] == [1, 1, 1]


def test_an_unreachable_node_is_said_to_the_submitter(chain: InstantChain, bundler: UpdateBundler) -> None:
    chain.unreachable = True
    with pytest.raises(NodeUnavailable):
        bundler.submit(update(b"u"), wait=True, timeout_s=5)


def test_an_update_larger_than_a_transaction_is_refused(bundler: UpdateBundler) -> None:
    with pytest.raises(UpdatesNotTaken):
        bundler.submit(update(b"u" * 4_096), wait=True, timeout_s=5)


def test_waiting_ends_when_no_block_holds_the_update(chain: InstantChain, bundler: UpdateBundler) -> None:
    chain.silent = True
    with pytest.raises(CommitTimeout):
        bundler.submit(update(b"u"), wait=True, timeout_s=0.1)
