from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.errors import FrameTooLarge, MalformedFrame
from abci_app.framing import SHRINK_AFTER_MESSAGES, FrameBuffer, encode_varint
from tests.support.abci import frame

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20


def receive(frames: FrameBuffer, piece: bytes) -> list[bytes]:
    """Hand bytes over as a socket does, in as many steps as the buffer asks for, and return what is complete."""
    messages = []
    rest = memoryview(piece)
    while rest:
        space = frames.writable()
        assert len(space) > 0
        count = min(len(space), len(rest))
        space[:count] = rest[:count]
        space.release()
        frames.advance(count)
        rest = rest[count:]
        while (message := frames.next_message()) is not None:
            messages.append(message)
    return messages


def receive_all(frames: FrameBuffer, pieces: Iterable[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in receive(frames, piece)]


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(st.binary(max_size=300), max_size=20),
    st.lists(st.integers(0, 10_000), max_size=40),
    st.integers(1, 64),
)
def test_messages_come_out_whole_however_the_stream_is_split(
    messages: list[bytes], cuts: list[int], capacity: int
) -> None:
    stream = b"".join(map(frame, messages))
    frames = FrameBuffer(capacity)
    assert receive_all(frames, pieces_of(stream, cuts)) == messages
    assert frames.pending_bytes == 0


def test_a_stream_that_comes_byte_by_byte_is_split_inside_its_varints_too() -> None:
    messages = [b"a" * 1, b"", b"b" * 127, b"c" * 128, b"d" * 20_000]
    stream = b"".join(map(frame, messages))
    assert receive_all(FrameBuffer(64), (bytes([byte]) for byte in stream)) == messages


@given(st.integers(0, 2**64 - 1))
def test_a_varint_has_seven_bits_a_byte_the_lowest_first(number: int) -> None:
    encoded = encode_varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80
    assert len(encoded) == max(1, -(-number.bit_length() // 7))


def test_a_length_in_more_bytes_than_it_needs_is_read_as_go_reads_it() -> None:
    assert receive(FrameBuffer(), b"\x82\x80\x00ab") == [b"ab"]


@given(st.binary(max_size=9), st.binary(max_size=5))
def test_a_length_without_end_is_refused(start: bytes, tail: bytes) -> None:
    endless = bytes(byte | 0x80 for byte in start).ljust(10, b"\xff")
    with pytest.raises(MalformedFrame):
        receive(FrameBuffer(), endless + tail)


def test_a_message_above_the_limit_is_refused_before_it_is_received() -> None:
    frames = FrameBuffer(64, max_message_bytes=1000)
    with pytest.raises(FrameTooLarge):
        receive(frames, encode_varint(1001))
    assert frames.capacity == 64


def test_a_message_of_exactly_the_limit_is_received() -> None:
    assert receive(FrameBuffer(64, max_message_bytes=1000), frame(b"x" * 1000)) == [b"x" * 1000]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 50))
def test_no_message_is_moved_more_than_twice(sizes: list[int], piece: int) -> None:
    stream = b"".join(frame(bytes(size)) for size in sizes)
    frames = FrameBuffer(64)
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    assert len(receive_all(frames, pieces)) == len(sizes)
    assert frames.bytes_moved <= 2 * len(stream)


@pytest.mark.parametrize("size", [MIB, 16 * MIB, 64 * MIB])
def test_a_large_message_is_received_without_moving_more_than_its_start(size: int) -> None:
    frames = FrameBuffer()
    stream = frame(bytes(1000)) + frame(bytes(size)) + frame(bytes(1000))
    view = memoryview(stream)
    piece = 200_000
    lengths = [
        len(message)
        for start in range(0, len(stream), piece)
        for message in receive(frames, bytes(view[start : start + piece]))
    ]
    assert lengths == [1000, size, 1000]
    # The bytes received before the buffer grew to the size of the message; not one byte more.
    assert frames.bytes_moved <= 2 * piece


def test_the_memory_of_a_large_message_is_given_back_after_some_small_ones() -> None:
    frames = FrameBuffer(1024)
    assert receive(frames, frame(bytes(MIB))) == [bytes(MIB)]
    assert receive_all(frames, [frame(b"x")] * (SHRINK_AFTER_MESSAGES - 1)) == [b"x"] * (
        SHRINK_AFTER_MESSAGES - 1
    )
    assert frames.capacity >= MIB
    assert receive(frames, frame(b"x")) == [b"x"]
    assert frames.capacity == 1024


def test_a_large_message_soon_after_another_one_finds_the_memory_there() -> None:
    frames = FrameBuffer(1024)
    for _ in range(10):
        assert receive_all(frames, [frame(bytes(MIB)), frame(b"x")]) == [bytes(MIB), b"x"]
        assert frames.capacity >= MIB
    assert frames.bytes_moved <= 1024


def test_what_follows_survives_the_shrinking() -> None:
    frames = FrameBuffer(1024)
    small = [bytes([number]) * 40 for number in range(SHRINK_AFTER_MESSAGES)]
    stream = frame(bytes(MIB)) + b"".join(map(frame, small)) + frame(b"next") + frame(b"x" * 900)
    messages = receive_all(frames, pieces_of(stream, [5, len(stream) - 907]))
    assert messages == [bytes(MIB), *small, b"next", b"x" * 900]
    assert frames.capacity == 1024


def test_an_announced_message_takes_no_more_memory_than_it_announces() -> None:
    frames = FrameBuffer(1024)
    receive(frames, encode_varint(5 * MIB) + b"x")
    frames.writable().release()
    assert frames.capacity == 5 * MIB + len(encode_varint(5 * MIB))
