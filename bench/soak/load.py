"""A steady load of packets that goes on while nodes die, with an account of every packet that was asked for.

Each end of a link has a sender.  It asks for a few packets, waits until they are in a block, and sends the very same
bytes again if the node dies meanwhile: a chain executes them once.  So what was sent is known, or known to be unknown.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Final

from abci_app.client import TX_LIFE_NS
from abci_app.errors import (
    CommitTimeout,
    EndpointUnreachable,
    MempoolFull,
    NodeCatchingUp,
    NodeUnavailable,
    TxReplayed,
)
from abci_app.grpc_errors import RemoteError
from bench.packetnet import PAYLOAD_BYTES, TIMEOUT_S
from tx.envelope import make_tx
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.packetnet import PacketChain

PERIOD_S: Final = 1.0
"""From one transaction of a sender to the next, if the chain is not slower."""
LATE_SHARE: Final = 0.15
"""Of all transactions: their packets have so little time that many of them cannot be received."""
LATE_S: Final = (1, 2)
"""Seconds that they have, less what the present one is old: about as long as a packet needs at the best."""
ANSWER_S: Final = 15.0
PAUSE_S: Final = 0.5

_ASK_AGAIN: Final = (CommitTimeout, EndpointUnreachable, MempoolFull, NodeCatchingUp)
"""What a node says that cannot tell now what becomes of a transaction."""


class Fate(StrEnum):
    """What a sender knows of a transaction."""

    COMMITTED = "committed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ask:
    """A transaction that asked for packets."""

    tx_hash: bytes
    packets: int
    is_late: bool
    fate: Fate
    reason: str = ""
    """Why it was refused, or is unknown."""


@dataclass(slots=True)
class Sender:
    """Asks one end of a link for packets until told to stop."""

    end: PacketChain
    packets: int
    """In a transaction."""
    random: Random
    asked: list[Ask] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Send until the event is set; what was asked for by then is seen to its end."""
        while not stop.is_set():
            begin = time.monotonic()
            self.asked.append(self._ask(is_late=self.random.random() < LATE_SHARE))
            stop.wait(max(0.0, PERIOD_S - (time.monotonic() - begin)))

    def _ask(self, *, is_late: bool) -> Ask:
        life_s = self.random.choice(LATE_S) if is_late else TIMEOUT_S
        messages = self.end.build_sends(self.packets, PAYLOAD_BYTES, int(time.time()) + life_s)
        expires_at_ns = time.time_ns() + TX_LIFE_NS
        chain_id = self.end.chain.chain_id
        tx = make_tx(chain_id, messages, [self.end.key], expires_at_ns, secrets.token_bytes(16))
        fate, reason = self._submit(tx, expires_at_ns)
        return Ask(sha256(tx).digest(), self.packets, is_late, fate, reason)

    def _submit(self, tx: bytes, expires_at_ns: int) -> tuple[Fate, str]:
        """Hand over the same bytes until their fate is known, or they can no longer get into a block."""
        request = query_pb2.BroadcastTxRequest(tx=tx, wait=True)
        reason = ""
        while time.time_ns() < expires_at_ns:
            try:
                outcome = self.end.connection.node(
                    lambda stub: stub.BroadcastTx(request, timeout=ANSWER_S)
                ).outcome
            except NodeUnavailable as error:
                reason = str(error)
            except RemoteError as error:
                if not any(error.is_error(known) for known in _ASK_AGAIN):
                    return Fate.UNKNOWN, str(error)
                reason = str(error)
            else:
                if not outcome.code:
                    return Fate.COMMITTED, ""
                reason = f"{outcome.log} [{outcome.codespace}/{outcome.code}]"
                was_known = (outcome.codespace, outcome.code) == (TxReplayed.CODESPACE, TxReplayed.CODE)
                # It is in a block already; the blocks will say how it ended there.
                return (Fate.UNKNOWN if was_known else Fate.REFUSED), reason
            time.sleep(PAUSE_S)
        return Fate.UNKNOWN, reason


class PacketLoad:
    """Senders at all ends, each in a thread of its own."""

    def __init__(self, ends: Sequence[PacketChain], rate: float, seed: int) -> None:
        """Prepare a load of so many packets a second in all."""
        packets = max(1, round(rate * PERIOD_S / len(ends)))
        self.senders = tuple(
            Sender(end, packets, Random(f"{seed}/{end.chain.name}/{end.client_id}")) for end in ends
        )
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=sender.run, args=(self._stop,), daemon=True) for sender in self.senders
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    @property
    def is_running(self) -> bool:
        """Whether all senders are at work: none has ended with an error."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Ask for nothing more, and wait until all that was asked for is known or has expired."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
