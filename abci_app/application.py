"""The ABCI application of a chain: protobuf at the edge, `execution` inside, one store below.

The consensus connection stages a block in FinalizeBlock and writes it in Commit.  Mempool and query connections only
read the last committed snapshot, so they answer while a long block executes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import structlog

from abci_app.context import BlockContext, Event, Services
from abci_app.execution import (
    BlockOutcome,
    RefusedResult,
    check_tx,
    execute_block,
    is_valid_proposal,
    select_for_proposal,
    shorten_log,
    verify_ahead,
)
from abci_app.headstart import HeadStart
from abci_app.interface import BaseApplication
from abci_app.mempool import PendingClaims
from abci_app.outcomes import OutcomeIndex
from abci_app.state import PROVABLE, Overlay, flatten
from abci_app.version import VERSION
from abci_app.waiting import WaitingRoom
from tx.errors import AppError
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from abci_app.definition import AppDefinition
    from abci_app.metrics import Metrics
    from abci_app.state import StateReader
    from abci_app.store import StagedBlock, Store

LOG = structlog.get_logger(__name__)


def time_ns_of(timestamp: Timestamp) -> int:
    """Return a protobuf timestamp as Unix nanoseconds."""
    return timestamp.seconds * 1_000_000_000 + timestamp.nanos


def events_to_wire(events: Iterable[Event]) -> list[types_pb2.Event]:
    """Return events as ABCI events.  None is indexed: the node keeps no transaction index."""
    return [
        types_pb2.Event(
            type=event.kind,
            attributes=[types_pb2.EventAttribute(key=key, value=value) for key, value in event.attributes],
        )
        for event in events
    ]


@dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block between FinalizeBlock and Commit."""

    height: int
    time_ns: int
    outcome: BlockOutcome
    staged: StagedBlock
    tx_hashes: tuple[bytes, ...]


