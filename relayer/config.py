"""The relayer's configuration: a TOML file, read once into frozen values.

Every key of the file is explained in `relayer.example.toml`.  A key that is not known is an error, so that nobody
relies on a setting that does nothing.  Paths in the file are relative to the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from abci_app.endpoint import Endpoint, parse_endpoint
from abci_app.errors import NodeError
from abci_app.rpc import check_url
from abci_app.toml_text import TableReader, format_value
from ibc.voting import Fraction
from relayer.errors import ConfigInvalid, ConfigMissing
from relayer.state import MILLISECOND_NS, SECOND_NS, RelayOptions
from relayer.types import ChainId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")

MAX_TX_BYTES: Final = 4 * 1024 * 1024
"""CometBFT's `mempool.max_tx_bytes` as the nodes set it."""

PART_MESSAGE_BYTES: Final = 67_000
"""A part of a body with its audit path, and its share of the transaction around it."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where one node of a chain listens."""

    rpc: str
    """URL of CometBFT's RPC."""
    grpc: str
    """`host:port` of the node's gRPC services."""


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """One chain."""

    chain_id: ChainId
    nodes: tuple[NodeAddress, ...]
    """In the order in which they are preferred."""
    key_file: Path
    """Key that signs what is relayed to this chain."""
    authority_key_file: Path | None = None
    """Key of the chain's authority; only `link` needs it."""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How new light clients trust.  What exists keeps what it was created with."""

    trust_level: Fraction = Fraction(2, 3)  # noqa: RUF009 - a frozen value
    """Share of the known validators' power that must have signed a header far ahead.  With few validators a third,
    which is what the protocol asks for at least, would let a few of them fool the client."""
    trusting_period_s: int = 24 * 3600
    unbonding_period_s: int = 21 * 24 * 3600
    max_clock_drift_s: int = 40
    """How far a header may be ahead of the time of the chain that checks it.  An idle chain's time lags behind by up
    to its interval of empty blocks."""


@dataclass(frozen=True, slots=True)
class RelayerConfig:
    """Everything."""

    hub: ChainConfig
    shards: tuple[ChainConfig, ...]
    journal: Path
    log_format: str = "text"
    log_level: str = "info"
    metrics: Endpoint | None = None
    """Address of the Prometheus endpoint."""
    request_timeout_s: int = 10
    """Time for one answer of a node."""
    tx_life_s: int = 120
    """Time in which a transaction must get into a block."""
    max_tx_bytes: int = MAX_TX_BYTES
    client: ClientConfig = field(default_factory=ClientConfig)
    options: RelayOptions = field(default_factory=RelayOptions)


def load_config(path: Path) -> RelayerConfig:
    """Read a configuration file.

    Raises:
      ConfigMissing: the file cannot be read.
      ConfigInvalid: it is no TOML, or a key is unknown, missing or out of range.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigMissing(f"expected a configuration at {path}, got: {error}") from error
    return parse_config(text, path.parent, str(path))


