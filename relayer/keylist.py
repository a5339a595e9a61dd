"""The keys of a configuration: listing them, and adding one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.errors import KeyFileExists, KeyFileInvalid
from abci_app.keyfile import generate_key, load_key, save_key
from relayer.config import load_config
from relayer.config_text import add_key_file
from relayer.errors import ShardUnknown
from tx.errors import AppError
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relayer.config import RelayerConfig

DIRECTORY: Final = "keys"
PRIVATE_DIRECTORY: Final = 0o700
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of one chain."""

    chain: str
    role: str
    """relayer, authority"""
    address: str
    """Empty if the file cannot be used."""
    file: str
    problem: str
    """Why the file cannot be used; empty if it can."""


@dataclass(frozen=True, slots=True)
class KeyRows:
    """All keys."""

    keys: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class AddedKey:
    """What became of a key that was to be added."""

    address: str
    public_key: str
    file: str
    made: bool
    """The file was not there before."""
    chains: tuple[str, ...]
    """Chains for which the configuration names it from now on."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key.  Its secret half is in the file alone."""

    address: str
    public_key: str
    """In hexadecimal."""
    file: str
    chains: tuple[str, ...]
    """Chains for which it signs."""


def list_keys(config: RelayerConfig) -> KeyRows:
    """Return the keys that a configuration names, whether they can be used or not."""
    rows: list[KeyRow] = []
    for chain in config.chains:
        rows += [_describe(chain.chain_id, "relayer", path) for path in chain.key_files]
        if chain.authority_key_file is not None:
            rows.append(_describe(chain.chain_id, "authority", chain.authority_key_file))
    return KeyRows(tuple(rows))


def _describe(chain: str, role: str, path: Path) -> KeyRow:
    try:
        address, problem = format_address(load_key(path).public_key), ""
    except AppError as error:
        address, problem = "", str(error)
    return KeyRow(chain, role, address, str(path), problem)


def is_key_name(name: str) -> bool:
    """Tell whether a text can name a key."""
    return _NAME.fullmatch(name) is not None


def add_key(config_path: Path, config: RelayerConfig, name: str, chains: Sequence[str]) -> AddedKey:
    """Make a key beside a configuration unless it is there, and have it sign for chains.

    Raises:
      ShardUnknown: the configuration has no such chain.
      ConfigUneditable: the configuration cannot be changed safely.
      KeyFileInvalid: that is no name of a key.
      KeyFileReadable, KeyFileUnusable: of the file.

    """
    if not is_key_name(name):
        raise KeyFileInvalid(f"expected letters, digits, dots, dashes as the name of a key, got {name!r}")
    known = [str(chain.chain_id) for chain in config.chains]
    for chain_id in chains:
        if chain_id not in known:
            raise ShardUnknown(f"expected one of {', '.join(known)}, got {chain_id}")
    relative = f"{DIRECTORY}/{name}.json"
    path = config_path.parent / relative
    path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    made = _make_key(path)
    public_key = load_key(path).public_key
    added: list[str] = []
    for chain in config.chains:
        is_named = path.resolve() in {file.resolve() for file in chain.key_files}
        if is_named or (chains and chain.chain_id not in chains):
            continue
        present = load_config(config_path)
        own = next(other for other in present.chains if other.chain_id == chain.chain_id)
        add_key_file(config_path, present, own, relative)
        added.append(chain.chain_id)
    return AddedKey(format_address(public_key), public_key.hex(), str(path), made, tuple(added))


def _make_key(path: Path) -> bool:
    try:
        save_key(path, generate_key())
    except KeyFileExists:
        return False
    return True


def show_key(config_path: Path, config: RelayerConfig, name: str) -> KeyView:
    """Return a key that the configuration names or that lies beside it, by its name; or one by the path of its file.

    Raises:
      KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of the file.

    """
    path = _find_key(config_path, config, name)
    public_key = load_key(path).public_key
    chains = tuple(
        str(chain.chain_id)
        for chain in config.chains
        if path.resolve() in {file.resolve() for file in chain.key_files}
    )
    return KeyView(format_address(public_key), public_key.hex(), str(path), chains)


def _find_key(config_path: Path, config: RelayerConfig, name: str) -> Path:
    if _NAME.fullmatch(name) is None or Path(name).exists():
        return Path(name)
    named = [file for chain in config.chains for file in chain.key_files if file.stem == name]
    return named[0] if named else config_path.parent / DIRECTORY / f"{name}.json"
