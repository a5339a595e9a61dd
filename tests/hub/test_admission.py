"""What the hub keeps out of its mempool because nobody needs it."""

from __future__ import annotations

import pytest

from abci_app.execution import RefusedResult
from ibc.errors import RelayRedundant, UnneededUpdate
from tests.support.federation import Checkpointed, ShardRound, make_checkpoint, make_updates
from tests.support.hub import AUTHORITY, RELAYER, HubChain, body_message, codes, make_spec, start_training
from tests.support.hub_link import RELAYER as SIGNER
from tests.support.hub_link import SimulatedShard
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

LARGE = 70_000
"""Parameters of a model whose aggregate takes four parts."""


def start(parameters: int = 50) -> tuple[HubChain, ShardRound, Checkpointed]:
    """Return a hub that waits for the body of the first of two shards."""
    chain, task = start_training(2, 2, parameters=parameters)
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    chain.deliver(part.shard, made.packet())
    return chain, part, made


def refusal(chain: HubChain, tx: bytes) -> tuple[str, int]:
    """Return the code with which CheckTx refuses a transaction."""
    with pytest.raises(RefusedResult) as refused:
        chain.check(tx)
    return refused.value.result.codespace, refused.value.result.code


REDUNDANT = (RelayRedundant.CODESPACE, RelayRedundant.CODE)


def test_a_body_that_was_rejected_is_kept_out() -> None:
    chain, task = start_training(2, 4)
    part = chain.parts(task)[0]
    false = make_checkpoint(part, make_updates(part)[:1])
    false.header.grams_root = b"\x01" * 32
    chain.deliver(part.shard, false.packet())
    chain.must_send(RELAYER, body_message(part, false.parts))
    assert refusal(chain, chain.body_tx(part, false.parts)) == REDUNDANT


def test_an_old_body_does_not_get_in_beside_something_new() -> None:
    chain, part, made = start(LARGE)
    chain.must_send(RELAYER, body_message(part, made.parts[:1]))
    both = chain.sign(RELAYER, body_message(part, made.parts[:1]), body_message(part, made.parts[1:2]))
    assert refusal(chain, both) == REDUNDANT


def test_what_would_fail_is_kept_out_with_its_own_code() -> None:
    chain, part, made = start()
    unknown, elsewhere, forged = (body_message(part, made.parts) for _ in range(3))
    unknown.round = 9
    elsewhere.shard = "shard-9"
    forged.parts[0].data = bytes(len(forged.parts[0].data))
    found = [refusal(chain, chain.sign(RELAYER, message)) for message in (unknown, elsewhere, forged)]
    assert found == [("hub", 80), ("hub", 80), ("aggregation", 6)]


def test_a_client_update_that_proves_nothing_is_refused() -> None:
    chain = HubChain().start()
    shard = SimulatedShard(chain)
    chain.must_send(AUTHORITY, *shard.link())
    task = chain.create_task(make_spec())
    chain.register(task, 0, 1)
    packet = shard.send(make_checkpoint(chain.parts(task)[0]).packet())
    update, message = shard.relay_messages(packet)
    assert isinstance(update, client_tx_pb2.MsgUpdateClient)
    alone = chain.sign(SIGNER, update)
    expected = (UnneededUpdate.CODESPACE, UnneededUpdate.CODE)
    assert refusal(chain, alone) == expected
    assert codes(chain.block(alone)) == [expected]
    assert codes(chain.block(chain.sign(SIGNER, update, message))) == [("", 0)]
