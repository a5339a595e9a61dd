"""`gradchain account`, `transfer` and `faucet`: balances and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.options import with_key
from cli.output import show
from cli.params import AMOUNT
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from cli.context import Session
    from tx.keys import SigningKey


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
