"""Kills on purpose while work is pending: the relayer several times, a validator of a shard once.

Nothing of the result may depend on it: the model's root and all balances must be those of a quiet run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from abci_app.errors import NodeUnavailable
from localnet.demo.setup import start_relayer
from localnet.errors import NotRunning
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.demo.children import Child, Children
    from localnet.demo.setup import DemoChains

RELAYER_KILLS: Final = 5
VALIDATOR_KILL_ROUND: Final = 3


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill, as it is logged."""

    what: str
    pid: int
    round_number: int
    pending_packets: int
    """Packets that were sent and neither acknowledged nor timed out when it was killed, on all chains."""
    at_s: float
    """Seconds since the start of the run."""


@dataclass(slots=True)
class Chaos:
    """Kills one thing at a time, at most once a round each."""

    chains: DemoChains
    children: Children
    config: Path
    relayer: Child
    kills: list[Kill] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _last_round: int = 0

    def step(self, round_number: int) -> None:
        """Kill what is due, if work is pending now."""
        relayer_kills = sum(1 for kill in self.kills if kill.what == "relayer")
        validator_due = round_number >= VALIDATOR_KILL_ROUND and not any(
            kill.what != "relayer" for kill in self.kills
        )
        relayer_due = relayer_kills < RELAYER_KILLS and round_number > self._last_round
        if not (relayer_due or validator_due):
            return
        pending = self._count_pending()
        if not pending:
            return
        if relayer_due:
            self._kill_relayer(round_number, pending)
        else:
            self._kill_validator(round_number, pending)

    def _count_pending(self) -> int:
        count = 0
        for connection in (self.chains.hub_connection, *self.chains.shard_connections.values()):
            try:
                clients = connection.ibc(
                    lambda stub: stub.ListClients(ibc_query.ListClientsRequest(), timeout=30.0)
                ).clients
                for client in clients:
                    request = ibc_query.ListPendingPacketsRequest(client_id=client.client_id)
                    answer = connection.ibc(
                        lambda stub, request=request: stub.ListPendingPackets(  # type: ignore[misc]
                            request, timeout=30.0
                        )
                    )
                    count += len(answer.packets)
            except NodeUnavailable:
                return 0  # a node restarts; kill nothing more until it is back
        return count

    def _kill_relayer(self, round_number: int, pending: int) -> None:
        old = self.relayer
        old.process.kill()
        old.process.wait()
        self.children.started.remove(old)
        self._log("relayer", old.process.pid, round_number, pending)
        self._last_round = round_number
        self.relayer = start_relayer(self.children, self.config)

    def _kill_validator(self, round_number: int, pending: int) -> None:
        node = self.chains.shards[0].nodes[0]
        process = next((item for item in self.chains.localnet.processes() if item.node == node.name), None)
        try:
            self.chains.localnet.kill(node.name, "both")
        except NotRunning:
            return  # it restarts at this moment; the next step tries again
        self._log(f"validator {node.name}", process.pid if process else 0, round_number, pending)

    def _log(self, what: str, pid: int, round_number: int, pending: int) -> None:
        self.kills.append(Kill(what, pid, round_number, pending, round(time.monotonic() - self.started, 2)))
