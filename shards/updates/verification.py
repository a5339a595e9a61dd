"""The checks of an update that cost something, each done once a node.

A verdict is remembered under the digest of everything that it depends on, so CheckTx and FinalizeBlock share it, and
forgetting it costs time alone.  The payload enters a digest through its Merkle root, which was computed from the bytes
when they were read.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from aggregation.batch import BlobClaim, are_all_true, verify_claims
from aggregation.errors import PayloadRangeError
from aggregation.payload import decode_payload, split_blobs
from aggregation.quantise import count_clipped, count_large
from shards.errors import CommitmentMismatch, CountMismatch, PayloadMismatch, PayloadOutOfRange
from tx.failures import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.context import Services, VerificationCache
    from shards.updates.types import Submission

_CONTENT: Final = b"content"
_COMMITMENTS: Final = b"commitments"


def check_authentic(submission: Submission) -> None:
    """Check that the participant signed the statement, and that the payload is the one that it names.

    Raises:
      InvalidSignature: it did not sign it.
      PayloadMismatch: the payload is another one.

    """
    if not submission.is_signed:
        raise InvalidSignature(f"expected a signature of key {submission.participant.hex()}, got another one")
    if submission.payload_root != submission.statement.payload_root:
        raise PayloadMismatch(
            f"expected the payload with root {submission.statement.payload_root.hex()}, "
            f"got {submission.payload_root.hex()}"
        )


def verify_content(submission: Submission, cache: VerificationCache) -> None:
    """Verify the range of a payload's coordinates and the signed counts.  The submission must be authentic.

    Raises:
      PayloadOutOfRange: a coordinate is -128.
      CountMismatch: a count is wrong.

    """
    statement = submission.statement
    counts = statement.clipped.to_bytes(8, "big") + statement.large.to_bytes(8, "big")
    name = _verdict_name(_CONTENT, statement.payload_root, counts)
    if cache.get(name):
        return
    try:
        q = decode_payload(submission.payload, len(submission.payload))
    except PayloadRangeError as error:
        raise PayloadOutOfRange(error.message) from None
    clipped, large = count_clipped(q), count_large(q)
    if (statement.clipped, statement.large) != (clipped, large):
        raise CountMismatch(
            f"expected {clipped} clipped and {large} large coordinates as in the payload, "
            f"got {statement.clipped} and {statement.large}"
        )
    cache.put(name, verdict=True)


def verify_commitments(services: Services, submissions: Sequence[Submission]) -> list[bool]:
    """Tell of each submission whether all its commitments are true, and remember it.

    All claims whose verdict is not known are checked together, for little more than the price of one.  The submissions
    must be authentic, and there must be one commitment a blob.
    """
    verdicts: dict[bytes, bool] = {}
    claims: list[BlobClaim] = []
    owners: list[bytes] = []
    names = [_commitments_name(submission) for submission in submissions]
    for name, submission in zip(names, submissions, strict=True):
        if name in verdicts:
            continue
        known = services.verified.get(name)
        verdicts[name] = True if known is None else known
        if known is None:
            made = _list_claims(submission)
            claims += made
            owners += [name] * len(made)
    if claims:
        for name, verdict in zip(owners, verify_claims(services.kzg, claims), strict=True):
            verdicts[name] = verdicts[name] and verdict
        for name in dict.fromkeys(owners):
            services.verified.put(name, verdict=verdicts[name])
    return [verdicts[name] for name in names]


def verify_ahead(services: Services, submissions: Sequence[Submission]) -> None:
    """Check the commitments whose verdict is not known, and remember it if all of them are true.

    If one is false nothing is remembered: to find out which costs more, and may be for nothing.  The submissions must be
    as for `verify_commitments`.
    """
    named = {_commitments_name(submission): submission for submission in submissions}
    unknown = {name: submission for name, submission in named.items() if services.verified.get(name) is None}
    claims = [claim for submission in unknown.values() for claim in _list_claims(submission)]
    if claims and are_all_true(services.kzg, claims):
        for name in unknown:
            services.verified.put(name, verdict=True)


def require_commitments(services: Services, submission: Submission) -> None:
    """Verify a submission's commitments: by the remembered verdict, else on the spot.

    Raises:
      CommitmentMismatch: one of them does not commit to its blob.

    """
    if not verify_commitments(services, [submission])[0]:
        raise CommitmentMismatch(
            "expected commitments to the blobs of the payload, got another one among them"
        )


def _list_claims(submission: Submission) -> list[BlobClaim]:
    """Return one claim a blob."""
    blobs = split_blobs(submission.payload)
    commitments = submission.statement.commitments
    return [BlobClaim(blob, commitment) for blob, commitment in zip(blobs, commitments, strict=True)]


def _commitments_name(submission: Submission) -> bytes:
    statement = submission.statement
    return _verdict_name(_COMMITMENTS, statement.payload_root, b"".join(statement.commitments))


def _verdict_name(kind: bytes, first: bytes, second: bytes) -> bytes:
    """Return the digest of what a verdict depends on; lengths keep the parts apart."""
    return sha256(b"%b %d %d " % (kind, len(first), len(second)) + first + second).digest()
