"""The reference implementations behind functions: CometBFT's light client, ibc-go, ICS-23 and IAVL.

The program in `tests/interop/judge` imports the released Go modules; one process answers any number of questions.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.closing import Closing
from tests.support.answers import Answer
from tests.support.build_go import build_judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

    from ibc.tendermint import TrustedState, TrustOptions

VERIFIED: Final = "verified"
UNTRUSTED: Final = "untrusted"
INVALID: Final = "invalid"
PANIC: Final = "panic"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reference implementation says of a case."""

    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class UpdateJudgement:
    """What the two reference implementations say of a client update."""

    ibc: Judgement
    """ibc-go's 07-tendermint client."""
    light: Judgement
    """CometBFT's light client: VerifyAdjacent or VerifyNonAdjacent."""


@dataclass(frozen=True, slots=True)
class BuiltTree:
    """An IAVL tree."""

    root: bytes
    proofs: tuple[bytes, ...]
    """Encoded `CommitmentProof` of presence or absence of each key asked for."""


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """What ibc-go stores of a packet, where, and whether it holds the packet to be well-formed."""

    commitment: bytes
    commitment_key: bytes
    receipt_key: bytes
    acknowledgement_key: bytes
    form: Judgement


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Opinion(Answer):
    """An answer that is a judgement, or holds some."""

    __slots__ = ()

    def judgement(self) -> Judgement:
        return Judgement(self["verdict"].text(), self["reason"].text())


class Judge(Closing):
    """A running program."""

    def __init__(self) -> None:
        """Start the program."""
        self._process = subprocess.Popen(
            [str(build_judge())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.asked: Counter[str] = Counter()
        """How many questions of each kind were answered."""

    def close(self) -> None:
        """End the program."""
        self._process.communicate()

    def _ask(self, mode: str, case: Mapping[str, object]) -> _Opinion | Judgement:
        """Return the answer, or a judgement that says how the program's libraries panicked."""
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(json.dumps({"mode": mode, "case": case}) + "\n")
        writer.flush()
        line = reader.readline()
        if not line:
            raise RuntimeError(f"the judge ended at a question of mode {mode}")
        self.asked[mode] += 1
        answer = json.loads(line)
        return Judgement(PANIC, answer["panic"]) if "panic" in answer else _Opinion(answer["answer"])

    def _require(self, mode: str, case: Mapping[str, object]) -> _Opinion:
        answer = self._ask(mode, case)
        assert isinstance(answer, _Opinion), answer
        return answer

    def _opine(self, mode: str, case: Mapping[str, object]) -> Judgement:
        answer = self._ask(mode, case)
        return answer if isinstance(answer, Judgement) else answer.judgement()

    def judge_update(
        self, trusted: TrustedState, header: Message, options: TrustOptions, now_ns: int
    ) -> UpdateJudgement:
        """Judge a header that a client is shown."""
        case = _client_case([trusted], options, now_ns) | {"header": _to_base64(header.SerializeToString())}
        answer = self._ask("update", case)
        if isinstance(answer, Judgement):
            return UpdateJudgement(answer, answer)
        return UpdateJudgement(answer["ibc"].judgement(), answer["light"].judgement())

    def judge_misbehaviour(
        self, trusted: Sequence[TrustedState], evidence: Message, options: TrustOptions, now_ns: int
    ) -> Judgement:
        """Judge two headers that a client is shown as evidence."""
        encoded = _to_base64(evidence.SerializeToString())
        return self._opine("misbehaviour", _client_case(trusted, options, now_ns) | {"misbehaviour": encoded})

    def judge_proof(
        self, spec: Message, root: bytes, proof: bytes, key: bytes, value: bytes | None
    ) -> Judgement:
        """Judge whether a proof shows that a tree has the value under the key, or nothing where it is None."""
        case = {
            "spec": _to_base64(spec.SerializeToString()),
            "root": _to_base64(root),
            "proof": _to_base64(proof),
            "key": _to_base64(key),
            "value": None if value is None else _to_base64(value),
        }
        return self._opine("proof", case)

    def judge_chain(
        self,
        specs: Sequence[Message],
        root: bytes,
        proof: bytes,
        path: Sequence[bytes],
        value: bytes | None,
    ) -> Judgement:
        """Judge the same of nested trees; specs are listed from the innermost tree, the path from the outermost."""
        case = {
            "specs": [_to_base64(spec.SerializeToString()) for spec in specs],
            "root": _to_base64(root),
            "proof": _to_base64(proof),
            "path": [_to_base64(key) for key in path],
            "value": None if value is None else _to_base64(value),
        }
        return self._opine("chain", case)

    def build_tree(
        self, versions: Sequence[Mapping[bytes, bytes | None]], keys: Sequence[bytes]
    ) -> BuiltTree:
        """Build an IAVL tree, one version after the other (None removes a key), and prove keys in the last one."""
        case = {
            "versions": [
                [
                    {"key": _to_base64(key), "value": None if value is None else _to_base64(value)}
                    for key, value in writes.items()
                ]
                for writes in versions
            ],
            "keys": [_to_base64(key) for key in keys],
        }
        answer = self._require("iavl", case)
        return BuiltTree(answer["root"].data(), tuple(item.data() for item in answer["proofs"].items()))

    def build_stores(self, roots: Mapping[str, bytes]) -> tuple[bytes, dict[str, bytes]]:
        """Return the app hash of a Cosmos SDK chain whose stores have these roots, and the proof of each store."""
        answer = self._require("stores", {"roots": {name: _to_base64(root) for name, root in roots.items()}})
        return answer["app_hash"].data(), {name: answer["proofs"][name].data() for name in roots}

    def commit_packet(self, packet: Message) -> PacketFacts:
        """Return what ibc-go stores of a packet."""
        answer = self._require("packet", {"packet": _to_base64(packet.SerializeToString())})
        return PacketFacts(
            answer["commitment"].data(),
            answer["commitment_key"].data(),
            answer["receipt_key"].data(),
            answer["acknowledgement_key"].data(),
            answer["form"].judgement(),
        )

    def commit_acknowledgement(self, acknowledgement: Message) -> tuple[bytes, Judgement]:
        """Return what ibc-go stores of an acknowledgement, and whether it holds it to be well-formed."""
        encoded = _to_base64(acknowledgement.SerializeToString())
        answer = self._require("acknowledgement", {"acknowledgement": encoded})
        return answer["commitment"].data(), answer["form"].judgement()


def _client_case(trusted: Sequence[TrustedState], options: TrustOptions, now_ns: int) -> dict[str, object]:
    return {
        "chain_id": options.chain_id,
        "trust_numerator": options.trust_level.numerator,
        "trust_denominator": options.trust_level.denominator,
        "trusting_period_ns": options.trusting_period_ns,
        "max_clock_drift_ns": options.max_clock_drift_ns,
        "trusted": [
            {
                "height": state.height,
                "time_ns": state.time_ns,
                "root": _to_base64(state.root),
                "next_validators_hash": _to_base64(state.next_validators_hash),
            }
            for state in trusted
        ],
        "now_ns": now_ns,
    }
