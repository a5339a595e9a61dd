"""The keys that sign what is relayed: one or several for each chain, used in turn.

The chains know no sequence numbers, so one key never waits for another; several spread what a key earns and what it
can lose.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.keyfile import load_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relayer.config import ChainConfig
    from relayer.types import ChainId
    from tx.keys import SigningKey


@dataclass(slots=True)
class KeyRing:
    """The keys of all chains."""

    keys: Mapping[ChainId, tuple[SigningKey, ...]]
    """At least one for each chain."""
    _taken: defaultdict[ChainId, int] = field(default_factory=lambda: defaultdict(int))

    def next_key(self, chain: ChainId) -> SigningKey:
        """Return the key whose turn it is to sign for a chain."""
        own = self.keys[chain]
        self._taken[chain] += 1
        return own[(self._taken[chain] - 1) % len(own)]


def load_keys(chains: Iterable[ChainConfig]) -> KeyRing:
    """Read the keys of chains.

    Raises:
      KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of a file.

    """
    return KeyRing({chain.chain_id: tuple(load_key(path) for path in chain.key_files) for chain in chains})
