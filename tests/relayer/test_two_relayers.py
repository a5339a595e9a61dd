"""Two relayers between real chains: what one has done costs the other nothing, and either can die."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.packetnet import SENDER, running_packet_net
from relayer.config import load_config
from relayer.config_text import format_config
from relayer.state import SECOND_NS, RelayOptions
from tests.support.localnet import use_real_cometbft
from tests.support.packet_relay import check_delivered, relayer_process
from tests.support.waiting import eventually
from wire.gradchain.hub.v1 import query_pb2 as hub_query

if TYPE_CHECKING:
    from pathlib import Path

    from bench.packetnet import PacketNet

pytestmark = pytest.mark.localnet

KEYS = ("relayer", SENDER)
"""Accounts of the localnet that sign for the two relayers."""
BURST = 64
BURSTS = 3
GRACE_NS = 10 * SECOND_NS


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


def test_two_relayers_share_the_work_and_one_takes_over_when_the_other_dies(tmp_path: Path) -> None:
    use_real_cometbft()
    with running_packet_net(tmp_path) as net, ExitStack() as stack:
        shared = RelayOptions(relayers=2, grace_ns=GRACE_NS)
        configs = [write_config(net, place, replace(shared, position=place)) for place in range(2)]
        dying, _ = (stack.enter_context(relayer_process(config)) for config in configs)
        send_and_wait(net)
        calm = [check_delivered(net, chain) for chain in net.chains]
        addresses = [net.localnet.address(key) for key in KEYS]
        for here, _ in calm:
            assert all(here.signers[address] for address in addresses), "both relay to each chain"
        for chain in net.chains:
            chain.send(BURST)
        dying.send_signal(signal.SIGKILL)
        dying.wait()
        for chain in net.chains:
            chain.send(BURST)
        wait_for_all(net)
        audits = [check_delivered(net, chain) for chain in net.chains]
        # What was on its way when one died, and what a leader was too slow with, may travel twice; no more than that.
        redundant = sum(here.count_redundant() for here, _ in audits)
        assert redundant <= 2 * BURST


def test_a_packet_that_two_relayers_deliver_runs_once_and_costs_nobody_a_fee(tmp_path: Path) -> None:
    use_real_cometbft()
    with running_packet_net(tmp_path) as net, ExitStack() as stack:
        before = [balance(net, key) for key in KEYS]
        for position in range(2):
            # Neither knows of the other: each takes all packets for its own.
            stack.enter_context(relayer_process(write_config(net, position, RelayOptions())))
        send_and_wait(net)
        for chain in net.chains:
            check_delivered(net, chain)
        assert [balance(net, key) for key in KEYS] == before
