"""Setting up links: light clients on both sides, tied to each other, and the shard in the hub's registry.

`link_chains` looks at what exists and does only what is missing, so it can be run again at any time, also after it
was interrupted.  Only the chains' authorities may do this: a new client believes the header that it starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.both import finish_both
from abci_app.grpc_errors import RemoteError
from ibc.errors import ClientNotFound
from relayer import queries
from relayer.discovery import list_registered
from relayer.errors import AuthorityMissing, HeightsDisagree, LinkConflict
from relayer.evidence import Follower
from relayer.prover import MERKLE_PREFIX
from relayer.trust import MAX_WAIT_S, first_trust, require_named, wait_for
from relayer.types import ClientStatus, LinkEnd
from relayer.vouched import Vouched, compare_client
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2 as hub_pb2
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

    from relayer.config import ClientConfig, TrustedHeader
    from relayer.each_link import UnknownLink
    from relayer.nodes import ChainNodes
    from relayer.queries import ClientInfo
    from relayer.submit import Submitter
    from relayer.types import ChainId, ClientId
    from tx.keys import SigningKey

CLIENT_STEP: Final = "client created"
COUNTERPARTY_STEP: Final = "counterparty registered"
SHARD_STEP: Final = "shard registered"


@dataclass(frozen=True, slots=True)
class LinkedShard:
    """A link that is complete, and what had to be done for it."""

    shard: ChainId
    hub_client: ClientId
    """The hub's client of the shard."""
    shard_client: ClientId
    """The shard's client of the hub."""
    steps: tuple[str, ...]
    """What was done, in order; nothing if the link was complete."""
    notes: tuple[str, ...]
    """What could not be compared with a trusted header, and why."""


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What became of the links to all shards."""

    links: tuple[LinkedShard, ...]
    failed: tuple[UnknownLink, ...]


@dataclass(slots=True)
class Linker:
    """Sets up the links between a hub and its shards."""

    hub: ChainNodes
    authorities: Mapping[ChainId, SigningKey]
    """Keys of the authorities, as far as they are known."""
    client: ClientConfig
    submitter: Submitter
    trusted: Mapping[ChainId, TrustedHeader]
    """What new clients of the chains start from, as far as it is given."""

    async def link(self, shard: ChainNodes) -> LinkedShard:
        """Set up the link to a shard, as far as it is missing.

        Raises:
          AuthorityMissing: something must be done for which no key is known.
          LinkConflict: what exists cannot become a link.
          TrustedHeaderMismatch, ClientAstray: a node or a client that exists contradicts the trusted header.
          AppError: the chains cannot be asked, or refuse.

        """
        steps: list[str] = []
        found = choose_pair(*await self._find_clients(shard))
        compared = await finish_both(
            self._compare(found[0], self.hub, shard), self._compare(found[1], shard, self.hub)
        )
        notes = tuple(note for note in compared if note)
        hub_client, shard_client = await finish_both(
            self._ensure_client(found[0], self.hub, shard, steps),
            self._ensure_client(found[1], shard, self.hub, steps),
        )
        await self._finish_hub(shard, hub_client, shard_client, steps)
        await self._finish_shard(shard, hub_client, shard_client, steps)
        return LinkedShard(shard.chain_id, hub_client.client_id, shard_client.client_id, tuple(steps), notes)

    async def _find_clients(self, shard: ChainNodes) -> tuple[list[ClientInfo], list[ClientInfo]]:
        """Return the clients that may be the two ends, those that are most likely first."""
        (hub_all, shard_all), registered = await finish_both(
            finish_both(queries.list_clients(self.hub), queries.list_clients(shard)),
            list_registered(self.hub),
        )
        chosen = registered.get(shard.chain_id)
        hub_clients = [client for client in hub_all if client.state.trust.chain_id == shard.chain_id]
        if chosen is not None:
            hub_clients = [client for client in hub_clients if client.client_id == chosen]
            if not hub_clients:
                raise LinkConflict(
                    f"expected {chosen} of {self.hub.chain_id} to follow {shard.chain_id}, it does not"
                )
        return hub_clients, [
            client for client in shard_all if client.state.trust.chain_id == self.hub.chain_id
        ]

    async def _compare(self, found: ClientInfo | None, chain: ChainNodes, of: ChainNodes) -> str:
        """Compare a client that exists with the trusted header; return what could not be compared, or nothing.

        Raises:
          TrustedHeaderMismatch, ClientAstray: a node or the client contradicts it.
          AppError: the chains cannot be asked.

        """
        trusted = self.trusted.get(of.chain_id)
        if found is None or trusted is None:
            return ""
        end = LinkEnd(chain.chain_id, found.client_id)
        try:
            named = await require_named(of, trusted)
        except HeightsDisagree as error:
            return f"{end}: not compared with the trusted header: {error.message}"
        vouched = Vouched(of, trusted.header_hash, named)
        compared = await compare_client(Follower(end, chain), vouched, self.submitter.clock_ns())
        return "" if compared.is_known else f"{end}: {compared.found}"

    async def _ensure_client(
        self, found: ClientInfo | None, chain: ChainNodes, of: ChainNodes, steps: list[str]
    ) -> ClientInfo:
        """Return the client of one chain on another that was found, or create one."""
        if found is not None:
            return found
        created = await self.create_client(chain, of, self.client)
        steps.append(f"{CLIENT_STEP}: {created.client_id} on {chain.chain_id}")
        return created

    async def create_client(self, chain: ChainNodes, of: ChainNodes, config: ClientConfig) -> ClientInfo:
        """Create a client of one chain on another, from the trusted header or one that all nodes agree on.

        Raises:
          AuthorityMissing: the key of the former's authority is not known.
          TrustedHeaderMismatch, WitnessDisagrees: a node contradicts the trusted header, or another node.
          AppError: the chains cannot be asked, or refuse.

        """
        key = self.require_authority(chain)
        state, known = await first_trust(of, config, self.trusted.get(of.chain_id))
        message = client_tx_pb2.MsgCreateClient(
            client_state=state, consensus_state=known, signer=format_address(key.public_key)
        )
        executed = await self.submitter.submit(chain, [message], key)

        async def find_created() -> ClientInfo | None:
            # The node that answers may be a block behind the one that said that the transaction is in a block.
            try:
                return await queries.get_created_client(chain, executed.tx_hash, executed.height)
            except HeightsDisagree:
                return None
            except RemoteError as error:
                if error.is_error(ClientNotFound):
                    return None
                raise

        try:
            return await wait_for(find_created)
        except TimeoutError:
            raise LinkConflict(
                f"expected a new client of {of.chain_id} on {chain.chain_id} within {MAX_WAIT_S:.0f} s, got none"
            ) from None

    async def _finish_hub(
        self, shard: ChainNodes, hub_client: ClientInfo, shard_client: ClientInfo, steps: list[str]
    ) -> None:
        """Tie the hub's client to the shard's one, and admit the shard."""
        messages: list[Message] = []
        done: list[str] = []
        if not hub_client.counterparty:
            messages.append(self._register_counterparty(self.hub, hub_client, shard_client))
            done.append(f"{COUNTERPARTY_STEP}: {hub_client.client_id} on {self.hub.chain_id}")
        if not await self._is_active(shard.chain_id):
            key = self.require_authority(self.hub)
            messages.append(
                hub_tx_pb2.MsgRegisterShard(
                    authority=key.public_key, chain_id=shard.chain_id, client_id=hub_client.client_id
                )
            )
            done.append(f"{SHARD_STEP}: {shard.chain_id} on {self.hub.chain_id}")
        await self._submit(self.hub, messages)
        steps.extend(done)

    async def _finish_shard(
        self, shard: ChainNodes, hub_client: ClientInfo, shard_client: ClientInfo, steps: list[str]
    ) -> None:
        """Tie the shard's client to the hub's one."""
        if shard_client.counterparty:
            return
        await self._submit(shard, [self._register_counterparty(shard, shard_client, hub_client)])
        steps.append(f"{COUNTERPARTY_STEP}: {shard_client.client_id} on {shard.chain_id}")

    async def _is_active(self, shard: ChainId) -> bool:
        request = hub_pb2.ListShardsRequest()
        answer = await self.hub.ask(lambda node: node.hub.ListShards(request, timeout=node.timeout_s))
        return any(entry.chain_id == shard and entry.active for entry in answer.shards)

    async def _submit(self, chain: ChainNodes, messages: Sequence[Message]) -> None:
        if messages:
            await self.submitter.submit(chain, messages, self.require_authority(chain))

    def _register_counterparty(
        self, chain: ChainNodes, client: ClientInfo, other: ClientInfo
    ) -> client_v2_tx_pb2.MsgRegisterCounterparty:
        return client_v2_tx_pb2.MsgRegisterCounterparty(
            client_id=client.client_id,
            counterparty_merkle_prefix=MERKLE_PREFIX,
            counterparty_client_id=other.client_id,
            signer=format_address(self.require_authority(chain).public_key),
        )

    def require_authority(self, chain: ChainNodes) -> SigningKey:
        """Return the key of a chain's authority.

        Raises:
          AuthorityMissing: it is not known.

        """
        key = self.authorities.get(chain.chain_id)
        if key is None:
            raise AuthorityMissing(f"expected the key of the authority of {chain.chain_id}, got none")
        return key


def choose_pair(
    hub_clients: Sequence[ClientInfo], shard_clients: Sequence[ClientInfo]
) -> tuple[ClientInfo | None, ClientInfo | None]:
    """Return the clients to link, None for each that has to be created.

    Of several, the first that are tied to each other win, then the first that are tied halfway, then the first that
    are free.

    Raises:
      LinkConflict: a client that must be used is tied to one that does not fit, or cannot be used any more.

    """
    by_id = {client.client_id: client for client in shard_clients}
    for hub_client in hub_clients:
        if not hub_client.counterparty:
            continue
        shard_client = by_id.get(hub_client.counterparty)
        if shard_client is not None and shard_client.counterparty in {"", hub_client.client_id}:
            return _check_usable(hub_client), _check_usable(shard_client)
    free_hub = [client for client in hub_clients if not client.counterparty]
    by_hub_id = {client.client_id: client for client in free_hub}
    for shard_client in shard_clients:
        if shard_client.counterparty in by_hub_id:
            return _check_usable(by_hub_id[shard_client.counterparty]), _check_usable(shard_client)
    if hub_clients and not free_hub:
        tied = hub_clients[0]
        raise LinkConflict(f"expected {tied.client_id} to be free, got one tied to {tied.counterparty}")
    free_shard = [client for client in shard_clients if not client.counterparty]
    return _first_active(free_hub), _first_active(free_shard)


def _first_active(clients: Sequence[ClientInfo]) -> ClientInfo | None:
    return next((client for client in clients if client.view.status is ClientStatus.ACTIVE), None)


def _check_usable(client: ClientInfo) -> ClientInfo:
    if client.view.status is not ClientStatus.ACTIVE:
        raise LinkConflict(
            f"expected {client.client_id} to be active, got one that is {client.view.status.value}"
        )
    return client
