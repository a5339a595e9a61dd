"""The relayer of a localnet: its configuration, from what the localnet knows of its chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.toml_text import format_value

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.network import Localnet
    from localnet.nodes import ChainHandle

DIRECTORY: Final = "relayer"
"""Below a localnet's directory: where the relayer that belongs to it keeps its configuration and its journal."""

JOURNAL: Final = "relayer.db"


def ensure_relayer_config(localnet: Localnet) -> Path | None:
    """Write the configuration of a localnet's relayer unless there is one, and return its path.

    None where there is nothing to relay: a localnet without hub or without shards.
    """
    kinds = {chain.kind for chain in localnet.chains.values()}
    if not {"hub", "shard"} <= kinds:
        return None
    path = localnet.directory / DIRECTORY / "relayer.toml"
    return path if path.exists() else write_relayer_config(localnet, path.parent)


def forget_relayed(directory: Path) -> None:
    """Remove the journal of a localnet's relayer: after a reset it would tell of chains that are no more."""
    for path in (directory / DIRECTORY).glob(f"{JOURNAL}*"):
        path.unlink()


def write_relayer_config(localnet: Localnet, directory: Path) -> Path:
    """Write `relayer.toml` for a localnet's hub and shards into a directory, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    hub = next(chain for chain in localnet.chains.values() if chain.kind == "hub")
    shards = [chain for chain in localnet.chains.values() if chain.kind == "shard"]
    parts = [
        "# Written from the localnet's manifest; see relayer/relayer.example.toml for every key.",
        "[relayer]",
        f"journal = {format_value(str(directory / JOURNAL))}",
        'log_format = "json"',
        "",
        "[hub]",
        *_chain_lines(localnet, hub),
    ]
    for shard in shards:
        parts += ["", "[[shards]]", *_chain_lines(localnet, shard)]
    path = directory / "relayer.toml"
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path


def _chain_lines(localnet: Localnet, chain: ChainHandle) -> list[str]:
    nodes = ", ".join(
        f"{{ rpc = {format_value(node.rpc_url)}, grpc = {format_value(node.grpc_address)} }}"
        for node in chain.nodes
    )
    return [
        f"chain_id = {format_value(chain.chain_id)}",
        f"key_file = {format_value(str(localnet.key_path('relayer')))}",
        f"authority_key_file = {format_value(str(localnet.key_path('authority')))}",
        f"nodes = [{nodes}]",
    ]
