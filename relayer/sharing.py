"""Relayers side by side: who relays what, without a word between them.

Every packet has a leader, chosen by the hash of the block that brought it about: the one that sent it, or that wrote
its acknowledgement.  Nobody knows that hash before, so nobody can choose its relayer; and whoever reads the chains
computes the same one.  The others give the leader a grace period, each a longer one than the one before it, and then
take over what is still to be done.  Where a block's hash is not known, as of old blocks, the packet's number decides
alone.  Relayers that disagree lose a question or a no-op, never a packet.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from relayer.types import NO_TIME, Height, TimeNs

if TYPE_CHECKING:
    from relayer.state import RelayState, Turn
    from relayer.types import BodyKey, PacketRecord

RUN_LENGTH: Final = 48
"""Packets in a row that have the same leader, so that a large block is shared and batches are still full."""


def rank_in(relayers: int, position: int, seed: bytes) -> int:
    """Return how many of the relayers come before the one at a position: 0 for the leader, each rank once."""
    leader = int.from_bytes(sha256(seed).digest(), "big") % relayers
    return (position - leader) % relayers


def _seed(state: RelayState, record: PacketRecord) -> bytes:
    sender = record.key.sender
    source = sender.chain if record.duty.is_done_by_receiver else state.links[sender].opposite(sender).chain
    block_hash = state.chain(source).hashes.get(Height(record.provable_from - 1), b"")
    return block_hash + f"{sender}/{record.key.sequence // RUN_LENGTH}".encode()


def is_turn(turn: Turn, record: PacketRecord) -> bool:
    """Tell whether a packet that can be proven is this relayer's to submit, now."""
    state, options = turn.state, turn.state.options
    if options.relayers == 1:
        return True
    from_ns = state.turns.get(record.key)
    if from_ns is None:
        rank = rank_in(options.relayers, options.position, _seed(state, record))
        from_ns = TimeNs(turn.now_ns + rank * options.grace_ns) if rank else NO_TIME
        state.turns[record.key] = from_ns
        if rank:
            turn.wake_at(from_ns)
    return from_ns <= turn.now_ns


def body_turn_ns(turn: Turn, key: BodyKey) -> TimeNs:
    """Return when a body is this relayer's to bring."""
    options = turn.state.options
    rank = rank_in(options.relayers, options.position, str(key).encode())
    if not rank:
        return NO_TIME
    from_ns = TimeNs(turn.now_ns + rank * options.grace_ns)
    turn.wake_at(from_ns)
    return from_ns
