"""`gradchain account`, `transfer` and `faucet`: balances and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from cli.options import with_key
from cli.output import show
from cli.params import AMOUNT, TASK
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from cli.context import Session
    from tx.keys import SigningKey


PAGE: Final = 1_000
"""Rounds that are asked for at once."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """What a node says of an account."""

    address: str
    balance: int
    earned: int
    """Total paid to the account by settlements."""
    verified: bool
    """Balances are in no proof: always the word of the node that answered."""


@dataclass(frozen=True, slots=True)
class RelayRow:
    """What an account was paid for its deliveries when a round was settled."""

    task: int
    round: int
    packets: int
    amount: int


@dataclass(frozen=True, slots=True)
class RelayView:
    """What a node says of an account's earnings as a relayer."""

    address: str
    packets: int
    """Deliveries that were paid, in all rounds."""
    amount: int
    """What was paid for them; part of what the account has earned."""
    rounds: tuple[RelayRow, ...]
    verified: bool
    """Always the word of the node that answered; each payment is a leaf of its round's settlement tree."""


@dataclass(frozen=True, slots=True)
class TransferView:
    """Tokens that have moved."""

    sender: str
    recipient: str
    amount: int
    height: int
    """Block of the hub that holds the transfer."""


@click.group("account", no_args_is_help=True)
def account_group() -> None:
    """Look at balances."""


@account_group.command("show")
@click.argument("account", metavar="[ADDRESS|NAME]", required=False)
@with_key
def show_command(session: Session, account: str | None) -> None:
    """Show the balance of an account, by default that of --key.

    A balance is the word of the node that answers: unlike models, rounds and settlements it is in no proof.
    """
    address = session.address(account)
    request = query_pb2.GetAccountRequest(account=address)
    answer = session.hub().hub(lambda stub: stub.GetAccount(request, timeout=session.timeout_s))
    view = AccountView(format_address(address), answer.balance, answer.earned, verified=False)
    show(view, as_json=session.as_json)


@account_group.command("relayed")
@click.argument("account", metavar="[ADDRESS|NAME]", required=False)
@click.option("--task", type=TASK, metavar="N", help="List the rounds of this task alone.")
@with_key
def relayed_command(session: Session, account: str | None, task: int | None) -> None:
    """Show what an account, by default that of --key, was paid for carrying packets.

    The first to deliver a packet for which a round waits gets the hub's fee when the round is settled. The totals are
    those of all tasks.
    """
    address = session.address(account)
    rows: list[RelayRow] = []
    start = (task or 0, 0)
    while True:
        page = _get_relay_pay(session, address, start)
        listed = [entry for entry in page.rounds if task in {None, entry.task}]
        rows += [RelayRow(entry.task, entry.round, entry.packets, entry.amount) for entry in listed]
        # A node that repeats itself must not keep us here for ever.
        if len(listed) < PAGE or (listed[-1].task, listed[-1].round) < start:
            break
        start = (listed[-1].task, listed[-1].round + 1)
    view = RelayView(format_address(address), page.packets, page.amount, tuple(rows), verified=False)
    show(view, as_json=session.as_json)


def _get_relay_pay(session: Session, address: bytes, start: tuple[int, int]) -> query_pb2.GetRelayPayResponse:
    request = query_pb2.GetRelayPayRequest(
        account=address, start_task=start[0], start_round=start[1], limit=PAGE
    )
    return session.hub().hub(lambda stub: stub.GetRelayPay(request, timeout=session.timeout_s))


@click.command("transfer")
@click.option(
    "--to",
    "recipient",
    required=True,
    metavar="ADDRESS|NAME",
    help="Who gets them: an address, or a key's name.",
)
@click.option("--amount", type=AMOUNT, required=True, metavar="N", help="How many, in base units.")
@with_key
def transfer_command(session: Session, recipient: str, amount: int) -> None:
    """Send tokens to another account.

    They come from the account of --key; the command ends when they are there.
    """
    _transfer(session, session.key(), recipient, amount)


@click.command("faucet")
@click.option(
    "--to",
    "recipient",
    required=True,
    metavar="ADDRESS|NAME",
    help="Who gets them: an address, or a key's name.",
)
@click.option(
    "--amount",
    type=AMOUNT,
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="How many, in base units.",
)
@with_key
def faucet_command(session: Session, recipient: str, amount: int) -> None:
    """Give an account tokens of a localnet.

    They come from the localnet's account `faucet`, or from --key.
    """
    _transfer(session, session.faucet_key(), recipient, amount)


def _transfer(session: Session, key: SigningKey, recipient: str, amount: int) -> None:
    target = session.address(recipient)
    # `from` is a keyword of Python, so the field has to be set by name.
    message = tx_pb2.MsgTransfer(**{"from": key.public_key}, to=target, amount=amount)
    outcome = session.hub().send(session.hub_chain_id(), [message], [key])
    view = TransferView(format_address(key.public_key), format_address(target), amount, outcome.height)
    show(view, as_json=session.as_json)