def parse_config(text: str, directory: Path, where: str = "the configuration") -> RelayerConfig:
    """Read the text of a configuration whose paths are relative to the directory.

    Raises:
      ConfigInvalid: it is no TOML, or a key is unknown, missing or out of range.

    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{where}: {error}") from error
    top = TableReader(values, where, ConfigInvalid)
    hub = _read_chain(top.take("hub", dict), "[hub]", directory)
    shards = tuple(
        _read_chain(_require_table(table, "[[shards]]"), f"[[shards]] number {number}", directory)
        for number, table in enumerate(top.take("shards", list), start=1)
    )
    _check_chain_ids((hub, *shards))
    client = _read_client(TableReader(top.take("client", dict, {}), "[client]", ConfigInvalid))
    options = _read_options(
        TableReader(top.take("batches", dict, {}), "[batches]", ConfigInvalid),
        TableReader(top.take("retries", dict, {}), "[retries]", ConfigInvalid),
    )
    options = _read_sharing(TableReader(top.take("sharing", dict, {}), "[sharing]", ConfigInvalid), options)
    relayer = TableReader(top.take("relayer", dict, {}), "[relayer]", ConfigInvalid)
    top.finish()
    defaults = RelayerConfig(hub, shards, directory / "relayer.db", client=client, options=options)
    return _read_relayer(relayer, directory, defaults)


def _read_relayer(table: TableReader, directory: Path, defaults: RelayerConfig) -> RelayerConfig:
    config = RelayerConfig(
        hub=defaults.hub,
        shards=defaults.shards,
        client=defaults.client,
        options=defaults.options,
        journal=directory / table.take("journal", str, "relayer.db"),
        log_format=_take_choice(table, "log_format", LOG_FORMATS, defaults.log_format),
        log_level=_take_choice(table, "log_level", LOG_LEVELS, defaults.log_level),
        metrics=_parse_loopback(table.take("metrics", str, "")),
        request_timeout_s=_take_number(table, "request_timeout_s", defaults.request_timeout_s, 1, 600),
        tx_life_s=_take_number(table, "tx_life_s", defaults.tx_life_s, 10, 540),
        max_tx_bytes=_take_number(table, "max_tx_bytes", defaults.max_tx_bytes, 128 * 1024, 64 * 1024 * 1024),
    )
    table.finish()
    if config.options.max_parts * PART_MESSAGE_BYTES > config.max_tx_bytes:
        fitting = config.max_tx_bytes // PART_MESSAGE_BYTES
        raise ConfigInvalid(
            f"expected at most {fitting} parts within max_tx_bytes, got {config.options.max_parts}"
        )
    return config


def _require_table(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigInvalid(f"expected a table as {where}, got {value!r}")
    return value


def _read_chain(values: dict[str, object], where: str, directory: Path) -> ChainConfig:
    table = TableReader(values, where, ConfigInvalid)
    chain_id = ChainId(table.take("chain_id", str))
    nodes = tuple(
        _read_node(_require_table(node, f"nodes of {where}"), f"nodes of {where}")
        for node in table.take("nodes", list)
    )
    key_file = directory / table.take("key_file", str)
    authority = table.take("authority_key_file", str, "")
    table.finish()
    if not chain_id or not nodes:
        raise ConfigInvalid(f"expected a chain id and at least one node in {where}, got less")
    return ChainConfig(chain_id, nodes, key_file, directory / authority if authority else None)


def _read_node(values: dict[str, object], where: str) -> NodeAddress:
    table = TableReader(values, where, ConfigInvalid)
    rpc, grpc = table.take("rpc", str), table.take("grpc", str)
    table.finish()
    try:
        return NodeAddress(check_url(rpc), str(parse_endpoint(grpc)))
    except NodeError as error:
        raise ConfigInvalid(f"{where}: {error.message}") from error


def _check_chain_ids(chains: Iterable[ChainConfig]) -> None:
    seen: set[ChainId] = set()
    for chain in chains:
        if chain.chain_id in seen:
            raise ConfigInvalid(f"expected each chain once, got {chain.chain_id} twice")
        seen.add(chain.chain_id)


def _read_client(table: TableReader) -> ClientConfig:
    defaults = ClientConfig()
    config = ClientConfig(
        trust_level=_take_fraction(table, "trust_level", defaults.trust_level),
        trusting_period_s=_take_number(table, "trusting_period_s", defaults.trusting_period_s, 60, 10**8),
        unbonding_period_s=_take_number(table, "unbonding_period_s", defaults.unbonding_period_s, 61, 10**9),
        max_clock_drift_s=_take_number(table, "max_clock_drift_s", defaults.max_clock_drift_s, 1, 3600),
    )
    table.finish()
    if config.trusting_period_s >= config.unbonding_period_s:
        raise ConfigInvalid(
            "expected trusting_period_s below unbonding_period_s in [client], got it at or above"
        )
    return config


def _read_options(batches: TableReader, retries: TableReader) -> RelayOptions:
    defaults = RelayOptions()
    refresh = _take_fraction(
        retries, "refresh_share", Fraction(defaults.refresh_numerator, defaults.refresh_denominator)
    )
    options = RelayOptions(
        max_batch_packets=_take_number(batches, "packets", defaults.max_batch_packets, 1, 60),
        max_batch_bytes=_take_number(batches, "bytes", defaults.max_batch_bytes, 64 * 1024, 32 * 1024 * 1024),
        max_in_flight=_take_number(batches, "in_flight", defaults.max_in_flight, 1, 64),
        max_parts=_take_number(batches, "parts", defaults.max_parts, 1, 48),
        max_part_groups=_take_number(batches, "parts_in_flight", defaults.max_part_groups, 1, 64),
        first_retry_ns=_take_number(retries, "first_ms", defaults.first_retry_ns // MILLISECOND_NS, 1, 60_000)
        * MILLISECOND_NS,
        max_retry_ns=_take_number(retries, "longest_s", defaults.max_retry_ns // SECOND_NS, 1, 3600)
        * SECOND_NS,
        answer_timeout_ns=_take_number(
            retries, "lost_after_s", defaults.answer_timeout_ns // SECOND_NS, 5, 3600
        )
        * SECOND_NS,
        resend_after_ns=_take_number(retries, "resend_after_s", defaults.resend_after_ns // SECOND_NS, 1, 600)
        * SECOND_NS,
        refresh_numerator=refresh.numerator,
        refresh_denominator=refresh.denominator,
    )
    batches.finish()
    retries.finish()
    return options


def _read_sharing(table: TableReader, options: RelayOptions) -> RelayOptions:
    relayers = _take_number(table, "relayers", options.relayers, 1, 64)
    position = _take_number(table, "position", options.position, 0, relayers - 1)
    grace_ms = _take_number(table, "grace_ms", options.grace_ns // MILLISECOND_NS, 100, 600_000)
    table.finish()
    return replace(options, relayers=relayers, position=position, grace_ns=grace_ms * MILLISECOND_NS)


def _take_number(table: TableReader, name: str, default: int, low: int, high: int) -> int:
    value = table.take(name, int, default)
    if not low <= value <= high:
        raise ConfigInvalid(f"expected {low} to {high} as {name}, got {value}")
    return value


def _take_choice(table: TableReader, name: str, choices: tuple[str, ...], default: str) -> str:
    value = table.take(name, str, default)
    if value not in choices:
        raise ConfigInvalid(f"expected one of {', '.join(choices)} as {name}, got {value!r}")
    return value


def _take_fraction(table: TableReader, name: str, default: Fraction) -> Fraction:
    """Read a share from 1/3 to 1: the range of trust levels, and of what a chain accepts as a due refresh."""
    text = table.take(name, str, f"{default.numerator}/{default.denominator}")
    numerator, slash, denominator = text.partition("/")
    if not (slash and numerator.isdecimal() and denominator.isdecimal()):
        raise ConfigInvalid(f'expected a fraction such as "2/3" as {name}, got {text!r}')
    value = Fraction(int(numerator), int(denominator))
    if not 0 < value.denominator <= 3 * value.numerator or value.numerator > value.denominator:
        raise ConfigInvalid(f"expected 1/3 to 1 as {name}, got {text}")
    return value


def _parse_loopback(text: str) -> Endpoint | None:
    if not text:
        return None
    try:
        endpoint = parse_endpoint(text)
    except NodeError as error:
        raise ConfigInvalid(f"metrics: {error.message}") from error
    if endpoint.host not in LOOPBACK_HOSTS:
        raise ConfigInvalid(f"expected a loopback address as metrics, got {endpoint.host}")
    return endpoint


def format_config(config: RelayerConfig) -> str:
    """Return the text of a configuration with the chains as given; everything else has its default.

    For tools that write a configuration, such as a localnet.  Paths are written as they are.
    """
    lines = ["[relayer]", f"journal = {format_value(str(config.journal))}"]
    lines += [
        f"log_format = {format_value(config.log_format)}",
        f"log_level = {format_value(config.log_level)}",
    ]
    if config.metrics is not None:
        lines.append(f"metrics = {format_value(str(config.metrics))}")
    client = config.client
    lines += [
        "",
        "[client]",
        f'trust_level = "{client.trust_level.numerator}/{client.trust_level.denominator}"',
        f"trusting_period_s = {client.trusting_period_s}",
        f"unbonding_period_s = {client.unbonding_period_s}",
        f"max_clock_drift_s = {client.max_clock_drift_s}",
    ]
    for header, chain in (("[hub]", config.hub), *(("[[shards]]", shard) for shard in config.shards)):
        lines += ["", header, *_format_chain(chain)]
    return "\n".join(lines) + "\n"


def _format_chain(chain: ChainConfig) -> list[str]:
    lines = [f"chain_id = {format_value(chain.chain_id)}", f"key_file = {format_value(str(chain.key_file))}"]
    if chain.authority_key_file is not None:
        lines.append(f"authority_key_file = {format_value(str(chain.authority_key_file))}")
    nodes = [
        f"  {{ rpc = {format_value(node.rpc)}, grpc = {format_value(node.grpc)} }}," for node in chain.nodes
    ]
    return [*lines, "nodes = [", *nodes, "]"]
