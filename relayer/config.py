"""The relayer's configuration: a TOML file, read once into frozen values.

Every key of the file is explained in `relayer.example.toml`.  Paths in the file are relative to the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from abci_app.endpoint import Endpoint, parse_endpoint
from abci_app.errors import NodeError
from abci_app.rpc import check_url
from ibc.header import HASH_BYTES
from ibc.voting import Fraction
from relayer.config_tables import ConfigTable
from relayer.errors import ConfigInvalid, ConfigMissing
from relayer.state import MILLISECOND_NS, SECOND_NS, RelayOptions
from relayer.types import MAX_STORED, ChainId, Height

if TYPE_CHECKING:
    from pathlib import Path

LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

MAX_TX_BYTES: Final = 4 * 1024 * 1024
"""CometBFT's `mempool.max_tx_bytes` as the nodes set it."""

PART_MESSAGE_BYTES: Final = 67_000
"""A part of a body with its audit path, and its share of the transaction around it."""

MIN_BALANCE: Final = 1
"""Tokens on the hub below which a wallet counts as empty, unless the file says otherwise."""

EXPIRY_DIVISOR: Final = 2
"""A client that has used up more than this part of its trusting period should have been refreshed long ago."""

CHAIN_KEYS: Final = (
    "chain_id",
    "key_files",
    "authority_key_file",
    "min_balance",
    "trusted_height",
    "trusted_hash",
    "nodes",
)
TABLES: Final = ("relayer", "filter", "health", "batches", "sharing", "retries", "client", "hub", "shards")


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where one node of a chain listens."""

    rpc: str
    """URL of CometBFT's RPC."""
    grpc: str
    """`host:port` of the node's gRPC services."""


@dataclass(frozen=True, slots=True)
class TrustedHeader:
    """A header that the operator vouches for."""

    height: Height
    header_hash: bytes
    """32 bytes."""


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """One chain."""

    chain_id: ChainId
    nodes: tuple[NodeAddress, ...]
    """In the order in which they are preferred."""
    key_files: tuple[Path, ...]
    """Keys that sign what is relayed to this chain, in turn."""
    authority_key_file: Path | None = None
    """Key of the chain's authority; only `link` needs it."""
    min_balance: int = 0
    """Tokens that the account of each key must hold, else `health` fails.  Only the hub has tokens."""
    trusted: TrustedHeader | None = None
    """What a new client of this chain starts from; None for a header that all nodes agree on."""


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
class FilterConfig:
    """What is relayed at all.  What is left out, other relayers may carry."""

    shards: tuple[str, ...] = ()
    """Chain ids; empty means all."""
    skip_shards: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    """Source ports of packets; empty means all."""
    skip_ports: tuple[str, ...] = ()

    def takes_shard(self, chain_id: str) -> bool:
        """Return whether a shard is served."""
        return chain_id not in self.skip_shards and (not self.shards or chain_id in self.shards)

    def takes_port(self, port: str) -> bool:
        """Return whether packets of a source port are carried."""
        return port not in self.skip_ports and (not self.ports or port in self.ports)


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """From where on something counts as wrong."""

    max_lag_blocks: int = 10
    """A node may be so far below the chain's newest node."""
    max_block_age_s: int = 60
    """The newest block may be so old."""
    max_clock_skew_s: int = 5
    """A node's clock may differ so much from ours."""


