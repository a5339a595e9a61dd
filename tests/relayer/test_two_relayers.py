"""Two relayers between real chains: what one has done costs the other nothing, and either can die."""

from __future__ import annotations

import signal
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.grpc_errors import RemoteError
from abci_app.rpc import CometRpc
from bench.chainaudit import audit_chain
from bench.packetnet import SENDER, running_packet_net
from ibc.errors import RelayRedundant
from relayer.config import load_config
from relayer.config_text import format_config
from relayer.journal import JournalReader
from relayer.state import SECOND_NS, RelayOptions
from tests.support.localnet import use_real_cometbft
from tests.support.packet_relay import check_delivered, relayer_process
from tests.support.waiting import eventually
from tx.envelope import ParsedTx, parse_envelope
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx
from wire.ibc.core.client.v1 import tx_pb2 as client_tx

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.message import Message

    from bench.packetnet import PacketChain, PacketNet
    from relayer.types import TxRecord

pytestmark = pytest.mark.localnet

KEYS = ("relayer", SENDER)
"""Accounts of the localnet that sign for the two relayers."""
BURST = 64
BURSTS = 3
GRACE_NS = 5 * SECOND_NS
REDUNDANT = (RelayRedundant.CODESPACE, RelayRedundant.CODE)


def write_config(net: PacketNet, position: int, options: RelayOptions) -> Path:
    """Write the configuration of one of the relayers, with a key and a journal of its own."""
    directory = net.directory / f"relayer-{position}"
    directory.mkdir(exist_ok=True)
    config = load_config(net.config)
    keys = (net.localnet.key_path(KEYS[position]),)
    own = replace(
        config,
        hub=replace(config.hub, key_files=keys),
        shards=tuple(replace(shard, key_files=keys) for shard in config.shards),
        journal=directory / "relayer.db",
        options=options,
    )
    path = directory / "relayer.toml"
    path.write_text(format_config(own), encoding="utf-8")
    return path


def send_and_wait(net: PacketNet, bursts: int = BURSTS) -> None:
    for _ in range(bursts):
        for chain in net.chains:
            chain.send(BURST)
    wait_for_all(net)


def wait_for_all(net: PacketNet) -> None:
    for chain in net.chains:
        eventually(lambda chain=chain: chain.count_pending() == 0, "every packet to end")  # type: ignore[misc]


def balance(net: PacketNet, account: str) -> int:
    """Return what an account has on the hub, the only chain with tokens."""
    request = hub_query.GetAccountRequest(account=net.localnet.key(account).public_key)
    return int(net.hub.connection.hub(lambda stub: stub.GetAccount(request, timeout=30.0)).balance)


def relay_pay(net: PacketNet, account: str) -> int:
    """Return how many deliveries of an account the hub has paid for."""
    request = hub_query.GetRelayPayRequest(account=net.localnet.key(account).public_key)
    return int(net.hub.connection.hub(lambda stub: stub.GetRelayPay(request, timeout=30.0)).packets)


def count_signed(net: PacketNet, position: int) -> int:
    """Return how many messages about packets in the blocks of both chains one of the relayers has signed."""
    address = net.localnet.address(KEYS[position])
    return sum(audit_chain(end.chain.rpc_urls[0]).signers[address] for end in net.chains)


def send_past_death(net: PacketNet, dying: Popen[bytes]) -> None:
    """Kill a relayer with packets on their way, send more, and wait until the other one has ended all."""
    for chain in net.chains:
        chain.send(BURST)
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    for chain in net.chains:
        chain.send(BURST)
    wait_for_all(net)


def wait_until_back(net: PacketNet, position: int) -> None:
    """Send packets until a relayer that has been started anew has delivered some."""
    before = count_signed(net, position)

    def is_back() -> bool:
        send_and_wait(net, 1)
        return count_signed(net, position) > before

    eventually(is_back, "a restarted relayer to deliver")


def check_shared(net: PacketNet, deaths: int) -> None:
    """Check that all packets ended once, and that no more travelled twice than deaths explain.

    What was on its way when one died, and what a leader was too slow with, may travel twice.
    """
    audits = [check_delivered(net, chain) for chain in net.chains]
    assert sum(here.count_redundant() for here, _ in audits) <= 2 * BURST * deaths


