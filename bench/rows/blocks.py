"""FinalizeBlock of a large block through the ABCI server, beside one of a small block.

A server that parses a message again from its start at every read takes time with the square of its size.  The request
travels over a unix socket to another process, whose app does nothing, as CometBFT would send it.
"""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.closing import Closing
from abci_app.framing import FrameBuffer, encode_varint
from abci_app.probe import accepts_unix
from abci_app.process import spawn
from abci_app.supervisor import child_environment, read_tail
from bench.children import end_child
from bench.errors import NetworkStalled, WrongVerdict
from bench.figures import Aim, Figure, Line, Relation, summarise
from bench.repeat import Case, time_in_turn
from wire.tendermint.abci.types_pb2 import Request, RequestFinalizeBlock, RequestFlush, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.context import BenchContext

ROW: Final = "socket"
TX_BYTES: Final = 1 << 20
SMALL: Final = 1
LARGE: Final = 64
"""MiB, and transactions, of the two blocks."""

AIM: Final = Aim(Relation.AT_MOST, 80.0)
START_S: Final = 20.0
POLL_S: Final = 0.02
_MS: Final = 1_000.0
_FLUSH: Final = Request(flush=RequestFlush()).SerializeToString()


def run(context: BenchContext) -> list[Line]:
    """Measure from request to answer."""
    directory = context.fresh_directory(ROW)
    context.say(f"{ROW}: blocks of {SMALL} and {LARGE} MiB")
    with _running_server(directory / "server.log") as path, _Caller(path) as caller:
        cases = [Case(str(mib), _make_call(caller, mib)) for mib in (SMALL, LARGE)]
        samples = time_in_turn(cases, context.choose(15, 7))
    small, large = (_figure(samples[str(mib)]) for mib in (SMALL, LARGE))
    rate = LARGE / large.value * _MS
    notes = (f"{rate:.0f} MiB a second at {LARGE} MiB, {SMALL / small.value * _MS:.0f} at {SMALL} MiB",)
    return [Line(ROW, f"FinalizeBlock of {LARGE} MiB", large, small, f"of {SMALL} MiB", AIM, notes)]


def _figure(seconds: list[float]) -> Figure:
    return summarise([_MS * value for value in seconds], "ms")


def _make_call(caller: _Caller, mib: int) -> Callable[[], None]:
    request = Request(finalize_block=RequestFinalizeBlock(txs=[bytes(TX_BYTES)] * mib, height=1))
    frame = _frame(request.SerializeToString()) + _frame(_FLUSH)
    return lambda: caller.finalize(frame, mib)


def _frame(message: bytes) -> bytes:
    return encode_varint(len(message)) + message


class _Caller(Closing):
    """CometBFT's end of the socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._frames = FrameBuffer()

    def close(self) -> None:
        self._socket.close()

    def finalize(self, frame: bytes, txs: int) -> None:
        """Send a block and wait for its answer."""
        self._socket.sendall(frame)
        answer, flushed = self._receive(), self._receive()
        if len(answer.finalize_block.tx_results) != txs or flushed.WhichOneof("value") != "flush":
            raise WrongVerdict(f"expected {txs} results and a flush, got {answer.WhichOneof('value')}")

    def _receive(self) -> Response:
        while (data := self._frames.next_message()) is None:
            count = self._socket.recv_into(self._frames.writable())
            if not count:
                raise WrongVerdict("expected an answer, got the end of the connection")
            self._frames.advance(count)
        return Response.FromString(data)


@contextmanager
def _running_server(log: Path) -> Iterator[Path]:
    """Run the server and yield the path of its socket."""
    # Paths of unix sockets must be short, which those of the benchmark's own directory need not be.
    with tempfile.TemporaryDirectory(prefix="gradchain-") as directory:
        path = Path(directory) / "abci.sock"
        process = spawn(
            [sys.executable, "-m", "bench.blockserver", f"unix://{path}"], child_environment(), log
        )
        try:
            deadline = time.monotonic() + START_S
            while not accepts_unix(path):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NetworkStalled(f"expected the server to listen, got:\n{read_tail(log)}")
                time.sleep(POLL_S)
            yield path
        finally:
            end_child(process, signal.SIGTERM, START_S)
