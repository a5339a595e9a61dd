"""Builders of valid statements, specs and transactions, for tests that then break one thing."""

from __future__ import annotations

from google.protobuf import any_pb2

from tx.envelope import make_tx
from tx.keys import SigningKey
from wire.gradchain.fl.v1 import task_pb2, update_pb2

NOW_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000


def build_key(number: int) -> SigningKey:
    """Return the same key for the same number."""
    return SigningKey.from_seed(number.to_bytes(32, "big"))


def build_tx(
    chain_id: str = "hub-1", keys: tuple[SigningKey, ...] | None = None, text: str = "hello"
) -> bytes:
    """Return a signed transaction with one message."""
    return make_tx(
        chain_id,
        [any_pb2.Any(type_url=text, value=b"content")],
        keys if keys is not None else (build_key(1),),
        NOW_NS + 60 * SECOND_NS,
        b"12345678",
        max_fee=7,
    )


def build_statement(key: SigningKey) -> update_pb2.UpdateStatement:
    """Return a statement that passes all stateless checks."""
    return update_pb2.UpdateStatement(
        hub_chain_id="hub-1",
        task=1,
        round=2,
        attempt=1,
        shard="shard-1",
        participant=key.public_key,
        spec_digest=b"\x01" * 32,
        base_root=b"\x02" * 32,
        scale=10,
        commitments=[b"\x03" * 48, b"\x04" * 48],
        payload_root=b"\x05" * 32,
        clipped=3,
        large=9,
        max_fee=100,
    )


def build_spec() -> task_pb2.TaskSpec:
    """Return a task spec that passes all stateless checks."""
    return task_pb2.TaskSpec(
        name="digits",
        description="A small model",
        licence="Apache-2.0",
        tensors=[
            task_pb2.TensorSpec(name="layer.weight", shape=[64, 10]),
            task_pb2.TensorSpec(name="layer.bias", shape=[10]),
        ],
        parameters=650,
        rule=task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0)),
        rounds=5,
        round_duration_ns=60 * SECOND_NS,
        min_shards=1,
        min_participants=4,
        participants_per_round=0,
        budget=1_000,
        start_scale=10,
        max_staleness=2,
        max_attempts=3,
        training=task_pb2.LocalTraining(
            optimiser="sgd", learning_rate="0.05", epochs=1, batch_size=32, seed=7
        ),
    )
