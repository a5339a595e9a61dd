"""Keys of accounts in the bulk store.

| key | value |
|---|---|
| `accounts/balance/` address | what the account holds; absent when that is nothing |
| `accounts/earned/` address | total paid to the account by settlements |
| `accounts/circulating` | sum of all balances |
| `accounts/escrowed` | sum of what tasks hold back |
| `accounts/supply` | the sum of both, fixed by the genesis |

Amounts take eight bytes, big-endian, in base units.
"""

from __future__ import annotations

from typing import Final

BALANCE_PREFIX: Final = b"accounts/balance/"
EARNED_PREFIX: Final = b"accounts/earned/"
CIRCULATING_KEY: Final = b"accounts/circulating"
ESCROWED_KEY: Final = b"accounts/escrowed"
SUPPLY_KEY: Final = b"accounts/supply"


def balance_key(account: bytes) -> bytes:
    """Return the key of an account's balance."""
    return BALANCE_PREFIX + account


def earned_key(account: bytes) -> bytes:
    """Return the key of an account's total earnings."""
    return EARNED_PREFIX + account
