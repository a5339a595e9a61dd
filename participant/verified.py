"""A hub that is not trusted: what a node serves is checked against headers that the hub's validators signed.

The root of trust is the genesis file: its validators signed the first header, and a light client goes on from there.
A value is proven in the state of the newest header (one block below it); models are content-addressed, so their bytes
need no proof beyond their root.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.endpoint import locate_rpc
from abci_app.errors import EndpointUnreachable, HeightUnavailable, NodeError
from abci_app.grpc_errors import RemoteError
from abci_app.rpc import CometRpc
from aggregation.assignment import verify_assignment
from aggregation.errors import AggregationError
from aggregation.merkle import verify_merkle_path
from aggregation.model import decode_model, model_root
from ibc.commitment import verify_chained_membership, verify_chained_non_membership
from ibc.errors import IbcError
from ibc.header import header_hash
from ibc.light import Done, LightClient, Need
from ibc.proof_spec import IAVL_SPEC, TENDERMINT_SPEC
from ibc.rpcjson import parse_light_block
from ibc.tendermint import TrustOptions
from ibc.voting import Fraction
from participant.errors import NotAssigned, UnverifiedData
from participant.trust import TrustRoot, read_genesis
from participant.updates import Assignment
from tx.codec import encode
from tx.paths import model_root_key, round_info_key, round_result_key, settlement_root_key
from tx.statements import spec_digest
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.tendermint.types import validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from abci_app.client import ChainConnection
    from ibc.tendermint import TrustedState
    from wire.gradchain.fl.v1 import round_pb2, task_pb2
    from wire.tendermint.types import types_pb2

STORE: Final = b"provable"
TRUSTING_PERIOD_NS: Final = 14 * 24 * 3600 * 1_000_000_000
CLOCK_DRIFT_NS: Final = 10 * 1_000_000_000
TRUST_LEVEL: Final = Fraction(1, 3)

PROOF_PATIENCE_S: Final = 20.0
"""How long to wait for the header that proves what a node already serves: the next block, in the ordinary case."""

RETRY_S: Final = 0.05
KEPT_STATES: Final = 64
CHUNKS_AT_ONCE: Final = 64

NO_ASSIGNMENT: Final = (("hub", 80), ("hub", 91))
"""Registered errors of a hub that has no round, or no place in it, for a participant (RoundNotFound, NotAssigned)."""


@dataclass(frozen=True, slots=True)
class ProvenValue:
    """A value of the hub's provable store, and the header that proves it."""

    value: bytes | None
    """None: proven to be absent."""
    height: int
    """Height of the header; the value is of the state below it."""
    header_hash: bytes
    app_hash: bytes
    signatures: int
    """Votes for the block in the header's commit."""
    signed_power: int
    """Voting power behind them; the signatures of more than two thirds of the total are verified."""
    total_power: int
    """Voting power of all validators of the block."""


@dataclass(frozen=True, slots=True, eq=False)
class ProvenModel:
    """A model whose root is proven, with its bytes checked against it."""

    root: bytes
    model: NDArray[np.int32]
    """Fixed point, shape (d,)."""
    proof: ProvenValue


