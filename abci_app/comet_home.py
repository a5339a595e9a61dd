"""Write the files that CometBFT reads: config.toml, genesis.json and the keys of a node.

`cometbft testnet` cannot do it: it gives all nodes the same ports and knows no app state.  The formats are
CometBFT's JSON: 64-bit integers are strings, keys are tagged with their type.

Source: CometBFT v0.39 types/genesis.go, privval/file.go, p2p/key.go.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.comet import CometEndpoints, CometSettings, format_config

if TYPE_CHECKING:
    from pathlib import Path

    from tx.keys import SigningKey

JsonValue = str | int | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
"""What the app state of a genesis consists of.  No floats: they have no place in a chain."""

NANOSECONDS: Final = 1_000_000_000
ADDRESS_BYTES: Final = 20
SECRET_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class GenesisValidator:
    """A validator of the first block."""

    public_key: bytes
    power: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Genesis:
    """The start of a chain, equal on all its nodes."""

    chain_id: str
    time_s: int
    """Unix seconds; also the time of the first block."""
    validators: tuple[GenesisValidator, ...]
    app_state: Mapping[str, JsonValue]
    """What the app's `init_genesis` reads."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The two keys of a CometBFT node."""

    validator: SigningKey
    """Signs blocks; a node without power has one too."""
    node: SigningKey
    """Names the node to its peers."""

    @property
    def node_id(self) -> str:
        """The name of the node among its peers."""
        return validator_address(self.node.public_key).hex()


def validator_address(public_key: bytes) -> bytes:
    """Return the 20-byte address that CometBFT derives from an Ed25519 public key."""
    return sha256(public_key).digest()[:ADDRESS_BYTES]


def format_genesis(genesis: Genesis, settings: CometSettings) -> str:
    """Return the text of genesis.json, with the consensus parameters of the settings."""
    age_ns = settings.evidence_age_hours * 3_600 * NANOSECONDS
    document: Mapping[str, JsonValue] = {
        "genesis_time": _format_time(genesis.time_s),
        "chain_id": genesis.chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(settings.max_block_bytes), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": str(settings.evidence_age_blocks),
                "max_age_duration": str(age_ns),
                "max_bytes": str(settings.max_evidence_bytes),
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": validator_address(validator.public_key).hex().upper(),
                "pub_key": _tag_public_key(validator.public_key),
                "power": str(validator.power),
                "name": validator.name,
            }
            for validator in genesis.validators
        ],
        "app_hash": "",
        "app_state": genesis.app_state,
    }
    return json.dumps(document, indent=2) + "\n"


def write_home(
    home: Path, settings: CometSettings, endpoints: CometEndpoints, genesis: str, keys: NodeKeys
) -> None:
    """Write all files of a CometBFT home, as before its first block; `genesis` is the text of genesis.json.

    The secret keys are readable by their owner alone.  Files that exist are overwritten, except the state of the
    validator's last signature: losing it is how a validator signs twice.
    """
    config = home / "config"
    data = home / "data"
    for directory in (config, data):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    (config / "config.toml").write_text(format_config(settings, endpoints))
    (config / "genesis.json").write_text(genesis)
    write_keys(home, keys)
    write_signing_state(home)


def write_keys(home: Path, keys: NodeKeys) -> None:
    """Write the node's two key files."""
    public = keys.validator.public_key
    validator: Mapping[str, JsonValue] = {
        "address": validator_address(public).hex().upper(),
        "pub_key": _tag_public_key(public),
        "priv_key": _tag_secret_key(keys.validator),
    }
    write_secret(home / "config" / "priv_validator_key.json", json.dumps(validator, indent=2))
    node: Mapping[str, JsonValue] = {"priv_key": _tag_secret_key(keys.node)}
    write_secret(home / "config" / "node_key.json", json.dumps(node))


def write_signing_state(home: Path) -> None:
    """Write the state of a validator that has signed nothing, unless there is one."""
    path = home / "data" / "priv_validator_state.json"
    if not path.exists():
        write_secret(path, json.dumps({"height": "0", "round": 0, "step": 0}))


def remove_unborn_databases(home: Path) -> list[str]:
    """Remove databases whose creation was cut short, and return their names.

    A process that is killed in the milliseconds in which it creates a database leaves one that can never be opened
    (goleveldb: "database entry point either missing or corrupted").  Without the file that points to its manifest,
    and without journal and tables, nothing has ever been in it.
    """
    removed = []
    for database in sorted((home / "data").glob("*.db")):
        names = {path.name for path in database.iterdir()}
        if all(name in {"LOCK", "LOG"} or name.startswith("MANIFEST-") for name in names):
            shutil.rmtree(database)
            removed.append(database.name)
    return removed


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET_MODE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, SECRET_MODE)
        file.write(text)


def _tag_public_key(public_key: bytes) -> Mapping[str, JsonValue]:
    return {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(public_key).decode()}


def _tag_secret_key(key: SigningKey) -> Mapping[str, JsonValue]:
    secret = key.seed + key.public_key
    return {"type": "tendermint/PrivKeyEd25519", "value": base64.b64encode(secret).decode()}


def _format_time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
