"""Which network a command talks to, and with which key: options, environment, or the localnet of this folder.

An option beats its environment variable, and both beat a localnet.  A localnet that nobody named is used only when
no hub is named either, so that two networks are never mixed.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.errors import KeyUnknown, NetworkUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abci_app.client import ChainConnection
    from cli.keystore import UserHome
    from localnet.network import Localnet
    from localnet.nodes import ChainHandle
    from participant.verified import VerifiedHub
    from tx.keys import PublicKey, SigningKey
    from wire.gradchain.node.v1 import query_pb2

DEFAULT_LOCALNET: Final = Path(".gradchain/localnet")
DEFAULT_TIMEOUT_S: Final = 60.0

_ADDRESS: Final = re.compile(r"grad1.+", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What the command line and the environment say about the network."""

    hub: tuple[str, ...] = ()
    shards: tuple[tuple[str, str], ...] = ()
    """Chain id and address, one for each node."""
    genesis: Path | None = None
    localnet: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S


class Session:
    """What one command works with.  Everything is opened when it is first needed."""

    def __init__(self, options: NetworkOptions, key: str | None = None, *, as_json: bool = False) -> None:
        self.options = options
        self.as_json = as_json
        self._key = key
        self._connections: dict[str, ChainConnection] = {}
        self._verified: VerifiedHub | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._verified is not None:
            self._verified.close()
            self._verified = None
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    @property
    def timeout_s(self) -> float:
        """How long to wait for an answer or an event."""
        return self.options.timeout_s

    # --- keys --------------------------------------------------------------------------------------------------

    @functools.cached_property
    def home(self) -> UserHome:
        """The user's keys and state."""
        from cli.keystore import open_home  # noqa: PLC0415

        return open_home()

    def key(self) -> SigningKey:
        """Return the key that signs.

        Raises:
          KeyUnknown: none is named.
          KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of its file.

        """
        if self._key is None:
            raise KeyUnknown("expected --key NAME or --key FILE (or GRADCHAIN_KEY), got neither")
        return self.find_key(self._key)

    def find_key(self, name_or_path: str) -> SigningKey:
        """Return a key of the user, or else of the localnet, by its name; or one from a file.

        Raises:
          BadParameter: that is neither a name nor a path.
          KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of its file.

        """
        from abci_app.keyfile import load_key  # noqa: PLC0415
        from cli.keystore import is_path  # noqa: PLC0415

        if not is_path(name_or_path) and not self.home.key_file(name_or_path).exists():
            found = self._localnet_key(name_or_path)
            if found is not None:
                return load_key(found)
        return self.home.find_key(name_or_path)

    def faucet_key(self) -> SigningKey:
        """Return the key that hands out tokens: the one that is named, or the localnet's.

        Raises:
          KeyUnknown: there is neither.

        """
        from abci_app.keyfile import load_key  # noqa: PLC0415

        if self._key is not None:
            return self.key()
        found = self._localnet_key("faucet")
        if found is None:
            raise KeyUnknown("expected a localnet (--localnet) or --key for the faucet's key, got neither")
        return load_key(found)

    def address(self, text: str | None) -> PublicKey:
        """Return the account of an address or of a key's name; of nothing, that of the key that signs.

        Raises:
          InvalidAddress: the text looks like an address, but is none.
          KeyUnknown: nothing is named.
          KeyFileMissing: there is no key of that name.

        """
        from tx.keys import parse_address  # noqa: PLC0415

        if text is None:
            return self.key().public_key
        if _ADDRESS.fullmatch(text):
            return parse_address(text)
        return self.find_key(text).public_key

    # --- network -----------------------------------------------------------------------------------------------

    @functools.cached_property
    def localnet(self) -> Localnet | None:
        """The localnet to take from what no option gives.

        Raises:
          LocalnetMissing: the directory that was named holds none.

        """
        directory = self.options.localnet
        if directory is None:
            if self.options.hub or not (DEFAULT_LOCALNET / "localnet.json").exists():
                return None
            directory = DEFAULT_LOCALNET
        from localnet.network import Localnet  # noqa: PLC0415

        return Localnet.open(directory)

    def hub(self) -> ChainConnection:
        """Return the connection to the hub.

        Raises:
          NetworkUnknown: nothing says where it is.

        """
        addresses = self.options.hub
        if not addresses and self._localnet_hub is not None:
            addresses = self._localnet_hub.grpc_addresses
        if not addresses:
            raise NetworkUnknown("expected --hub HOST:PORT (or GRADCHAIN_HUB), or a localnet, got neither")
        return self._connect("", addresses)

    @functools.cached_property
    def genesis_path(self) -> Path | None:
        """The hub's genesis file, where its light client starts; None if none is known."""
        if self.options.genesis is not None:
            return self.options.genesis
        return self._localnet_hub.nodes[0].home.genesis_file if self._localnet_hub is not None else None

    def hub_chain_id(self) -> str:
        """Return the hub's chain id, from the genesis file if there is one: a node could name another chain.

        Raises:
          TrustMissing: the genesis file cannot be read.

        """
        if self.genesis_path is not None:
            return read_chain_id(self.genesis_path)
        return self.ask_status().chain_id

    def ask_status(self) -> query_pb2.GetStatusResponse:
        """Return what a hub node says of itself; unlike `ChainConnection.status` it does not wait for one.

        Raises:
          NodeUnavailable: no node answers.

        """
        from wire.gradchain.node.v1 import query_pb2  # noqa: PLC0415

        request = query_pb2.GetStatusRequest()
        return self.hub().node(lambda stub: stub.GetStatus(request, timeout=self.timeout_s))

    def verified_hub(self) -> VerifiedHub:
        """Return the hub behind a light client.

        Raises:
          NetworkUnknown: there is no genesis file to start from.
          TrustMissing: it cannot be read.

        """
        if self.genesis_path is None:
            raise NetworkUnknown("expected --genesis FILE (or GRADCHAIN_GENESIS) to verify against, got none")
        from participant.verified import open_hub  # noqa: PLC0415

        if self._verified is None:
            read_chain_id(self.genesis_path)
            # Fail at once if nothing listens: the light client would wait.
            self.ask_status()
            self._verified = open_hub(self.hub(), self.genesis_path)
        return self._verified

    @functools.cached_property
    def shard_addresses(self) -> Mapping[str, tuple[str, ...]]:
        """Addresses of the shards that are known, by chain id; options replace what the localnet says."""
        named: dict[str, tuple[str, ...]] = {}
        for chain_id, address in self.options.shards:
            named[chain_id] = (*named.get(chain_id, ()), address)
        chains = self.localnet.chains.values() if self.localnet is not None else ()
        return {chain.chain_id: chain.grpc_addresses for chain in chains if chain.kind == "shard"} | named

    def shard(self, chain_id: str) -> ChainConnection:
        """Return the connection to a shard.

        Raises:
          NetworkUnknown: nothing says where it is.

        """
        addresses = self.shard_addresses.get(chain_id)
        if not addresses:
            raise NetworkUnknown(
                f"expected --shard {chain_id}=HOST:PORT (or GRADCHAIN_SHARDS), got no address of that chain"
            )
        return self._connect(chain_id, addresses)

    def _connect(self, name: str, addresses: Sequence[str]) -> ChainConnection:
        from abci_app.client import ChainConnection  # noqa: PLC0415 - gRPC takes a third of a second

        if name not in self._connections:
            self._connections[name] = ChainConnection(list(addresses), self.timeout_s)
        return self._connections[name]

    @functools.cached_property
    def _localnet_hub(self) -> ChainHandle | None:
        """The localnet's hub, unless another hub is named."""
        if self.localnet is None or self.options.hub:
            return None
        return next((chain for chain in self.localnet.chains.values() if chain.kind == "hub"), None)

    def _localnet_key(self, account: str) -> Path | None:
        if self.localnet is None:
            return None
        from localnet.errors import UnknownNode  # noqa: PLC0415

        try:
            return self.localnet.key_path(account)
        except UnknownNode:
            return None


def read_chain_id(genesis: Path) -> str:
    """Return the chain id that a genesis file names.

    Raises:
      TrustMissing: the file is missing or is no genesis file.

    """
    from participant.errors import TrustMissing  # noqa: PLC0415

    try:
        content = json.loads(genesis.read_bytes())
    except OSError as error:
        raise TrustMissing(f"expected a genesis file at {genesis}, got: {error.strerror}") from None
    except ValueError:
        content = None
    chain_id = content.get("chain_id") if isinstance(content, dict) else None
    if not isinstance(chain_id, str) or not chain_id:
        raise TrustMissing(f"expected a genesis file with a chain_id at {genesis}, got other content")
    return chain_id
