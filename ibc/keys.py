"""Every key of this module in the state.

Provable store; the first three are those of IBC v2 (ibc-go `24-host/v2/packet_keys.go`), byte for byte:

| key | value |
|---|---|
| client id, 0x01, BE64(sequence) | commitment of a packet sent, 32 bytes |
| client id, 0x02, BE64(sequence) | 0x02: a packet was received |
| client id, 0x03, BE64(sequence) | commitment of an acknowledgement written, 32 bytes |
| `clients/{id}/clientState` | `Any` of a client state |
| `clients/{id}/consensusStates/{revision}-{height}` | `Any` of a consensus state |

Bulk store:

| key | value |
|---|---|
| `ibc/authority` | the account that may create clients, 32 bytes |
| `ibc/next-client` | BE64 of the next client's number |
| `ibc/counterparty/{id}` | `CounterpartyInfo` |
| `ibc/next-sequence/{id}` | BE64 of the next packet's sequence |
| `ibc/packet/{id}/` BE64(sequence) | `PendingPacket`: sent, and neither acknowledged nor timed out |
| `ibc/ack/{id}/` BE64(sequence) | `Acknowledgement` as it was written |
| `ibc/height/{id}/` 16 hexadecimal digits of the height | BE64 time and BE64 height of our block that learnt it |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ibc.identifiers import Height

AUTHORITY_KEY: Final = b"ibc/authority"
NEXT_CLIENT_KEY: Final = b"ibc/next-client"

HEIGHT_DIGITS: Final = 16
"""Hexadecimal digits of a height in the index of heights, so that bytewise order is numeric order."""


def be64(number: int) -> bytes:
    """Return a number as eight bytes, the highest first."""
    return number.to_bytes(8, "big")


def packet_commitment_key(client_id: str, sequence: int) -> bytes:
    """Return the provable key of the commitment of a packet that was sent over a client."""
    return client_id.encode() + b"\x01" + be64(sequence)


def packet_receipt_key(client_id: str, sequence: int) -> bytes:
    """Return the provable key of the receipt of a packet that was received over a client."""
    return client_id.encode() + b"\x02" + be64(sequence)


def packet_ack_key(client_id: str, sequence: int) -> bytes:
    """Return the provable key of the acknowledgement of a packet that was received over a client."""
    return client_id.encode() + b"\x03" + be64(sequence)


def client_state_key(client_id: str) -> bytes:
    """Return the provable key of a client."""
    return f"clients/{client_id}/clientState".encode()


def consensus_state_key(client_id: str, height: Height) -> bytes:
    """Return the provable key of what a client knows of a height."""
    return f"clients/{client_id}/consensusStates/{height}".encode()


def counterparty_key(client_id: str) -> bytes:
    """Return the bulk key of a client's other end."""
    return f"ibc/counterparty/{client_id}".encode()


def next_sequence_key(client_id: str) -> bytes:
    """Return the bulk key of the number of a client's next packet."""
    return f"ibc/next-sequence/{client_id}".encode()


def pending_packets_prefix(client_id: str) -> bytes:
    """Return what the bulk keys of a client's pending packets start with."""
    return f"ibc/packet/{client_id}/".encode()


def pending_packet_key(client_id: str, sequence: int) -> bytes:
    """Return the bulk key of a pending packet."""
    return pending_packets_prefix(client_id) + be64(sequence)


def written_ack_key(client_id: str, sequence: int) -> bytes:
    """Return the bulk key of an acknowledgement as it was written."""
    return f"ibc/ack/{client_id}/".encode() + be64(sequence)


def heights_prefix(client_id: str) -> bytes:
    """Return what the bulk keys of the heights that a client knows start with."""
    return f"ibc/height/{client_id}/".encode()


def height_key(client_id: str, height: int) -> bytes:
    """Return the bulk key of when a client learnt a height."""
    return heights_prefix(client_id) + f"{height:0{HEIGHT_DIGITS}x}".encode()
