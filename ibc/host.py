"""What the chain that hosts this module must offer.

`abci_app` offers it; the module may not import that package, so the needs are stated here as protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from ibc.voting import SignatureCache
    from wire.ibc.core.channel.v2 import packet_pb2

PROVABLE: Final = "provable"
"""Store whose keys other chains can have proven to them."""

BULK: Final = "bulk"
"""Store of everything else."""


class HostReader(Protocol):
    """Read access to one version of the state."""

    def get(self, store: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        """Return a blob, or None when it is absent.  Not used here, but applications do."""


class HostState(HostReader, Protocol):
    """Read and write access to a version of the state in the making."""

    def set(self, store: str, key: bytes, value: bytes) -> None:
        """Write a value; key and value are not empty."""

    def delete(self, store: str, key: bytes) -> None:
        """Remove a key; removing an absent key is a no-op."""

    def put_blob(self, segment: bytes, data: bytes) -> bytes:
        """Stage a blob.  Not used here, but applications do."""

    def drop_segment(self, segment: bytes) -> None:
        """Forget blobs.  Not used here, but applications do."""


class BranchedState(HostState, Protocol):
    """Writes above a state, dropped with the object unless they are merged."""

    def merge(self) -> None:
        """Hand all writes to the state below."""


class EventLog(Protocol):
    """The events of a transaction so far; the last ones can be taken back."""

    def __len__(self) -> int:
        """Return the number of events."""

    def __delitem__(self, index: slice, /) -> None:
        """Take back a range of events."""


class HostServices(Protocol):
    """Helpers of a node that hold no chain state."""

    @property
    def verified(self) -> SignatureCache:
        """Verdicts on signatures and proofs that the node has verified before."""


class HostContext(Protocol):
    """The block in execution.  There is no other source of time or height."""

    @property
    def chain_id(self) -> str:
        """Id of this chain."""

    @property
    def height(self) -> int:
        """Height of the block."""

    @property
    def time_ns(self) -> int:
        """Time of the block, Unix nanoseconds."""

    @property
    def services(self) -> HostServices:
        """Helpers of the node."""

    @property
    def events(self) -> EventLog:
        """Events of the transaction or hook."""

    def emit(self, kind: str, **attributes: str) -> None:
        """Append an event."""


class PortApp(Protocol):
    """An application behind a port.  Each call is about one payload of a packet that was verified before."""

    def on_recv(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        relayer: bytes,
    ) -> bytes:
        """Take a payload and return the acknowledgement for it, which is not empty.

        `relayer` is the address of whoever delivered the packet first.

        Raises:
          AppError: the payload is refused.  All writes of the packet's applications are dropped, and the sender
            learns of the failure, though not of its reason.

        """

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        ack: bytes,
    ) -> None:
        """Take the answer to a payload that was sent: the receiver's own bytes, or `ERROR_ACK`."""

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        """Take back a payload that was not received in time."""


if TYPE_CHECKING:
    Branch: TypeAlias = Callable[[HostState], BranchedState]
    """Makes a branch above a state."""
