"""What a local network consists of: one declarative file for all its chains."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from abci_app.comet import LOCALNET, CometSettings, apply_settings
from abci_app.errors import HomeInvalid, InvalidSetting
from abci_app.nodehome import KINDS, NodeKind, check_chain_id
from abci_app.toml_text import TableReader
from localnet.errors import ManifestInvalid, ManifestMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.comet_home import JsonValue

NETWORKS: Final = Path(__file__).parent / "networks"
"""Where the manifests that come with the package lie."""

ROLES: Final = ("authority", "faucet", "treasury", "relayer")
"""Accounts that every localnet has."""

MAX_VALIDATORS: Final = 16
"""More would not fit on one machine."""

MAX_FULL_NODES: Final = 4
"""Of a chain."""

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_PORT_CAP: Final = 65_535
_AMOUNT_CAP: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """One chain of a manifest."""

    name: str
    kind: NodeKind
    chain_id: str
    validators: int
    params: Mapping[str, JsonValue]
    """Parameters for the app's genesis; what is left out has the app's default."""
    full_nodes: int = 0
    """Nodes without a vote; they come after the validators."""

    @property
    def nodes(self) -> int:
        """How many nodes the chain has."""
        return self.validators + self.full_nodes


@dataclass(frozen=True, slots=True)
class Manifest:
    """A local network."""

    name: str
    seed: str
    """All keys follow from it."""
    base_port: int
    """First port; 0 takes any free ones."""
    block_time_ms: int
    empty_block_interval_ms: int
    accounts: Mapping[str, int]
    """Balance on the hub by account name, in the smallest unit; the roles are always there."""
    chains: tuple[ChainSpec, ...]
    comet: Mapping[str, str | int | bool]
    """CometBFT settings that differ from the defaults for localnets."""

    @property
    def settings(self) -> CometSettings:
        """The CometBFT settings of every node."""
        timing = replace(
            LOCALNET,
            timeout_commit_ms=self.block_time_ms,
            empty_block_interval_ms=self.empty_block_interval_ms,
        )
        return apply_settings(timing, self.comet, f"manifest {self.name}")

    @property
    def hub(self) -> ChainSpec | None:
        """The hub, if the network has one."""
        return next((chain for chain in self.chains if chain.kind == "hub"), None)


def load_manifest(name_or_path: str) -> Manifest:
    """Read a manifest: one that comes with the package by its name, or a file.

    Raises:
      ManifestMissing: there is none.
      ManifestInvalid: it breaks a rule.

    """
    path = NETWORKS / f"{name_or_path}.toml" if _NAME.fullmatch(name_or_path) else Path(name_or_path)
    try:
        text = path.read_text()
    except OSError as error:
        names = ", ".join(sorted(file.stem for file in NETWORKS.glob("*.toml")))
        raise ManifestMissing(
            f"expected a manifest at {path} or one of {names}, got: {error.strerror}"
        ) from None
    try:
        values: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestInvalid(f"expected TOML in {path}, got: {error}") from None
    return parse_manifest(values, str(path))


def parse_manifest(values: Mapping[str, object], where: str) -> Manifest:
    """Read a manifest from its tables.

    Raises:
      ManifestInvalid: a key is unknown, missing, of the wrong type or out of range.

    """
    reader = TableReader(values, where, ManifestInvalid)
    validators = _check_range(reader.take("validators", int, 1), 1, MAX_VALIDATORS, f"validators in {where}")
    chains = reader.take("chains", list)
    manifest = Manifest(
        name=_check_name(reader.take("name", str), where),
        seed=reader.take("seed", str),
        base_port=_check_range(reader.take("base_port", int, 0), 0, _PORT_CAP, f"base_port in {where}"),
        block_time_ms=reader.take("block_time_ms", int, LOCALNET.timeout_commit_ms),
        empty_block_interval_ms=reader.take("empty_block_interval_ms", int, LOCALNET.empty_block_interval_ms),
        accounts=_parse_accounts(reader.take("accounts", dict, {}), where),
        chains=tuple(_parse_chain(chain, validators, where) for chain in chains),
        comet=reader.take("comet", dict, {}),
    )
    reader.finish()
    _check_chains(manifest.chains, where)
    try:
        _ = manifest.settings
    except InvalidSetting as error:
        raise ManifestInvalid(f"{where}: {error.message}") from None
    return manifest


def manifest_values(manifest: Manifest) -> dict[str, JsonValue]:
    """Return the tables of a manifest, as `parse_manifest` reads them."""
    return {
        "name": manifest.name,
        "seed": manifest.seed,
        "base_port": manifest.base_port,
        "block_time_ms": manifest.block_time_ms,
        "empty_block_interval_ms": manifest.empty_block_interval_ms,
        "accounts": dict(manifest.accounts),
        "chains": [
            {
                "name": chain.name,
                "kind": chain.kind,
                "chain_id": chain.chain_id,
                "validators": chain.validators,
                "full_nodes": chain.full_nodes,
                "params": chain.params,
            }
            for chain in manifest.chains
        ],
        "comet": dict(manifest.comet),
    }


def _parse_chain(value: object, validators: int, where: str) -> ChainSpec:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"expected [[chains]] tables in {where}, got {value!r}")
    reader = TableReader(value, f"[[chains]] of {where}", ManifestInvalid)
    name = _check_name(reader.take("name", str), where)
    kind = reader.take("kind", str)
    if kind not in KINDS:
        raise ManifestInvalid(
            f"expected kind of {', '.join(KINDS)} for chain {name} in {where}, got {kind!r}"
        )
    chain_id = reader.take("chain_id", str, name)
    try:
        check_chain_id(chain_id, where)
    except HomeInvalid as error:
        raise ManifestInvalid(error.message) from None
    count = _check_range(
        reader.take("validators", int, validators), 1, MAX_VALIDATORS, f"validators of {name} in {where}"
    )
    full_nodes = _check_range(
        reader.take("full_nodes", int, 0), 0, MAX_FULL_NODES, f"full_nodes of {name} in {where}"
    )
    params = reader.take("params", dict, {})
    _check_json(params, f"params of {name} in {where}")
    reader.finish()
    return ChainSpec(name, cast("NodeKind", kind), chain_id, count, params, full_nodes)


def _parse_accounts(values: Mapping[str, object], where: str) -> Mapping[str, int]:
    accounts = {}
    for name, balance in values.items():
        _check_name(name, where)
        if type(balance) is not int:
            raise ManifestInvalid(f"expected the balance of {name} in {where} as an integer, got {balance!r}")
        accounts[name] = _check_range(balance, 0, _AMOUNT_CAP, f"the balance of {name} in {where}")
    return accounts


def _check_chains(chains: tuple[ChainSpec, ...], where: str) -> None:
    if not chains:
        raise ManifestInvalid(f"expected at least one chain in {where}, got none")
    for what, values in (("name", [c.name for c in chains]), ("chain_id", [c.chain_id for c in chains])):
        if len(set(values)) != len(values):
            raise ManifestInvalid(f"expected every {what} once in {where}, got {', '.join(values)}")
    kinds = [chain.kind for chain in chains]
    if kinds.count("hub") > 1 or ("shard" in kinds and "hub" not in kinds):
        raise ManifestInvalid(f"expected one hub beside shards in {where}, got kinds {', '.join(kinds)}")


def _check_name(name: str, where: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ManifestInvalid(
            f"expected a name of small letters, digits and inner dashes in {where}, got {name!r}"
        )
    return name


def _check_range(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise ManifestInvalid(f"expected {what} in {low}..{high}, got {value}")
    return value


def _check_json(value: object, what: str) -> None:
    if isinstance(value, dict):
        for key, member in value.items():
            _check_json(member, f"{what}, {key}")
    elif isinstance(value, list):
        for member in value:
            _check_json(member, what)
    elif not isinstance(value, str | int):
        raise ManifestInvalid(f"expected text, integers or booleans in {what}, got {value!r}")
