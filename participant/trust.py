"""Where the trust in a chain starts: its genesis file, obtained from someone who is trusted."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from ibc.errors import IbcError
from ibc.rfc6962 import merkle_root
from ibc.rpcjson import parse_time_ns
from ibc.tendermint import TrustedState
from ibc.validators import encode_validator
from participant.errors import TrustMissing

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """Where the trust in a chain starts."""

    chain_id: str
    state: TrustedState


def read_genesis(path: Path) -> TrustRoot:
    """Return the trust that a genesis file stands for: its validators sign the first header.

    Raises:
      TrustMissing: the file is missing or is no genesis file with Ed25519 validators.

    """
    try:
        genesis = json.loads(path.read_bytes())
        leaves = [
            encode_validator(_public_key(entry), int(entry["power"]))
            for entry in sorted(
                genesis["validators"], key=lambda entry: (-int(entry["power"]), entry["address"])
            )
        ]
        first = max(1, int(genesis.get("initial_height") or 1))
        state = TrustedState(
            height=first - 1,
            time_ns=parse_time_ns(genesis["genesis_time"]) - 1,
            root=sha256(b"").digest(),
            next_validators_hash=merkle_root(leaves),
        )
        return TrustRoot(str(genesis["chain_id"]), state)
    except (OSError, ValueError, KeyError, TypeError, IbcError) as error:
        raise TrustMissing(f"{path} is no readable genesis file: {error}") from error


def _public_key(entry: dict[str, dict[str, str]]) -> bytes:
    return base64.b64decode(entry["pub_key"]["value"], validate=True)