@dataclass(frozen=True, slots=True)
class RelayerConfig:
    """Everything."""

    hub: ChainConfig
    shards: tuple[ChainConfig, ...]
    """Those that the filter leaves, too few at times."""
    journal: Path
    log_format: str = "text"
    log_level: str = "info"
    http: Endpoint | None = None
    """Address that serves metrics, the state of packets, and the log level."""
    request_timeout_s: int = 10
    """Time for one answer of a node."""
    tx_life_s: int = 120
    """Time in which a transaction must get into a block."""
    max_tx_bytes: int = MAX_TX_BYTES
    filter: FilterConfig = field(default_factory=FilterConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    client: ClientConfig = field(default_factory=ClientConfig)
    options: RelayOptions = field(default_factory=RelayOptions)

    @property
    def chains(self) -> tuple[ChainConfig, ...]:
        """All chains, the hub first."""
        return (self.hub, *self.shards)

    @property
    def served_shards(self) -> tuple[ChainConfig, ...]:
        """The shards that the filter leaves."""
        return tuple(shard for shard in self.shards if self.filter.takes_shard(shard.chain_id))


def load_config(path: Path) -> RelayerConfig:
    """Read a configuration file.

    Raises:
      ConfigMissing: the file cannot be read.
      ConfigInvalid: it is no TOML, or a key is unknown, missing or out of range.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigMissing(f"expected a configuration at {path}, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
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
    top = ConfigTable(values, text, where)

    def open_table(name: str) -> ConfigTable:
        return ConfigTable(top.take(name, dict, {}), text, f"[{name}]", name)

    relayer, client, health = open_table("relayer"), open_table("client"), open_table("health")
    options = _read_options(open_table("batches"), open_table("retries"))
    options = _read_sharing(open_table("sharing"), options)
    chosen = open_table("filter")
    hub = _read_chain(ConfigTable(top.take("hub", dict), text, "[hub]", "hub"), directory)
    shards = tuple(
        _read_chain(ConfigTable(table, text, f"[[shards]] number {index + 1}", "shards", index), directory)
        for index, table in enumerate(top.take_tables("shards"))
    )
    top.finish(TABLES)
    _check_chain_ids((hub, *shards))
    config = _read_relayer(
        relayer,
        RelayerConfig(
            hub=hub,
            shards=shards,
            journal=directory / relayer.take("journal", str, "relayer.db"),
            filter=_read_filter(chosen, shards),
            health=_read_health(health),
            client=_read_client(client),
            options=options,
        ),
    )
    relayer.finish(
        ("journal", "log_format", "log_level", "http", "request_timeout_s", "tx_life_s", "max_tx_bytes")
    )
    return config


def _read_relayer(table: ConfigTable, rest: RelayerConfig) -> RelayerConfig:
    config = RelayerConfig(
        hub=rest.hub,
        shards=rest.shards,
        journal=rest.journal,
        filter=rest.filter,
        health=rest.health,
        client=rest.client,
        options=rest.options,
        log_format=table.take_choice("log_format", LOG_FORMATS, rest.log_format),
        log_level=table.take_choice("log_level", LOG_LEVELS, rest.log_level),
        http=table.take_loopback("http"),
        request_timeout_s=table.take_number("request_timeout_s", rest.request_timeout_s, 1, 600),
        tx_life_s=table.take_number("tx_life_s", rest.tx_life_s, 10, 540),
        max_tx_bytes=table.take_number("max_tx_bytes", rest.max_tx_bytes, 128 * 1024, 64 * 1024 * 1024),
    )
    if config.options.max_parts * PART_MESSAGE_BYTES > config.max_tx_bytes:
        fitting = config.max_tx_bytes // PART_MESSAGE_BYTES
        raise table.fail(
            "max_tx_bytes",
            f"expected at most {fitting} parts within max_tx_bytes, got {config.options.max_parts}",
        )
    return config


def _read_chain(table: ConfigTable, directory: Path) -> ChainConfig:
    chain_id = ChainId(table.take("chain_id", str))
    nodes = tuple(_read_node(table, values) for values in table.take_tables("nodes"))
    key_files = tuple(directory / name for name in table.take_texts("key_files"))
    authority = table.take("authority_key_file", str, "")
    # A shard has no tokens.
    least = table.take_number("min_balance", MIN_BALANCE, 0, 2**63 - 1) if table.name == "hub" else 0
    height = Height(table.take_number("trusted_height", 0, 0, MAX_STORED))
    header_hash = table.take_bytes("trusted_hash", HASH_BYTES)
    table.finish(CHAIN_KEYS)
    trusted = _join_trusted(table, height, header_hash)
    for name, found in (("chain_id", chain_id), ("nodes", nodes), ("key_files", key_files)):
        if not found:
            raise table.fail(name, f"expected at least one entry as {name} in {table.where}, got none")
    if len(set(key_files)) != len(key_files):
        raise table.fail("key_files", f"expected each key once in {table.where}, got one twice")
    if len(set(nodes)) != len(nodes):
        # Compared with itself, a node agrees: a fork would go unseen.
        raise table.fail("nodes", f"expected each node once in {table.where}, got one twice")
    return ChainConfig(
        chain_id, nodes, key_files, directory / authority if authority else None, least, trusted
    )


def _join_trusted(table: ConfigTable, height: Height, header_hash: bytes) -> TrustedHeader | None:
    if bool(height) != bool(header_hash):
        given = "trusted_height" if height else "trusted_hash"
        raise table.fail(
            given, f"expected trusted_height and trusted_hash together in {table.where}, got {given} alone"
        )
    return TrustedHeader(height, header_hash) if height else None


def _read_node(table: ConfigTable, values: dict[str, object]) -> NodeAddress:
    known = ("rpc", "grpc")
    for name in known:
        if type(values.get(name)) is not str:
            raise table.fail("nodes", f"expected a text {name} in nodes of {table.where}, got {values!r}")
    for name in values:
        if name not in known:
            raise table.fail(name, f"expected no key {name} in nodes of {table.where}, got one")
    rpc, grpc = str(values["rpc"]), str(values["grpc"])
    try:
        return NodeAddress(check_url(rpc), str(parse_endpoint(grpc)))
    except NodeError as error:
        raise table.fail("nodes", f"nodes of {table.where}: {error.message}") from error


def _check_chain_ids(chains: tuple[ChainConfig, ...]) -> None:
    seen: set[ChainId] = set()
    for chain in chains:
        if chain.chain_id in seen:
            raise ConfigInvalid(f"expected each chain once, got {chain.chain_id} twice")
        seen.add(chain.chain_id)


def _read_filter(table: ConfigTable, shards: tuple[ChainConfig, ...]) -> FilterConfig:
    chosen = FilterConfig(
        shards=table.take_texts("shards", ()),
        skip_shards=table.take_texts("skip_shards", ()),
        ports=table.take_texts("ports", ()),
        skip_ports=table.take_texts("skip_ports", ()),
    )
    table.finish(("shards", "skip_shards", "ports", "skip_ports"))
    known = {shard.chain_id for shard in shards}
    for name, listed in (("shards", chosen.shards), ("skip_shards", chosen.skip_shards)):
        for chain_id in listed:
            if chain_id not in known:
                raise table.fail(name, f"expected shards of this file as {name} in [filter], got {chain_id}")
    return chosen


def _read_health(table: ConfigTable) -> HealthConfig:
    defaults = HealthConfig()
    config = HealthConfig(
        max_lag_blocks=table.take_number("max_lag_blocks", defaults.max_lag_blocks, 1, 10**6),
        max_block_age_s=table.take_number("max_block_age_s", defaults.max_block_age_s, 1, 10**6),
        max_clock_skew_s=table.take_number("max_clock_skew_s", defaults.max_clock_skew_s, 2, 3600),
    )
    table.finish(("max_lag_blocks", "max_block_age_s", "max_clock_skew_s"))
    return config


def _read_client(table: ConfigTable) -> ClientConfig:
    defaults = ClientConfig()
    config = ClientConfig(
        trust_level=table.take_fraction("trust_level", defaults.trust_level),
        trusting_period_s=table.take_number("trusting_period_s", defaults.trusting_period_s, 60, 10**8),
        unbonding_period_s=table.take_number("unbonding_period_s", defaults.unbonding_period_s, 61, 10**9),
        max_clock_drift_s=table.take_number("max_clock_drift_s", defaults.max_clock_drift_s, 1, 3600),
    )
    table.finish(("trust_level", "trusting_period_s", "unbonding_period_s", "max_clock_drift_s"))
    if config.trusting_period_s >= config.unbonding_period_s:
        raise table.fail(
            "trusting_period_s",
            "expected trusting_period_s below unbonding_period_s in [client], got it at or above",
        )
    return config


def _read_options(batches: ConfigTable, retries: ConfigTable) -> RelayOptions:
    own = RelayOptions()
    refresh = retries.take_fraction(
        "refresh_share",
        Fraction(own.refresh_numerator, own.refresh_denominator),
        below=Fraction(1, EXPIRY_DIVISOR),
    )

    def take_seconds(name: str, default_ns: int, low: int, high: int) -> int:
        return retries.take_number(name, default_ns // SECOND_NS, low, high) * SECOND_NS

    first_ms = retries.take_number("first_ms", own.first_retry_ns // MILLISECOND_NS, 1, 60_000)
    options = RelayOptions(
        max_batch_packets=batches.take_number("packets", own.max_batch_packets, 1, 60),
        max_batch_bytes=batches.take_number("bytes", own.max_batch_bytes, 64 * 1024, 32 * 1024 * 1024),
        max_in_flight=batches.take_number("in_flight", own.max_in_flight, 1, 64),
        max_parts=batches.take_number("parts", own.max_parts, 1, 48),
        max_part_groups=batches.take_number("parts_in_flight", own.max_part_groups, 1, 64),
        first_retry_ns=first_ms * MILLISECOND_NS,
        max_retry_ns=take_seconds("longest_s", own.max_retry_ns, 1, 3600),
        answer_timeout_ns=take_seconds("lost_after_s", own.answer_timeout_ns, 5, 3600),
        resend_after_ns=take_seconds("resend_after_s", own.resend_after_ns, 1, 600),
        refresh_numerator=refresh.numerator,
        refresh_denominator=refresh.denominator,
    )
    batches.finish(("packets", "bytes", "in_flight", "parts", "parts_in_flight"))
    retries.finish(("first_ms", "longest_s", "lost_after_s", "resend_after_s", "refresh_share"))
    return options


def _read_sharing(table: ConfigTable, options: RelayOptions) -> RelayOptions:
    relayers = table.take_number("relayers", options.relayers, 1, 64)
    position = table.take_number("position", options.position, 0, relayers - 1)
    grace_ms = table.take_number("grace_ms", options.grace_ns // MILLISECOND_NS, 100, 600_000)
    table.finish(("relayers", "position", "grace_ms"))
    return replace(options, relayers=relayers, position=position, grace_ns=grace_ms * MILLISECOND_NS)
