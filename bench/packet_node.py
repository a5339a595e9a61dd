"""A hub's or shard's app that sends packets when asked: `python -m bench.packet_node --home HOME`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hub.app
import shards.app
from bench.packetapp import add_packets
from cli import node_app
from hub.rounds.port import HubPort
from ibc.ports import HUB_PORT, SHARD_PORT
from shards.port import ShardPort

if TYPE_CHECKING:
    from abci_app.definition import AppDefinition

_build_hub, _build_shard = hub.app.build_hub_app, shards.app.build_shard_app


def build_hub() -> AppDefinition:
    """Return the hub's app with the port of the benchmark."""
    return add_packets(_build_hub(), {HUB_PORT: HubPort()})


def build_shard() -> AppDefinition:
    """Return the shard's app with the port of the benchmark."""
    return add_packets(_build_shard(), {SHARD_PORT: ShardPort()})


def exchange_definitions() -> None:
    """Give the ordinary node another definition of its app."""
    setattr(hub.app, _build_hub.__name__, build_hub)
    setattr(shards.app, _build_shard.__name__, build_shard)


if __name__ == "__main__":
    sys.exit(node_app.run_variant(__doc__, exchange_definitions))