class ChainApplication(BaseApplication):
    """Runs an `AppDefinition` under CometBFT."""

    def __init__(
        self, definition: AppDefinition, store: Store, services: Services, *, chain_id: str, metrics: Metrics
    ) -> None:
        self.definition = definition
        self.store = store
        self.services = services
        self.chain_id = chain_id
        self.metrics = metrics
        self.pending = PendingClaims()
        self.outcomes = OutcomeIndex()
        self.waiting = WaitingRoom()
        self._genesis: Overlay | None = None
        self._genesis_time_ns = 0
        self._block: PendingBlock | None = None
        self._head_start = HeadStart()

    # --- info and queries ----------------------------------------------------------------------------------------

    def info(self, request: types_pb2.RequestInfo) -> types_pb2.ResponseInfo:
        """Tell CometBFT how far the state is; it replays the rest."""
        snapshot = self.store.latest()
        LOG.debug("handshake", height=snapshot.height, comet_version=request.version)
        return types_pb2.ResponseInfo(
            data=f"gradchain-{self.definition.kind}",
            version=VERSION,
            app_version=1,
            last_block_height=snapshot.height,
            last_block_app_hash=snapshot.app_hash if snapshot.height else b"",
        )

    def query(self, request: types_pb2.RequestQuery) -> types_pb2.ResponseQuery:
        """Answer `/store/provable/key`, with the value of the key in `data`; everything else is served over gRPC."""
        if request.path != "/store/provable/key":
            return types_pb2.ResponseQuery(code=1, codespace="query", log="expected path /store/provable/key")
        snapshot = self.store.at(request.height) if request.height else self.store.latest()
        if snapshot is None:
            return types_pb2.ResponseQuery(
                code=2, codespace="query", log="the state of this height is not kept"
            )
        value = snapshot.get(PROVABLE, request.data) or b""
        return types_pb2.ResponseQuery(key=request.data, value=value, height=snapshot.height)

    # --- mempool -------------------------------------------------------------------------------------------------

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        """Run every check that is cheap; what passes is remembered as pending."""
        if request.type == types_pb2.CheckTxType.RECHECK:
            return types_pb2.ResponseCheckTx()
        snapshot, genesis = self.store.latest(), self._genesis
        # Before the first block nothing is committed, and handlers rely on what the genesis wrote.
        committed = snapshot if genesis is None or snapshot.height else genesis
        block = self._context(snapshot.height + 1, snapshot.time_ns or self._genesis_time_ns, b"")
        try:
            claims = check_tx(self.definition, block, committed, request.tx, self.pending)
        except RefusedResult as refused:
            result = refused.result
            self.metrics.refused.labels(result.codespace, str(result.code)).inc()
            return types_pb2.ResponseCheckTx(code=result.code, codespace=result.codespace, log=result.log)
        except AppError as error:
            self.metrics.refused.labels(error.CODESPACE, str(error.CODE)).inc()
            return types_pb2.ResponseCheckTx(
                code=error.CODE, codespace=error.CODESPACE, log=shorten_log(error)
            )
        self.pending.add(claims)
        return types_pb2.ResponseCheckTx()

    # --- consensus -----------------------------------------------------------------------------------------------

    def init_chain(self, request: types_pb2.RequestInitChain) -> types_pb2.ResponseInitChain:
        """Build the state of height 0 from the genesis file.

        Raises:
          ValueError: the genesis file belongs to another chain or is malformed; the node must not start.

        """
        if request.chain_id != self.chain_id:
            raise ValueError(f"expected chain id {self.chain_id}, the genesis file says {request.chain_id}")
        app_state = json.loads(request.app_state_bytes or b"{}")
        if not isinstance(app_state, dict):
            raise TypeError("app_state of the genesis file is not an object")
        overlay = Overlay(self.store.latest())
        block = self._context(0, time_ns_of(request.time), b"")
        self.definition.init_genesis(block, overlay, app_state)
        self._genesis = overlay
        self._genesis_time_ns = block.time_ns
        return types_pb2.ResponseInitChain(app_hash=self.store.stage(overlay).app_hash)

    def prepare_proposal(
        self, request: types_pb2.RequestPrepareProposal
    ) -> types_pb2.ResponsePrepareProposal:
        """Choose transactions.  Nothing is executed: a proposer that takes its time is passed over."""
        txs = select_for_proposal(self.definition, self.services, request.txs, request.max_tx_bytes)
        self._verify_ahead(request.height, time_ns_of(request.time), txs)
        return types_pb2.ResponsePrepareProposal(txs=txs)

    def process_proposal(
        self, request: types_pb2.RequestProcessProposal
    ) -> types_pb2.ResponseProcessProposal:
        """Refuse what no honest proposer does."""
        status = types_pb2.ResponseProcessProposal.ProposalStatus
        txs = list(request.txs)
        valid = is_valid_proposal(self.definition, self.services, txs)
        if valid:
            self._verify_ahead(request.height, time_ns_of(request.time), txs)
        else:
            LOG.warning("proposal refused", height=request.height, proposer=request.proposer_address.hex())
        return types_pb2.ResponseProcessProposal(status=status.ACCEPT if valid else status.REJECT)

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        """Execute a decided block.  Nothing is written before Commit, so a crash between the two costs nothing."""
        time_ns = time_ns_of(request.time)
        with self.metrics.finalize_seconds.time():
            self._head_start.finish()
            outcome = self._execute(request.height, time_ns, request.hash, request.txs)
            staged = self.store.stage(flatten(outcome.state))
        hashes = tuple(sha256(tx).digest() for tx in request.txs)
        self._block = PendingBlock(request.height, time_ns, outcome, staged, hashes)
        results = [
            types_pb2.ExecTxResult(
                code=result.code,
                codespace=result.codespace,
                log=result.log,
                data=result.data,
                events=events_to_wire(result.events),
            )
            for result in outcome.results
        ]
        return types_pb2.ResponseFinalizeBlock(
            events=events_to_wire(outcome.events), tx_results=results, app_hash=staged.app_hash
        )

    def commit(self, request: types_pb2.RequestCommit) -> types_pb2.ResponseCommit:  # noqa: ARG002
        """Write the staged block durably, in one step.

        Raises:
          RuntimeError: no block was finalised; CometBFT never asks that.

        """
        block = self._block
        if block is None:
            raise RuntimeError("Commit without FinalizeBlock")
        with self.metrics.commit_seconds.time():
            self.store.commit(block.staged, block.height, block.time_ns)
        self._block = None
        self._genesis = None
        self.pending.settle(block.outcome.claims)
        self.services.read.forget(block.tx_hashes)
        outcomes = dict(zip(block.tx_hashes, block.outcome.results, strict=True))
        self.outcomes.record(block.height, outcomes)
        self.metrics.observe_block(block.height, outcomes.values())
        return types_pb2.ResponseCommit()

    def _context(self, height: int, time_ns: int, block_hash: bytes) -> BlockContext:
        return BlockContext(self.chain_id, height, time_ns, block_hash, self.services)

    def _verify_ahead(self, height: int, time_ns: int, txs: Sequence[bytes]) -> None:
        """Begin to check the commitments of a proposal that may become the next block."""
        block, parent = self._context(height, time_ns, b""), self._parent
        self._head_start.begin(txs, lambda: verify_ahead(self.definition, block, parent, txs))

    @property
    def _parent(self) -> StateReader:
        """The state that the next block starts from."""
        return self._genesis if self._genesis is not None else self.store.latest()

    def _execute(self, height: int, time_ns: int, block_hash: bytes, txs: Iterable[bytes]) -> BlockOutcome:
        block = self._context(height, time_ns, block_hash)
        return execute_block(self.definition, block, self._parent, list(txs))
