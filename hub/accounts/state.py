"""Balances, and the only ways in which tokens move.

The supply is fixed by the genesis.  Every function here moves tokens from one place to another and keeps
`circulating + escrowed == supply`; nothing else writes these keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.state import BULK
from hub.accounts.keys import CIRCULATING_KEY, ESCROWED_KEY, SUPPLY_KEY, balance_key, earned_key
from hub.errors import InsufficientBalance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.state import StateReader, StateWriter

MAX_AMOUNT: Final = 2**63 - 1
"""Largest supply, hence the largest amount of anything."""

MAX_EARNED: Final = 2**64 - 1
"""Largest total of earnings that is counted."""


def get_balance(state: StateReader, account: bytes) -> int:
    """Return what an account holds, in base units."""
    return _get_amount(state, balance_key(account))


def get_earned(state: StateReader, account: bytes) -> int:
    """Return what settlements have paid to an account, in base units."""
    return _get_amount(state, earned_key(account))


def get_circulating(state: StateReader) -> int:
    """Return the sum of all balances."""
    return _get_amount(state, CIRCULATING_KEY)


def get_escrowed(state: StateReader) -> int:
    """Return the sum of all escrows."""
    return _get_amount(state, ESCROWED_KEY)


def get_supply(state: StateReader) -> int:
    """Return the number of base units that there are."""
    return _get_amount(state, SUPPLY_KEY)


def init_balances(state: StateWriter, balances: Mapping[bytes, int]) -> None:
    """Write the balances of the genesis, whose sum is the supply for ever."""
    for account, amount in sorted(balances.items()):
        _set_amount(state, balance_key(account), amount)
    supply = sum(balances.values())
    _set_amount(state, CIRCULATING_KEY, supply)
    _set_amount(state, SUPPLY_KEY, supply)


def check_balance(state: StateReader, account: bytes, amount: int) -> None:
    """Check that an account holds an amount.

    Raises:
      InsufficientBalance: it holds less.

    """
    balance = get_balance(state, account)
    if balance < amount:
        raise InsufficientBalance(f"expected a balance of at least {amount}, got {balance}")


def transfer(state: StateWriter, sender: bytes, receiver: bytes, amount: int) -> None:
    """Move tokens from one account to another; they may be the same.

    Raises:
      InsufficientBalance: the sender holds less.

    """
    check_balance(state, sender, amount)
    _add(state, balance_key(sender), -amount)
    _add(state, balance_key(receiver), amount)


def move_to_escrow(state: StateWriter, account: bytes, amount: int) -> None:
    """Take tokens out of an account, for a task to hold.

    Raises:
      InsufficientBalance: the account holds less.

    """
    check_balance(state, account, amount)
    _add(state, balance_key(account), -amount)
    _add(state, CIRCULATING_KEY, -amount)
    _add(state, ESCROWED_KEY, amount)


def release_escrow(state: StateWriter, account: bytes, amount: int) -> None:
    """Give tokens that a task has held to an account."""
    _add(state, balance_key(account), amount)
    _add(state, CIRCULATING_KEY, amount)
    _add(state, ESCROWED_KEY, -amount)


def pay_from_escrow(state: StateWriter, account: bytes, amount: int) -> None:
    """Give tokens that a task has held to a participant who has earned them.

    The same tokens can be earned again and again, so the supply does not bound what an account has ever earned; the
    count stays at the largest number that it has room for.
    """
    release_escrow(state, account, amount)
    _set_amount(state, earned_key(account), min(get_earned(state, account) + amount, MAX_EARNED))


def _get_amount(state: StateReader, key: bytes) -> int:
    return int.from_bytes(state.get(BULK, key) or b"", "big")


def _set_amount(state: StateWriter, key: bytes, amount: int) -> None:
    if amount:
        state.set(BULK, key, amount.to_bytes(8, "big"))
    else:
        state.delete(BULK, key)


def _add(state: StateWriter, key: bytes, amount: int) -> None:
    # A sum that leaves 0..2^64 cannot be encoded: the supply bounds what is added, callers check what is taken.
    _set_amount(state, key, _get_amount(state, key) + amount)
