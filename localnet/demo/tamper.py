"""Plants one fault on purpose, to show which check catches it.

| place | what is changed | who must catch it |
|---|---|---|
| header | the app hash in a hub header, under the genuine signatures | a shard's light client |
| proof | a bit of a hash in the membership proof of a genuine packet | a shard's proof check |
| body | a byte in a part of a checkpoint's body | the hub, against the body root of the proven checkpoint |
| sum | a shard whose validators all add one to a coordinate of their sum | the hub, on the KZG commitments |
| payload | a participant signs a payload that its commitments do not open to | its shard, on the KZG commitments |
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from typing import TYPE_CHECKING, Final

from abci_app.grpc_errors import RemoteError
from aggregation.kzg import load_setup, setup_path
from aggregation.payload import payload_root
from localnet.demo.carry import Side, await_packets, build_messages, carry, prove_packet
from localnet.demo.options import Tamper
from localnet.demo.setup import participant_keys
from localnet.errors import DemoStalled
from participant.data import load_digits, split_digits
from participant.digits import build_network, to_tensors
from participant.errors import NotAssigned, UpdateRefused
from participant.sdk import Participant
from participant.training import options_of, train_classifier
from tx.codec import decode_canonical
from tx.errors import REGISTRY
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from localnet.demo.carry import ProvenPacket
    from localnet.demo.options import DemoOptions
    from localnet.demo.setup import DemoChains
    from participant.sdk import RoundWork
    from participant.updates import Assignment
    from participant.verified import VerifiedHub

PATIENCE_S: Final = 120.0

COUNTED_FROM: Final = 60
"""Below this a changed byte changes no count of the statement, so that only the commitments tell."""

POLL_S: Final = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Caught:
    """What became of the planted fault."""

    place: str
    by: str
    """Chain that refused it, or `` if nobody did."""
    check: str
    """Name of the registered error."""
    codespace: str
    code: int
    message: str

    @property
    def is_caught(self) -> bool:
        """Whether a check refused the fault."""
        return bool(self.by)


def flip_last_bit(data: bytes) -> bytes:
    """Return the bytes with the lowest bit of the last one changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


