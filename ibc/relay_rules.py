"""Rules about whole transactions of relayed messages.

Relaying to a shard costs nothing, because a shard has no token; hence it must be needed.  These checks see all
messages of a transaction, in order, before any of them is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from ibc.client_updates import claimed_state, contradicts, decode_client_message, is_duplicate
from ibc.errors import RelayRedundant, UnneededUpdate
from ibc.identifiers import Height, height_from_wire
from ibc.state import get_commitment, has_receipt, require_client, require_consensus_state
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from ibc.client_state import ClientState
    from ibc.host import HostReader
    from ibc.tendermint import TrustedState

PacketMessage: TypeAlias = (
    channel_tx_pb2.MsgRecvPacket | channel_tx_pb2.MsgAcknowledgement | channel_tx_pb2.MsgTimeout
)
_PACKET_MESSAGES: Final = (
    channel_tx_pb2.MsgRecvPacket,
    channel_tx_pb2.MsgAcknowledgement,
    channel_tx_pb2.MsgTimeout,
)

REFRESH_AGE_DIVISOR: Final = 3
"""A refresh is due when the client's latest state is older than the trusting period divided by this."""

REFRESH_ADVANCE_DIVISOR: Final = 4
"""A refresh must advance the client's time by at least the trusting period divided by this, so that a trusting period
has room for a few free updates only."""


def is_redundant(state: HostReader, msg: Message) -> bool:
    """Whether a message would change nothing, because somebody else was faster.

    Messages that are not relayed never are, nor is evidence: it freezes a client, or is refused.

    Raises:
      AppError: a client update is malformed, or for no client.

    """
    if isinstance(msg, channel_tx_pb2.MsgRecvPacket):
        return has_receipt(state, msg.packet.destination_client, msg.packet.sequence)
    if isinstance(msg, _PACKET_MESSAGES):
        return get_commitment(state, msg.packet.source_client, msg.packet.sequence) is None
    if isinstance(msg, client_tx_pb2.MsgUpdateClient):
        client = require_client(state, msg.client_id)
        shown = decode_client_message(msg)
        if isinstance(shown, tendermint_pb2.Misbehaviour):
            return False
        return is_duplicate(state, msg.client_id, client, claimed_state(shown))
    return False


def check_not_redundant(state: HostReader, messages: Sequence[Message]) -> None:
    """Refuse a transaction that relays only what was relayed before.  For CheckTx: in a block it is harmless.

    Client updates are there for the packets, so where there are packets only those count.

    Raises:
      RelayRedundant: nothing would change.
      AppError: a client update is malformed, or for no client.

    """
    packets = [msg for msg in messages if isinstance(msg, _PACKET_MESSAGES)]
    relayed = packets or messages
    if relayed and all(is_redundant(state, msg) for msg in relayed):
        raise RelayRedundant(f"expected something new, got {len(relayed)} messages that were relayed before")


def check_updates_needed(state: HostReader, now_ns: int, messages: Sequence[Message]) -> None:
    """Refuse a transaction with a client update that nobody needs.

    An update is needed when a later message of the transaction proves something at its height, or starts from it and
    is needed itself; when a refresh of the client is due; when it freezes the client; or when it changes nothing.
    Evidence of misbehaviour is always needed: it freezes the client, or the whole transaction fails.

    Raises:
      UnneededUpdate: an update is none of that.
      AppError: an update is malformed, or for no client.

    """
    wanted: set[tuple[str, Height]] = set()
    for msg in reversed(messages):
        if isinstance(msg, channel_tx_pb2.MsgRecvPacket):
            wanted.add((msg.packet.destination_client, height_from_wire(msg.proof_height)))
        elif isinstance(msg, _PACKET_MESSAGES):
            wanted.add((msg.packet.source_client, height_from_wire(msg.proof_height)))
        elif isinstance(msg, client_tx_pb2.MsgUpdateClient):
            shown = decode_client_message(msg)
            client = require_client(state, msg.client_id)
            if isinstance(shown, tendermint_pb2.Misbehaviour):
                starts = [shown.header_1.trusted_height, shown.header_2.trusted_height]
            else:
                starts = [shown.trusted_height]
                claimed = claimed_state(shown)
                if (msg.client_id, Height(client.revision, claimed.height)) not in wanted:
                    _check_needed_by_itself(state, now_ns, msg.client_id, client, claimed)
            wanted.update((msg.client_id, height_from_wire(start)) for start in starts)


def _check_needed_by_itself(
    state: HostReader, now_ns: int, client_id: str, client: ClientState, claimed: TrustedState
) -> None:
    if is_duplicate(state, client_id, client, claimed) or contradicts(state, client_id, client, claimed):
        return
    latest = require_consensus_state(state, client_id, client.latest_height)
    age_ns, advance_ns = now_ns - latest.time_ns, claimed.time_ns - latest.time_ns
    period_ns = client.trust.trusting_period_ns
    if age_ns > period_ns // REFRESH_AGE_DIVISOR and advance_ns >= period_ns // REFRESH_ADVANCE_DIVISOR:
        return
    raise UnneededUpdate(
        f"expected a message after the update that proves something at height {claimed.height}, or a refresh that "
        f"is due, got neither"
    )
