"""Points in time and durations of protobuf as integers of nanoseconds.

Inside this package a time is the number of nanoseconds since 1970 (negative before it).  Go's year range, 1 to 9999,
is kept, since that is what a CometBFT node can encode.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ibc.errors import MalformedTime
from ibc.protowire import varint_field

NS_PER_SECOND: Final = 1_000_000_000

GO_ZERO_SECONDS: Final = -62_135_596_800
"""Seconds of Go's zero time, the start of the year 1: what an absent vote carries."""

GO_ZERO_TIME_NS: Final = GO_ZERO_SECONDS * NS_PER_SECOND

_LAST_SECOND = 253_402_300_799
_MAX_DURATION_NS = (1 << 63) - 1


def time_from_wire(timestamp: Timestamp) -> int:
    """Return the nanoseconds of a protobuf time.

    Raises:
      MalformedTime: the seconds are outside the years 1 to 9999, or the nanoseconds are no fraction of a second.

    """
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not GO_ZERO_SECONDS <= seconds <= _LAST_SECOND or not 0 <= nanos < NS_PER_SECOND:
        raise MalformedTime(
            f"expected a time of the years 1 to 9999, got {seconds} seconds and {nanos} nanoseconds"
        )
    return seconds * NS_PER_SECOND + nanos


def time_to_wire(time_ns: int) -> Timestamp:
    """Return the protobuf time of a number of nanoseconds."""
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def encode_time(time_ns: int) -> bytes:
    """Return the encoded protobuf time, as it is hashed and signed."""
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    return varint_field(1, seconds) + varint_field(2, nanos)


def duration_from_wire(duration: Duration) -> int:
    """Return the nanoseconds of a positive protobuf duration.

    Raises:
      MalformedTime: it is zero or negative, or does not fit 64 bits of nanoseconds.

    """
    seconds, nanos = duration.seconds, duration.nanos
    total = seconds * NS_PER_SECOND + nanos
    if not 0 <= nanos < NS_PER_SECOND or not 0 < total <= _MAX_DURATION_NS:
        raise MalformedTime(f"expected a positive duration, got {seconds} seconds and {nanos} nanoseconds")
    return total


def duration_to_wire(duration_ns: int) -> Duration:
    """Return the protobuf duration of a non-negative number of nanoseconds."""
    seconds, nanos = divmod(duration_ns, NS_PER_SECOND)
    return Duration(seconds=seconds, nanos=nanos)
