"""Write to a journal until killed: `python -m tests.support.relayer_journal_writer PATH`.

After each write that is on disk, the number of the turn goes to standard output.
"""

from __future__ import annotations

import sys
from pathlib import Path

from relayer.actions import PutCursor, PutPacket, PutTx
from relayer.journal import Journal
from relayer.types import (
    ChainId,
    ClientId,
    Duty,
    Height,
    LinkEnd,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)

HUB = LinkEnd(ChainId("hub-1"), ClientId("07-tendermint-0"))
PACKETS_A_TURN = 3


def make_packet_record(turn: int, index: int) -> PacketRecord:
    """Return a packet that carries the number of its turn in every field that can hold it."""
    return PacketRecord(
        key=PacketKey(HUB, turn * PACKETS_A_TURN + index),
        packet_bytes=b"packet" * 100,
        timeout_s=turn,
        duty=Duty.RECEIVE,
        step=Step.SUBMITTED,
        provable_from=Height(turn),
        seen_ns=TimeNs(turn),
        changed_ns=TimeNs(turn),
        tx_hash=TxHash(turn.to_bytes(32, "big")),
    )


def make_turn(turn: int) -> list[PutCursor | PutPacket | PutTx]:
    """Return what one turn writes: a cursor, packets, and the transaction that carries them."""
    record = TxRecord(
        TxHash(turn.to_bytes(32, "big")), HUB, b"tx" * 500, TimeNs(turn), TxState.PENDING, TimeNs(turn)
    )
    packets = [PutPacket(make_packet_record(turn, index)) for index in range(PACKETS_A_TURN)]
    return [PutCursor(HUB.chain, Height(turn)), *packets, PutTx(record)]


def main() -> None:
    """Write turns for ever."""
    with Journal(Path(sys.argv[1])) as journal:
        turn = journal.restore().cursors.get(HUB.chain, Height(0))
        while True:
            turn = Height(turn + 1)
            journal.apply(make_turn(turn))
            sys.stdout.write(f"{turn}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
