"""What CometBFT's RPC answers, as values.  Parts that the light client verifies stay raw JSON; `ibc` converts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.context import Event

if TYPE_CHECKING:
    from abci_app.json_reader import JsonObject, JsonReader


@dataclass(frozen=True, slots=True)
class Status:
    """How a node does."""

    chain_id: str
    node_id: str
    moniker: str
    version: str
    """Version of CometBFT."""
    height: int
    """Of the newest block."""
    app_hash: bytes
    """In the header of that block: of the state one height below."""
    block_time_ns: int
    """Time of that block, Unix nanoseconds."""
    earliest_height: int
    """Of the oldest block that the node keeps."""
    catching_up: bool
    voting_power: int


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a header that is read for display; nothing of it is verified."""

    height: int
    chain_id: str
    time_ns: int
    app_hash: bytes
    proposer: bytes
    last_block_hash: bytes
    """Hash of the block below; empty in the first."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its transactions."""

    header: Header
    block_hash: bytes
    txs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ExecutedTx:
    """What became of one transaction of a block."""

    code: int
    codespace: str
    log: str
    data: bytes
    gas_used: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class BlockResults:
    """What a block did."""

    height: int
    txs: tuple[ExecutedTx, ...]
    events: tuple[Event, ...]
    """Of the steps of the block itself, such as deadlines."""
    app_hash: bytes
    """Of the state after this block."""


@dataclass(frozen=True, slots=True)
class RawLightBlock:
    """A header with its commit and the validators that signed it, as CometBFT's JSON."""

    height: int
    signed_header: JsonObject
    validators: tuple[JsonObject, ...]
    """In the order of the set, which is that of the signatures."""


@dataclass(frozen=True, slots=True)
class ValidatorPage:
    """Some of a height's validators."""

    total: int
    validators: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class BroadcastOutcome:
    """What a node made of a transaction that was handed to it."""

    tx_hash: bytes
    code: int = 0
    """0 if it waits for a block now."""
    codespace: str = ""
    log: str = ""
    data: bytes = b""
    already_known: bool = False
    """The node has seen these bytes before.  Whether they were good then is not said: ask for their outcome."""


@dataclass(frozen=True, slots=True)
class AbciInfo:
    """What the app itself says of its state, through CometBFT."""

    height: int
    app_hash: bytes
    version: str
    data: str


@dataclass(frozen=True, slots=True)
class MempoolSize:
    """What waits for a block on one node."""

    txs: int
    size_bytes: int


def parse_status(result: JsonReader) -> Status:
    """Read the answer of `status`."""
    node, sync = result.child("node_info"), result.child("sync_info")
    return Status(
        chain_id=node.text("network"),
        node_id=node.text("id"),
        moniker=node.text("moniker"),
        version=node.text("version"),
        height=sync.integer("latest_block_height"),
        app_hash=sync.hexadecimal("latest_app_hash"),
        block_time_ns=sync.time_ns("latest_block_time"),
        earliest_height=sync.integer("earliest_block_height"),
        catching_up=sync.boolean("catching_up"),
        voting_power=result.child("validator_info").integer("voting_power"),
    )


def parse_header(header: JsonReader) -> Header:
    """Read a header."""
    return Header(
        height=header.integer("height"),
        chain_id=header.text("chain_id"),
        time_ns=header.time_ns("time"),
        app_hash=header.hexadecimal("app_hash"),
        proposer=header.hexadecimal("proposer_address"),
        last_block_hash=header.child("last_block_id").hexadecimal("hash"),
    )


def parse_header_answer(result: JsonReader) -> Header:
    """Read the answer of `header`."""
    return parse_header(result.child("header"))


def parse_block(result: JsonReader) -> Block:
    """Read the answer of `block`."""
    block = result.child("block")
    return Block(
        header=parse_header(block.child("header")),
        block_hash=result.child("block_id").hexadecimal("hash"),
        txs=tuple(tx.to_base64() for tx in block.child("data").items("txs")),
    )


def parse_block_results(result: JsonReader) -> BlockResults:
    """Read the answer of `block_results`."""
    return BlockResults(
        height=result.integer("height"),
        txs=tuple(_parse_executed(tx) for tx in result.items("txs_results")),
        events=_parse_events(result, "finalize_block_events"),
        app_hash=result.base64("app_hash"),
    )


def parse_signed_header(result: JsonReader) -> JsonObject:
    """Read the answer of `commit`."""
    return result.child("signed_header").to_object()


def parse_validator_page(result: JsonReader) -> ValidatorPage:
    """Read the answer of `validators`."""
    return ValidatorPage(
        total=result.integer("total"),
        validators=tuple(validator.to_object() for validator in result.items("validators")),
    )


def parse_broadcast(result: JsonReader) -> BroadcastOutcome:
    """Read the answer of `broadcast_tx_sync`."""
    return BroadcastOutcome(
        tx_hash=result.hexadecimal("hash"),
        code=result.code("code"),
        codespace=result.text_or_empty("codespace"),
        log=result.text_or_empty("log"),
        data=result.hexadecimal("data"),
    )


def parse_abci_info(result: JsonReader) -> AbciInfo:
    """Read the answer of `abci_info`.  Go leaves out what is zero."""
    response = result.child("response")
    return AbciInfo(
        height=response.integer_or_zero("last_block_height"),
        app_hash=response.base64("last_block_app_hash"),
        version=response.text_or_empty("version"),
        data=response.text_or_empty("data"),
    )


def parse_mempool_size(result: JsonReader) -> MempoolSize:
    """Read the answer of `num_unconfirmed_txs`."""
    return MempoolSize(txs=result.integer("total"), size_bytes=result.integer("total_bytes"))


def parse_peer_count(result: JsonReader) -> int:
    """Read the answer of `net_info`."""
    return result.integer("n_peers")


def parse_nothing(result: JsonReader) -> None:
    """Read an answer that says no more than that it is one."""
    result.to_object()


def _parse_executed(tx: JsonReader) -> ExecutedTx:
    return ExecutedTx(
        code=tx.code("code"),
        codespace=tx.text_or_empty("codespace"),
        log=tx.text_or_empty("log"),
        data=tx.base64("data"),
        gas_used=tx.integer_or_zero("gas_used"),
        events=_parse_events(tx, "events"),
    )


def _parse_events(owner: JsonReader, name: str) -> tuple[Event, ...]:
    return tuple(_read_event(event.value) or _parse_event(event) for event in owner.items(name))


def _parse_event(event: JsonReader) -> Event:
    attributes = tuple((item.text("key"), item.text_or_empty("value")) for item in event.items("attributes"))
    return Event(event.text("type"), attributes)


def _read_event(event: object) -> Event | None:
    """Return an event in its usual form, or None for the reader that explains what is wrong.

    Events are most of what a relayer reads, and explaining what is wrong costs four times as much as reading.
    """
    if not isinstance(event, dict):
        return None
    kind, members = event.get("type"), event.get("attributes")
    if not isinstance(kind, str) or not isinstance(members, list):
        return None
    attributes = []
    for member in members:
        if not isinstance(member, dict):
            return None
        key, value = member.get("key"), member.get("value")
        if not isinstance(key, str) or not isinstance(value, str):
            return None
        attributes.append((key, value))
    return Event(kind, tuple(attributes))