class FaultPlanter:
    """Plants faults into a demo whose task has just been created."""

    def __init__(self, options: DemoOptions, chains: DemoChains, hub: VerifiedHub, task: int) -> None:
        self._options = options
        self._chains = chains
        self._hub = hub
        self._task = task
        if options.tamper is None:
            raise ValueError("no fault is asked for")
        self._place = options.tamper
        self._keys = participant_keys(options)
        self._setup = load_setup(setup_path().read_bytes())
        self._federation = split_digits(load_digits(), options.participants, seed=options.seed)
        self._relayer = chains.localnet.key("relayer")
        self._hub_side = Side(chains.hub, chains.hub_connection)
        shard = chains.shards[0]
        self._shard_side = Side(shard, chains.shard_connections[shard.chain_id])

    def plant(self) -> Caught:
        """Plant the fault that the options name, and tell who caught it."""
        for key in self._keys:
            message = hub_tx.MsgRegisterParticipant(participant=key.public_key, task=self._task)
            self._chains.hub_connection.send(self._chains.hub.chain_id, [message], [key])
        plans: dict[Tamper, Callable[[], Caught]] = {
            Tamper.HEADER: self._plant_header,
            Tamper.PROOF: self._plant_proof,
            Tamper.BODY: self._plant_body,
            Tamper.SUM: self._plant_sum,
            Tamper.PAYLOAD: self._plant_payload,
        }
        return plans[self._place]()

    # --- header and proof ----------------------------------------------------------------------------------------

    def _plant_header(self) -> Caught:
        def change(proven: ProvenPacket) -> ProvenPacket:
            proven.header.signed_header.header.app_hash = bytes(32)
            return proven

        return self._carry_changed(change)

    def _plant_proof(self) -> Caught:
        def change(proven: ProvenPacket) -> ProvenPacket:
            proof = commitment_pb2.MerkleProof.FromString(proven.proof)
            sibling = proof.proofs[1].exist.path[0]
            if sibling.suffix:
                sibling.suffix = flip_last_bit(sibling.suffix)
            else:
                sibling.prefix = flip_last_bit(sibling.prefix)
            return dataclasses.replace(proven, proof=proof.SerializeToString(deterministic=True))

        return self._carry_changed(change)

    def _carry_changed(self, change: Callable[[ProvenPacket], ProvenPacket]) -> Caught:
        """Deliver the hub's first packet to the first shard, changed."""
        pending = await_packets(self._hub_side, self._client_of_shard())[0]
        try:
            carry(self._hub_side, self._shard_side, pending, self._relayer, change)
        except RemoteError as error:
            return self._caught(self._shard_side.chain.name, error)
        return self._missed()

    # --- body and sum --------------------------------------------------------------------------------------------

    def _plant_body(self) -> Caught:
        opening = await_packets(self._hub_side, self._client_of_shard())[0]
        carry(self._hub_side, self._shard_side, opening, self._relayer)
        assignment = self._submit_updates()
        pending = await_packets(self._shard_side, self._client_on_shard())[0]
        proven = prove_packet(self._shard_side, self._hub_side, pending)
        messages = build_messages(self._shard_side, proven, self._relayer.public_key)
        hub = self._chains.hub_connection
        hub.send(self._chains.hub.chain_id, messages, [self._relayer])
        info = assignment.info
        request = shard_query.GetBodyPartsRequest(
            task=info.task, round=info.round, attempt=info.attempt, first=0, limit=1
        )
        part = self._shard_side.connection.shard(lambda stub: stub.GetBodyParts(request, timeout=30.0)).parts[
            0
        ]
        changed = flip_last_bit(part.data)
        message = hub_tx.MsgSubmitBody(
            submitter=self._relayer.public_key,
            task=info.task,
            round=info.round,
            attempt=info.attempt,
            shard=self._shard_side.chain.chain_id,
            parts=[hub_tx.DataPart(index=part.index, data=changed, path=part.path)],
        )
        try:
            hub.send(self._chains.hub.chain_id, [message], [self._relayer])
        except RemoteError as error:
            return self._caught("hub", error)
        return self._missed()

    def _plant_sum(self) -> Caught:
        """The shard itself lies (see `cli.lying_shard`); here its round is only brought to its end."""
        assignment = self._submit_updates()
        info = assignment.info
        request = hub_query.GetCheckpointRequest(
            task=info.task, round=info.round, attempt=info.attempt, shard=self._shard_side.chain.chain_id
        )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            state = self._chains.hub_connection.hub(
                lambda stub: stub.GetCheckpoint(request, timeout=30.0)
            ).state
            if state.status == hub_query.SHARD_ROUND_STATUS_REJECTED:
                return self._describe(
                    "hub",
                    state.reject_codespace,
                    state.reject_code,
                    "the body does not say what the updates say",
                )
            if state.status == hub_query.SHARD_ROUND_STATUS_COMPLETE:
                return self._missed()
            time.sleep(POLL_S)
        raise DemoStalled("the hub did not judge the shard's body")

    # --- payload -------------------------------------------------------------------------------------------------

    def _plant_payload(self) -> Caught:
        key = self._keys[0]
        work = self._await_round(self._participant(0))
        update = self._train(0, work)
        payload = bytearray(update.payload)
        payload[0] = (payload[0] + 1) % COUNTED_FROM
        statement = decode_canonical(update_pb2.UpdateStatement, update.signed.statement)
        statement.payload_root = payload_root(bytes(payload))
        lie = update_pb2.Update(
            signed=sign_statement(statement, key), assignment=update.assignment, payload=bytes(payload)
        )
        try:
            self._participant(0).send_update(work.assignment, lie)
        except UpdateRefused as refused:
            error = refused.__cause__
            if not isinstance(error, RemoteError):
                raise
            return self._caught(work.assignment.shard, error)
        return self._missed()

    # --- steps ---------------------------------------------------------------------------------------------------

    def _participant(self, index: int) -> Participant:
        return Participant(
            self._keys[index],
            hub=self._hub,
            shards=self._chains.shard_connections,
            task=self._task,
            state=self._options.directory / "participants" / f"participant-{index}",
            setup=self._setup,
        )

    def _train(self, index: int, work: RoundWork) -> update_pb2.Update:
        """Train as the participant of that index would, and return its update."""
        images, labels = to_tensors(self._federation.parts[index])
        module = build_network(0)
        work.load_into(module)
        hints = self._hub.task_spec(self._task).training
        train_classifier(
            module, images, labels, options_of(hints, participant_index=index, round_number=work.number)
        )
        return work.prepare(module)

    def _submit_updates(self) -> Assignment:
        """Train and submit for everybody who is assigned to the first shard; return one of the assignments."""
        mine = None
        for index in range(self._options.participants):
            work = self._await_round(self._participant(index))
            if work.assignment.shard == self._shard_side.chain.chain_id:
                work.send(self._train(index, work))
                mine = work.assignment
        if mine is None:
            raise DemoStalled("nobody is assigned to the first shard")
        return mine

    def _await_round(self, participant: Participant) -> RoundWork:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return participant.prepare_round()
            except NotAssigned:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _client_of_shard(self) -> str:
        """Return the id of the hub's client that follows the first shard."""
        answer = self._chains.hub_connection.hub(
            lambda stub: stub.ListShards(hub_query.ListShardsRequest(), timeout=30.0)
        )
        chain_id = self._shard_side.chain.chain_id
        return next(shard.client_id for shard in answer.shards if shard.chain_id == chain_id)

    def _client_on_shard(self) -> str:
        """Return the id of the first shard's client that follows the hub."""
        request = ibc_query.ListClientsRequest()
        clients = self._shard_side.connection.ibc(
            lambda stub: stub.ListClients(request, timeout=30.0)
        ).clients
        return clients[0].client_id

    def _caught(self, by: str, error: RemoteError) -> Caught:
        return self._describe(by, error.CODESPACE, error.CODE, error.message)

    def _describe(self, by: str, codespace: str, code: int, message: str) -> Caught:
        for module in ("hub.errors", "shards.errors", "aggregation.errors", "ibc.errors"):
            importlib.import_module(module)  # they register their names
        known = REGISTRY.get((codespace, code))
        name = known.__name__ if known is not None else f"{codespace}/{code}"
        return Caught(self._place.value, by, name, codespace, code, message)

    def _missed(self) -> Caught:
        return Caught(self._place.value, "", "", "", 0, "the fault was taken for good")
