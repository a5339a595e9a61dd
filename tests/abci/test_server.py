from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.dispatch import build_routes
from abci_app.errors import ApplicationFailed
from abci_app.framing import encode_varint
from abci_app.server import MAX_CONNECTIONS, BaseApplication
from tests.support.abci import FLUSH, TIMEOUT_S, AbciClient, frame, run_server
from tests.support.messages import requests
from tests.support.waiting import eventually
from wire.tendermint.abci import types_pb2
from wire.tendermint.abci.types_pb2 import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = [field.name for field in Request.DESCRIPTOR.fields]


def request_of(kind: str) -> Request:
    request = Request()
    getattr(request, kind).SetInParent()
    return request


def check_tx_request(tx: bytes) -> Request:
    return Request(check_tx=types_pb2.RequestCheckTx(tx=tx))


class EchoingApplication(BaseApplication):
    """Answers CheckTx with the transaction itself, so that the order of answers shows."""

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        return types_pb2.ResponseCheckTx(data=request.tx)


class WaitingApplication(BaseApplication):
    """FinalizeBlock waits until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.running = 0
        self.most_running = 0

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.entered.set()
        assert self.released.wait(TIMEOUT_S)
        self.running -= 1
        return types_pb2.ResponseFinalizeBlock(app_hash=b"done")


class SlowApplication(BaseApplication):
    """CheckTx waits for a permit of the test."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.answered = 0

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        assert self.permits.acquire(timeout=TIMEOUT_S)
        self.answered += 1
        return types_pb2.ResponseCheckTx()


class FailingApplication(BaseApplication):
    """Fails in Query, in a way that the test chooses."""

    def __init__(self, fail: Callable[[], types_pb2.ResponseQuery]) -> None:
        self._fail = fail

    def query(self, request: types_pb2.RequestQuery) -> types_pb2.ResponseQuery:
        return self._fail()


@pytest.fixture
def client() -> Iterator[AbciClient]:
    with run_server(EchoingApplication()) as running, AbciClient(running.address) as connected:
        yield connected


def test_there_is_a_route_for_every_request_of_abci() -> None:
    assert set(build_routes(BaseApplication())) == set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flush"])
def test_every_request_is_answered_in_kind(client: AbciClient, kind: str) -> None:
    assert client.call(request_of(kind)).WhichOneof("value") == kind


def test_flush_is_answered_by_flush(client: AbciClient) -> None:
    client.send(FLUSH, FLUSH)
    assert [client.require().WhichOneof("value") for _ in range(2)] == ["flush", "flush"]


def test_echo_returns_the_text(client: AbciClient) -> None:
    assert client.call(Request(echo=types_pb2.RequestEcho(message="hallo"))).echo.message == "hallo"


def test_an_answer_does_not_wait_for_a_flush_when_nothing_else_comes(client: AbciClient) -> None:
    client.send(check_tx_request(b"alone"))
    assert client.require().check_tx.data == b"alone"


def test_a_unix_socket_serves_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    address = f"unix://{tmp_path_factory.mktemp('s')}/abci.sock"
    with run_server(EchoingApplication(), address) as running, AbciClient(running.address) as client:
        assert client.call(check_tx_request(b"tx")).check_tx.data == b"tx"


def test_pipelined_answers_come_in_the_order_of_their_requests(client: AbciClient) -> None:
    txs = [number.to_bytes(4, "big") * (number % 700) for number in range(10_000)]
    assert [answer.check_tx.data for answer in client.pipeline(map(check_tx_request, txs))] == txs


