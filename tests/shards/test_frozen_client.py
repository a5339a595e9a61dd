"""A shard whose hub has contradicted itself: through the app's own handlers, with real headers."""

from __future__ import annotations

from ibc.client_state import pack_misbehaviour
from ibc.state import require_client
from tests.support.ibc_evidence import fork_block
from tests.support.shard_link import RELAYER, SimulatedHub
from tests.support.shard_rounds import build_round
from tests.support.shards import AUTHORITY, HUB_CLIENT, ShardChain, codes
from tests.support.txs import NOW_NS, SECOND_NS
from tx.keys import SigningKey, format_address
from wire.gradchain.fl.v1 import packet_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

SUBSTITUTE = "07-tendermint-1"


def start() -> tuple[ShardChain, SimulatedHub]:
    chain, hub = ShardChain().start(linked=False), SimulatedHub()
    assert codes(chain.block(hub.link())) == [("", 0)]
    return chain, hub


def make_evidence(hub: SimulatedHub) -> client_tx_pb2.MsgUpdateClient:
    hub.sim.add_block()
    height = hub.sim.height
    evidence = tendermint_pb2.Misbehaviour(
        header_1=hub.sim.wrap(fork_block(hub.sim, height), 1), header_2=hub.sim.update(1, height)
    )
    return client_tx_pb2.MsgUpdateClient(
        client_id=HUB_CLIENT,
        client_message=pack_misbehaviour(evidence),
        signer=format_address(RELAYER.public_key),
    )


def recovery(signer: SigningKey) -> client_tx_pb2.MsgRecoverClient:
    return client_tx_pb2.MsgRecoverClient(
        subject_client_id=HUB_CLIENT,
        substitute_client_id=SUBSTITUTE,
        signer=format_address(signer.public_key),
    )


def test_evidence_needs_no_packet_and_freezes_the_client() -> None:
    chain, hub = start()
    tx = hub.sign(RELAYER, make_evidence(hub))
    assert chain.check_tx(tx)
    assert codes(chain.block(tx)) == [("", 0)]
    assert require_client(chain.state, HUB_CLIENT).is_frozen


def test_a_frozen_client_opens_no_round() -> None:
    chain, hub = start()
    packet = hub.send(
        packet_pb2.HubPacket(round_opened=build_round().opened), timeout_s=NOW_NS // SECOND_NS + 100
    )
    relayed = hub.relay(packet)
    chain.block(hub.sign(RELAYER, make_evidence(hub)))
    assert codes(chain.block(relayed)) == [("ibc", 52)]


def test_the_authority_of_a_shard_recovers_its_client() -> None:
    chain, hub = start()
    chain.block(hub.sign(RELAYER, make_evidence(hub)))
    hub.sim.add_block()
    assert codes(chain.block(hub.link(client_id=SUBSTITUTE))) == [("", 0)]
    assert codes(chain.block(hub.sign(RELAYER, recovery(RELAYER)))) == [("ibc", 56)]
    assert codes(chain.block(hub.sign(AUTHORITY, recovery(AUTHORITY)))) == [("", 0)]
    assert not require_client(chain.state, HUB_CLIENT).is_frozen
    packet = hub.send(
        packet_pb2.HubPacket(round_opened=build_round().opened), timeout_s=NOW_NS // SECOND_NS + 100
    )
    hub.start = require_client(chain.state, HUB_CLIENT).latest_height.height
    assert codes(chain.block(hub.relay(packet))) == [("", 0)]
