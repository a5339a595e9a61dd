"""A client update, beside CometBFT's own light client: the same headers, from the same bytes.

Ours verifies one signature after the other, by libsodium.  CometBFT verifies them as a batch, with multiples of the
validators' keys that it keeps from before, which costs a fourth a signature.  A batch asks for a laxer equation
(ZIP 215), so that its verdict on a signature which nobody makes honestly may be another one.  Ours never depends on what
else is verified with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from abci_app.context import Event, VerificationCache
from abci_app.state import Overlay
from bench.errors import WrongVerdict
from bench.figures import Aim, Line, Relation, summarise
from bench.goclient import running_go_client
from bench.lightchain import TRUSTED_HEIGHT, LightUpdate, make_update
from bench.repeat import time_once
from ibc.client_state import make_client_state, pack_header
from ibc.client_updates import handle_update_client
from ibc.header import VoteEncoder, block_id_from_wire
from ibc.proof_spec import DEFAULT_SPECS
from ibc.results import RelayResult
from ibc.state import put_client, put_consensus_state
from ibc.tendermint import Verified, verify_update
from tx.keys import verify_signature
from wire.ibc.core.client.v1 import tx_pb2 as client_tx
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.context import BenchContext
    from bench.goclient import GoLightClient

ROW: Final = "client"
SIZES: Final = (4, 100, 150)
WAYS: Final = {"the next height": TRUSTED_HEIGHT + 1, "a far height": TRUSTED_HEIGHT + 500}
CLIENT_ID: Final = "07-tendermint-0"
UNBONDING_NS: Final = 21 * 86_400 * 1_000_000_000
BATCH_S: Final = 0.05
"""A sample is the mean of as many verifications as take about so long."""

MANY: Final = 100
"""Validators from which on the rest of the work is small beside the signatures."""

GO_AIM: Final = Aim(Relation.AT_MOST, 5)
ALONE_AIM: Final = Aim(Relation.AT_MOST, 1.5)

_MS: Final = 1_000.0


@dataclass(slots=True)
class Samples:
    """Milliseconds of processor time, a value for each repetition."""

    ours: list[float] = field(default_factory=list)
    go: list[float] = field(default_factory=list)
    signatures: list[float] = field(default_factory=list)
    message: list[float] = field(default_factory=list)


def run(context: BenchContext) -> list[Line]:
    """Measure in one process of ours and one of Go, in turn, on one thread each, by processor time."""
    context.say(f"{ROW}: building CometBFT's light client if it is not there yet")
    with running_go_client() as reference:
        found = [measure(reference, size, way, context.choose(9, 3)) for size in SIZES for way in WAYS]
    return [line for lines in found for line in lines]


def measure(reference: GoLightClient, size: int, way: str, repetitions: int) -> list[Line]:
    """Measure an update by a set of so many validators, one of the two ways.

    Raises:
      WrongVerdict: one of the two refuses the header.

    """
    update = make_update(size, WAYS[way])
    encoded = update.header.SerializeToString(deterministic=True)
    votes = _needed_votes(size)
    verify, message = (lambda: _verify(update, encoded)), _prepare_message(update)
    seconds = time_once(verify, time.process_time)
    count = max(1, round(BATCH_S / max(seconds, 1e-6)))
    samples = Samples()
    reference.time(update, count)
    for _ in range(repetitions):
        samples.ours.append(_mean_ms(verify, count))
        samples.go.append(_MS * reference.time(update, count))
        samples.signatures.append(_mean_ms(lambda: _verify_signatures(update, votes), count))
        samples.message.append(_mean_ms(message, count))
    return _build_lines(f"{size} validators, {way}", samples, votes, has_aims=size >= MANY)


def _build_lines(case: str, samples: Samples, votes: int, *, has_aims: bool) -> list[Line]:
    ours, whole = summarise(samples.ours, "ms"), summarise(samples.message, "ms")
    notes = (
        f"{votes} signatures make the quorum; a chain handles the whole message in {whole.value:.2f} ms",
    )
    go, alone = summarise(samples.go, "ms"), summarise(samples.signatures, "ms")
    return [
        Line(ROW, case, ours, go, "CometBFT light, Go", GO_AIM if has_aims else None, notes),
        Line(ROW, case, ours, alone, "its signatures alone", ALONE_AIM if has_aims else None),
    ]


def _mean_ms(run: Callable[[], object], count: int) -> float:
    def repeat() -> None:
        for _ in range(count):
            run()

    return _MS * time_once(repeat, time.process_time) / count


def _needed_votes(size: int) -> int:
    """Return how many of the validators, who have equal power, are more than two thirds."""
    return size * 2 // 3 + 1


def _verify(update: LightUpdate, encoded: bytes) -> None:
    header = tendermint_pb2.Header.FromString(encoded)
    verdict = verify_update(update.trusted, header, update.options, update.now_ns)
    if not isinstance(verdict, Verified):
        raise WrongVerdict(f"expected the header to verify, got: {verdict.error}")


def _verify_signatures(update: LightUpdate, count: int) -> None:
    """Verify the signatures of a commit and nothing else."""
    signed, header = update.header.signed_header, update.header
    encoder = VoteEncoder(
        signed.header.chain_id,
        signed.commit.height,
        signed.commit.round,
        block_id_from_wire(signed.commit.block_id),
    )
    for place in range(count):
        vote = signed.commit.signatures[place]
        key = header.validator_set.validators[place].pub_key.ed25519
        verify_signature(key, encoder.sign_bytes(vote.timestamp.ToNanoseconds()), vote.signature)


# --- the whole message -----------------------------------------------------------------------------------------------


class _EmptyState:
    """A state without anything."""

    def get(self, _store: str, _key: bytes) -> bytes | None:
        """Return nothing."""
        return None

    def scan(self, _store: str, _prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield nothing."""
        return iter(())

    def get_blob(self, _segment: bytes, _digest: bytes) -> bytes | None:
        """Return nothing."""
        return None


@dataclass(frozen=True, slots=True)
class _Services:
    verified: VerificationCache


@dataclass(frozen=True, slots=True)
class _Context:
    """A block of the chain that keeps the client; nothing has been verified before."""

    time_ns: int
    chain_id: str = "keeper-1"
    height: int = 1
    services: _Services = field(default_factory=lambda: _Services(VerificationCache()))
    events: list[Event] = field(default_factory=list)

    def emit(self, kind: str, **attributes: str) -> None:
        """Append an event."""
        self.events.append(Event(kind, tuple(attributes.items())))


def _prepare_message(update: LightUpdate) -> Callable[[], None]:
    """Return a function that handles the message of an update, each time as if it were the first."""
    base = Overlay(_EmptyState())
    client = make_client_state(update.options, UNBONDING_NS, TRUSTED_HEIGHT, DEFAULT_SPECS)
    put_client(base, CLIENT_ID, client)
    put_consensus_state(base, CLIENT_ID, client.revision, update.trusted, update.trusted.time_ns, 1)
    encoded = client_tx.MsgUpdateClient(
        client_id=CLIENT_ID, client_message=pack_header(update.header)
    ).SerializeToString(deterministic=True)

    def handle() -> None:
        message = client_tx.MsgUpdateClient.FromString(encoded)
        result = handle_update_client(_Context(update.now_ns), Overlay(base), message)
        if result is not RelayResult.SUCCESS:
            raise WrongVerdict(f"expected the message to succeed, got {result}")

    return handle
