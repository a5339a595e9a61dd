"""The questions that are put to CometBFT's RPC, apart from how they travel.

Questions are URI requests.  A transaction is posted as a form in hexadecimal: JSON-RPC would make the node parse
megabytes of Base64 inside JSON, which takes more of its processor than anything else it does.

Source: CometBFT v0.39 rpc/core, rpc/jsonrpc/server/http_uri_handler.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar
from urllib.parse import urlencode

from abci_app.comet import FORM_OVERHEAD, GO_FORM_BYTES
from abci_app.errors import (
    HeightUnavailable,
    MempoolFull,
    NodeCatchingUp,
    RpcMalformed,
    RpcRefused,
    TxTooLarge,
)
from abci_app.json_reader import JsonObject, JsonReader, parse_json
from abci_app.rpc_answers import (
    AbciInfo,
    Block,
    BlockResults,
    BroadcastOutcome,
    Header,
    MempoolSize,
    Status,
    ValidatorPage,
    parse_abci_info,
    parse_block,
    parse_block_results,
    parse_broadcast,
    parse_header_answer,
    parse_mempool_size,
    parse_nothing,
    parse_peer_count,
    parse_signed_header,
    parse_status,
    parse_validator_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

VALIDATORS_PER_PAGE: Final = 100
"""CometBFT's largest page."""

FORM_TYPE: Final = "application/x-www-form-urlencoded"

_SHOWN_CHARACTERS: Final = 300
_TOO_LARGE: Final = (
    (re.compile(r"request body too large"), "rpc.max_body_bytes"),
    (re.compile(r"tx too large", re.IGNORECASE), "mempool.max_tx_bytes"),
    (re.compile(r"tx pre check"), "consensus_params.block.max_bytes"),
)
"""What CometBFT says of a transaction above one of its limits, in the order in which it meets them, and the setting."""

_FULL: Final = re.compile(r"mempool is full|mempool is still rechecking")
_NO_HEIGHT: Final = re.compile(
    r"must be less than or equal to the current blockchain height|is not available, lowest height is"
    r"|could not find results for height|no results for height"
)
_ALREADY_KNOWN: Final = "tx already exists in cache"
_CATCHING_UP: Final = "node is catching up"


class TxAlreadyKnown(Exception):
    """The node has seen the transaction.  A broadcast turns this into an outcome; it never leaves this layer."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    target: str
    """Path with its query, without the leading slash."""
    parse: Callable[[JsonReader], T]
    form: bytes | None = None
    """Body of a POST; None for a GET."""


def status_call() -> Call[Status]:
    """Ask how the node does."""
    return Call("status", parse_status)


def health_call() -> Call[None]:
    """Ask whether the node answers at all."""
    return Call("health", parse_nothing)


def header_call(height: int) -> Call[Header]:
    """Ask for the header of a height."""
    return Call(_with_query("header", height=height), parse_header_answer)


def commit_call(height: int | None) -> Call[JsonObject]:
    """Ask for the signed header of a height, or the newest one."""
    return Call(_with_query("commit", height=height), parse_signed_header)


def validators_call(height: int, page: int) -> Call[ValidatorPage]:
    """Ask for a page of a height's validators; pages count from 1."""
    return Call(
        _with_query("validators", height=height, page=page, per_page=VALIDATORS_PER_PAGE),
        parse_validator_page,
    )


def block_call(height: int) -> Call[Block]:
    """Ask for a block."""
    return Call(_with_query("block", height=height), parse_block)


def block_results_call(height: int) -> Call[BlockResults]:
    """Ask what a block did."""
    return Call(_with_query("block_results", height=height), parse_block_results)


def abci_info_call() -> Call[AbciInfo]:
    """Ask the app, through its node, for its height and hash."""
    return Call("abci_info", parse_abci_info)


def mempool_size_call() -> Call[MempoolSize]:
    """Ask what waits for a block."""
    return Call("num_unconfirmed_txs", parse_mempool_size)


def peer_count_call() -> Call[int]:
    """Ask how many peers the node is connected to."""
    return Call("net_info", parse_peer_count)


def broadcast_call(tx: bytes) -> Call[BroadcastOutcome]:
    """Hand over a transaction and wait for CheckTx.

    Raises:
      TxTooLarge: the form would exceed what Go parses; it would arrive empty, without an error.

    """
    form = b"tx=0x" + tx.hex().encode("ascii")
    if len(form) > GO_FORM_BYTES:
        largest = (GO_FORM_BYTES - FORM_OVERHEAD) // 2
        raise TxTooLarge(
            f"expected a transaction that fits Go's largest form ({largest} bytes), got {len(tx)}"
        )
    return Call("broadcast_tx_sync", parse_broadcast, form)


def known_outcome(tx: bytes) -> BroadcastOutcome:
    """Return the outcome of a transaction that the node has seen before."""
    return BroadcastOutcome(sha256(tx).digest(), log=_ALREADY_KNOWN, already_known=True)


def is_last_page(pages: list[ValidatorPage], height: int) -> bool:
    """Tell whether all validators have been read.

    Raises:
      RpcMalformed: the node promised more validators than it has.

    """
    read = sum(len(page.validators) for page in pages)
    if read >= pages[-1].total:
        return True
    if not pages[-1].validators:
        raise RpcMalformed(f"expected {pages[-1].total} validators of height {height}, got {read}")
    return False


def read_answer(call: Call[T], http_status: int, body: bytes, where: str) -> T:
    """Read the body of an HTTP answer.

    Raises:
      RpcMalformed: it is none of CometBFT's.
      RpcRefused: it is an error that is not named below.
      TxTooLarge: the transaction exceeds a limit.
      MempoolFull: there is no room for it.
      NodeCatchingUp: the node takes none at present.
      HeightUnavailable: the node has no such height.
      TxAlreadyKnown: the node has seen the transaction.

    """
    answer = parse_json(body, where) if body[:1] == b"{" else None
    if answer is None:
        raise RpcMalformed(f"{where}: expected a JSON object, got HTTP {http_status} and {body[:80]!r}")
    if answer.child("error").value is not None:
        _raise_refusal(answer.child("error"), where)
    if answer.child("result").value is None:
        raise RpcMalformed(f"{where}: expected a result, got HTTP {http_status} and {body[:80]!r}")
    return call.parse(answer.child("result"))


def _raise_refusal(error: JsonReader, where: str) -> NoReturn:
    code = error.integer("code")
    text = f"{error.text_or_empty('message')}: {error.text_or_empty('data')}"
    if _ALREADY_KNOWN in text:
        raise TxAlreadyKnown
    shown = f"{where}: expected a result, got error {code}, {text[:_SHOWN_CHARACTERS]}"
    for said, setting in _TOO_LARGE:
        if said.search(text):
            raise TxTooLarge(f"expected a transaction within {setting}, got one above it: {shown}")
    if _FULL.search(text):
        raise MempoolFull(shown)
    if _NO_HEIGHT.search(text):
        raise HeightUnavailable(shown)
    if _CATCHING_UP in text:
        raise NodeCatchingUp(shown)
    raise RpcRefused(shown)


def _with_query(path: str, **values: int | None) -> str:
    query = urlencode({name: value for name, value in values.items() if value is not None})
    return f"{path}?{query}" if query else path
