"""The hub's part of the genesis file.

```json
{
  "authority": "grad1...",
  "treasury": "grad1...",
  "balances": {"grad1...": "1000000"},
  "params": {"missing_limit": 3}
}
```

All four entries are required; `params` may leave entries out, which then have their defaults.
Amounts are decimal text, because not every JSON reader keeps large numbers exact.  The sum of all balances is the
supply, which never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.accounts.state import MAX_AMOUNT
from hub.errors import InvalidGenesis
from hub.params import HubParams, parse_params
from tx.failures import InvalidAddress
from tx.keys import parse_address

_ENTRIES: Final = frozenset({"authority", "treasury", "balances", "params"})


@dataclass(frozen=True, slots=True)
class HubGenesis:
    """What a hub starts with."""

    authority: bytes
    """Address of the account that creates light clients and admits shards."""

    treasury: bytes
    """Address of the account that gets what is left over at settlements."""

    balances: Mapping[bytes, int]
    """Positive amounts by address, in base units."""

    params: HubParams


def parse_genesis(app_state: Mapping[str, object]) -> HubGenesis:
    """Return the genesis of a hub after checking all of it.

    Raises:
      InvalidGenesis: an entry is missing, unknown or malformed.

    """
    if set(app_state) != _ENTRIES:
        raise InvalidGenesis(f"expected the entries {sorted(_ENTRIES)}, got {sorted(app_state)}")
    return HubGenesis(
        authority=_parse_address("authority", app_state["authority"]),
        treasury=_parse_address("treasury", app_state["treasury"]),
        balances=_parse_balances(_require_object("balances", app_state["balances"])),
        params=parse_params(_require_object("params", app_state["params"])),
    )


def _parse_balances(entries: Mapping[str, object]) -> dict[bytes, int]:
    balances = {
        _parse_address("balances", address): _parse_amount(address, amount)
        for address, amount in entries.items()
    }
    supply = sum(balances.values())
    if supply > MAX_AMOUNT:
        raise InvalidGenesis(f"expected a supply of at most {MAX_AMOUNT}, got {supply}")
    return balances


def _parse_amount(address: str, value: object) -> int:
    is_decimal = isinstance(value, str) and value.isascii() and value.isdecimal()
    if (
        not isinstance(value, str)
        or not is_decimal
        or value.startswith("0")
        or len(value) > len(str(MAX_AMOUNT))
    ):
        raise InvalidGenesis(f"expected a positive decimal number as the balance of {address}, got {value!r}")
    return int(value)


def _parse_address(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise InvalidGenesis(f"expected an address as {name}, got {value!r}")
    try:
        return parse_address(value)
    except InvalidAddress as error:
        raise InvalidGenesis(f"expected an address as {name}, got {value!r}: {error.message}") from None


def _require_object(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidGenesis(f"expected an object as {name}, got {value!r}")
    return value
