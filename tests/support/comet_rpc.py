"""A CometBFT RPC endpoint for the headers of a simulated chain: just what a light client asks."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ibc.times import GO_ZERO_TIME_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.timestamp_pb2 import Timestamp

    from wire.tendermint.types import types_pb2, validator_pb2


def format_time(time: Timestamp) -> str:
    """Return a time as Go writes it."""
    if time.ToNanoseconds() == GO_ZERO_TIME_NS:
        return "0001-01-01T00:00:00Z"
    return time.ToJsonString()


def format_block_id(block_id: types_pb2.BlockID) -> dict[str, object]:
    parts = block_id.part_set_header
    return {
        "hash": block_id.hash.hex().upper(),
        "parts": {"total": parts.total, "hash": parts.hash.hex().upper()},
    }


def format_header(header: types_pb2.Header) -> dict[str, object]:
    hashes = (
        "last_commit_hash",
        "data_hash",
        "validators_hash",
        "next_validators_hash",
        "consensus_hash",
        "app_hash",
        "last_results_hash",
        "evidence_hash",
        "proposer_address",
    )
    return {
        "version": {"block": str(header.version.block), "app": str(header.version.app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": format_time(header.time),
        "last_block_id": format_block_id(header.last_block_id),
        **{name: getattr(header, name).hex().upper() for name in hashes},
    }


def format_commit(commit: types_pb2.Commit) -> dict[str, object]:
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": format_block_id(commit.block_id),
        "signatures": [
            {
                "block_id_flag": int(slot.block_id_flag),
                "validator_address": slot.validator_address.hex().upper(),
                "timestamp": format_time(slot.timestamp),
                "signature": base64.b64encode(slot.signature).decode() if slot.signature else None,
            }
            for slot in commit.signatures
        ],
    }


def format_validator(validator: validator_pb2.Validator) -> dict[str, object]:
    key = base64.b64encode(validator.pub_key.ed25519).decode()
    return {
        "address": validator.address.hex().upper(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": key},
        "voting_power": str(validator.voting_power),
        "proposer_priority": "0",
    }


class CometEndpoint:
    """Serves `/status`, `/commit` and `/validators` on a free loopback port."""

    def __init__(
        self, newest: Callable[[], types_pb2.LightBlock], at: Callable[[int], types_pb2.LightBlock]
    ) -> None:
        self._newest = newest
        self._at = at
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                result = endpoint.answer(parts.path.strip("/"), query)
                body = json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, query: dict[str, str]) -> dict[str, object]:
        """Return the result of a question."""
        if path == "status":
            return self._status(self._newest())
        block = self._at(int(query["height"]))
        if path == "commit":
            signed = block.signed_header
            return {
                "signed_header": {
                    "header": format_header(signed.header),
                    "commit": format_commit(signed.commit),
                },
                "canonical": True,
            }
        validators = [format_validator(validator) for validator in block.validator_set.validators]
        total = str(len(validators))
        return {
            "block_height": query["height"],
            "validators": validators,
            "count": total,
            "total": total,
        }

    @staticmethod
    def _status(block: types_pb2.LightBlock) -> dict[str, object]:
        header = block.signed_header.header
        return {
            "node_info": {
                "network": header.chain_id,
                "id": "00" * 20,
                "moniker": "simulated",
                "version": "0.39.4",
            },
            "sync_info": {
                "latest_block_height": str(header.height),
                "latest_app_hash": header.app_hash.hex().upper(),
                "latest_block_time": format_time(header.time),
                "earliest_block_height": "1",
                "catching_up": False,
            },
            "validator_info": {"voting_power": "10"},
        }
