"""A real node that is fed garbage through every door keeps its processes and makes blocks."""

from __future__ import annotations

import http.client
import random
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import grpc
import pytest

from abci_app.nodehome import load_config
from abci_app.nodestate import read_state
from abci_app.process import read_pid_file
from abci_app.rpc import CometRpc
from hub.errors import InsufficientBalance
from tests.support.bad_transactions import bad_transactions, transfer
from tests.support.chain_home import make_hub_home, sign_now, wait_for_blocks
from tests.support.hub import CREATOR
from tests.support.localnet import running_node
from tests.support.waiting import eventually
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import query_pb2_grpc as hub_query_grpc
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.gradchain.node.v1 import query_pb2_grpc
from wire.ibc.core.client.v1 import client_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from abci_app.endpoint import Endpoint
    from abci_app.nodehome import NodeHome

pytestmark = pytest.mark.localnet

LARGEST: Final = 2**64 - 1
LARGEST_SHORT: Final = 2**32 - 1
ODD_BYTES: Final = (b"", b"\x00", b"\xff" * 32, b"x" * 100_000)

QUESTIONS: Final[dict[str, tuple[Message, ...]]] = {
    "/gradchain.hub.v1.HubService/GetAccount": tuple(
        hub_query.GetAccountRequest(account=account) for account in ODD_BYTES
    ),
    "/gradchain.hub.v1.HubService/GetTask": (
        hub_query.GetTaskRequest(),
        hub_query.GetTaskRequest(task=LARGEST),
    ),
    "/gradchain.hub.v1.HubService/ListTasks": (
        hub_query.ListTasksRequest(start=LARGEST, limit=LARGEST_SHORT),
    ),
    "/gradchain.hub.v1.HubService/GetRound": (
        hub_query.GetRoundRequest(task=LARGEST, round=LARGEST, attempt=LARGEST_SHORT),
    ),
    "/gradchain.hub.v1.HubService/ListParticipants": (hub_query.ListParticipantsRequest(task=LARGEST),),
    "/gradchain.hub.v1.HubService/GetAssignment": tuple(
        hub_query.GetAssignmentRequest(task=LARGEST, round=LARGEST, participant=key) for key in ODD_BYTES
    ),
    "/gradchain.hub.v1.HubService/GetModelChunks": tuple(
        hub_query.GetModelChunksRequest(model_root=root, first=LARGEST_SHORT, limit=LARGEST_SHORT)
        for root in ODD_BYTES
    ),
    "/gradchain.hub.v1.HubService/GetSettlement": (
        hub_query.GetSettlementRequest(task=LARGEST, round=LARGEST),
    ),
    "/gradchain.hub.v1.HubService/GetRelayPay": tuple(
        hub_query.GetRelayPayRequest(
            account=account, start_task=LARGEST, start_round=LARGEST, limit=LARGEST_SHORT
        )
        for account in ODD_BYTES
    ),
    "/gradchain.hub.v1.HubService/GetCheckpoint": tuple(
        hub_query.GetCheckpointRequest(task=LARGEST, round=LARGEST, attempt=LARGEST_SHORT, shard=shard)
        for shard in ("", "\x00", "s" * 100_000)
    ),
    "/gradchain.ibc.v1.IbcService/GetClient": (
        ibc_query.GetClientRequest(),
        ibc_query.GetClientRequest(client_id="\x00" * 1_000),
    ),
    "/gradchain.ibc.v1.IbcService/GetConsensusState": (
        ibc_query.GetConsensusStateRequest(
            client_id="07-tendermint-0",
            height=client_pb2.Height(revision_number=LARGEST, revision_height=LARGEST),
        ),
    ),
    "/gradchain.ibc.v1.IbcService/ListPendingPackets": (
        ibc_query.ListPendingPacketsRequest(client_id="", start=LARGEST, limit=LARGEST_SHORT),
    ),
    "/gradchain.ibc.v1.IbcService/GetPacketStatus": (
        ibc_query.GetPacketStatusRequest(client_id="\x00", sequence=LARGEST),
    ),
    "/gradchain.ibc.v1.IbcService/ListPacketStatuses": (
        ibc_query.ListPacketStatusesRequest(client_id="\x00", sequences=[LARGEST, 0]),
        ibc_query.ListPacketStatusesRequest(sequences=range(2_000)),
    ),
    "/gradchain.node.v1.NodeService/GetTx": tuple(node_query.GetTxRequest(tx_hash=key) for key in ODD_BYTES),
    "/gradchain.node.v1.NodeService/Prove": tuple(
        node_query.ProveRequest(key=key, height=height) for key in ODD_BYTES for height in (0, 1, LARGEST)
    ),
    "/gradchain.node.v1.NodeService/ProveMany": tuple(
        node_query.ProveManyRequest(keys=ODD_BYTES, height=height) for height in (0, 1, LARGEST)
    ),
    "/gradchain.shard.v1.ShardService/SubmitUpdate": (hub_query.GetTaskRequest(task=1),),
    "/gradchain.hub.v1.HubService/NoSuchCall": (hub_query.GetTaskRequest(task=1),),
}