def test_two_relayers_share_the_work_and_either_takes_over_when_the_other_dies(tmp_path: Path) -> None:
    use_real_cometbft()
    with running_packet_net(tmp_path) as net, ExitStack() as stack:
        shared = RelayOptions(relayers=2, grace_ns=GRACE_NS)
        configs = [write_config(net, place, replace(shared, position=place)) for place in range(2)]
        first, second = (stack.enter_context(relayer_process(config)) for config in configs)
        send_and_wait(net)
        calm = [check_delivered(net, chain) for chain in net.chains]
        addresses = [net.localnet.address(key) for key in KEYS]
        for here, _ in calm:
            assert all(here.signers[address] for address in addresses), "both relay to each chain"
        send_past_death(net, first)
        check_shared(net, deaths=1)
        stack.enter_context(relayer_process(configs[0]))
        wait_until_back(net, 0)
        send_past_death(net, second)
        check_shared(net, deaths=2)


def count_wasted(net: PacketNet) -> int:
    """Return how many deliveries of the two relayers came after another one of the same packets.

    They were refused before a block, or were a no-op in one.
    """
    refused = sum(
        tx.failure is not None and (tx.failure.codespace, tx.failure.code) == REDUNDANT
        for position in range(2)
        for tx in read_txs(net, position)
    )
    return refused + sum(audit_chain(end.chain.rpc_urls[0]).count_redundant() for end in net.chains)


def read_txs(net: PacketNet, position: int) -> tuple[TxRecord, ...]:
    """Return the transactions that one of the relayers has made."""
    with closing(JournalReader(net.directory / f"relayer-{position}" / "relayer.db")) as journal:
        return journal.txs()


def find_relayed(end: PacketChain, kind: type[Message]) -> list[Message]:
    """Return the messages of a transaction in a block that carries such a message."""
    with CometRpc(end.chain.rpc_urls[0]) as rpc:
        for height in range(1, rpc.abci_info().height + 1):
            for data in rpc.block(height).txs:
                parsed = parse_envelope(data)
                if isinstance(parsed, ParsedTx) and any(any_.Is(kind.DESCRIPTOR) for any_ in parsed.messages):
                    return [unpack(message) for message in parsed.messages]
    raise AssertionError(f"expected a {kind.DESCRIPTOR.name} in a block of {end.chain.name}")


def unpack(packed: AnyMessage) -> Message:
    classes: tuple[type[Message], ...] = (
        channel_tx.MsgRecvPacket,
        channel_tx.MsgAcknowledgement,
        client_tx.MsgUpdateClient,
    )
    found = next(kind for kind in classes if packed.Is(kind.DESCRIPTOR))()
    packed.Unpack(found)
    return found


def deliver_again(net: PacketNet, end: PacketChain, kind: type[Message], account: str) -> None:
    """Let an account carry what was carried before; it is kept out of the mempool, so nothing can be paid for it."""
    messages = find_relayed(end, kind)
    for message in messages:
        setattr(message, "signer", net.localnet.address(account))  # noqa: B010 - all of these have one
    with pytest.raises(RemoteError) as caught:
        end.connection.send(end.chain.chain_id, messages, [net.localnet.key(account)])
    assert (caught.value.CODESPACE, caught.value.CODE) == REDUNDANT


def test_what_two_relayers_deliver_runs_once_and_the_second_delivery_costs_no_fee(tmp_path: Path) -> None:
    use_real_cometbft()
    with running_packet_net(tmp_path) as net, ExitStack() as stack:
        before = [balance(net, key) for key in KEYS]
        for position in range(2):
            # Neither knows of the other: each takes all packets for its own.
            stack.enter_context(relayer_process(write_config(net, position, RelayOptions())))
        send_and_wait(net)
        for chain in net.chains:
            check_delivered(net, chain)
        # The second of two deliveries may come after the packets have ended, and be noted later still.
        eventually(lambda: count_wasted(net) > 0, "both to have tried the same")
        assert all(read_txs(net, position) for position in range(2)), "both have tried"
        for account in KEYS:
            deliver_again(net, net.shard, channel_tx.MsgRecvPacket, account)
            deliver_again(net, net.hub, channel_tx.MsgAcknowledgement, account)
        assert [balance(net, key) for key in KEYS] == before
        assert [relay_pay(net, key) for key in KEYS] == [0, 0]