def test_what_arrives_during_a_call_is_taken_over_before_the_next(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sent = frame(check_tx_request(bytes(20_000))) * 40
    application = SlowApplication()
    address = f"unix://{tmp_path_factory.mktemp('s')}/abci.sock"
    with (
        run_server(application, address) as running,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer,
    ):
        peer.connect(running.address.removeprefix("unix://"))
        writer = threading.Thread(target=peer.sendall, args=(sent,))
        writer.start()
        # More than the system holds back and less than one buffer: taken over long before it is all worked on.
        for permits in range(1, 11):
            application.permits.release()
            eventually(lambda count=permits: application.answered == count, "the next answer")  # type: ignore[misc]
        writer.join(TIMEOUT_S)
        assert not writer.is_alive()
        assert application.answered == 10
        application.permits.release(30)
        eventually(lambda: application.answered == 40, "all answers")


def test_different_kinds_in_one_pipeline_keep_their_order(client: AbciClient) -> None:
    kinds = [KINDS[number * 7 % len(KINDS)] for number in range(500)]
    answers = client.pipeline(request_of(kind) for kind in kinds)
    assert [answer.WhichOneof("value") for answer in answers] == kinds


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flush"])
def test_any_request_gets_an_answer_from_the_default_application(
    client: AbciClient, kind: str, data: st.DataObject
) -> None:
    assert client.call(data.draw(requests(kind))).WhichOneof("value") == kind


def test_a_large_answer_arrives_whole(client: AbciClient) -> None:
    tx = bytes(range(256)) * 40_000
    assert client.call(check_tx_request(tx)).check_tx.data == tx


@pytest.mark.parametrize("connections", [1, 4])
def test_each_connection_has_its_own_order(connections: int) -> None:
    with run_server(EchoingApplication()) as running, ExitStack() as stack:
        clients = [stack.enter_context(AbciClient(running.address)) for _ in range(connections)]
        for number, client in enumerate(clients):
            client.send(*(check_tx_request(b"%d-%d" % (number, place)) for place in range(50)), FLUSH)
        for number, client in enumerate(clients):
            received = [client.require().check_tx.data for _ in range(50)]
            assert received == [b"%d-%d" % (number, place) for place in range(50)]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\xff" * 10, id="a length without end"),
        pytest.param(frame(b"\xff\xff\xff"), id="a message that does not decode"),
        pytest.param(frame(b""), id="an empty message"),
        pytest.param(frame(b"\xfa\x07\x00"), id="a request that ABCI 2.0 does not have"),
        pytest.param(encode_varint(2_000_000), id="a message above the limit"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
    ],
)
def test_a_peer_that_does_not_speak_abci_loses_its_connection_only(garbage: bytes) -> None:
    with run_server(EchoingApplication(), max_message_bytes=1_000_000) as running:
        with AbciClient(running.address) as healthy:
            with AbciClient(running.address) as client:
                client.send(check_tx_request(b"before"))
                assert client.require().check_tx.data == b"before"
                client.socket.sendall(garbage)
                client.socket.shutdown(socket.SHUT_WR)
                assert client.receive() is None
            assert healthy.call(check_tx_request(b"still")).check_tx.data == b"still"
        running.stop()
        assert running.failure is None


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_of_a_peer_end_the_server(garbage: bytes) -> None:
    with run_server(EchoingApplication(), max_message_bytes=1_000_000) as running:
        with AbciClient(running.address) as client:
            client.socket.sendall(garbage)
            client.socket.shutdown(socket.SHUT_WR)
            while client.receive() is not None:
                pass
        with AbciClient(running.address) as client:
            assert client.call(check_tx_request(b"still")).check_tx.data == b"still"
        running.stop()
        assert running.failure is None


def test_a_peer_that_leaves_in_the_middle_of_a_message_does_no_harm() -> None:
    with run_server(EchoingApplication()) as running:
        with AbciClient(running.address) as client:
            client.socket.sendall(frame(check_tx_request(bytes(1000)))[:500])
        with AbciClient(running.address) as client:
            assert client.call(check_tx_request(b"still")).check_tx.data == b"still"


def test_a_peer_that_leaves_without_its_answers_does_no_harm() -> None:
    with run_server(EchoingApplication()) as running:
        with AbciClient(running.address) as client:
            client.send(*[check_tx_request(bytes(100_000))] * 20)
        with AbciClient(running.address) as client:
            assert client.call(check_tx_request(b"still")).check_tx.data == b"still"
        running.stop()
        assert running.failure is None


def test_connections_above_the_limit_are_closed() -> None:
    with run_server(EchoingApplication()) as running, ExitStack() as stack:
        clients = [stack.enter_context(AbciClient(running.address)) for _ in range(MAX_CONNECTIONS)]
        for client in clients:
            client.call(check_tx_request(b"tx"))
        assert stack.enter_context(AbciClient(running.address)).receive() is None
        assert clients[0].call(check_tx_request(b"still")).check_tx.data == b"still"