URIS: Final = (
    "/broadcast_tx_sync",
    "/broadcast_tx_sync?tx=0x",
    "/broadcast_tx_sync?tx=0xzz",
    "/broadcast_tx_sync?tx=0xff",
    '/broadcast_tx_async?tx="noise"',
    "/broadcast_tx_commit?tx=0xffff",
    "/check_tx?tx=0xff",
    '/abci_query?path="/store/provable/key"&data=0x',
    '/abci_query?path="/store/provable/key"&data=0xff&height=9223372036854775807',
    '/abci_query?path="/no/such/path"&data=0xff&prove=true',
    "/block?height=-1",
    "/block_results?height=99999999999999999999",
    "/no_such_method",
)

BODIES: Final = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{"tx":"//8="}}',
    b'{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{"tx":5}}',
    b'{"jsonrpc":"2.0","id":1,"method":"no_such_method"}',
    b'{"jsonrpc":"2.0","id":1,"method":"abci_query","params":{"path":"/","data":"zz"}}',
    b"\xff" * 10_000,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHome]:
    home = make_hub_home(tmp_path_factory.mktemp("node") / "home")
    with running_node(home):
        wait_for_blocks(home)
        yield home


@pytest.fixture(autouse=True)
def unharmed(home: NodeHome) -> Iterator[None]:
    """Whatever a test does, the same two processes make blocks afterwards, and execute what is good."""
    processes = [read_pid_file(home.pid_file(kind)) for kind in ("app", "comet")]
    yield
    assert execute(home, sign_now(transfer(), keys=(CREATOR,))) == ("", 0)
    assert [read_pid_file(home.pid_file(kind)) for kind in ("app", "comet")] == processes
    assert read_state(home).restarts == 0


def connect(home: NodeHome) -> grpc.Channel:
    return grpc.insecure_channel(str(load_config(home).grpc))


def execute(home: NodeHome, tx: bytes) -> tuple[str, int]:
    """Hand over a transaction over gRPC, wait for its block, and return its verdict."""
    with connect(home) as channel:
        stub = query_pb2_grpc.NodeServiceStub(channel)
        answer = stub.BroadcastTx(node_query.BroadcastTxRequest(tx=tx, wait=True), timeout=60)
    return answer.outcome.codespace, answer.outcome.code


def post(endpoint: Endpoint, method: str, target: str, body: bytes | None = None) -> int:
    """Ask the RPC and return the HTTP status."""
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, target.replace('"', "%22"), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_bad_transactions_over_the_rpc_are_refused_with_their_codes(home: NodeHome) -> None:
    with CometRpc(load_config(home).rpc_url) as rpc:
        for name, case in bad_transactions(time.time_ns()).items():
            verdict = rpc.broadcast_tx_sync(case.tx)
            assert (verdict.codespace, verdict.code) == case.verdict, name


