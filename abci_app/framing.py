"""Length-prefixed messages in a byte stream, without any input or output.

A frame is the length of a message as an unsigned LEB128 varint, followed by the message (CometBFT,
abci/types/messages.go).  Bytes are received straight into one buffer; a message is copied out of it exactly once,
when it is complete.  The cost is linear in the bytes received whatever the size of the pieces they come in: the
length is parsed once a frame, and the start of a frame is moved at most twice: once when it reaches the end of the
buffer, and once when the buffer has to grow, which it does straight to the size of the frame.
"""

from __future__ import annotations

from typing import Final

from abci_app.errors import FrameTooLarge, MalformedFrame

MAX_LENGTH_BYTES: Final = 10
"""Longest varint of 64 bits."""

DEFAULT_CAPACITY: Final = 1024 * 1024
"""Size of a buffer that waits, in bytes: some times what a unix socket hands over at once, so that it can be emptied
while a message is worked on."""

DEFAULT_MAX_MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""Largest message that is accepted.  A block is at most 100 MiB, its request little more."""


def encode_varint(number: int) -> bytes:
    """Return a non-negative number as unsigned LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


SHRINK_AFTER_MESSAGES: Final = 16
"""So many small messages in a row give the memory of a large one back.

Not the first one: a node hands the same block over three times within a second, with a small message between, and
touching fresh memory costs more than receiving into it.
"""


class FrameBuffer:
    """Cuts a stream into messages.

    Call `writable`, receive into it, call `advance` with the number of bytes received, then `next_message` until
    it returns None.
    """

    __slots__ = (
        "_buffer",
        "_capacity",
        "_end",
        "_header",
        "_length",
        "_max_message",
        "_small_messages",
        "_start",
        "bytes_moved",
    )

    bytes_moved: int
    """Bytes that were copied from one place of the buffer to another, since the beginning."""

    def __init__(
        self, capacity: int = DEFAULT_CAPACITY, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    ) -> None:
        self._capacity = max(capacity, MAX_LENGTH_BYTES)
        self._max_message = max_message_bytes
        self._buffer = bytearray(self._capacity)
        self._start = 0
        self._end = 0
        # Bytes of the length prefix and of the message of the frame at `_start`, once its prefix is complete.
        self._header = 0
        self._length = 0
        self._small_messages = 0
        self.bytes_moved = 0

    @property
    def capacity(self) -> int:
        """Size of the buffer, in bytes."""
        return len(self._buffer)

    @property
    def pending_bytes(self) -> int:
        """Bytes received that belong to no complete message yet."""
        return self._end - self._start

    def writable(self) -> memoryview:
        """Return the space for the next bytes.

        It is never empty after `next_message` has returned None, and valid until the next call of any method.
        """
        wanted = self._header + self._length if self._header else MAX_LENGTH_BYTES
        if self._start == self._end:
            self._start = self._end = 0
        if self._start + wanted > len(self._buffer):
            self._make_room(wanted)
        return memoryview(self._buffer)[self._end :]

    def advance(self, count: int) -> None:
        """Take note of `count` bytes received into the space that `writable` returned."""
        self._end += count

    def next_message(self) -> bytes | None:
        """Return the next complete message, or None when more bytes are needed.

        Raises:
          MalformedFrame: the length is no varint of 64 bits.
          FrameTooLarge: the length is above the limit.

        """
        if not self._header and not self._parse_length():
            return None
        first = self._start + self._header
        last = first + self._length
        if last > self._end:
            return None
        message = bytes(memoryview(self._buffer)[first:last])
        self._start = last
        self._header = self._length = 0
        if len(self._buffer) > self._capacity:
            self._consider_shrinking(last - first)
        return message

    def _consider_shrinking(self, message_bytes: int) -> None:
        """Return to the original size when large messages have become rare."""
        is_small = message_bytes + MAX_LENGTH_BYTES <= self._capacity
        self._small_messages = self._small_messages + 1 if is_small else 0
        if self._small_messages >= SHRINK_AFTER_MESSAGES and self.pending_bytes <= self._capacity // 2:
            self._relocate(self._capacity)

    def _parse_length(self) -> bool:
        """Parse the length prefix at `_start`; False when it is incomplete."""
        length = 0
        for offset in range(min(self.pending_bytes, MAX_LENGTH_BYTES)):
            byte = self._buffer[self._start + offset]
            length |= (byte & 0x7F) << 7 * offset
            if byte < 0x80:
                if length > self._max_message:
                    raise FrameTooLarge(
                        f"expected a message of at most {self._max_message} bytes, got {length}"
                    )
                self._header, self._length = offset + 1, length
                return True
        if self.pending_bytes >= MAX_LENGTH_BYTES:
            raise MalformedFrame(f"expected a length of at most {MAX_LENGTH_BYTES} bytes, got a longer one")
        return False

    def _make_room(self, wanted: int) -> None:
        """Make the frame at `_start`, of `wanted` bytes, fit behind it: move it to the front, or grow as well."""
        if wanted > len(self._buffer):
            self._relocate(wanted)
            return
        pending = self.pending_bytes
        # Taken out first: the two places may overlap.
        self._buffer[:pending] = bytes(memoryview(self._buffer)[self._start : self._end])
        self.bytes_moved += pending
        self._start, self._end = 0, pending

    def _relocate(self, capacity: int) -> None:
        """Move what is pending to the front of a new buffer."""
        buffer = bytearray(capacity)
        pending = self.pending_bytes
        buffer[:pending] = memoryview(self._buffer)[self._start : self._end]
        self.bytes_moved += pending
        self._buffer, self._start, self._end = buffer, 0, pending
        self._small_messages = 0
