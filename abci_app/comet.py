"""The one place for every CometBFT setting.

CometBFT was tuned for transactions of a few hundred bytes; here one carries up to some megabytes of a model.  The
limits that such a transaction passes stand in three files of three owners and fail in five ways, so all of them are
fields of `CometSettings`, each with the reason for its value.  A node's `config/config.toml` holds just these:
CometBFT fills in its own defaults for the rest.

The same names mean the same on the supported release lines (0.38, 0.39, 0.40).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from abci_app.errors import HomeInvalid, InvalidSetting
from abci_app.toml_text import TomlValue, format_toml

KIB: Final = 1024
MIB: Final = 1024 * KIB

GO_FORM_BYTES: Final = 10 * MIB
"""Largest form that Go's `ParseForm` reads.  Transactions are posted as a form, in hexadecimal."""

BLOCK_BYTES_CAP: Final = 100 * MIB
"""CometBFT's own cap on `block.max_bytes` (types/params.go)."""

FORM_OVERHEAD: Final = len("tx=0x")


_POSITIVE: Final = (
    "max_tx_bytes",
    "max_block_bytes",
    "max_evidence_bytes",
    "evidence_age_blocks",
    "evidence_age_hours",
    "mempool_txs",
    "mempool_bytes",
    "mempool_cache",
    "peer_bytes_per_second",
    "peer_flush_ms",
    "timeout_propose_ms",
    "timeout_commit_ms",
    "empty_block_interval_ms",
    "gossip_sleep_ms",
    "rpc_subscribers",
    "rpc_commit_timeout_ms",
)


def _check_at_most(name: str, value: int, cap_name: str, cap: int) -> None:
    if value > cap:
        raise InvalidSetting(f"expected {name} of at most {cap_name} ({cap}), got {value}")


