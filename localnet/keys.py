"""All keys of a localnet follow from the seed in its manifest, so that nothing differs from machine to machine.

They are therefore known to everyone who has the manifest, and good for a local network only.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.comet_home import NodeKeys
from tx.keys import SigningKey

if TYPE_CHECKING:
    from localnet.manifest import ChainSpec, Manifest

_DOMAIN: Final = b"gradchain/localnet-key/1"


def derive_key(seed: str, *path: str) -> SigningKey:
    """Return the key at a path below a seed; different paths have different keys."""
    state = sha256(_DOMAIN + seed.encode()).digest()
    for part in path:
        state = sha256(state + part.encode()).digest()
    return SigningKey.from_seed(state)


def derive_account(manifest: Manifest, name: str) -> SigningKey:
    """Return the key of an account."""
    return derive_key(manifest.seed, "account", name)


def derive_node_keys(manifest: Manifest, chain: ChainSpec, index: int) -> NodeKeys:
    """Return the keys of a chain's node."""
    return NodeKeys(
        validator=derive_key(manifest.seed, "validator", chain.name, str(index)),
        node=derive_key(manifest.seed, "node", chain.name, str(index)),
    )
