"""Execution of blocks and transactions: pure functions of (app, block, state, bytes).

The same functions serve CheckTx, the proposals and FinalizeBlock, each on overlays of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from abci_app.context import BlockContext, Event, TxContext
from abci_app.errors import (
    BundleRefused,
    DuplicateItem,
    NothingNew,
    TxReplayed,
    UnknownMessageType,
)
from abci_app.reading import ReadBundle, ReadItem, ReadTx, list_claims, read_tx
from abci_app.state import BULK, Overlay, StateReader
from tx.codec import decode_canonical, encode
from tx.envelope import ParsedTx, check_body, verify_signatures
from tx.errors import AppError
from wire.gradchain.tx.v1.tx_pb2 import MessageResults

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from google.protobuf.message import Message

    from abci_app.context import Services
    from abci_app.definition import AppDefinition, MessageHandler

MAX_LOG_CHARACTERS: Final = 500
"""Longest text of a refusal in results and events: it quotes input, which may be megabytes."""

MAX_CLAIMS: Final = 65_536
"""Most claims in a proposal, repeated ones counted each time: an update may have two bytes, so that bytes alone do not
bound the work of a block."""

MAX_FORGOTTEN: Final = MAX_CLAIMS
"""Most expired bodies that a block forgets: as many as one can bring, so that no backlog lasts."""

UPDATE_REFUSED: Final = "update_refused"
"""Kind of the event that tells why an item of a bundle was refused."""

REPLAY_PREFIX = b"tx/"
"""`tx/` BE64(expires_at_ns) sha256(body) -> 0x01: bodies that must not be executed again, until they expire."""


@dataclass(frozen=True, slots=True)
class TxResult:
    """Outcome of one transaction.  Code and data are hashed by CometBFT; the rest is for people."""

    code: int = 0
    codespace: str = ""
    log: str = ""
    data: bytes = b""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockOutcome:
    """Everything that a block does."""

    state: Overlay
    results: tuple[TxResult, ...]
    events: tuple[Event, ...]
    claims: frozenset[bytes] = field(default_factory=frozenset)
    """What the block settles for the mempool: what its transactions claimed is no longer pending."""


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """An account message with its handler."""

    handler: MessageHandler[Any]
    message: Message


def failed_result(error: AppError, *, data: bytes = b"", events: tuple[Event, ...] = ()) -> TxResult:
    """Return the result of a transaction that failed as expected."""
    return TxResult(
        code=error.CODE, codespace=error.CODESPACE, log=shorten_log(error), data=data, events=events
    )


def shorten_log(error: AppError) -> str:
    """Return the text of a refusal for people, cut to a bounded length."""
    return error.message[:MAX_LOG_CHARACTERS]


def replay_key(parsed: ParsedTx) -> bytes:
    """Return the key under which an executed body is remembered."""
    return REPLAY_PREFIX + parsed.body.expires_at_ns.to_bytes(8, "big") + parsed.body_hash


def decode_messages(app: AppDefinition, parsed: ParsedTx) -> list[DecodedMessage]:
    """Decode the messages of a transaction and run their stateless checks.

    Raises:
      AppError: a type is unknown to the app, or a message is malformed.

    """
    decoded = []
    for packed in parsed.messages:
        handler = app.handlers.get(packed.type_url)
        if handler is None:
            raise UnknownMessageType(f"expected a message of this chain, got {packed.type_url[:128]!r}")
        message = decode_canonical(handler.message_class, packed.value)
        handler.check_stateless(message)
        decoded.append(DecodedMessage(handler, message))
    return decoded


def required_signers(messages: Sequence[DecodedMessage]) -> tuple[bytes, ...]:
    """Return the keys that must sign, in the order of first appearance."""
    order: dict[bytes, None] = {}
    for item in messages:
        for signer in item.handler.signers(item.message):
            order[signer] = None
    return tuple(order)


def _execute_account_tx(
    app: AppDefinition, block: BlockContext, state: Overlay, parsed: ParsedTx, *, admission: bool = False
) -> TxResult:
    """Execute an account transaction: all of its messages, or none of them.

    Once the signatures are good the body is remembered even if a message fails, so a failure is final.  `admission`
    adds the checks that only CheckTx makes.
    """
    try:
        check_body(parsed.body, block.chain_id, block.time_ns)
        key = replay_key(parsed)
        if state.get(BULK, key) is not None:
            raise TxReplayed(f"expected a new body, got {parsed.body_hash.hex()}, which was executed before")
        messages = decode_messages(app, parsed)
        signers = required_signers(messages)
        verify_signatures(parsed, signers)
    except AppError as error:
        return failed_result(error)
    state.set(BULK, key, b"\x01")
    ctx = TxContext(block=block, signers=signers)
    overlay = Overlay(state)
    try:
        for check in (app.check_messages, app.check_admission if admission else None):
            if check is not None:
                check(block, overlay, [item.message for item in messages])
        given = [item.handler.handle(ctx, overlay, item.message) for item in messages]
    except AppError as error:
        return failed_result(error)
    overlay.merge()
    return TxResult(data=encode_results(given), events=tuple(ctx.events))


def encode_results(given: Sequence[Message | None]) -> bytes:
    """Return the data of a transaction: a `MessageResults`, or nothing where no message gives anything back."""
    if all(result is None for result in given):
        return b""
    return encode(MessageResults(values=[b"" if result is None else encode(result) for result in given]))


def bitmap(flags: Sequence[bool]) -> bytes:
    """Return flags as bytes, the first flag in the lowest bit of the first byte."""
    out = bytearray((len(flags) + 7) // 8)
    for index, flag in enumerate(flags):
        if flag:
            out[index >> 3] |= 1 << (index & 7)
    return bytes(out)


def _execute_bundle(app: AppDefinition, block: BlockContext, state: Overlay, bundle: ReadBundle) -> TxResult:
    """Execute the items of a bundle one by one; a bad item harms no other."""
    items = app.items
    if items is None:
        return failed_result(BundleRefused("expected account messages, got a bundle of updates"))
    flags: list[bool] = []
    events: list[Event] = []
    first_error: AppError | None = None
    for index, item in enumerate(bundle.items):
        ctx = TxContext(block=block)
        overlay = Overlay(state)
        try:
            items.handle(ctx, overlay, item)
        except AppError as error:
            first_error = first_error or error
            after = TxContext(block=block)
            items.on_failure(after, state, item, error)
            events.extend(after.events)
            verdict = {
                "index": str(index),
                "codespace": error.CODESPACE,
                "code": str(error.CODE),
                "log": shorten_log(error),
            }
            events.append(Event(UPDATE_REFUSED, tuple(verdict.items())))
            flags.append(False)
            continue
        overlay.merge()
        events.extend(ctx.events)
        flags.append(True)
    if first_error is not None and not any(flags):
        return failed_result(first_error, data=bitmap(flags), events=tuple(events))
    return TxResult(data=bitmap(flags), events=tuple(events))


def execute_tx(app: AppDefinition, block: BlockContext, state: Overlay, read: ReadTx) -> TxResult:
    """Execute one transaction on the overlay of its block.  Never raises for what a transaction can contain."""
    if isinstance(read, AppError):
        return failed_result(read)
    if isinstance(read, ParsedTx):
        return _execute_account_tx(app, block, state, read)
    return _execute_bundle(app, block, state, read)


def prune_replay_keys(block: BlockContext, state: Overlay) -> None:
    """Forget bodies that have expired, up to a number a block: their own expiry keeps them out from now on."""
    for key, _ in islice(state.scan(BULK, REPLAY_PREFIX), MAX_FORGOTTEN):
        if int.from_bytes(key[3:11], "big") >= block.time_ns:
            return
        state.delete(BULK, key)


def execute_block(
    app: AppDefinition, block: BlockContext, parent: StateReader, txs: Sequence[bytes]
) -> BlockOutcome:
    """Execute a block on top of the committed state.

    The commitments of all updates of the block are checked together before the first of them is executed.
    """
    state = Overlay(parent)
    prune_replay_keys(block, state)
    for hook in app.begin_hooks:
        hook(block, state)
    txs_read = [read_tx(app, block.services.read, tx) for tx in txs]
    claims: set[bytes] = set()
    items: list[ReadItem] = []
    for read in txs_read:
        if isinstance(read, AppError):
            continue
        claims.update(list_claims(read))
        if isinstance(read, ReadBundle):
            items.extend(read.items)
    if app.items is not None and items:
        app.items.verify_batch(block, state, items)
    results = tuple(execute_tx(app, block, state, read) for read in txs_read)
    for hook in app.end_hooks:
        hook(block, state)
    return BlockOutcome(state, results, tuple(block.events), frozenset(claims))


def verify_ahead(app: AppDefinition, block: BlockContext, parent: StateReader, txs: Sequence[bytes]) -> None:
    """Check commitments of a proposal before it is decided; only caches change."""
    if app.items is None:
        return
    txs_read = [read_tx(app, block.services.read, tx) for tx in txs]
    items = [item for read in txs_read if isinstance(read, ReadBundle) for item in read.items]
    if items:
        app.items.verify_ahead(block, parent, items)


def check_tx(
    app: AppDefinition, block: BlockContext, committed: StateReader, tx: bytes, pending: Container[bytes]
) -> list[bytes]:
    """Decide whether a transaction may enter the mempool; return what it claims.

    An account transaction is executed on a throw-away overlay.  A bundle must bring at least one update that is new
    against the committed state and against `pending`, and that passes all checks but that of its commitments.  Whatever
    is let in here can be proposed.

    Raises:
      AppError: why the transaction is refused.

    """
    read = read_tx(app, block.services.read, tx)
    if isinstance(read, AppError):
        raise read
    if isinstance(read, ReadBundle):
        try:
            return _check_bundle(app, block, committed, read, pending)
        except AppError:
            # Anyone may send what is refused, and updates take more room in memory than in a transaction.
            block.services.read.forget([sha256(tx).digest()])
            raise
    claims = list_claims(read)
    if claims[0] in pending:
        raise TxReplayed(f"expected a new body, got {read.body_hash.hex()}, which is pending")
    result = _execute_account_tx(app, block, Overlay(committed), read, admission=True)
    if result.code:
        raise RefusedResult(result)
    return claims


def _check_bundle(
    app: AppDefinition,
    block: BlockContext,
    committed: StateReader,
    bundle: ReadBundle,
    pending: Container[bytes],
) -> list[bytes]:
    """Return the claims of the updates that are new and pass all checks but that of their commitments.

    What an update claims costs a signature and a pass over its payload, so that is asked of all of them only when there
    is one to take the bundle for: anyone may send a thousand updates of rounds that do not exist.
    """
    if app.items is None:
        raise BundleRefused("expected account messages, got a bundle of updates")
    fresh: list[bytes] = []
    first_error: AppError | None = None
    for item in bundle.items:
        try:
            app.items.check(TxContext(block=block), committed, item)
            if item.claim in pending:
                raise NothingNew(
                    "expected an update for a free slot, got one whose participant has one pending"
                )
        except AppError as error:
            first_error = first_error or error
            continue
        fresh.append(item.claim)
    if not fresh and first_error is not None:
        raise first_error
    different = len(set(list_claims(bundle)))
    if different < len(bundle.items):
        # No proposal takes it, so it would stay in the mempool for ever and keep its good items out of blocks.
        raise DuplicateItem(f"expected {len(bundle.items)} different items, got {different}")
    return fresh


class RefusedResult(Exception):
    """A transaction that would fail if it were executed now."""

    def __init__(self, result: TxResult) -> None:
        super().__init__(result.log)
        self.result = result


def select_for_proposal(
    app: AppDefinition, services: Services, txs: Sequence[bytes], max_bytes: int
) -> list[bytes]:
    """Return the transactions that a proposal takes, in order, within `max_bytes` of encoded size.

    Left out is only what `is_valid_proposal` refuses.  A transaction that has become stale is taken: it fails in the
    block and so leaves the mempool of every node.
    """
    chosen: list[bytes] = []
    seen: set[bytes] = set()
    size = work = 0
    for tx in txs:
        read = read_tx(app, services.read, tx)
        if isinstance(read, AppError):
            continue
        cost, claims = len(tx) + _field_overhead(len(tx)), _count_claims(read)
        if size + cost > max_bytes or work + claims > MAX_CLAIMS or not _claims_each_once(read):
            continue
        identity = _identity(read, tx)
        if identity in seen:
            continue
        size += cost
        work += claims
        seen.add(identity)
        chosen.append(tx)
    return chosen


def _field_overhead(length: int) -> int:
    """Bytes that protobuf adds to a field of that length: one of tag and the varint of the length."""
    return 1 + max(1, (length.bit_length() + 6) // 7)


def is_valid_proposal(app: AppDefinition, services: Services, txs: Sequence[bytes]) -> bool:
    """Refuse what no honest proposer does: malformed or repeated transactions, too many claims, foreign bundles."""
    seen: set[bytes] = set()
    work = 0
    for tx in txs:
        read = read_tx(app, services.read, tx)
        if isinstance(read, AppError):
            return False
        work += _count_claims(read)
        # Before anything that costs a signature an update: a proposer may have filled the block with tiny ones.
        if work > MAX_CLAIMS or not _claims_each_once(read):
            return False
        identity = _identity(read, tx)
        if identity in seen:
            return False
        seen.add(identity)
    return True


def _count_claims(read: ParsedTx | ReadBundle) -> int:
    return 1 if isinstance(read, ParsedTx) else len(read.items)


def _claims_each_once(read: ParsedTx | ReadBundle) -> bool:
    """Tell whether a transaction claims something, and nothing twice."""
    claims = list_claims(read)
    return bool(claims) and len(set(claims)) == len(claims)


def _identity(read: ParsedTx | ReadBundle, tx: bytes) -> bytes:
    """Return what a block may hold once: the body of a transaction of accounts, the bytes of a bundle.

    Bundles may share updates.  Anyone can put public updates into another bundle, so a block that had room for one of
    the two only would let the first to arrive keep out the rest of the other (ADR 0010).
    """
    return read.body_hash if isinstance(read, ParsedTx) else sha256(tx).digest()
