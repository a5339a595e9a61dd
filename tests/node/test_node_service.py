"""What a node says of a transaction that it was handed before."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from abci_app.errors import TxReplayed
from abci_app.execution import TxResult
from abci_app.node_service import NodeService
from abci_app.outcomes import OutcomeIndex
from abci_app.rpc_answers import BroadcastOutcome
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    import grpc

    from abci_app.application import ChainApplication

TX = b"tx"


@dataclass
class Application:
    outcomes: OutcomeIndex = field(default_factory=OutcomeIndex)


class Holder:
    """A mempool that has every transaction already."""

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        return BroadcastOutcome(sha256(tx).digest(), already_known=True)


def broadcast(application: Application) -> query_pb2.TxOutcome:
    service = NodeService(cast("ChainApplication", application), Holder(), rpc_address="")
    request = query_pb2.BroadcastTxRequest(tx=TX)
    return service.BroadcastTx(request, cast("grpc.ServicerContext", None)).outcome


def test_a_transaction_that_the_mempool_holds_is_a_replay_and_no_acceptance() -> None:
    outcome = broadcast(Application())
    assert (outcome.codespace, outcome.code) == (TxReplayed.CODESPACE, TxReplayed.CODE)


def test_one_that_is_in_a_block_is_left_to_be_asked_for() -> None:
    application = Application()
    application.outcomes.record(3, {sha256(TX).digest(): TxResult()})
    assert broadcast(application).code == 0
