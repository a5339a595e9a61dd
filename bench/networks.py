"""The networks that rows start as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from localnet.manifest import parse_manifest

if TYPE_CHECKING:
    from localnet.manifest import Manifest

AMOUNT: Final = 1_000_000


def build_network(validators: int) -> Manifest:
    """Return a hub and two shards with so many validators each, on any free ports."""
    kinds = {"hub": "hub", "shard-0": "shard", "shard-1": "shard"}
    return parse_manifest(
        {
            "name": "bench",
            "seed": "gradchain bench",
            "validators": validators,
            "accounts": {"faucet": AMOUNT, "relayer": AMOUNT},
            "chains": [{"name": name, "kind": kind} for name, kind in kinds.items()],
        },
        "the benchmark's manifest",
    )
