"""From the bytes of a request to the method that answers it, and from the answer to bytes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError, Message

from abci_app.errors import MalformedFrame
from abci_app.framing import encode_varint
from wire.tendermint.abci.types_pb2 import Request, Response, ResponseEcho, ResponseFlush

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from abci_app.interface import Application

LENGTH_DELIMITED: Final = 2
"""Wire type of an embedded message in a protobuf tag."""


class WrongAnswer(TypeError):
    """A method of the application returned something else than it is declared to return: a defect."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one kind of request is answered."""

    name: str
    """The request's name in the oneof of `Request`, and the answer's in that of `Response`."""
    tag: bytes
    """What precedes the length of the answer inside a `Response`."""
    call: Callable[[Request], Message]
    lock: AbstractContextManager[object]
    """Held while the application answers: one lock a group of calls (see `abci_app.interface`)."""

    def answer(self, request: Request) -> tuple[bytes, bytes]:
        """Return the frame of the answer in two parts, so that a large answer is not copied again.

        Raises:
          WrongAnswer: the application returned a message of another type.

        """
        with self.lock:
            answer = self.call(request)
        expected = Response.DESCRIPTOR.fields_by_name[self.name].message_type
        if not isinstance(answer, Message) or expected != answer.DESCRIPTOR:
            raise WrongAnswer(f"expected {expected.name} from {self.name}, got {type(answer).__name__}")
        return frame_answer(self.tag, answer)


def parse_request(data: bytes) -> tuple[str, Request]:
    """Return the kind of a request and the request.

    Raises:
      MalformedFrame: the bytes are no `Request`, or one of a kind that ABCI 2.0 does not have.

    """
    try:
        request = Request.FromString(data)
    except DecodeError:
        raise MalformedFrame(f"expected an ABCI request, got {len(data)} bytes that do not decode") from None
    kind = request.WhichOneof("value")
    if kind is None:
        raise MalformedFrame(f"expected a request of ABCI 2.0, got {len(data)} bytes without one")
    return kind, request


def frame_answer(tag: bytes, answer: Message) -> tuple[bytes, bytes]:
    """Return length, tag and inner length of an answer, and its encoding: together a frame with a `Response`."""
    encoded = answer.SerializeToString()
    head = tag + encode_varint(len(encoded))
    return encode_varint(len(head) + len(encoded)) + head, encoded


def answer_tag(name: str) -> bytes:
    """Return the protobuf tag of a member of `Response`."""
    return encode_varint(Response.DESCRIPTOR.fields_by_name[name].number << 3 | LENGTH_DELIMITED)


def build_routes(app: Application) -> dict[str, Route]:
    """Return the routes to an application, by name."""
    consensus, mempool, read = Lock(), Lock(), nullcontext()
    calls: dict[str, tuple[Callable[[Request], Message], AbstractContextManager[object]]] = {
        "echo": (lambda request: ResponseEcho(message=request.echo.message), read),
        "flush": (lambda _request: ResponseFlush(), read),
        "info": (lambda request: app.info(request.info), read),
        "query": (lambda request: app.query(request.query), read),
        "list_snapshots": (lambda request: app.list_snapshots(request.list_snapshots), read),
        "load_snapshot_chunk": (lambda request: app.load_snapshot_chunk(request.load_snapshot_chunk), read),
        "check_tx": (lambda request: app.check_tx(request.check_tx), mempool),
        "insert_tx": (lambda request: app.insert_tx(request.insert_tx), mempool),
        "reap_txs": (lambda request: app.reap_txs(request.reap_txs), mempool),
        "init_chain": (lambda request: app.init_chain(request.init_chain), consensus),
        "prepare_proposal": (lambda request: app.prepare_proposal(request.prepare_proposal), consensus),
        "process_proposal": (lambda request: app.process_proposal(request.process_proposal), consensus),
        "extend_vote": (lambda request: app.extend_vote(request.extend_vote), consensus),
        "verify_vote_extension": (
            lambda request: app.verify_vote_extension(request.verify_vote_extension),
            consensus,
        ),
        "finalize_block": (lambda request: app.finalize_block(request.finalize_block), consensus),
        "commit": (lambda request: app.commit(request.commit), consensus),
        "offer_snapshot": (lambda request: app.offer_snapshot(request.offer_snapshot), consensus),
        "apply_snapshot_chunk": (
            lambda request: app.apply_snapshot_chunk(request.apply_snapshot_chunk),
            consensus,
        ),
    }
    return {name: Route(name, answer_tag(name), call, lock) for name, (call, lock) in calls.items()}