def test_mempool_and_queries_are_answered_while_a_block_executes() -> None:
    app = WaitingApplication()
    with run_server(app) as running, ExitStack() as stack:
        consensus, mempool, query = (stack.enter_context(AbciClient(running.address)) for _ in range(3))
        consensus.send(request_of("finalize_block"), FLUSH)
        assert app.entered.wait(TIMEOUT_S)
        for kind in ("check_tx", "insert_tx", "reap_txs"):
            assert mempool.call(request_of(kind)).WhichOneof("value") == kind
        for kind in ("info", "query", "list_snapshots", "load_snapshot_chunk"):
            assert query.call(request_of(kind)).WhichOneof("value") == kind
        app.released.set()
        assert consensus.require().finalize_block.app_hash == b"done"


@pytest.mark.parametrize(
    "kind",
    [
        "init_chain",
        "prepare_proposal",
        "process_proposal",
        "extend_vote",
        "verify_vote_extension",
        "finalize_block",
        "commit",
        "offer_snapshot",
        "apply_snapshot_chunk",
    ],
)
def test_calls_that_change_the_state_wait_for_each_other(kind: str) -> None:
    app = WaitingApplication()
    with run_server(app) as running, ExitStack() as stack:
        first, second, query = (stack.enter_context(AbciClient(running.address)) for _ in range(3))
        first.send(request_of("finalize_block"), FLUSH)
        assert app.entered.wait(TIMEOUT_S)
        second.send(request_of(kind), FLUSH)
        # Answered by another thread after the second request has arrived.
        query.call(request_of("info"))
        second.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            second.receive()
        app.released.set()
        second.socket.settimeout(TIMEOUT_S)
        assert second.require().WhichOneof("value") == kind
        assert app.most_running == 1


def fail_with_secret() -> types_pb2.ResponseQuery:
    raise KeyError("the password is swordfish")


def fail_with_exit() -> types_pb2.ResponseQuery:
    raise SystemExit(0)


def fail_with_os_error() -> types_pb2.ResponseQuery:
    raise OSError(28, "No space left on device")


def answer_wrongly() -> types_pb2.ResponseQuery:
    return types_pb2.ResponseInfo()  # type: ignore[return-value]


def answer_nothing() -> types_pb2.ResponseQuery:
    return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    "fail", [fail_with_secret, fail_with_exit, fail_with_os_error, answer_wrongly, answer_nothing]
)
def test_a_defect_is_told_to_the_peer_without_details_and_ends_the_server(
    fail: Callable[[], types_pb2.ResponseQuery],
) -> None:
    with run_server(FailingApplication(fail)) as running:
        with AbciClient(running.address) as other, AbciClient(running.address) as client:
            client.send(check_tx_request(b"before"), request_of("query"), check_tx_request(b"after"))
            assert client.require().WhichOneof("value") == "check_tx"
            assert client.require().exception.error == "the application failed in query: see its log"
            assert client.receive() is None
            assert other.receive() is None
        running.join()
        assert isinstance(running.failure, ApplicationFailed)
        assert running.failure.__cause__ is not None
        assert "swordfish" not in str(running.failure)


def test_the_log_has_the_traceback_of_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    with run_server(FailingApplication(fail_with_exit)) as running:
        with AbciClient(running.address) as client:
            client.send(request_of("query"))
            client.require()
        running.join()
    output = capsys.readouterr()
    assert "fail_with_exit" in output.out + output.err


def test_stop_lets_a_call_in_progress_finish() -> None:
    app = WaitingApplication()
    with run_server(app) as running, AbciClient(running.address) as client:
        client.send(request_of("finalize_block"))
        assert app.entered.wait(TIMEOUT_S)
        running.server.stop()
        app.released.set()
        assert client.require().finalize_block.app_hash == b"done"
        assert client.receive() is None
        running.join()
        assert running.failure is None


def test_stop_does_not_wait_for_ever_for_a_call_that_hangs() -> None:
    app = WaitingApplication()
    with run_server(app, stop_grace_s=0) as running, AbciClient(running.address) as client:
        client.send(request_of("finalize_block"))
        assert app.entered.wait(TIMEOUT_S)
        running.stop()
        assert running.failure is None
        app.released.set()
        assert client.require().finalize_block.app_hash == b"done"


def test_stop_may_be_called_more_than_once(tmp_path: Path) -> None:
    with run_server(BaseApplication()) as running:
        for _ in range(3):
            running.server.stop()
        running.join()
        running.server.stop()
