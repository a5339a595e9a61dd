"""A hub in memory: its app on the real execution path, and shards whose packets the test brings.

Light clients are created by the real handlers, from made-up states: the hub's packets are really sent over them.
Packets of shards are handed to the port inside a block, as if they had been proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from abci_app.context import BlockContext, Services
from abci_app.execution import BlockOutcome, check_tx, execute_block
from abci_app.state import BULK, Overlay
from aggregation.model import encode_model, model_root, to_fixed
from hub.accounts.keys import BALANCE_PREFIX
from hub.accounts.state import get_circulating, get_escrowed, get_supply
from hub.app import build_hub_app
from hub.rounds.port import HubPort
from hub.rounds.query import read_round
from hub.rounds.state import get_assigned, get_info
from hub.rounds.types import RoundId
from hub.tasks.state import count_tasks, get_spec, require_task
from ibc.clients import handle_create_client, handle_register_counterparty
from tests.support.aggregation import shared_setup
from tests.support.federation import Checkpointed, ShardRound, make_checkpoint, make_parts, make_updates
from tests.support.hub_packets import make_create_client, receive
from tests.support.shards import MemoryState
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.envelope import make_tx
from tx.keys import SigningKey, format_address
from wire.gradchain.fl.v1 import packet_pb2, task_pb2
from wire.gradchain.hub.v1 import query_pb2, tx_pb2
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message
    from numpy.typing import NDArray

    from abci_app.context import Event
    from abci_app.definition import AppDefinition
    from abci_app.state import StateWriter

    Step: TypeAlias = Callable[[BlockContext, StateWriter], None]

HUB_CHAIN: Final = "hub-1"
AUTHORITY: Final = build_key(900)
TREASURY: Final = build_key(901)
CREATOR: Final = build_key(902)
RELAYER: Final = build_key(903)
"""Anybody who carries bodies."""

SUPPLY: Final = 1_000_000
TRUSTING_S: Final = 14 * 24 * 60 * 60
ROUND_S: Final = 100
"""Seconds of a round, of which shards have the first eighty."""


def participant_key(number: int) -> SigningKey:
    """Return the key of a participant."""
    return build_key(number + 1)


def genesis_state(**params: int) -> dict[str, object]:
    """Return a valid `app_state`; the creator holds almost everything."""
    return {
        "authority": format_address(AUTHORITY.public_key),
        "treasury": format_address(TREASURY.public_key),
        "balances": {
            format_address(CREATOR.public_key): str(SUPPLY - 1_000),
            format_address(RELAYER.public_key): "1000",
        },
        "params": dict(params),
    }


def make_spec(
    parameters: int = 50, rule: task_pb2.Rule | None = None, /, **changes: int
) -> task_pb2.TaskSpec:
    """Return a spec of two rounds that starts with two participants and one shard."""
    spec = task_pb2.TaskSpec(
        name="tiny",
        tensors=[task_pb2.TensorSpec(name="weights", shape=[parameters])],
        parameters=parameters,
        rule=rule or task_pb2.Rule(mean=task_pb2.RuleMean()),
        rounds=2,
        round_duration_ns=ROUND_S * SECOND_NS,
        min_shards=1,
        min_participants=2,
        budget=1_000,
        start_scale=10,
        max_staleness=1,
        max_attempts=3,
    )
    for name, value in changes.items():
        setattr(spec, name, value)
    return spec


def make_model(parameters: int, seed: int = 0) -> bytes:
    """Return an encoded model."""
    return encode_model(to_fixed(np.random.default_rng(seed).normal(0, 1, parameters)))


@dataclass(slots=True)
class HubChain:
    """A hub whose blocks the test makes."""

    app: AppDefinition = field(default_factory=build_hub_app)
    state: MemoryState = field(default_factory=MemoryState)
    services: Services = field(default_factory=lambda: Services(shared_setup()))
    height: int = 0
    time_ns: int = NOW_NS
    inbox: list[Step] = field(default_factory=list)
    """What happens at the start of the next block."""
    acks: list[bytes] = field(default_factory=list)
    """Answers to the packets of shards: the acknowledgement, or the name of the error."""
    clients: dict[str, str] = field(default_factory=dict)
    """Light clients by the chain that they follow."""
    nonces: int = 0
    last: BlockOutcome | None = None

    # --- blocks --------------------------------------------------------------------------------------------------

    def start(self, app_state: Mapping[str, object] | None = None, /, **params: int) -> HubChain:
        """Execute the genesis."""
        overlay = Overlay(self.state)
        genesis = genesis_state(**params) if app_state is None else app_state
        self.app.init_genesis(self.context(0), overlay, genesis)
        self.state.apply(overlay)
        return self

    def context(self, height: int) -> BlockContext:
        """Return the context of a block at the current time."""
        block_hash = height.to_bytes(32, "big")
        return BlockContext(HUB_CHAIN, height, self.time_ns, block_hash, self.services)

    def block(self, *txs: bytes, after_s: float = 1) -> BlockOutcome:
        """Make the next block, so many seconds after the last one."""
        self.height += 1
        self.time_ns += int(after_s * SECOND_NS)
        app = replace(self.app, begin_hooks=(*self.app.begin_hooks, *self.inbox))
        self.inbox = []
        outcome = execute_block(app, self.context(self.height), self.state, txs)
        self.state.apply(outcome.state)
        self.last = outcome
        check_conservation(self.state)
        return outcome

    def check(self, tx: bytes) -> list[bytes]:
        """Run CheckTx."""
        return check_tx(self.app, self.context(self.height + 1), self.state, tx, frozenset())

    def sign(self, key: SigningKey, *messages: Message) -> bytes:
        """Return a transaction of one signer."""
        self.nonces += 1
        expires_at_ns = self.time_ns + 120 * SECOND_NS
        return make_tx(HUB_CHAIN, messages, [key], expires_at_ns, self.nonces.to_bytes(8, "big"))

    def send(self, key: SigningKey, *messages: Message) -> tuple[str, int]:
        """Make a block with one transaction; return (codespace, code) of its result."""
        result = self.block(self.sign(key, *messages)).results[0]
        return result.codespace, result.code

    def must_send(self, key: SigningKey, *messages: Message) -> tuple[Event, ...]:
        """Make a block with one transaction that succeeds; return its events."""
        result = self.block(self.sign(key, *messages)).results[0]
        if result.code:
            raise AssertionError(f"refused: {result.codespace}/{result.code}: {result.log}")
        return result.events

    def event_kinds(self) -> list[str]:
        """Return the kinds of the last block's events, those of its hooks last."""
        if self.last is None:
            return []
        of_txs = [event.kind for result in self.last.results for event in result.events]
        return of_txs + [event.kind for event in self.last.events]

    # --- tasks ---------------------------------------------------------------------------------------------------

    def create_task(self, spec: task_pb2.TaskSpec, model: bytes | None = None) -> int:
        """Create a task with its model, and return its number."""
        encoded = make_model(spec.parameters) if model is None else model
        parts = make_parts(encoded)
        message = tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=spec, model_root=model_root(encoded))
        self.must_send(CREATOR, message)
        number = count_tasks(self.state)
        self.must_send(CREATOR, tx_pb2.MsgUploadModel(creator=CREATOR.public_key, task=number, parts=parts))
        return number

    def register(self, task: int, *numbers: int) -> None:
        """Register participants, all in one block."""
        txs = []
        for number in numbers:
            key = participant_key(number)
            message = tx_pb2.MsgRegisterParticipant(participant=key.public_key, task=task)
            txs.append(self.sign(key, message))
        for result in self.block(*txs).results:
            if result.code:
                raise AssertionError(f"refused: {result.log}")

    # --- the link ------------------------------------------------------------------------------------------------

    def create_client(self, chain_id: str, trusting_s: int = TRUSTING_S, *, tied: bool = True) -> str:
        """Create a light client of a chain in the next block, by the real handler, and make that block."""
        created: list[str] = []

        def step(block: BlockContext, state: StateWriter) -> None:
            message = make_create_client(chain_id, block.time_ns, trusting_s, AUTHORITY.public_key)
            client_id = handle_create_client(block, state, message, signer=AUTHORITY.public_key)
            created.append(client_id)
            if tied:
                tie = client_v2_tx_pb2.MsgRegisterCounterparty(
                    client_id=client_id,
                    counterparty_merkle_prefix=[b"provable", b""],
                    counterparty_client_id="07-tendermint-0",
                )
                handle_register_counterparty(block, state, tie, signer=AUTHORITY.public_key)

        self.inbox.append(step)
        self.block()
        self.clients[chain_id] = created[0]
        return created[0]

    def add_shards(self, *chain_ids: str, trusting_s: int = TRUSTING_S) -> None:
        """Register shards with a light client each."""
        for chain_id in chain_ids:
            client_id = self.create_client(chain_id, trusting_s)
            message = tx_pb2.MsgRegisterShard(
                authority=AUTHORITY.public_key, chain_id=chain_id, client_id=client_id
            )
            self.must_send(AUTHORITY, message)

    def post(
        self, shard: str, content: packet_pb2.ShardPacket, relayer: SigningKey = RELAYER, **changes: str
    ) -> None:
        """Let a packet of a shard arrive in the next block."""

        def step(block: BlockContext, state: StateWriter) -> None:
            client_id = self.clients[shard]
            self.acks.append(receive(block, state, client_id, content, relayer=relayer.public_key, **changes))

        self.inbox.append(step)

    def deliver(
        self, shard: str, content: packet_pb2.ShardPacket, relayer: SigningKey = RELAYER, **changes: str
    ) -> bytes:
        """Make a block with a packet of a shard, and return the answer to it."""
        self.post(shard, content, relayer, **changes)
        self.block()
        return self.acks[-1]

    def answer(self, packet: channel_pb2.Packet, ack: bytes | None) -> None:
        """Let one of the hub's packets be acknowledged, or time out, in the next block."""

        def step(block: BlockContext, state: StateWriter) -> None:
            if ack is None:
                HubPort().on_timeout(block, state, packet, packet.payloads[0])
            else:
                HubPort().on_ack(block, state, packet, packet.payloads[0], ack)

        self.inbox.append(step)

    def sent(
        self, outcome: BlockOutcome | None = None
    ) -> list[tuple[channel_pb2.Packet, packet_pb2.HubPacket]]:
        """Return the packets that a block has sent, by default the last one."""
        block = self.last if outcome is None else outcome
        packets = []
        for event in block.events if block is not None else ():
            if event.kind == "send_packet":
                encoded = dict(event.attributes)["encoded_packet_hex"]
                packet = channel_pb2.Packet.FromString(bytes.fromhex(encoded))
                packets.append((packet, packet_pb2.HubPacket.FromString(packet.payloads[0].value)))
        return packets

    # --- rounds --------------------------------------------------------------------------------------------------

    def newest(self, task: int) -> RoundId:
        """Return the newest attempt of the newest round."""
        record = require_task(self.state, task)
        return RoundId(task, record.round, record.attempt)

    def round(self, round_id: RoundId) -> query_pb2.Round:
        """Return an attempt as the service shows it."""
        return read_round(self.state, round_id.task, round_id.round, round_id.attempt)

    def part(self, round_id: RoundId, shard: str) -> ShardRound:
        """Return a shard's part of an attempt, with the keys of its participants."""
        keys: dict[bytes, SigningKey] = {
            participant_key(number).public_key: participant_key(number) for number in range(64)
        }
        return ShardRound(
            hub_chain_id=HUB_CHAIN,
            spec=get_spec(self.state, round_id.task),
            info=get_info(self.state, round_id),
            shard=shard,
            keys=tuple(keys[participant] for participant in get_assigned(self.state, round_id, shard)),
        )

    def parts(self, task: int) -> list[ShardRound]:
        """Return all shards' parts of the newest attempt."""
        round_id = self.newest(task)
        return [self.part(round_id, entry.shard) for entry in get_info(self.state, round_id).shards]

    def body_tx(self, part: ShardRound, parts: Sequence[tx_pb2.DataPart]) -> bytes:
        """Return a transaction with parts of a body."""
        return self.sign(RELAYER, body_message(part, parts))

    def complete(self, part: ShardRound, checkpoint: Checkpointed | None = None) -> None:
        """Bring a shard's checkpoint with its body, in two blocks."""
        made = make_checkpoint(part) if checkpoint is None else checkpoint
        if self.deliver(part.shard, made.packet()) != b"\x01":
            raise AssertionError(f"checkpoint refused: {self.acks[-1]!r}")
        if made.parts:
            self.must_send(RELAYER, body_message(part, made.parts))

    def run_round(self, task: int, values: Mapping[bytes, NDArray[np.int8]] | None = None) -> RoundId:
        """Bring the checkpoints of all shards for the newest round, and return its id."""
        round_id = self.newest(task)
        for part in self.parts(task):
            self.complete(part, make_checkpoint(part, make_updates(part, values)))
        return round_id

    def forget(self) -> None:
        """Empty the node's cache of verdicts, as a restart does."""
        self.services = Services(self.services.kzg)


