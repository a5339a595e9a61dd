from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localnet.errors import NoFreePorts
from localnet.ports import ANY_LOW, ANY_SPAN, STRIDE, USED, allocate_ports, choose_base_port

taken_ports = st.sets(st.integers(20_000, 20_200))


@given(st.integers(0, 12), st.integers(20_000, 20_100), taken_ports)
def test_ports_are_free_and_given_once(count: int, base: int, taken: set[int]) -> None:
    allocated = allocate_ports(count, base, lambda port: port not in taken)
    ports = [port for node in allocated for port in (node.p2p, node.rpc, node.grpc, node.metrics)]
    assert len(allocated) == count
    assert len(set(ports)) == USED * count
    assert not taken & set(ports)
    assert all(port >= base for port in ports)


def test_without_other_listeners_nodes_stand_at_round_numbers() -> None:
    allocated = allocate_ports(3, 26_600, lambda _: True)
    assert [node.p2p for node in allocated] == [26_600, 26_600 + STRIDE, 26_600 + 2 * STRIDE]


def test_the_end_of_the_port_numbers_is_an_error() -> None:
    with pytest.raises(NoFreePorts, match="for 2 nodes from 65530"):
        allocate_ports(2, 65_530, lambda _: True)
    with pytest.raises(NoFreePorts):
        allocate_ports(1, 1_024, lambda _: False)


@given(st.text())
def test_any_ports_lie_below_those_of_outgoing_connections(directory: str) -> None:
    base = choose_base_port(directory)
    assert ANY_LOW <= base < ANY_LOW + ANY_SPAN < 32_768
    assert base == choose_base_port(directory)
