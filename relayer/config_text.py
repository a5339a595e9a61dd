"""Writing configurations: the example with its comments, with the values and chains that are wanted.

What is written reads as what was meant; that is checked before anything replaces a file.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Final

from abci_app.toml_text import format_value
from relayer.config import RelayerConfig, parse_config
from relayer.config_tables import list_lines
from relayer.errors import ConfigExists, ConfigInvalid, ConfigUneditable
from relayer.state import MILLISECOND_NS, SECOND_NS

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.toml_text import TomlValue
    from ibc.voting import Fraction
    from relayer.config import ChainConfig, TrustedHeader

EXAMPLE: Final = "relayer.example.toml"
CHAINS_BEGIN: Final = "[hub]"
"""The line of the example from which on the chains are described."""


def read_example() -> str:
    """Return the example, which explains every setting."""
    return resources.files("relayer").joinpath(EXAMPLE).read_text(encoding="utf-8")


def list_settings(config: RelayerConfig) -> list[tuple[str, str, TomlValue]]:
    """Return (table, key, value) of every setting but those of the chains."""
    options, client, chosen, health = config.options, config.client, config.filter, config.health
    return [
        ("relayer", "journal", str(config.journal)),
        ("relayer", "log_format", config.log_format),
        ("relayer", "log_level", config.log_level),
        ("relayer", "http", str(config.http or "")),
        ("relayer", "request_timeout_s", config.request_timeout_s),
        ("relayer", "tx_life_s", config.tx_life_s),
        ("relayer", "max_tx_bytes", config.max_tx_bytes),
        ("filter", "shards", chosen.shards),
        ("filter", "skip_shards", chosen.skip_shards),
        ("filter", "ports", chosen.ports),
        ("filter", "skip_ports", chosen.skip_ports),
        ("health", "max_lag_blocks", health.max_lag_blocks),
        ("health", "max_block_age_s", health.max_block_age_s),
        ("health", "max_clock_skew_s", health.max_clock_skew_s),
        ("batches", "packets", options.max_batch_packets),
        ("batches", "bytes", options.max_batch_bytes),
        ("batches", "in_flight", options.max_in_flight),
        ("batches", "parts", options.max_parts),
        ("batches", "parts_in_flight", options.max_part_groups),
        ("sharing", "relayers", options.relayers),
        ("sharing", "position", options.position),
        ("sharing", "grace_ms", options.grace_ns // MILLISECOND_NS),
        ("retries", "first_ms", options.first_retry_ns // MILLISECOND_NS),
        ("retries", "longest_s", options.max_retry_ns // SECOND_NS),
        ("retries", "lost_after_s", options.answer_timeout_ns // SECOND_NS),
        ("retries", "resend_after_s", options.resend_after_ns // SECOND_NS),
        ("retries", "refresh_share", f"{options.refresh_numerator}/{options.refresh_denominator}"),
        ("client", "trust_level", _format_fraction(client.trust_level)),
        ("client", "trusting_period_s", client.trusting_period_s),
        ("client", "unbonding_period_s", client.unbonding_period_s),
        ("client", "max_clock_drift_s", client.max_clock_drift_s),
    ]


def _format_fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def format_config(config: RelayerConfig) -> str:
    """Return the commented text of a configuration.  Paths are written as they are.

    Raises:
      ConfigInvalid: what is described is none.

    """
    example = read_example()
    text = example[: example.index(f"\n{CHAINS_BEGIN}\n") + 1]
    blank = RelayerConfig(config.hub, config.shards, config.journal)
    defaults = {(table, key): value for table, key, value in list_settings(blank)}
    for table, key, value in list_settings(config):
        if value != defaults[table, key] or key == "journal":
            text = set_value(text, table, key, value)
    parts = [text, f"{CHAINS_BEGIN}\n", *_format_chain(config.hub, is_hub=True)]
    parts.append("\n# One table for each shard.\n")
    if not config.shards:
        parts.insert(0, "shards = []\n")
    for shard in config.shards:
        parts += ["[[shards]]\n", *_format_chain(shard, is_hub=False), "\n"]
    return "".join(parts).rstrip("\n") + "\n"


def _format_chain(chain: ChainConfig, *, is_hub: bool) -> list[str]:
    lines = [
        f"chain_id = {format_value(chain.chain_id)}",
        "# Keys that sign what is relayed to this chain, in turn (`gradchain relayer keys add`).",
        f"key_files = {format_value([str(path) for path in chain.key_files])}",
    ]
    if is_hub:
        lines += [
            "# Tokens below which `relayer health` calls an account empty.",
            f"min_balance = {chain.min_balance}",
        ]
    if chain.authority_key_file is not None:
        lines += [
            "# Key of the chain's authority; only `relayer link` needs it.",
            f"authority_key_file = {format_value(str(chain.authority_key_file))}",
        ]
    lines += _format_trusted(chain.trusted)
    nodes = [
        f"  {{ rpc = {format_value(node.rpc)}, grpc = {format_value(node.grpc)} }}," for node in chain.nodes
    ]
    return [f"{line}\n" for line in (*lines, "nodes = [", *nodes, "]")]


def _format_trusted(trusted: TrustedHeader | None) -> list[str]:
    """Return the lines of the first header; commented out if it is not chosen, so that people find them."""
    mark = "# " if trusted is None else ""
    height, header_hash = (0, b"") if trusted is None else (trusted.height, trusted.header_hash)
    return [
        "# Header that a new light client of this chain starts from, instead of one that all nodes agree on; those that",
        "# exist are compared with it.",
        f"{mark}trusted_height = {height}",
        f"{mark}trusted_hash = {format_value(header_hash.hex())}",
    ]


def set_value(text: str, table: str, key: str, value: TomlValue, index: int = 0) -> str:
    """Return the text of a configuration with another value for a key that stands on one line, perhaps commented out.

    Raises:
      ConfigUneditable: the key is not there, or on several lines.

    """
    pattern = re.compile(rf"(?:# )?{re.escape(key)} = (?P<value>.*)")
    lines = text.splitlines()
    for line in list_lines(text):
        found = pattern.fullmatch(line.text)
        if found is None or (line.table, line.index) != (table, index):
            continue
        if found["value"].rstrip() in {"[", "{", '"""'}:
            break
        lines[line.number - 1] = f"{key} = {format_value(value)}"
        return "\n".join(lines) + "\n"
    raise ConfigUneditable(f"expected {key} on one line of [{table}], got none that can be replaced")


