"""The relayer's HTTP server on loopback: metrics, the state of packets, the log level.

It reads the journal and the trail, never the relayer's memory, and answers in threads of its own: asking costs
relaying nothing.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from abci_app.closing import Closing
from relayer.config import LOG_LEVELS
from relayer.config_tables import LOOPBACK_HOSTS
from relayer.errors import JournalMissing, PacketUnknown, PortTaken, RequestInvalid
from relayer.logs import current_level, set_level
from relayer.packetview import MAX_LISTED, find_packet, list_packets
from relayer.types import MAX_STORED, STAGE_NAMES, ChainId, ClientId, LinkEnd, PacketKey
from tx.errors import REGISTRY, AppError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from abci_app.endpoint import Endpoint

LOG = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 1_024
MAX_DIGITS: Final = 20
"""Digits of a number in a request; Python refuses to read one of thousands."""
MAX_SHOWN: Final = 40
"""Characters of a wrong number that are shown again."""
ROUTES: Final = (
    "GET /metrics",
    "GET /packets?stage=STAGE&limit=N",
    "GET /packets/CHAIN/CLIENT/SEQUENCE",
    "GET /log-level",
    "PUT /log-level",
)
_STATUS: Final = {PacketUnknown: HTTPStatus.NOT_FOUND, JournalMissing: HTTPStatus.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered with."""

    status: HTTPStatus
    content_type: str
    body: bytes


class RelayServer(Closing):
    """Serves until it is closed."""

    def __init__(self, endpoint: Endpoint, journal: Path, registry: CollectorRegistry) -> None:
        """Listen and serve.

        Raises:
          PortTaken: another process listens there.

        """
        routes = Routes(journal, registry)

        class Handler(_Handler):
            answer = staticmethod(routes.answer)

        class Server(_Server):
            address_family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET

        try:
            self._server = Server((endpoint.host, endpoint.port), Handler)
        except OSError as error:
            raise PortTaken(f"expected to listen on {endpoint}, got: {error.strerror}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class Routes:
    """What the paths mean."""

    journal: Path
    registry: CollectorRegistry

    def answer(self, method: str, target: str, body: bytes) -> Reply:
        """Answer one request."""
        parts = urlsplit(target)
        names = [unquote(part) for part in parts.path.split("/") if part]
        try:
            match (method, names):
                case ("GET", []):
                    return _reply({"routes": list(ROUTES)})
                case ("GET", ["metrics"]):
                    return Reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry))
                case ("GET", ["packets"]):
                    return self._list(parse_qs(parts.query, keep_blank_values=True))
                case ("GET", ["packets", chain, client, sequence]):
                    key = _parse_key(chain, client, sequence)
                    return _reply(dataclasses.asdict(find_packet(self.journal, key, time.time_ns())))
                case ("GET", ["log-level"]):
                    return _reply({"level": current_level()})
                case ("PUT", ["log-level"]):
                    return _set_level(body)
                case _:
                    raise RequestInvalid(f"expected one of {'; '.join(ROUTES)}, got {method} {parts.path}")
        except AppError as error:
            return _reply_error(error)

    def _list(self, query: dict[str, list[str]]) -> Reply:
        for name in query:
            if name not in {"stage", "limit"}:
                raise RequestInvalid(f"expected stage or limit after the question mark, got {name}")
        stage, limit = query.get("stage", [""])[0], query.get("limit", ["100"])[0]
        if "stage" in query and stage not in STAGE_NAMES.values():
            raise RequestInvalid(f"expected one of {', '.join(STAGE_NAMES.values())} as stage, got {stage}")
        most = _parse_number(limit)
        if most is None or not 1 <= most <= MAX_LISTED:
            raise RequestInvalid(f"expected 1 to {MAX_LISTED} as limit, got {limit:.{MAX_SHOWN}}")
        found = list_packets(self.journal, stage, most, time.time_ns())
        return _reply({"packets": [dataclasses.asdict(packet) for packet in found]})


def _parse_key(chain: str, client: str, sequence: str) -> PacketKey:
    number = _parse_number(sequence)
    if number is None or not 0 < number <= MAX_STORED:
        raise RequestInvalid(f"expected a sequence from 1 to {MAX_STORED}, got {sequence:.{MAX_SHOWN}}")
    return PacketKey(LinkEnd(ChainId(chain), ClientId(client)), number)


def _parse_number(text: str) -> int | None:
    """Return the number that a text is; None if it is none, or too long to be one that is meant."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def _set_level(body: bytes) -> Reply:
    level = body.decode("ascii", "replace").strip()
    if level not in LOG_LEVELS:
        raise RequestInvalid(f"expected one of {', '.join(LOG_LEVELS)} as log level, got {level!r}")
    set_level(level)
    # `level` is the name of the line's own level.
    LOG.warning("log level changed", now=level)
    return _reply({"level": level})


def _reply(value: object, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return Reply(status, "application/json", json.dumps(value, indent=2).encode() + b"\n")


def _reply_error(error: AppError) -> Reply:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        is_ours = isinstance(error, RequestInvalid)
        status = HTTPStatus.BAD_REQUEST if is_ours else HTTPStatus.INTERNAL_SERVER_ERROR
    cure = REGISTRY[error.CODESPACE, error.CODE].CURE
    return _reply({"error": error.message, "code": f"{error.CODESPACE}/{error.CODE}", "cure": cure}, status)


def _parse_host(text: str) -> str:
    """Return the name in a Host header, without a port; empty if it has no such form."""
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Two relayers on one address would each get some of the requests.
    allow_reuse_port = False


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    timeout = 10
    answer: Callable[[str, str, bytes], Reply]

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_PUT(self) -> None:
        length = _parse_number(self.headers.get("Content-Length", ""))
        if length is None or length > MAX_BODY_BYTES:
            self._send(
                _reply_error(RequestInvalid(f"expected at most {MAX_BODY_BYTES} bytes with their length"))
            )
            return
        self._serve("PUT", self.rfile.read(length))

    def _serve(self, method: str, body: bytes) -> None:
        # A web page that gives its own name the address 127.0.0.1 could read what is served here.
        host = _parse_host(self.headers.get("Host") or "")
        if host not in LOOPBACK_HOSTS:
            self._send(_reply_error(RequestInvalid(f"expected a loopback host, got {host!r}")))
            return
        self._send(self.answer(method, self.path, body))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        LOG.debug("asked over HTTP", request=format % arguments)