def test_bad_transactions_over_grpc_are_refused_with_their_codes(home: NodeHome) -> None:
    for name, case in bad_transactions(time.time_ns()).items():
        assert execute(home, case.tx) == case.verdict, name


def test_noise_is_refused(home: NodeHome) -> None:
    draw = random.Random(7)
    with CometRpc(load_config(home).rpc_url) as rpc:
        for _ in range(200):
            assert rpc.broadcast_tx_sync(draw.randbytes(draw.randrange(1, 500))).codespace == "tx"


def test_of_two_transactions_that_exclude_each_other_one_fails_in_its_block(home: NodeHome) -> None:
    """Both pass CheckTx, so that one of them is in a block although it fails."""
    hashes = eventually(lambda: send_rivals(home), "two rivals between two blocks")

    def look() -> list[tuple[str, int]] | None:
        with connect(home) as channel:
            stub = query_pb2_grpc.NodeServiceStub(channel)
            answers = [stub.GetTx(node_query.GetTxRequest(tx_hash=key), timeout=60) for key in hashes]
        if not all(answer.found for answer in answers):
            return None
        return [(answer.outcome.codespace, answer.outcome.code) for answer in answers]

    verdicts = eventually(look, "both transactions in blocks")
    assert sorted(verdicts) == [("", 0), (InsufficientBalance.CODESPACE, InsufficientBalance.CODE)]


def send_rivals(home: NodeHome) -> list[bytes] | None:
    """Hand over two transfers of more than half of what there is; return their hashes if both passed CheckTx."""
    with connect(home) as channel:
        stub = hub_query_grpc.HubServiceStub(channel)
        account = stub.GetAccount(hub_query.GetAccountRequest(account=CREATOR.public_key), timeout=60)
    txs = [sign_now(transfer(account.balance // 2 + 1), keys=(CREATOR,)) for _ in range(2)]
    with CometRpc(load_config(home).rpc_url) as rpc:
        outcomes = [rpc.broadcast_tx_sync(tx) for tx in txs]
    return None if any(outcome.code for outcome in outcomes) else [outcome.tx_hash for outcome in outcomes]


@pytest.mark.parametrize("method", QUESTIONS)
def test_odd_questions_over_grpc_are_answered_or_refused(home: NodeHome, method: str) -> None:
    with connect(home) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        for request in QUESTIONS[method]:
            with suppress(grpc.RpcError):
                call(request.SerializeToString(), timeout=60)


@pytest.mark.parametrize("method", QUESTIONS)
def test_noise_for_a_question_is_refused(home: NodeHome, method: str) -> None:
    with connect(home) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        with pytest.raises(grpc.RpcError) as refused:
            call(b"\xff\xff\xff", timeout=60)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED}


@pytest.mark.parametrize("target", URIS)
def test_odd_requests_to_the_rpc_are_answered(home: NodeHome, target: str) -> None:
    assert post(load_config(home).rpc, "GET", target) in {200, 400, 404, 500}


@pytest.mark.parametrize("body", BODIES)
def test_odd_bodies_to_the_rpc_are_answered(home: NodeHome, body: bytes) -> None:
    assert post(load_config(home).rpc, "POST", "/", body) in {200, 400, 404, 415, 500}


@pytest.mark.parametrize("door", ["grpc", "rpc", "p2p"])
def test_bytes_of_no_protocol_close_their_connection_only(home: NodeHome, door: str) -> None:
    endpoint = load_config(home).listeners[door]
    with socket.create_connection((endpoint.host, endpoint.port), timeout=60) as peer, suppress(OSError):
        peer.sendall(b"\xff" * 10_000)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass


def test_bytes_of_no_protocol_on_the_socket_of_the_app_close_their_connection_only(home: NodeHome) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(60)
        peer.connect(str(load_config(home).socket_path))
        with suppress(OSError):
            peer.sendall(b"\xff" * 10_000)
            while peer.recv(4096):
                pass
