"""The limits on the size of a transaction at a real node: before and after each, and which one it was.

The genesis allows blocks that are smaller than the largest transaction of the mempool, which no settings of ours do, so
that all limits can be met one after the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc
import pytest

from abci_app.comet import GO_FORM_BYTES, MIB
from abci_app.errors import TxTooLarge
from abci_app.grpc_errors import error_of
from abci_app.nodehome import load_config
from abci_app.rpc import CometRpc
from tests.support.chain_home import make_hub_home, sign_now, wait_for_blocks
from tests.support.hub import CREATOR
from tests.support.localnet import QUICK, running_node
from tests.support.txs import build_key
from tx.failures import MalformedEncoding
from wire.gradchain.hub.v1 import tx_pb2
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.nodehome import NodeHome

pytestmark = pytest.mark.localnet

BLOCK_BYTES = 2 * MIB
LARGEST_FORM_TX = (GO_FORM_BYTES - len("tx=0x")) // 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHome]:
    home = make_hub_home(tmp_path_factory.mktemp("node") / "home", block_bytes=BLOCK_BYTES)
    with running_node(home):
        wait_for_blocks(home)
        yield home
        wait_for_blocks(home)


@pytest.fixture
def rpc(home: NodeHome) -> Iterator[CometRpc]:
    with CometRpc(load_config(home).rpc_url) as client:
        yield client


def read_largest(rpc: CometRpc) -> int:
    """Return the size of the largest transaction for which a block has room, as the node states it."""
    with pytest.raises(TxTooLarge) as refused:
        rpc.broadcast_tx_sync(bytes(BLOCK_BYTES))
    found = re.search(r"tx size is too big: \d+, max: (\d+)", str(refused.value))
    assert found is not None, refused.value
    # The limit counts the field's tag and length too, four bytes at this size.
    return int(found[1]) - 4


def test_a_transaction_for_which_a_block_has_room_reaches_the_app(rpc: CometRpc) -> None:
    verdict = rpc.broadcast_tx_sync(b"\xff" * read_largest(rpc))
    assert (verdict.codespace, verdict.code) == (MalformedEncoding.CODESPACE, MalformedEncoding.CODE)


def test_one_byte_more_than_a_block_has_room_for_is_too_large(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match=r"within consensus_params\.block\.max_bytes"):
        rpc.broadcast_tx_sync(b"\xff" * (read_largest(rpc) + 1))


def test_the_largest_transaction_of_the_mempool_meets_the_limit_of_the_block_first(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match=r"within consensus_params\.block\.max_bytes"):
        rpc.broadcast_tx_sync(bytes(QUICK.max_tx_bytes))


def test_one_byte_more_than_the_mempool_takes_is_too_large(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match=r"within mempool\.max_tx_bytes"):
        rpc.broadcast_tx_sync(bytes(QUICK.max_tx_bytes + 1))


def test_the_largest_form_that_the_rpc_reads_meets_the_limit_of_the_mempool_first(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match=r"within mempool\.max_tx_bytes"):
        rpc.broadcast_tx_sync(bytes((QUICK.rpc_body_bytes - len("tx=0x")) // 2))


def test_a_form_above_what_the_rpc_reads_is_too_large(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match=r"within rpc\.max_body_bytes"):
        rpc.broadcast_tx_sync(bytes(LARGEST_FORM_TX))


def test_a_form_that_go_would_drop_is_not_sent(rpc: CometRpc) -> None:
    with pytest.raises(TxTooLarge, match="Go's largest form"):
        rpc.broadcast_tx_sync(bytes(LARGEST_FORM_TX + 1))


@pytest.mark.parametrize("size", [BLOCK_BYTES, 4 * MIB + 1, LARGEST_FORM_TX, LARGEST_FORM_TX + 1, 40 * MIB])
def test_the_grpc_service_passes_the_refusal_on(home: NodeHome, size: int) -> None:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(str(load_config(home).grpc), options) as channel:
        stub = query_pb2_grpc.NodeServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.BroadcastTx(query_pb2.BroadcastTxRequest(tx=bytes(size)), timeout=60)
        error = error_of(refused.value)
        assert error is not None
        assert error[:2] == (TxTooLarge.CODESPACE, TxTooLarge.CODE)


def test_a_message_above_what_grpc_takes_is_refused_by_the_library(home: NodeHome) -> None:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(str(load_config(home).grpc), options) as channel:
        stub = query_pb2_grpc.NodeServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.BroadcastTx(query_pb2.BroadcastTxRequest(tx=bytes(65 * MIB)), timeout=60)
        assert isinstance(refused.value, grpc.Call)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_node_that_refused_all_of_them_executes_what_is_good(home: NodeHome) -> None:
    message = tx_pb2.MsgTransfer(to=build_key(1).public_key, amount=1)
    setattr(message, "from", CREATOR.public_key)
    with grpc.insecure_channel(str(load_config(home).grpc)) as channel:
        stub = query_pb2_grpc.NodeServiceStub(channel)
        tx = sign_now(message, keys=(CREATOR,))
        answer = stub.BroadcastTx(query_pb2.BroadcastTxRequest(tx=tx, wait=True), timeout=60)
    assert (answer.outcome.code, answer.outcome.height > 0) == (0, True)