def body_message(
    part: ShardRound, parts: Sequence[tx_pb2.DataPart], submitter: SigningKey = RELAYER
) -> tx_pb2.MsgSubmitBody:
    """Return the message that carries parts of a shard's body."""
    return tx_pb2.MsgSubmitBody(
        submitter=submitter.public_key,
        task=part.info.task,
        round=part.info.round,
        attempt=part.info.attempt,
        shard=part.shard,
        parts=parts,
    )


def check_conservation(state: MemoryState) -> None:
    """Check that no token was made or lost, by counting all balances."""
    balances = sum(int.from_bytes(value, "big") for _, value in state.scan(BULK, BALANCE_PREFIX))
    escrows = sum(require_task(state, number).escrow for number in range(1, count_tasks(state) + 1))
    assert balances == get_circulating(state)
    assert escrows == get_escrowed(state)
    assert balances + escrows == get_supply(state)


def codes(outcome: BlockOutcome) -> list[tuple[str, int]]:
    """Return (codespace, code) of every transaction of a block."""
    return [(result.codespace, result.code) for result in outcome.results]


def start_training(
    shards: int = 1,
    participants: int = 4,
    *,
    parameters: int = 50,
    rule: task_pb2.Rule | None = None,
    params: Mapping[str, int] | None = None,
    **changes: int,
) -> tuple[HubChain, int]:
    """Return a hub whose only task has just opened its first round, and the task's number."""
    chain = HubChain().start(**(params or {}))
    chain.add_shards(*(f"shard-{number + 1}" for number in range(shards)))
    spec = make_spec(parameters, rule, **{"min_participants": participants, **changes})
    task = chain.create_task(spec)
    chain.register(task, *range(participants))
    return chain, task