@dataclass(frozen=True, slots=True)
class CometSettings:
    """What a CometBFT node is told.  The defaults suit nodes on separate hosts; see `LOCALNET`."""

    max_tx_bytes: int = 4 * MIB
    """Largest transaction, in bytes.  It must be equal on all nodes of a chain: it sizes the mempool's channel
    between peers, and a peer that sends more is cut off."""
    max_block_bytes: int = 32 * MIB
    """Consensus parameter `block.max_bytes`, in the genesis: eight of the largest transactions."""
    max_evidence_bytes: int = MIB
    """Consensus parameter `evidence.max_bytes`: at most the block, and room for many double votes."""
    evidence_age_blocks: int = 100_000
    """Consensus parameter: blocks after which evidence is stale.  Evidence dies when both ages have passed."""
    evidence_age_hours: int = 48
    """Consensus parameter: hours after which evidence is stale."""

    mempool_txs: int = 5_000
    """Transactions that wait at most.  At the largest size the bytes below bind first."""
    mempool_bytes: int = 256 * MIB
    """Bytes that wait at most: eight blocks.  They are held in memory by every node."""
    mempool_cache: int = 20_000
    """Hashes of transactions seen, so that gossip does not check one twice; more than can wait."""
    recheck: bool = False
    """Checking every waiting transaction again after each block sends all of them in full through the socket and
    locks the mempool.  So a stale transaction leaves the mempool by failing cleanly in a block: PrepareProposal must
    not hold one back for ever, or the chain makes empty blocks for it without end."""
    keep_invalid_in_cache: bool = False
    """An update refused because its round is not open yet may be sent again a second later.  Keeping its hash would
    refuse it for ever; the app's verification cache makes the repeated check cheap."""

    peer_bytes_per_second: int = 500_000_000
    """Send and receive rate of a connection between peers.  CometBFT's own 5 MB/s makes a full block miss its
    proposal timeout.  Both directions are equal: an asymmetric limiter is unstable under load."""
    peer_flush_ms: int = 10
    """How long messages to a peer may wait for company."""
    peer_exchange: bool = True
    """Ask peers for addresses of more peers.  Off where all peers are listed."""
    same_host: bool = False
    """Several nodes share one address: accept loopback addresses and more than one peer from one address."""

    timeout_propose_ms: int = 5_000
    """Time for a proposer to build a full block, send it, and have it checked.  Short ones waste rounds under load;
    long ones cost this much whenever a dead validator is to propose."""
    timeout_commit_ms: int = 1_000
    """Pause after a block, so that late precommits are counted: the floor of the block time."""
    create_empty_blocks: bool = False
    """Blocks are made when there is something to decide.  Works because the app hash depends on content alone."""
    empty_block_interval_ms: int = 10_000
    """Deadlines of rounds need a block to take effect: there is one after this pause even if nothing happens."""
    gossip_sleep_ms: int = 10
    """Pause of the gossip loops between peers.  CometBFT's 100 ms adds up to several pauses for each block."""

    rpc_subscribers: int = 200
    """Clients with a subscription: relayers and tools.  Only block headers are subscribed to."""
    rpc_commit_timeout_ms: int = 30_000
    """`timeout_broadcast_tx_commit`; it also sets the time in which an answer must be written, and a large block as
    JSON takes seconds."""
    event_buffer: int = 1_000
    """Events that may wait for a slow subscriber before consensus has to wait for it."""
    keep_block_results: bool = True
    """Relayers find packets by reading the results of each block by height, after a crash also of old ones."""
    index_txs: bool = False
    """CometBFT's index would store every transaction a second time with a synced write a block; the app keeps its
    own."""
    prometheus: str = ""
    """Address of CometBFT's metrics, as host:port; "" turns them off."""
    log_level: str = "error"
    """CometBFT's log level, or levels of modules, such as `state:info,*:error`."""

    def __post_init__(self) -> None:
        """Check the rules between settings.

        Raises:
          InvalidSetting: a value is out of range or contradicts another.

        """
        for name in _POSITIVE:
            value = getattr(self, name)
            if value < 1:
                raise InvalidSetting(f"expected {name} of at least 1, got {value}")
        _check_at_most("max_block_bytes", self.max_block_bytes, "CometBFT's cap", BLOCK_BYTES_CAP)
        _check_at_most("max_evidence_bytes", self.max_evidence_bytes, "max_block_bytes", self.max_block_bytes)
        _check_at_most("max_tx_bytes", self.max_tx_bytes, "mempool_bytes", self.mempool_bytes)
        # Headers, commits and evidence share the block; a transaction that never fits would wait for ever.
        _check_at_most("max_tx_bytes * 2", self.max_tx_bytes * 2, "max_block_bytes", self.max_block_bytes)
        _check_at_most("the form of max_tx_bytes", self.form_bytes, "what Go parses", GO_FORM_BYTES)

    @property
    def form_bytes(self) -> int:
        """Size of the largest transaction as the form that carries it, in bytes."""
        return 2 * self.max_tx_bytes + FORM_OVERHEAD

    @property
    def rpc_body_bytes(self) -> int:
        """`rpc.max_body_bytes`: the form of the largest transaction, and some room."""
        return self.form_bytes + 64 * KIB


NETWORK: Final = CometSettings()
"""Nodes on hosts of their own."""

LOCALNET: Final = CometSettings(
    timeout_commit_ms=150,
    timeout_propose_ms=3_000,
    empty_block_interval_ms=2_000,
    peer_exchange=False,
    same_host=True,
)
"""All nodes on one machine: blocks as fast as is useful, peers listed, loopback accepted."""


@dataclass(frozen=True, slots=True)
class CometEndpoints:
    """What differs from node to node."""

    moniker: str
    proxy_app: str
    """Address of the app: `unix:///path` or `tcp://host:port`."""
    rpc: str
    """host:port on which the RPC listens."""
    p2p: str
    """host:port on which peers connect."""
    persistent_peers: tuple[str, ...] = ()
    """`node id@host:port` of every peer that is always dialled."""
    external_address: str = ""
    """host:port under which peers reach this node, if it differs from `p2p`."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A setting whose value in a home is not the one of this module."""

    setting: str
    """Table and key in config.toml."""
    expected: TomlValue
    found: str
    """What the file holds, or "missing"."""


