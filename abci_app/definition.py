"""How an app is put together: one explicit table of message handlers, and ordered lists of hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from abci_app.context import BlockContext, TxContext
from abci_app.reading import ReadItem
from abci_app.state import StateReader, StateWriter

if TYPE_CHECKING:
    from tx.errors import AppError
    from wire.gradchain.fl.v1 import update_pb2

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT", bound=ReadItem)

Hook = Callable[[BlockContext, StateWriter], None]
"""A step of a block.  It must not fail: whatever the state holds, there is a defined outcome."""


TransactionCheck = Callable[[BlockContext, StateReader, Sequence[Message]], None]


@dataclass(frozen=True, slots=True)
class MessageHandler(Generic[MessageT]):
    """How one type of account message is executed."""

    message_class: type[MessageT]
    signers: Callable[[MessageT], tuple[bytes, ...]]
    """Public keys that must sign; raises `AppError` when a field is malformed."""
    check_stateless: Callable[[MessageT], None]
    """Checks that need no state; raises `AppError`."""
    handle: Callable[[TxContext, StateWriter, MessageT], Message | None]
    """Parse, authorise, check, write, emit; raises `AppError` before the first write.

    What it returns becomes part of the transaction's data, for whoever submitted it.
    """

    @property
    def type_url(self) -> str:
        """The `Any` type URL: a slash and the full name of the message."""
        return f"/{self.message_class.DESCRIPTOR.full_name}"


class ItemHandler(Protocol[ItemT]):
    """How the items of a bundle of updates are executed."""

    def read(self, update: update_pb2.Update) -> ItemT:
        """Read an update: find out all that depends on its bytes alone.

        It must not raise, whatever the update holds: proposals are judged by the claim of what is read.
        """

    def check(self, ctx: TxContext, state: StateReader, item: ItemT) -> None:
        """Run all checks but that of the commitments; raises `AppError`."""

    def verify_batch(self, ctx: BlockContext, state: StateReader, items: Sequence[ItemT]) -> None:
        """Check the commitments of many updates at once and remember the verdicts in the cache."""

    def verify_ahead(self, ctx: BlockContext, state: StateReader, items: Sequence[ItemT]) -> None:
        """Do what `verify_batch` would do for a proposal, beside other calls, and at a price that no item can raise."""

    def handle(self, ctx: TxContext, state: StateWriter, item: ItemT) -> None:
        """Execute one item; raises `AppError`, in which case the item's writes are dropped."""

    def on_failure(self, ctx: TxContext, state: StateWriter, item: ItemT, error: AppError) -> None:
        """Record what a failed item leaves behind: one that fails after its signature was good is used up."""


@dataclass(frozen=True, slots=True)
class AppDefinition:
    """An app: everything that `execution` needs to run its blocks."""

    kind: str
    """`hub` or `shard`."""
    handlers: Mapping[str, MessageHandler[Any]]
    """By type URL."""
    begin_hooks: tuple[Hook, ...]
    end_hooks: tuple[Hook, ...]
    init_genesis: Callable[[BlockContext, StateWriter, Mapping[str, object]], None]
    """Write the state of height 0 from the `app_state` of the genesis file."""
    items: ItemHandler[Any] | None = None
    """None where bundles of updates are not accepted."""
    check_messages: TransactionCheck | None = None
    """A rule about all messages of a transaction together, in CheckTx and in blocks; raises `AppError`."""
    check_admission: TransactionCheck | None = None
    """The same for CheckTx alone: what is harmless in a block but need not come there."""


def build_handler_table(*handlers: MessageHandler[Any]) -> dict[str, MessageHandler[Any]]:
    """Return the handlers by type URL.

    Raises:
      ValueError: two handlers claim the same type.

    """
    table: dict[str, MessageHandler[Any]] = {}
    for handler in handlers:
        if handler.type_url in table:
            raise ValueError(f"two handlers for {handler.type_url}")
        table[handler.type_url] = handler
    return table
