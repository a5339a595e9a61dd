"""A node that lies: it stands before a real one, passes every call on, and changes the answers that a test names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from abci_app.client import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lie = Callable[[bytes], bytes]

TIMEOUT_S = 30.0
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


class LyingNode(grpc.GenericRpcHandler):
    """The gRPC service of such a node; unary calls only."""

    def __init__(self, target: str, lies: Mapping[str, Lie] | None = None, port: int = 0) -> None:
        """Stand before the node at `target`; `lies` go from true answers to false ones, by the name of the call."""
        self.lies: dict[str, Lie] = dict(lies or {})
        self._channel = grpc.insecure_channel(target, options=OPTIONS)
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=[self], options=OPTIONS)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()

    def close(self) -> None:
        self._server.stop(None).wait()
        self._channel.close()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return what answers a call, whatever it is."""
        method = str(handler_call_details.method)
        forward: Callable[..., bytes] = self._channel.unary_unary(method)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                true = forward(request, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                if not isinstance(error, grpc.Call):
                    raise
                context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
                context.abort(error.code(), error.details() or "")
            lie = self.lies.get(method.rpartition("/")[2])
            return true if lie is None else lie(true)

        return grpc.unary_unary_rpc_method_handler(answer)
