"""The ports of hub and shards, and what their payloads are."""

from __future__ import annotations

from typing import Final

HUB_PORT: Final = "fl.hub"
"""Where the hub sends from and listens."""

SHARD_PORT: Final = "fl.shard"
"""Where a shard sends from and listens."""

VERSION: Final = "gradchain-1"
"""Version of the payloads' meaning."""

ENCODING: Final = "application/x-protobuf"
"""Media type of the payloads: `HubPacket` from the hub, `ShardPacket` from a shard."""

SUCCESS_ACK: Final = b"\x01"
"""The acknowledgement of a payload that was taken."""