def write_new_config(path: Path, config: RelayerConfig) -> None:
    """Write a configuration to a new file.

    Raises:
      ConfigExists: something is there already.
      ConfigInvalid: what is described is no configuration.

    """
    text = format_config(config)
    parse_config(text, path.parent, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigExists(f"expected no file at {path}, got one") from None


def add_key_file(path: Path, config: RelayerConfig, chain: ChainConfig, key_file: str) -> None:
    """Name one more key of a chain in the file that the configuration was read from.

    Raises:
      ConfigUneditable: the file is laid out in a way that cannot be edited safely.

    """
    text = path.read_text(encoding="utf-8")
    table, index = ("hub", 0) if chain == config.hub else ("shards", config.shards.index(chain))
    tables = tomllib.loads(text)
    names = (tables["hub"] if table == "hub" else tables["shards"][index])["key_files"]
    edited = set_value(text, table, "key_files", [*names, key_file], index)
    try:
        found = parse_config(edited, path.parent, str(path)).chains
    except ConfigInvalid as error:
        raise ConfigUneditable(f"expected {path} to be read after an edit, got: {error.message}") from error
    position = [other.chain_id for other in config.chains].index(chain.chain_id)
    wanted = (*chain.key_files, path.parent / key_file)
    if found[position].key_files != wanted:
        raise ConfigUneditable(f"expected {len(wanted)} keys of {chain.chain_id} in {path}, got others")
    staged = path.with_name(path.name + ".new")
    staged.write_text(edited, encoding="utf-8")
    staged.replace(path)
