"""`gradchain.node.v1.NodeService`: status, transactions and proofs, the same on every chain."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import grpc

from abci_app.errors import CommitTimeout, StateNotKept, TooManyWaiting, TxReplayed
from abci_app.grpc_errors import abort
from abci_app.state import PROVABLE
from abci_app.version import VERSION
from tx.errors import AppError
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from abci_app.application import ChainApplication
    from abci_app.gateway import TxSink
    from abci_app.outcomes import Outcome
    from abci_app.store import Snapshot

MAX_WAIT_S: Final = 60.0
MAX_KEYS: Final = 256
"""Keys that are proven in one answer."""


def remaining_s(context: grpc.ServicerContext) -> float:
    """Return how long a call may still wait."""
    left = context.time_remaining()
    return MAX_WAIT_S if left is None else max(0.0, min(MAX_WAIT_S, left - 0.1))


def outcome_to_wire(outcome: Outcome) -> query_pb2.TxOutcome:
    """Return an outcome as a message."""
    result = outcome.result
    return query_pb2.TxOutcome(
        code=result.code, codespace=result.codespace, log=result.log, height=outcome.height, data=result.data
    )


class NodeService(query_pb2_grpc.NodeServiceServicer):
    """Answers from the application of this node and forwards transactions to its CometBFT."""

    def __init__(self, application: ChainApplication, sink: TxSink, *, rpc_address: str) -> None:
        self._application = application
        self._sink = sink
        self._rpc_address = rpc_address

    def GetStatus(  # noqa: N802 - gRPC names
        self,
        request: query_pb2.GetStatusRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> query_pb2.GetStatusResponse:
        """Tell which chain this is and how far it is."""
        snapshot = self._application.store.latest()
        return query_pb2.GetStatusResponse(
            chain_id=self._application.chain_id,
            kind=self._application.definition.kind,
            height=snapshot.height,
            app_hash=snapshot.app_hash,
            block_time_ns=snapshot.time_ns,
            version=VERSION,
            rpc_address=self._rpc_address,
        )

    def BroadcastTx(  # noqa: N802
        self, request: query_pb2.BroadcastTxRequest, context: grpc.ServicerContext
    ) -> query_pb2.BroadcastTxResponse:
        """Hand a transaction to the chain; on request wait until it is in a block."""
        if not request.wait:
            return self._broadcast(request, context)
        try:
            with self._application.waiting.hold_place():
                return self._broadcast(request, context)
        except TooManyWaiting as error:
            abort(context, error, grpc.StatusCode.RESOURCE_EXHAUSTED)

    def _broadcast(
        self, request: query_pb2.BroadcastTxRequest, context: grpc.ServicerContext
    ) -> query_pb2.BroadcastTxResponse:
        tx_hash = sha256(request.tx).digest()
        try:
            verdict = self._sink.broadcast_tx_sync(request.tx)
        except AppError as error:
            abort(context, error, grpc.StatusCode.UNAVAILABLE)
        if verdict.code:
            refused = query_pb2.TxOutcome(code=verdict.code, codespace=verdict.codespace, log=verdict.log)
            return query_pb2.BroadcastTxResponse(tx_hash=tx_hash, outcome=refused)
        if not request.wait:
            if verdict.already_known and self._application.outcomes.get(tx_hash) is None:
                # Whether other nodes have taken it is not known here, so this is no acceptance.
                log = f"expected new bytes, got {tx_hash.hex()}, which this node holds"
                held = query_pb2.TxOutcome(codespace=TxReplayed.CODESPACE, code=TxReplayed.CODE, log=log)
                return query_pb2.BroadcastTxResponse(tx_hash=tx_hash, outcome=held)
            return query_pb2.BroadcastTxResponse(tx_hash=tx_hash)
        outcome = self._application.outcomes.wait(tx_hash, remaining_s(context))
        if outcome is None:
            abort(context, CommitTimeout(f"transaction {tx_hash.hex()} is in no block yet"))
        return query_pb2.BroadcastTxResponse(tx_hash=tx_hash, outcome=outcome_to_wire(outcome))

    def GetTx(  # noqa: N802
        self,
        request: query_pb2.GetTxRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> query_pb2.GetTxResponse:
        """Tell what became of a recent transaction."""
        outcome = self._application.outcomes.get(request.tx_hash)
        if outcome is None:
            return query_pb2.GetTxResponse(found=False)
        return query_pb2.GetTxResponse(found=True, outcome=outcome_to_wire(outcome))

    def Prove(  # noqa: N802
        self, request: query_pb2.ProveRequest, context: grpc.ServicerContext
    ) -> query_pb2.ProveResponse:
        """Return a value of the provable store, or its absence, with the proof."""
        return _prove(self._require_state(request.height, context), request.key, context)

    def ProveMany(  # noqa: N802
        self, request: query_pb2.ProveManyRequest, context: grpc.ServicerContext
    ) -> query_pb2.ProveManyResponse:
        """Return several values of the same state, or their absence, with the proofs."""
        snapshot = self._require_state(request.height, context)
        answers = [_prove(snapshot, key, context) for key in request.keys[:MAX_KEYS]]
        return query_pb2.ProveManyResponse(answers=answers)

    def _require_state(self, height: int, context: grpc.ServicerContext) -> Snapshot:
        """Return the state of a height, or the last one for 0; end the call if it is not kept."""
        store = self._application.store
        snapshot = store.at(height) if height else store.latest()
        if snapshot is None:
            kept = store.latest().height
            abort(context, StateNotKept(f"expected a recent height up to {kept}, got {height}"))
        return snapshot


def _prove(snapshot: Snapshot, key: bytes, context: grpc.ServicerContext) -> query_pb2.ProveResponse:
    try:
        proof = snapshot.prove(key)
    except AppError as error:
        abort(context, error, grpc.StatusCode.INVALID_ARGUMENT)
    return query_pb2.ProveResponse(
        value=snapshot.get(PROVABLE, key) or b"", height=snapshot.height, proof=proof
    )
