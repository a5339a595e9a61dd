"""The yardstick of client updates: CometBFT's own light client, in Go."""

from __future__ import annotations

import base64
import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bench.errors import WrongVerdict, YardstickFailed
from bench.gobuild import REPOSITORY, build_program
from wire.tendermint.types import types_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from bench.lightchain import LightUpdate

SOURCES: Final = REPOSITORY / "bench" / "lightclient"
STOP_S: Final = 10.0


class GoLightClient:
    """A running program that verifies headers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def time(self, update: LightUpdate, count: int) -> float:
        """Return the seconds of processor time that one verification takes, the mean of so many in a row.

        Raises:
          WrongVerdict: the header does not verify.
          YardstickFailed: the program has ended.

        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise YardstickFailed("expected pipes to CometBFT's light client, got none")
        stdin.write(_format_question(update, count))
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise YardstickFailed("expected an answer of CometBFT's light client, it has ended")
        answer = json.loads(line)
        if answer["error"]:
            raise WrongVerdict(
                f"expected CometBFT's light client to accept the header, got: {answer['error']}"
            )
        return float(answer["seconds"])


def _format_question(update: LightUpdate, count: int) -> str:
    trusted, options, header = update.trusted, update.options, update.header
    block = types_pb2.LightBlock(signed_header=header.signed_header, validator_set=header.validator_set)
    question = {
        "count": count,
        "chain_id": options.chain_id,
        "trusted_height": trusted.height,
        "trusted_time_ns": trusted.time_ns,
        "next_validators_hash": base64.b64encode(trusted.next_validators_hash).decode(),
        "trust_numerator": options.trust_level.numerator,
        "trust_denominator": options.trust_level.denominator,
        "trusting_period_ns": options.trusting_period_ns,
        "max_clock_drift_ns": options.max_clock_drift_ns,
        "now_ns": update.now_ns,
        "light_block": _encode(block),
        "trusted_validators": _encode(header.trusted_validators),
    }
    return json.dumps(question) + "\n"


def _encode(message: Message) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


@contextmanager
def running_go_client() -> Iterator[GoLightClient]:
    """Run the program, built before if need be, and end it.

    Raises:
      YardstickFailed: it cannot be built.

    """
    try:
        program = build_program(SOURCES)
    except RuntimeError as error:
        raise YardstickFailed(f"expected CometBFT's light client to be built, got: {error}") from error
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield GoLightClient(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
