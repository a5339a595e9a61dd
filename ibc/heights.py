"""The heights that a client knows, in order.

Consensus states stand under decimal heights, as in ibc-go, whose bytewise order is not the order of heights.  The
index beside them has hexadecimal digits of fixed length.  A state can only be scanned from the start of a prefix, so
neighbours are found digit by digit, and only in digits that differ between the oldest and the newest height.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibc.host import BULK
from ibc.keys import HEIGHT_DIGITS, heights_prefix

if TYPE_CHECKING:
    from ibc.host import HostReader

_DIGITS = "0123456789abcdef"


def oldest_height(state: HostReader, client_id: str) -> int | None:
    """Return the lowest height that a client knows, or None when it knows none."""
    return _first_below(state, client_id, "")


def list_heights(state: HostReader, client_id: str) -> list[int]:
    """Return all heights that a client knows, in ascending order."""
    prefix = heights_prefix(client_id)
    return [int(key[len(prefix) :], 16) for key, _ in state.scan(BULK, prefix)]


def _first_below(state: HostReader, client_id: str, digits: str) -> int | None:
    """Return the lowest known height that starts with the digits."""
    prefix = heights_prefix(client_id)
    for key, _ in state.scan(BULK, prefix + digits.encode()):
        return int(key[len(prefix) :], 16)
    return None


def find_height_above(state: HostReader, client_id: str, height: int, latest: int) -> int | None:
    """Return the lowest known height above the given one, or None; `latest` is the highest known one."""
    if height >= latest:
        return None
    digits = f"{height:0{HEIGHT_DIGITS}x}"
    for place in range(HEIGHT_DIGITS - 1, _shared_digits(height, latest) - 1, -1):
        for digit in (digit for digit in _DIGITS if digit > digits[place]):
            found = _first_below(state, client_id, digits[:place] + digit)
            if found is not None:
                return found
    return None


def find_height_below(state: HostReader, client_id: str, height: int) -> int | None:
    """Return the highest known height below the given one, or None."""
    oldest = oldest_height(state, client_id)
    if oldest is None or height <= oldest:
        return None
    digits = f"{height:0{HEIGHT_DIGITS}x}"
    for place in range(HEIGHT_DIGITS - 1, _shared_digits(height, oldest) - 1, -1):
        for digit in (digit for digit in reversed(_DIGITS) if digit < digits[place]):
            found = digits[:place] + digit
            if _first_below(state, client_id, found) is not None:
                return _last_below(state, client_id, found)
    return None


def _last_below(state: HostReader, client_id: str, digits: str) -> int:
    """Return the highest known height that starts with the digits; there is one."""
    while len(digits) < HEIGHT_DIGITS:
        digits += next(
            digit for digit in reversed(_DIGITS) if _first_below(state, client_id, digits + digit) is not None
        )
    return int(digits, 16)


def _shared_digits(one: int, other: int) -> int:
    """Return how many leading digits two heights share."""
    return HEIGHT_DIGITS - ((one ^ other).bit_length() + 3) // 4
