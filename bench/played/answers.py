"""CometBFT's JSON: what a played node answers, in the exact forms of the real one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from ibc.times import time_to_wire
from ibc.validators import address_of
from tx.keys import SigningKey
from wire.tendermint.crypto import keys_pb2
from wire.tendermint.types import validator_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from wire.tendermint.abci import types_pb2 as abci_pb2
    from wire.tendermint.types import types_pb2

VALIDATORS = tuple(SigningKey.from_seed(bytes([number]) * 32) for number in (11, 12, 13, 14))


def stamp_of(time_ns: int) -> Timestamp:
    """Return a time, Unix nanoseconds, as CometBFT has it."""
    return time_to_wire(time_ns)


def hex_of(data: bytes) -> str:
    """Return bytes as CometBFT writes hashes and addresses."""
    return data.hex().upper()


def stamp_text(stamp: Timestamp) -> str:
    """Return a time as text, from what CometBFT has."""
    return time_text(stamp.seconds * 10**9 + stamp.nanos)


def time_text(time_ns: int) -> str:
    """Return a time, Unix nanoseconds, as text."""
    seconds, nanos = divmod(time_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{nanos:09d}Z"


def encode_result(result: object) -> bytes:
    """Return the whole answer to a question."""
    return json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode()


def encode_error(said: str) -> bytes:
    """Return the whole answer to a question that cannot be answered."""
    error = {"code": -32603, "message": "Internal error", "data": said}
    return json.dumps({"jsonrpc": "2.0", "id": -1, "error": error}).encode()


def make_validator_set() -> validator_pb2.ValidatorSet:
    """Return the validators of every played chain."""
    members = [
        validator_pb2.Validator(
            address=address_of(key.public_key),
            pub_key=keys_pb2.PublicKey(ed25519=key.public_key),
            voting_power=10,
        )
        for key in VALIDATORS
    ]
    return validator_pb2.ValidatorSet(validators=members, proposer=members[0])


def validators_json() -> list[object]:
    """Return the same as `validators` answers."""
    return [
        {
            "address": hex_of(address_of(key.public_key)),
            "pub_key": {
                "type": "tendermint/PubKeyEd25519",
                "value": base64.b64encode(key.public_key).decode(),
            },
            "voting_power": "10",
            "proposer_priority": "0",
        }
        for key in VALIDATORS
    ]


def header_json(header: types_pb2.Header) -> dict[str, object]:
    """Return a header."""
    last = header.last_block_id
    return {
        "version": {"block": str(header.version.block), "app": str(header.version.app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": stamp_text(header.time),
        "last_block_id": {
            "hash": hex_of(last.hash),
            "parts": {"total": last.part_set_header.total, "hash": hex_of(last.part_set_header.hash)},
        },
        "last_commit_hash": hex_of(header.last_commit_hash),
        "data_hash": hex_of(header.data_hash),
        "validators_hash": hex_of(header.validators_hash),
        "next_validators_hash": hex_of(header.next_validators_hash),
        "consensus_hash": hex_of(header.consensus_hash),
        "app_hash": hex_of(header.app_hash),
        "last_results_hash": hex_of(header.last_results_hash),
        "evidence_hash": hex_of(header.evidence_hash),
        "proposer_address": hex_of(header.proposer_address),
    }


def results_json(height: int, answer: abci_pb2.ResponseFinalizeBlock) -> dict[str, object]:
    """Return what `block_results` answers of a block."""
    return {
        "height": str(height),
        "txs_results": [
            {
                "code": result.code,
                "codespace": result.codespace,
                "log": result.log,
                "data": base64.b64encode(result.data).decode(),
                "gas_used": "0",
                "events": events_json(result.events),
            }
            for result in answer.tx_results
        ],
        "finalize_block_events": events_json(answer.events),
        "app_hash": base64.b64encode(answer.app_hash).decode(),
    }


def events_json(events: object) -> list[object]:
    """Return events, all of them unindexed."""
    return [
        {
            "type": event.type,
            "attributes": [{"key": a.key, "value": a.value, "index": False} for a in event.attributes],
        }
        for event in cast("list[abci_pb2.Event]", events)
    ]
