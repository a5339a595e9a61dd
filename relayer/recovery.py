"""Bringing back the expired or frozen clients of a link: a substitute each, and then whatever the link lacks.

Only the chains' authorities may do this.  The substitute starts from the trusted header of the other chain, or one that
all its configured nodes agree on, so after a fork the operator first decides which nodes are the true ones, and names no
others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from relayer import queries
from relayer.config import ClientConfig
from relayer.discovery import find_link
from relayer.types import NS_PER_SECOND, ClientStatus
from tx.keys import format_address
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from relayer.link import LinkedShard, Linker
    from relayer.nodes import ChainNodes
    from relayer.queries import ClientInfo
    from relayer.types import ClientId

RECOVERY_STEP: Final = "client recovered"


@dataclass(slots=True)
class Recoverer:
    """Recovers clients with the keys of a linker, which finishes the link afterwards."""

    linker: Linker

    async def recover(self, shard: ChainNodes) -> LinkedShard:
        """Recover the clients of a shard's link that are expired or frozen, and admit the shard again.

        Raises:
          AuthorityMissing: something must be done for which no key is known.
          TrustedHeaderMismatch, WitnessDisagrees: the nodes of a chain still serve different headers.
          ClientAstray: the other client contradicts the trusted header.
          AppError: there is no link, the chains cannot be asked, or refuse.

        """
        hub = self.linker.hub
        link = (await find_link(hub, shard)).link
        steps: list[str] = []
        for chain, of, client_id in ((hub, shard, link.hub.client), (shard, hub, link.shard.client)):
            client = await queries.get_client(chain, client_id)
            if client.view.status is not ClientStatus.ACTIVE:
                substitute = await self._substitute(chain, of, client)
                steps.append(f"{RECOVERY_STEP}: {client_id} on {chain.chain_id}, from {substitute}")
        linked = await self.linker.link(shard)
        return replace(linked, steps=(*steps, *linked.steps))

    async def _substitute(self, chain: ChainNodes, of: ChainNodes, client: ClientInfo) -> ClientId:
        """Let a client go on from a new one with the same parameters; return the new one's id."""
        key = self.linker.require_authority(chain)
        substitute = await self.linker.create_client(chain, of, parameters_of(client))
        message = client_tx_pb2.MsgRecoverClient(
            subject_client_id=client.client_id,
            substitute_client_id=substitute.client_id,
            signer=format_address(key.public_key),
        )
        await self.linker.submitter.submit(chain, [message], key)
        return substitute.client_id


def parameters_of(client: ClientInfo) -> ClientConfig:
    """Return what a client was created with."""
    trust = client.state.trust
    return ClientConfig(
        trust_level=trust.trust_level,
        trusting_period_s=trust.trusting_period_ns // NS_PER_SECOND,
        unbonding_period_s=client.state.unbonding_period_ns // NS_PER_SECOND,
        max_clock_drift_s=trust.max_clock_drift_ns // NS_PER_SECOND,
    )
