"""One round through all of the arithmetic, from float deltas to the next model."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from aggregation.aggregate import (
    aggregate_commitments,
    aggregate_updates,
    decode_aggregate,
    encode_aggregate,
    verify_aggregate,
)
from aggregation.batch import BlobClaim, verify_claims
from aggregation.gram import decode_gram, encode_gram, gram_matrix
from aggregation.kzg import commit_update
from aggregation.model import Contribution, model_step, to_fixed
from aggregation.payload import decode_payload, encode_payload, split_blobs
from aggregation.quantise import quantise
from aggregation.weights import RuleNormClip, compute_weights, unit_weight
from tests.support.aggregation import shared_setup

DIMENSION = 41_000
EXPONENT = 10


def test_a_round_with_norm_clipping_moves_the_model_by_the_weighted_mean() -> None:
    setup = shared_setup()
    random = np.random.default_rng(20)
    deltas = random.normal(0, 0.02, (4, DIMENSION)) * np.array([[1], [1], [1], [3]])
    payloads = [encode_payload(quantise(delta, np.zeros(DIMENSION), EXPONENT).q) for delta in deltas]
    commitments = [commit_update(setup, decode_payload(payload, DIMENSION)) for payload in payloads]

    claims = [
        BlobClaim(blob, commitment)
        for payload, row in zip(payloads, commitments, strict=True)
        for blob, commitment in zip(split_blobs(payload), row, strict=True)
    ]
    assert all(verify_claims(setup, claims))
    updates = np.stack([decode_payload(payload, DIMENSION) for payload in payloads])
    gram = decode_gram(encode_gram(gram_matrix(updates)), 4)
    weights = compute_weights(RuleNormClip(), np.diag(gram).tolist(), unit_weight(6))
    assert weights[3] < min(weights[:3])
    sent = encode_aggregate(aggregate_updates(updates, weights, DIMENSION))

    aggregate = decode_aggregate(sent, DIMENSION)
    claimed = aggregate_commitments(commitments, weights)
    verify_aggregate(setup, commitments, weights, claimed, aggregate, DIMENSION, b"certificates")
    model = to_fixed(random.normal(0, 1, DIMENSION))
    stepped = model_step(model, [Contribution(aggregate, sum(weights), EXPONENT)], 0)
    for place in range(0, DIMENSION, 997):
        column = updates[:, place].tolist()
        mean = Fraction(sum(w * q for w, q in zip(weights, column, strict=True)), sum(weights))
        assert int(stepped[place]) == int(model[place]) + round(mean * 2 ** (24 - EXPONENT))
