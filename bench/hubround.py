"""A hub in this process that waits for the body of a checkpoint, and that body, made by a real shard.

Two shards take part in the round and only one delivers, so that no round ends under measurement: what is left is the
price of one checkpoint.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.merkle import merkle_paths
from aggregation.model import encode_model, model_chunks, model_root, to_fixed
from bench.inprocess import SECOND_NS, START_NS, InProcessChain
from bench.material import draw_contents, sign_update
from bench.shardnet import bundle_tx
from hub.app import build_hub_app
from hub.rounds.port import HubPort
from hub.rounds.query import read_assignment
from ibc.client_state import ClientState, pack_client_state, pack_consensus_state
from ibc.identifiers import ZERO_HEIGHT, Height, parse_revision
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.proof_spec import DEFAULT_SPECS
from ibc.query import list_pending_packets
from ibc.tendermint import TrustedState, TrustOptions
from ibc.voting import Fraction
from localnet.keys import derive_key
from participant.updates import Assignment
from shards.app import build_shard_app
from shards.checkpoints.query import list_body_parts
from shards.checkpoints.state import get_header
from shards.port import ShardPort
from shards.rounds.types import RoundId
from tx.codec import encode
from tx.envelope import MAX_MESSAGES
from tx.keys import format_address
from wire.gradchain.fl.v1 import packet_pb2, task_pb2
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

    from abci_app.context import BlockContext
    from abci_app.state import StateWriter
    from aggregation.kzg import Setup
    from tx.keys import PublicKey, SigningKey

SEED: Final = "gradchain bench"
HUB: Final = "hub"
SHARDS: Final = ("shard-0", "shard-1")
BUDGET: Final = 1_000_000
ROUND_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 86_400 * SECOND_NS
SHARD_SIDE_CLIENT: Final = "07-tendermint-0"
UPDATES_A_BLOCK: Final = 32
"""Keeps the blocks that bring updates to the shard small."""

AUTHORITY: Final = derive_key(SEED, "authority")
CREATOR: Final = derive_key(SEED, "creator")
CARRIER: Final = derive_key(SEED, "relayer")


@dataclass(frozen=True, slots=True)
class AwaitedBody:
    """A hub that knows a checkpoint's header, and the rest of the checkpoint."""

    hub: InProcessChain
    tx: bytes
    """Brings the whole body."""
    body: packet_pb2.CheckpointBody


@contextmanager
def awaited_body(directory: Path, setup: Setup, updates: int, parameters: int) -> Iterator[AwaitedBody]:
    """Set everything up for a checkpoint of so many updates."""
    genesis = {
        "authority": format_address(AUTHORITY.public_key),
        "treasury": format_address(AUTHORITY.public_key),
        "balances": {format_address(CREATOR.public_key): str(BUDGET)},
        "params": {},
    }
    with InProcessChain(build_hub_app(), HUB, directory / "hub", setup, genesis) as hub:
        _admit_shards(hub)
        keys = {key.public_key: key for key in (_participant(index) for index in range(2 * updates))}
        task = _start_task(hub, list(keys.values()), parameters)
        header, tx, body = _make_checkpoint(hub, directory, setup, task, keys, parameters)
        hub.add_step(lambda block, state: _receive(block, state, header))
        hub.block()
        yield AwaitedBody(hub, tx, body)


def _participant(index: int) -> SigningKey:
    return derive_key(SEED, "participant", str(index))


def _admit_shards(hub: InProcessChain) -> None:
    """Create a light client of each shard, from a state that nobody has signed, and register the shards."""
    signer = format_address(AUTHORITY.public_key)
    messages: list[Message] = []
    for number, shard in enumerate(SHARDS):
        trust = TrustOptions(shard, Fraction(2, 3), DAY_NS, 10 * SECOND_NS)
        client = ClientState(trust, 2 * DAY_NS, Height(parse_revision(shard), 1), ZERO_HEIGHT, DEFAULT_SPECS)
        trusted = TrustedState(1, START_NS, b"\x01" * 32, b"\x02" * 32)
        client_id = f"07-tendermint-{number}"
        messages += [
            client_tx.MsgCreateClient(
                client_state=pack_client_state(client),
                consensus_state=pack_consensus_state(trusted),
                signer=signer,
            ),
            client_v2_tx.MsgRegisterCounterparty(
                client_id=client_id,
                counterparty_merkle_prefix=[b"provable", b""],
                counterparty_client_id=SHARD_SIDE_CLIENT,
                signer=signer,
            ),
            hub_tx.MsgRegisterShard(authority=AUTHORITY.public_key, chain_id=shard, client_id=client_id),
        ]
    hub.block(hub.sign(messages, AUTHORITY))


