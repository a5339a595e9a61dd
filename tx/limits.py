"""Sizes that statements and specs share.  A change to any of them is a change of consensus."""

from __future__ import annotations

from typing import Final

HASH_BYTES: Final = 32
"""Bytes of a digest or Merkle root."""

COMMITMENT_BYTES: Final = 48
"""Bytes of a KZG commitment: a compressed point of G1."""

MAX_BLOBS: Final = 32
"""Blobs of a payload that travels in one transaction, and commitments of its statement."""

BLOB_PARAMETERS: Final = 40_960
"""Parameters that one blob holds."""

MAX_PARAMETERS: Final = MAX_BLOBS * BLOB_PARAMETERS
"""Largest model whose update travels in one transaction."""

MAX_SCALE: Final = 20
"""Largest exponent k of the scale 2^-k."""

MAX_CHAIN_ID_BYTES: Final = 50
"""Longest chain id that CometBFT accepts in a genesis file."""
