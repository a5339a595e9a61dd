"""What is measured now and then while the relayer runs: every node by itself, and balances."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from relayer.examine import examine_nodes, get_account
from relayer.probe import probe_chain
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
        await asyncio.gather(
            self._sample_balances(),
            *(self._sample_nodes(chain) for chain in (self.hub, *self.shards.values())),
        )

    async def _sample_balances(self) -> None:
        self.metrics.set_minimum(self.hub.chain_id, self.config.hub.min_balance)
        for key in self.keys.keys[self.hub.chain_id]:
            try:
                account = await get_account(self.hub, key.public_key)
            except AppError as error:
                LOG.debug("balance is not known", reason=str(error))
                continue
            self.metrics.set_balance(self.hub.chain_id, format_address(key.public_key), account.balance)

    async def _sample_nodes(self, chain: ChainNodes) -> None:
        """Ask each node, also those that are not needed as long as the first one answers."""
        probes = await probe_chain(chain)
        checks = examine_nodes(probes, self.config.health, time.time_ns())
        for probe in probes:
            failed = {
                check.name.replace(" ", "_")
                for check in checks
                if check.subject == probe.rpc and not check.is_good
            }
            self.metrics.set_node(
                chain.chain_id, probe.rpc, answers="endpoint" not in failed, problems=failed
            )
