"""Rounds checked against headers of the hub that a light client has verified."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from participant.errors import UnverifiedData
from tx.codec import encode
from tx.paths import round_info_key
from tx.statements import spec_digest

if TYPE_CHECKING:
    from participant.verified import VerifiedHub
    from wire.gradchain.fl.v1 import round_pb2, task_pb2
    from wire.gradchain.hub.v1 import query_pb2


def verify_info(hub: VerifiedHub, info: round_pb2.RoundInfo) -> int:
    """Prove the opening record of a round; return the height of the header.

    Raises:
      UnverifiedData: the chain proves another record, or none.

    """
    key = round_info_key(info.task, info.round, info.attempt)
    return hub.require_proven(key, sha256(encode(info)).digest()).height


def check_spec(spec: task_pb2.TaskSpec, info: round_pb2.RoundInfo) -> None:
    """Check that a spec is the one of a proven round.

    Raises:
      UnverifiedData: it is another one.

    """
    found = spec_digest(spec)
    if found != info.spec_digest:
        raise UnverifiedData(
            f"expected the spec with digest {info.spec_digest.hex()}, the node serves {found.hex()}"
        )


def verify_round(hub: VerifiedHub, found: query_pb2.Round) -> int:
    """Prove what a node says of a round: its record, and outcome and settlement root if it has them.

    Returns the height of the last header that was used.

    Raises:
      UnverifiedData: a part is not what the chain proves, or parts of several rounds are mixed.

    """
    info, result = found.info, found.result
    height = verify_info(hub, info)
    if found.HasField("result"):
        expected = (info.task, info.round, info.attempt, info.base_root)
        if (result.task, result.round, result.attempt, result.base_root) != expected:
            raise UnverifiedData(
                f"expected the outcome of round {info.round} of task {info.task}, got another one"
            )
        height = hub.prove_round_result(result).height
    if found.settlement_root:
        height = hub.prove_settlement(info.task, info.round, found.settlement_root).height
    return height
