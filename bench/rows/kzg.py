"""Checking commitments in batches, beside checking them one by one.

Every blob is full: 40,960 parameters.  One by one means what it would be without batches: compute the commitment of
the blob and compare; by arkworks, which the nodes use, and by c-kzg, the reference implementation in C.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import ckzg
import numpy as np

from aggregation.batch import BlobClaim, verify_claims
from aggregation.constants import PARAMS_PER_BLOB
from aggregation.kzg import commit_elements, compress, load_setup, pack_update, setup_path
from bench.errors import WrongVerdict
from bench.figures import Aim, Figure, Line, Relation, summarise
from bench.material import draw_contents
from bench.repeat import Case, time_in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregation.kzg import Setup
    from bench.context import BenchContext

ROW: Final = "kzg"
BATCHES: Final = (16, 64, 256)
LIARS: Final = 64
SINGLES: Final = 8
"""Blobs that are checked one by one in a sample; each costs the same."""

HONEST_AIM: Final = Aim(Relation.AT_MOST, 1 / 20)
"""At a batch of 64."""

LYING_AIM: Final = Aim(Relation.AT_MOST, 1.5)
"""The bound that `aggregation.batch` states for the worst that liars can cause."""

_MS: Final = 1_000.0
_LAZY_PRECOMPUTATION: Final = 0
"""c-kzg can trade gigabytes of tables for speed when it proves, not when it commits."""


def run(context: BenchContext) -> list[Line]:
    """Measure in this process, on one thread, by its processor time."""
    setup = load_setup(setup_path().read_bytes())
    reference = ckzg.load_trusted_setup(str(setup_path()), _LAZY_PRECOMPUTATION)
    contents = draw_contents(setup, PARAMS_PER_BLOB, max(BATCHES))
    honest = [BlobClaim(content.payload, content.commitments[0]) for content in contents]
    # Everyone claims the commitment of the next blob.
    lying = [
        replace(claim, commitment=honest[(place + 1) % LIARS].commitment)
        for place, claim in enumerate(honest[:LIARS])
    ]
    context.say(f"{ROW}: batches of {', '.join(map(str, BATCHES))}, and {LIARS} liars")
    cases = [
        Case("arkworks", lambda: _check_singly(setup, honest[:SINGLES])),
        Case("ckzg", lambda: _check_by_reference(reference, honest[:SINGLES])),
        *[Case(str(size), lambda size=size: _check_batch(setup, honest[:size], True)) for size in BATCHES],  # type: ignore[misc]
        Case("liars", lambda: _check_batch(setup, lying, False)),
    ]
    samples = time_in_turn(cases, context.choose(7, 3), time.process_time)
    singly = {name: _per_blob(samples[name], SINGLES) for name in ("arkworks", "ckzg")}
    lines = []
    for size in BATCHES:
        for name, figure in singly.items():
            aim = HONEST_AIM if size == LIARS else None
            ours = _per_blob(samples[str(size)], size)
            lines.append(Line(ROW, f"a blob, batch of {size}", ours, figure, f"one by one, {name}", aim))
    liars = _per_blob(samples["liars"], LIARS)
    case = f"a blob, {LIARS} of {LIARS} lie"
    lines.append(Line(ROW, case, liars, singly["arkworks"], "one by one, arkworks", LYING_AIM))
    lines.append(Line(ROW, case, liars, singly["ckzg"], "one by one, ckzg"))
    return lines


def _per_blob(seconds: Sequence[float], blobs: int) -> Figure:
    return summarise([_MS * value / blobs for value in seconds], "ms")


def _check_batch(setup: Setup, claims: Sequence[BlobClaim], expected: bool) -> None:
    if verify_claims(setup, claims) != [expected] * len(claims):
        raise WrongVerdict(f"expected the verdict {expected} on {len(claims)} claims, got another on some")


def _check_singly(setup: Setup, claims: Sequence[BlobClaim]) -> None:
    for claim in claims:
        found = compress(commit_elements(setup, pack_update(np.frombuffer(claim.blob, np.int8))))
        if found != claim.commitment:
            raise WrongVerdict("expected arkworks to compute the claimed commitment, got another")


def _check_by_reference(reference: object, claims: Sequence[BlobClaim]) -> None:
    for claim in claims:
        # EIP-4844 writes field elements in big-endian order.
        blob = pack_update(np.frombuffer(claim.blob, np.int8))[:, ::-1].tobytes()
        if ckzg.blob_to_kzg_commitment(blob, reference) != claim.commitment:
            raise WrongVerdict("expected c-kzg to compute the claimed commitment, got another")
