"""The numbers that fix the format of updates, aggregates and models.

A change to any of them is a change of consensus.  How they hang together: an update's coordinate is biased by
`LANE_BIAS` into a lane of `LANE_BITS`, so a lane holds at most twice the bias minus one.  A weighted sum of such
lanes stays inside its lane as long as the weights add up to at most `MAX_TOTAL_WEIGHT`, and `LANES_PER_ELEMENT`
lanes fit below the order of the scalar field of BLS12-381.
"""

from __future__ import annotations

from typing import Final

LANE_BITS: Final = 24
"""Bits of a lane: what one coordinate takes in a field element."""

LANES_PER_ELEMENT: Final = 10
"""Lanes of a field element, the first one in the lowest bits."""

ELEMENTS_PER_BLOB: Final = 4096
"""Field elements that one commitment covers (EIP-4844)."""

PARAMS_PER_BLOB: Final = LANES_PER_ELEMENT * ELEMENTS_PER_BLOB
"""Parameters that one commitment covers, and the bytes of a full blob on the wire."""

UPDATE_LIMIT: Final = 127
"""Largest absolute value of a coordinate of an update."""

LARGE_THRESHOLD: Final = 64
"""Absolute value from which a coordinate counts as large when the next scale is chosen."""

LANE_BIAS: Final = 128
"""Added to a coordinate to make its lane positive."""

MAX_TOTAL_WEIGHT: Final = 65_535
"""Largest sum of the weights of a shard's updates: lanes of a weighted sum cannot run over."""

BATCH_LIMIT: Final = 128
"""Most updates that are weighted together."""

SCALE_EXPONENT_START: Final = 10
SCALE_EXPONENT_MIN: Final = 0
SCALE_EXPONENT_MAX: Final = 20
"""Exponent k of the scale s = 2^-k: where a task starts, and the ends that it is clamped to."""

MODEL_FRACTION_BITS: Final = 24
"""Fraction bits of a model parameter: Q8.24 in an int32."""

MODEL_CHUNK_BYTES: Final = 65_536
"""Bytes of a chunk of the encoded model: a leaf of the model root."""

AGGREGATE_BYTES: Final = 3
"""Bytes of a coordinate of an encoded aggregate."""

COMMITMENT_BYTES: Final = 48
"""Bytes of a compressed point of G1."""