def _start_task(hub: InProcessChain, keys: Sequence[SigningKey], parameters: int) -> int:
    """Create the hub's first task, with all participants, and return its number."""
    encoded = encode_model(to_fixed(np.zeros(parameters)))
    spec = task_pb2.TaskSpec(
        name="bench",
        tensors=[task_pb2.TensorSpec(name="weights", shape=[parameters])],
        parameters=parameters,
        rule=task_pb2.Rule(mean=task_pb2.RuleMean()),
        rounds=1,
        round_duration_ns=ROUND_NS,
        min_shards=len(SHARDS),
        min_participants=len(keys),
        budget=BUDGET,
        start_scale=10,
        max_attempts=1,
    )
    create = hub_tx.MsgCreateTask(creator=CREATOR.public_key, spec=spec, model_root=model_root(encoded))
    hub.block(hub.sign([create], CREATOR))
    chunks = model_chunks(encoded)
    parts = [
        hub_tx.DataPart(index=index, data=chunk, path=path)
        for index, (chunk, path) in enumerate(zip(chunks, merkle_paths(chunks), strict=True))
    ]
    task = 1
    hub.block(hub.sign([hub_tx.MsgUploadModel(creator=CREATOR.public_key, task=task, parts=parts)], CREATOR))
    txs = []
    for start in range(0, len(keys), MAX_MESSAGES):
        some = keys[start : start + MAX_MESSAGES]
        messages = [hub_tx.MsgRegisterParticipant(participant=key.public_key, task=task) for key in some]
        txs.append(hub.sign(messages, *some))
    hub.block(*txs)
    return task


def _make_checkpoint(
    hub: InProcessChain,
    directory: Path,
    setup: Setup,
    task: int,
    keys: Mapping[PublicKey, SigningKey],
    parameters: int,
) -> tuple[packet_pb2.Checkpoint, bytes, packet_pb2.CheckpointBody]:
    """Let the first shard take its participants' updates; return header, body transaction and body."""
    genesis = {
        "authority": format_address(AUTHORITY.public_key),
        "hub_chain_id": HUB,
        "hub_client_id": SHARD_SIDE_CLIENT,
        "params": {},
    }
    with InProcessChain(build_shard_app(), SHARDS[0], directory / "shard", setup, genesis) as shard:
        sent = list_pending_packets(
            hub.state, ibc_query.ListPendingPacketsRequest(client_id="07-tendermint-0")
        ).packets[0]
        shard.add_step(
            lambda block, state: _discard(
                ShardPort().on_recv(block, state, sent.packet, sent.packet.payloads[0], CARRIER.public_key)
            )
        )
        shard.block()
        assignments = {key: read_assignment(hub.state, task, 0, key) for key in keys}
        mine = {key: found for key, found in assignments.items() if found.shard == SHARDS[0]}
        contents = draw_contents(setup, parameters, len(mine))
        updates = [
            sign_update(keys[key], Assignment(HUB, found.info, found.shard, found.proof), next(contents))
            for key, found in mine.items()
        ]
        for start in range(0, len(updates), UPDATES_A_BLOCK):
            shard.block(bundle_tx(updates[start : start + UPDATES_A_BLOCK]))
        round_id = RoundId(task, 1, 0)
        header = get_header(shard.state, round_id)
        if header is None:
            raise LookupError("the shard closed no round although all updates are in")
        found = list_body_parts(shard.state, round_id, 0, 0)
    parts = [hub_tx.DataPart(index=part.index, data=part.data, path=part.path) for part in found.parts]
    message = hub_tx.MsgSubmitBody(
        submitter=CARRIER.public_key, task=task, round=1, attempt=0, shard=SHARDS[0], parts=parts
    )
    body = packet_pb2.CheckpointBody.FromString(b"".join(part.data for part in found.parts))
    return header, hub.sign([message], CARRIER), body


def _receive(block: BlockContext, state: StateWriter, header: packet_pb2.Checkpoint) -> None:
    payload = channel_pb2.Payload(
        source_port=SHARD_PORT,
        destination_port=HUB_PORT,
        version=VERSION,
        encoding=ENCODING,
        value=encode(packet_pb2.ShardPacket(checkpoint=header)),
    )
    packet = channel_pb2.Packet(
        sequence=1,
        source_client=SHARD_SIDE_CLIENT,
        destination_client="07-tendermint-0",
        payloads=[payload],
    )
    HubPort().on_recv(block, state, packet, payload, CARRIER.public_key)


def _discard(_answer: object) -> None:
    """Take an answer that nobody waits for."""
