"""A chain with a client of another chain, without packets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from ibc.client_state import (
    pack_client_state,
    pack_consensus_state,
)
from ibc.clients import (
    ClientStatus,
    client_status,
    handle_create_client,
)
from ibc.identifiers import Height
from ibc.keys import heights_prefix
from ibc.state import get_consensus_state, require_client
from tests.support.ibc import SimulatedChain
from tests.support.ibc_evidence import FORGED_ROOT, fork_block
from tests.support.ibc_host import AUTHORITY, HostChain
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from ibc.results import RelayResult
    from wire.tendermint.types import types_pb2

CLIENT = "07-tendermint-0"


class Following:
    """A chain with a client of another chain, whose blocks 1 to 10 exist; the client knows block 1."""

    def __init__(self) -> None:
        self.other = SimulatedChain("other-4")
        self.other.add_block(b"\x09" * 32)
        self.host = HostChain(SimulatedChain("host-1"))
        msg = create_message(self.host, self.other)
        handle_create_client(self.host.ctx, self.host.state, msg, signer=AUTHORITY.public_key)
        self.other.add_blocks(9)
        self.host.sim.time_ns = self.other.time_ns

    def update(self, trusted: int, height: int) -> RelayResult:
        return self.host.update_client(CLIENT, self.other.update(trusted, height))

    def knows(self, height: int) -> bool:
        return get_consensus_state(self.host.state, CLIENT, Height(4, height)) is not None

    @property
    def client_heights(self) -> list[int]:
        prefix = heights_prefix(CLIENT)
        return [int(key[len(prefix) :], 16) for key, _ in self.host.state.scan(BULK, prefix)]

    def status(self) -> ClientStatus:
        client = require_client(self.host.state, CLIENT)
        return client_status(self.host.state, CLIENT, client, self.host.sim.time_ns)

    def fork(
        self, height: int, app_hash: bytes = FORGED_ROOT, time_ns: int | None = None
    ) -> types_pb2.LightBlock:
        """Return another block of a height, signed by the same validators."""
        return fork_block(self.other, height, app_hash=app_hash, time_ns=time_ns)


def create_message(host: HostChain, other: SimulatedChain) -> client_tx_pb2.MsgCreateClient:
    followed = HostChain.__new__(HostChain)
    followed.sim = other
    return client_tx_pb2.MsgCreateClient(
        client_state=pack_client_state(host.client_of(followed)),
        consensus_state=pack_consensus_state(other.trusted_state(other.height)),
    )
