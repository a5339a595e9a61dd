"""What is measured now and then while the relayer runs: nodes that answer, and balances."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from relayer.examine import get_account
from tx.errors import AppError
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relayer.config import RelayerConfig
    from relayer.keyring import KeyRing
    from relayer.metrics import RelayMetrics
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId

LOG = structlog.get_logger(__name__)

PAUSE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Sampler:
    """Keeps gauges current."""

    config: RelayerConfig
    hub: ChainNodes
    shards: Mapping[ChainId, ChainNodes]
    keys: KeyRing
    metrics: RelayMetrics

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await asyncio.sleep(PAUSE_S)

    async def sample(self) -> None:
        """Sample once.  What cannot be asked keeps its last value."""
        for key in self.keys.keys[self.hub.chain_id]:
            try:
                account = await get_account(self.hub, key.public_key)
            except AppError as error:
                LOG.debug("balance is not known", reason=str(error))
                continue
            self.metrics.set_balance(self.hub.chain_id, format_address(key.public_key), account.balance)
        for chain in (self.hub, *self.shards.values()):
            for node in chain.nodes:
                self.metrics.set_node(chain.chain_id, node.address.rpc, answers=not node.failures)
