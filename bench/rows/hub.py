"""One checkpoint on the hub, beside a bare loop of the arithmetic that it cannot do without.

Ours is FinalizeBlock of a block that brings the whole body: parsing, audit paths, certificates, weights, sums, the
writes and their hashes.  The loop knows where everything is and does only this: verify each signature, decompress each
commitment, one multi-scalar multiplication a column, one commitment of a folded blob.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
from nacl.bindings import crypto_sign_open
from py_arkworks_bls12381 import G1Point, Scalar

from aggregation.constants import ELEMENTS_PER_BLOB
from aggregation.kzg import load_setup, setup_path
from bench.errors import WrongVerdict
from bench.figures import Aim, Line, Relation, summarise
from bench.hubround import awaited_body
from bench.repeat import Case, time_in_turn
from tx.statements import statement_digest
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregation.kzg import Setup
    from bench.context import BenchContext
    from bench.hubround import AwaitedBody
    from wire.gradchain.fl.v1 import packet_pb2

ROW: Final = "hub"
SIZES: Final = (16, 64, 128)
PARAMETERS: Final = 50_890
AIM: Final = Aim(Relation.AT_MOST, 1.5)
ELEMENT_BYTES: Final = 32
_MS: Final = 1_000.0


def run(context: BenchContext) -> list[Line]:
    """Measure in this process, on one thread, by its processor time."""
    setup = load_setup(setup_path().read_bytes())
    lines = []
    for size in SIZES:
        directory = context.fresh_directory(f"{ROW}-{size}")
        context.say(f"{ROW}: a checkpoint of {size} updates of {PARAMETERS:,} parameters")
        with awaited_body(directory, setup, size, PARAMETERS) as awaited:
            lines.append(measure(setup, awaited, size, context.choose(9, 5)))
    return lines


def measure(setup: Setup, awaited: AwaitedBody, size: int, repetitions: int) -> Line:
    """Return the line of a checkpoint of that size.

    Raises:
      WrongVerdict: the hub does not find the body good.

    """
    primitives = _Primitives(setup, awaited.body)
    cases = [Case("hub", lambda: _finalize(awaited)), Case("primitives", primitives.run)]
    samples = time_in_turn(cases, repetitions, time.process_time)
    return Line(
        row=ROW,
        case=f"a checkpoint of {size}",
        ours=summarise([_MS * value for value in samples["hub"]], "ms"),
        yardstick=summarise([_MS * value for value in samples["primitives"]], "ms"),
        yardstick_name="its primitives",
        aim=AIM,
        notes=(f"the body has {len(awaited.tx):,} bytes",),
    )


def _finalize(awaited: AwaitedBody) -> None:
    result = awaited.hub.finalize(awaited.tx).tx_results[0]
    kinds = [event.type for event in result.events]
    if result.code or "body_verified" not in kinds:
        raise WrongVerdict(f"expected a verified body, got {kinds}: {result.log}")


class _Primitives:
    """The bare loop, with everything that it needs at hand."""

    def __init__(self, setup: Setup, body: packet_pb2.CheckpointBody) -> None:
        statements = [
            update_pb2.UpdateStatement.FromString(certificate.statement) for certificate in body.certificates
        ]
        self._signed = [
            (certificate.signature + statement_digest(certificate.statement), statement.participant)
            for certificate, statement in zip(body.certificates, statements, strict=True)
        ]
        self._commitments = [list(statement.commitments) for statement in statements]
        self._weights = [certificate.weight for certificate in body.certificates]
        self._points = list(setup.points)
        # What a fold looks like: every element of the blob fills its field.
        self._folded = np.random.default_rng(0).bytes(ELEMENTS_PER_BLOB * ELEMENT_BYTES)

    def run(self) -> None:
        """Do all of it once."""
        for message, participant in self._signed:
            crypto_sign_open(message, participant)
        points = [[G1Point.from_compressed_bytes(octets) for octets in row] for row in self._commitments]
        weights = _scalars([weight.to_bytes(ELEMENT_BYTES, "little") for weight in self._weights])
        for column in zip(*points, strict=True):
            G1Point.multiexp_unchecked(list(column), weights)
        elements = [
            self._folded[start : start + ELEMENT_BYTES]
            for start in range(0, len(self._folded), ELEMENT_BYTES)
        ]
        G1Point.multiexp_unchecked(self._points, _scalars(elements))


def _scalars(encoded: Sequence[bytes]) -> list[Scalar]:
    return [Scalar.from_le_bytes_mod_order(octets) for octets in encoded]
