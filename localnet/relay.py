"""The relayer of a localnet: its configuration, from what the localnet knows of its chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.toml_text import format_value

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.network import Localnet
    from localnet.nodes import ChainHandle


def write_relayer_config(localnet: Localnet, directory: Path) -> Path:
    """Write `relayer.toml` for a localnet's hub and shards into a directory, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    hub = next(chain for chain in localnet.chains.values() if chain.kind == "hub")
    shards = [chain for chain in localnet.chains.values() if chain.kind == "shard"]
    parts = [
        "# Written from the localnet's manifest; see relayer/relayer.example.toml for every key.",
        "[relayer]",
        f"journal = {format_value(str(directory / 'relayer.db'))}",
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