class VerifiedHub:
    """Reads a hub through nodes that may lie.  Safe for use by several threads."""

    def __init__(self, connection: ChainConnection, root: TrustRoot, rpc_url: str | None = None) -> None:
        """Start from a root of trust; `rpc_url` overrides what the node says of its CometBFT.

        Raises:
          NodeUnavailable: no node answers.
          UnverifiedData: the node belongs to another chain.

        """
        status = connection.status()
        if status.chain_id != root.chain_id:
            raise UnverifiedData(
                f"expected a node of {root.chain_id}, the chain of the genesis file, got one of {status.chain_id}"
            )
        self.connection = connection
        self.chain_id = root.chain_id
        self._rpc_url = rpc_url
        self._rpc = CometRpc(rpc_url or locate_rpc(connection.address, status.rpc_address))
        options = TrustOptions(root.chain_id, TRUST_LEVEL, TRUSTING_PERIOD_NS, CLOCK_DRIFT_NS)
        self._light = LightClient(root.state, options)
        self._verified: dict[int, tuple[TrustedState, types_pb2.LightBlock]] = {}
        self._lock = threading.Lock()
        self.headers_verified = 0

    def close(self) -> None:
        """Close the connections to the node's RPC; `connection` stays with who opened it."""
        self._rpc.close()

    # --- headers and proofs --------------------------------------------------------------------------------------

    def _fetch(self, height: int) -> types_pb2.LightBlock:
        raw = self._rpc.light_block(height)
        return parse_light_block(raw.signed_header, raw.validators)

    def _advance(self) -> tuple[TrustedState, types_pb2.LightBlock]:
        """Verify the newest header that the node has, and return its state.

        Raises:
          UnverifiedData: it does not verify.
          HeightUnavailable: the chain has no block yet.
          EndpointUnreachable: the node's RPC does not answer; the next call asks the node that answers then.

        """
        try:
            target = self._rpc.status().height
        except EndpointUnreachable:
            self._follow_node()
            raise
        known = self._verified.get(target)
        if known is not None:
            return known
        target = max(target, self._light.trusted.height)
        if target not in self._verified and target == self._light.trusted.height:
            raise HeightUnavailable(f"expected a block above {target}, the chain has none yet")
        progress = self._light.begin(target)
        block = None
        while isinstance(progress, Need):
            block = self._fetch(progress.height)
            if progress.height == target:
                newest = block
            progress = self._light.step(block, time.time_ns())
        if not isinstance(progress, Done):
            raise UnverifiedData(f"the header of height {target} does not verify: {progress.error}")
        if target in self._verified:
            return self._verified[target]
        self.headers_verified += len(progress.headers)
        self._verified[target] = (progress.state, newest)
        while len(self._verified) > KEPT_STATES:
            del self._verified[min(self._verified)]
        return self._verified[target]

    def _follow_node(self) -> None:
        """Go on with the RPC of the node that answers now, unless a URL was given."""
        if self._rpc_url is not None:
            return
        request = node_query.GetStatusRequest()
        status = self.connection.node(lambda stub: stub.GetStatus(request, timeout=self.connection.timeout_s))
        self._rpc.close()
        self._rpc = CometRpc(locate_rpc(self.connection.address, status.rpc_address))

    def prove(self, key: bytes) -> ProvenValue:
        """Return the value of a key in the provable store, or its absence, in the newest proven state.

        Raises:
          UnverifiedData: a header or the proof does not verify.
          NodeUnavailable: the node does not answer.

        """
        with self._lock:
            try:
                state, block = self._advance()
                request = node_query.ProveRequest(key=key, height=state.height - 1)
                answer = self.connection.node(
                    lambda stub: stub.Prove(request, timeout=self.connection.timeout_s)
                )
                specs, path = (IAVL_SPEC, TENDERMINT_SPEC), (STORE, key)
                if answer.value:
                    verify_chained_membership(specs, state.root, answer.proof, path, answer.value)
                else:
                    verify_chained_non_membership(specs, state.root, answer.proof, path)
            except IbcError as error:
                raise UnverifiedData(f"the proof of {key.hex()} does not verify: {error}") from error
        commit = block.signed_header.commit
        powers = [validator.voting_power for validator in block.validator_set.validators]
        voted = [slot.block_id_flag == validator_pb2.BLOCK_ID_FLAG_COMMIT for slot in commit.signatures]
        return ProvenValue(
            value=answer.value or None,
            height=state.height,
            header_hash=header_hash(block.signed_header.header),
            app_hash=state.root,
            signatures=sum(voted),
            signed_power=sum(power for power, has_voted in zip(powers, voted, strict=True) if has_voted),
            total_power=sum(powers),
        )

    def require_proven(self, key: bytes, value: bytes) -> ProvenValue:
        """Prove that a key has that value, waiting for the header of a value that was written just now.

        Raises:
          UnverifiedData: the newest proven state says something else for too long.

        """
        return self._await_proof(key, lambda: value)

    def _await_proof(self, key: bytes, claim: Callable[[], bytes | None]) -> ProvenValue:
        """Prove what is claimed to be the newest value of a key; without a claim, whatever it is."""
        deadline = time.monotonic() + PROOF_PATIENCE_S
        while True:
            try:
                proven = self.prove(key)
            except (NodeError, RemoteError):
                # the state of a young chain, or of a node that restarts, is not at hand yet
                if time.monotonic() > deadline:
                    raise
            else:
                claimed = claim()
                if claimed is None or proven.value == claimed:
                    return proven
                if time.monotonic() > deadline:
                    found = "nothing" if proven.value is None else proven.value.hex()
                    raise UnverifiedData(
                        f"expected {claimed.hex()} under {key.hex()}, the chain proves {found}"
                    )
            time.sleep(RETRY_S)

    # --- tasks and rounds ----------------------------------------------------------------------------------------

    def get_task(self, task: int) -> hub_query.Task:
        """Return a task as the node describes it, unverified."""
        request = hub_query.GetTaskRequest(task=task)
        return self.connection.hub(lambda stub: stub.GetTask(request, timeout=self.connection.timeout_s)).task

    def task_spec(self, task: int) -> task_pb2.TaskSpec:
        """Return a task's spec.  `assignment` checks its digest against the proven round."""
        return self.get_task(task).spec

    def is_open(self, task: int, round_number: int, attempt: int) -> bool:
        """Tell whether that attempt of a round still takes updates, as the node says."""
        request = hub_query.GetRoundRequest(task=task, round=round_number, attempt=attempt)
        found = self.connection.hub(
            lambda stub: stub.GetRound(request, timeout=self.connection.timeout_s)
        ).round
        return found.status == hub_query.ROUND_STATUS_OPEN and found.info.attempt == attempt

    def assignment(self, task: int, participant: bytes) -> Assignment:
        """Return a participant's part of the newest round, with everything proven that it will sign.

        Raises:
          NotAssigned: it has no part in the round.
          UnverifiedData: round, spec or assignment do not match the proven state.

        """
        request = hub_query.GetAssignmentRequest(task=task, participant=participant)
        try:
            answer = self.connection.hub(
                lambda stub: stub.GetAssignment(request, timeout=self.connection.timeout_s)
            )
        except RemoteError as error:
            if (error.CODESPACE, error.CODE) in NO_ASSIGNMENT:
                raise NotAssigned(error.message) from error
            raise
        info = answer.info
        if info.task != task:
            raise UnverifiedData(f"expected a round of task {task}, got one of task {info.task}")
        if spec_digest(self.task_spec(task)) != info.spec_digest:
            raise UnverifiedData("the spec that the node serves is not the one of the round")
        self.require_proven(
            round_info_key(info.task, info.round, info.attempt), sha256(encode(info)).digest()
        )
        roots = [shard.assignment_root for shard in info.shards if shard.shard == answer.shard]
        if len(roots) != 1:
            raise UnverifiedData(f"the round has no part for shard {answer.shard}")
        claim = update_pb2.UpdateStatement(
            task=info.task,
            round=info.round,
            attempt=info.attempt,
            shard=answer.shard,
            participant=participant,
        )
        try:
            verify_assignment(roots[0], answer.proof, claim)
        except AggregationError as error:
            raise UnverifiedData(f"the assignment does not verify: {error}") from error
        return Assignment(self.chain_id, info, answer.shard, answer.proof)

    # --- models and settlements ----------------------------------------------------------------------------------

    def model_bytes(self, root: bytes) -> bytes:
        """Return the bytes of the model with that root.

        Raises:
          UnverifiedData: what the node serves has another root.

        """
        chunks: list[bytes] = []
        total = 1
        while len(chunks) < total:
            request = hub_query.GetModelChunksRequest(
                model_root=root, first=len(chunks), limit=CHUNKS_AT_ONCE
            )
            answer = self.connection.hub(
                lambda stub, request=request: stub.GetModelChunks(  # type: ignore[misc]
                    request, timeout=self.connection.timeout_s
                )
            )
            total = answer.total_chunks
            if not answer.parts:
                raise UnverifiedData(f"the node serves only {len(chunks)} of {total} chunks of a model")
            for part in answer.parts:
                try:
                    verify_merkle_path(root, part.data, len(chunks), total, part.path)
                except AggregationError as error:
                    raise UnverifiedData(f"chunk {len(chunks)} does not match the model root") from error
                chunks.append(part.data)
        data = b"".join(chunks)
        if model_root(data) != root:
            raise UnverifiedData("the chunks are not cut as the model root says")
        return data

    def model_at(self, root: bytes, dimension: int) -> NDArray[np.int32]:
        """Return the model with that root, fixed point of shape (d,).

        Raises:
          UnverifiedData: what the node serves has another root or size.

        """
        try:
            return decode_model(self.model_bytes(root), dimension)
        except AggregationError as error:
            raise UnverifiedData(f"the model cannot be decoded: {error}") from error

    def prove_model(self, task: int, expected_root: bytes | None = None) -> ProvenModel:
        """Return the newest model of a task, with the proof of its root; wait for the header that proves it.

        The newest is the expected one, or else the one that the node says: a header proves the state below it, so
        that for a block the proven state is older than what the node tells.

        Raises:
          UnverifiedData: there is none, or bytes and proof do not fit.

        """
        key = model_root_key(task)
        proof = self._await_proof(key, lambda: expected_root or self._claimed_root(task))
        if proof.value is None:
            raise UnverifiedData(f"the chain proves that task {task} has no model")
        model = self.model_at(proof.value, self.task_spec(task).parameters)
        return ProvenModel(proof.value, model, proof)

    def _claimed_root(self, task: int) -> bytes | None:
        """Return the root of a task's newest model as the node says; None if it knows of no complete model."""
        try:
            found = self.get_task(task)
        except RemoteError:
            return None
        without = (hub_query.TASK_STATUS_UPLOADING, hub_query.TASK_STATUS_CANCELLED)
        return None if found.status in without else found.model_root

    def prove_round_result(self, result: round_pb2.RoundResult) -> ProvenValue:
        """Prove that a round had this result."""
        key = round_result_key(result.task, result.round)
        return self.require_proven(key, sha256(encode(result)).digest())

    def prove_settlement(self, task: int, round_number: int, root: bytes) -> ProvenValue:
        """Prove that a round was settled with this root."""
        return self.require_proven(settlement_root_key(task, round_number), root)


def open_hub(connection: ChainConnection, genesis: Path, rpc_url: str | None = None) -> VerifiedHub:
    """Return a verified view of the hub whose genesis file is given."""
    return VerifiedHub(connection, read_genesis(genesis), rpc_url)