def build_tables(settings: CometSettings, endpoints: CometEndpoints) -> Mapping[str, Mapping[str, TomlValue]]:
    """Return the content of config.toml by table."""
    return {
        "": {
            "moniker": endpoints.moniker,
            "proxy_app": endpoints.proxy_app,
            "abci": "socket",
            "log_level": settings.log_level,
            "event_bus_buffer_capacity": settings.event_buffer,
        },
        "rpc": {
            "laddr": f"tcp://{endpoints.rpc}",
            "max_body_bytes": settings.rpc_body_bytes,
            "max_subscription_clients": settings.rpc_subscribers,
            "timeout_broadcast_tx_commit": f"{settings.rpc_commit_timeout_ms}ms",
        },
        "p2p": {
            "laddr": f"tcp://{endpoints.p2p}",
            "external_address": endpoints.external_address,
            "persistent_peers": ",".join(endpoints.persistent_peers),
            "send_rate": settings.peer_bytes_per_second,
            "recv_rate": settings.peer_bytes_per_second,
            "flush_throttle_timeout": f"{settings.peer_flush_ms}ms",
            "pex": settings.peer_exchange,
            "addr_book_strict": not settings.same_host,
            "allow_duplicate_ip": settings.same_host,
        },
        "mempool": {
            "type": "flood",
            "max_tx_bytes": settings.max_tx_bytes,
            "size": settings.mempool_txs,
            "max_txs_bytes": settings.mempool_bytes,
            "cache_size": settings.mempool_cache,
            "recheck": settings.recheck,
            "keep-invalid-txs-in-cache": settings.keep_invalid_in_cache,
        },
        "consensus": {
            "timeout_propose": f"{settings.timeout_propose_ms}ms",
            "timeout_commit": f"{settings.timeout_commit_ms}ms",
            "create_empty_blocks": settings.create_empty_blocks,
            "create_empty_blocks_interval": f"{settings.empty_block_interval_ms}ms",
            "peer_gossip_sleep_duration": f"{settings.gossip_sleep_ms}ms",
        },
        "storage": {"discard_abci_responses": not settings.keep_block_results},
        "tx_index": {"indexer": "kv" if settings.index_txs else "null"},
        "instrumentation": {
            "prometheus": bool(settings.prometheus),
            "prometheus_listen_addr": settings.prometheus,
        },
    }


def format_config(settings: CometSettings, endpoints: CometEndpoints) -> str:
    """Return the text of config.toml."""
    return format_toml(
        build_tables(settings, endpoints),
        "Written from abci_app/comet.py, where each value is explained. CometBFT's defaults hold for the rest.",
    )


def find_drift(config_text: str, settings: CometSettings, endpoints: CometEndpoints) -> list[Drift]:
    """Return what a config.toml sets otherwise than this module would.

    Raises:
      HomeInvalid: the text is no TOML.

    """
    try:
        found: Mapping[str, object] = tomllib.loads(config_text)
    except tomllib.TOMLDecodeError as error:
        raise HomeInvalid(f"expected TOML in config/config.toml, got: {error}") from None
    drifts = []
    for table, values in build_tables(settings, endpoints).items():
        section = found.get(table) if table else found
        for key, expected in values.items():
            actual = section.get(key) if isinstance(section, Mapping) else None
            if actual != expected:
                name = f"{table}.{key}" if table else key
                drifts.append(Drift(name, expected, "missing" if actual is None else str(actual)))
    return drifts


def changed_settings(settings: CometSettings) -> dict[str, TomlValue]:
    """Return the settings that differ from `NETWORK`, for the node's own file."""
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(NETWORK, name)}


def apply_settings(base: CometSettings, changes: Mapping[str, object], where: str) -> CometSettings:
    """Return the settings with some replaced, as read from a file.

    Raises:
      InvalidSetting: a name is unknown, or a value has the wrong type or is out of range.

    """
    known = {item.name: type(getattr(base, item.name)) for item in fields(base)}
    for name, value in changes.items():
        if name not in known:
            raise InvalidSetting(
                f"expected a CometBFT setting in {where}, got {name!r}; known: {', '.join(known)}"
            )
        if type(value) is not known[name]:
            raise InvalidSetting(f"expected {name} of type {known[name].__name__} in {where}, got {value!r}")
    return replace(base, **changes)  # type: ignore[arg-type]  # checked above, name by name
