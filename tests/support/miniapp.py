"""A small app on the real execution path: transfers of one message type, and items that can be bad on demand."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.context import BlockContext, Services, TxContext
from abci_app.definition import AppDefinition, MessageHandler, build_handler_table
from abci_app.state import BULK, Overlay, StateReader, StateWriter
from aggregation.kzg import Setup
from tx.envelope import make_tx
from tx.errors import AppError
from tx.keys import SigningKey
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAIN = "mini-1"
NOW_NS = 1_800_000_000_000_000_000
LIFE_NS = 60_000_000_000
ALICE = SigningKey.from_seed(b"a" * 32)
BOB = SigningKey.from_seed(b"b" * 32)


class MiniError(AppError):
    """A refusal of the mini app."""

    CODESPACE = "mini"
    CODE = 1
    CURE = "None: it is made for tests."


class MemoryReader:
    """Committed state in dictionaries."""

    def __init__(self) -> None:
        self.pairs: dict[str, dict[bytes, bytes]] = {"bulk": {}, "provable": {}}

    def get(self, store: str, key: bytes) -> bytes | None:
        return self.pairs[store].get(key)

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(pair for pair in self.pairs[store].items() if pair[0].startswith(prefix))

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        del segment, digest
        return None

    def commit(self, overlay: Overlay) -> None:
        for store, writes in overlay.writes.items():
            for key, value in writes.items():
                if value is None:
                    self.pairs[store].pop(key, None)
                else:
                    self.pairs[store][key] = value


def handle_transfer(ctx: TxContext, state: StateWriter, msg: hub_tx.MsgTransfer) -> hub_tx.MsgTransfer | None:
    """Write first and fail afterwards for an amount of 13, to show that the write is dropped.

    An amount of 21 gives the message back.
    """
    state.set(BULK, b"last/" + msg.to, msg.amount.to_bytes(8, "big"))
    if msg.amount == 13:
        raise MiniError("expected any amount but 13, got 13")
    ctx.emit("moved", amount=str(msg.amount))
    return msg if msg.amount == 21 else None


def check_transfer(msg: hub_tx.MsgTransfer) -> None:
    if not msg.amount:
        raise MiniError("expected an amount from 1, got 0")


@dataclass(frozen=True, slots=True)
class MiniItem:
    """An item of the mini app; its payload says what happens."""

    claim: bytes
    payload: bytes


class MiniItems:
    """Items whose payload says what happens: `bad` fails, `lie` fails and leaves a mark."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.ahead: list[int] = []

    def read(self, update: update_pb2.Update) -> MiniItem:
        return MiniItem(sha256(update.signed.statement).digest(), update.payload)

    def check(self, ctx: TxContext, state: StateReader, item: MiniItem) -> None:
        del ctx
        if item.payload == b"bad" or state.get(BULK, b"item/" + item.claim):
            raise MiniError("expected a good and new item")

    def verify_batch(self, ctx: BlockContext, state: StateReader, items: Sequence[MiniItem]) -> None:
        del ctx, state
        self.batches.append(len(items))

    def verify_ahead(self, ctx: BlockContext, state: StateReader, items: Sequence[MiniItem]) -> None:
        del ctx, state
        self.ahead.append(len(items))

    def handle(self, ctx: TxContext, state: StateWriter, item: MiniItem) -> None:
        state.set(BULK, b"item/" + item.claim, b"\x01")
        self.check(ctx, Overlay(MemoryReader()), item)
        if item.payload == b"lie":
            raise MiniError("expected the truth")
        ctx.emit("item", payload=item.payload.hex())

    def on_failure(self, ctx: TxContext, state: StateWriter, item: MiniItem, error: AppError) -> None:
        del error
        if item.payload == b"lie":
            ctx.emit("spent")
            state.set(BULK, b"spent/" + item.claim, b"\x01")


def mini_app(items: MiniItems | None = None) -> AppDefinition:
    """Return the app; bundles are taken only with `items`."""
    transfer = MessageHandler(
        hub_tx.MsgTransfer, lambda msg: (getattr(msg, "from"),), check_transfer, handle_transfer
    )
    return AppDefinition(
        kind="mini",
        handlers=build_handler_table(transfer),
        begin_hooks=(lambda ctx, _state: ctx.emit("begin"),),
        end_hooks=(lambda ctx, _state: ctx.emit("end"),),
        init_genesis=lambda _ctx, _state, _genesis: None,
        items=items,
    )


def block_at(height: int = 5, time_ns: int = NOW_NS) -> BlockContext:
    """Return the context of a block."""
    return BlockContext(CHAIN, height, time_ns, b"h" * 32, Services(kzg=Setup(points=())))


def transfer_message(key: SigningKey, amount: int) -> hub_tx.MsgTransfer:
    message = hub_tx.MsgTransfer(to=BOB.public_key, amount=amount)
    setattr(message, "from", key.public_key)
    return message


def transfer_tx(
    amount: int = 1, *, nonce: bytes = b"nonce-00", keys: Sequence[SigningKey] = (ALICE,)
) -> bytes:
    """Return a signed transfer by the first of the keys."""
    message = transfer_message(keys[0], amount)
    return make_tx(CHAIN, [message], list(keys), NOW_NS + LIFE_NS, nonce)


def bundle_tx(*payloads: bytes, names: Sequence[bytes] | None = None) -> bytes:
    """Return a bundle with one item a payload; equal names are equal identities."""
    names = names if names is not None else [b"%d" % index for index in range(len(payloads))]
    updates = [
        update_pb2.Update(signed=update_pb2.SignedStatement(statement=name, signature=b"s"), payload=payload)
        for name, payload in zip(names, payloads, strict=True)
    ]
    bundle = update_pb2.UpdateBundle(updates=updates)
    return tx_pb2.Envelope(updates=bundle).SerializeToString(deterministic=True)
