from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localnet.errors import AppHashesDiverge
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from localnet.status import Observation, check_agreement, collect_reports, find_divergences
from tests.support.localnet import build_report
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_nodes_that_agree_raise_no_alarm() -> None:
    state = Observation(7, "aa")
    reports = [replace(build_report(f"hub.{index}"), states=(state,)) for index in range(4)]
    assert find_divergences(reports) == []
    check_agreement(reports)


def test_two_hashes_at_one_height_raise_the_alarm_with_the_nodes() -> None:
    reports = [
        replace(build_report("hub.0"), states=(Observation(7, "aa"),)),
        replace(build_report("hub.1"), states=(Observation(9, "cc"), Observation(7, "bb"))),
        replace(build_report("hub.2"), states=(Observation(7, "aa"),)),
    ]
    (divergence,) = find_divergences(reports)
    assert (divergence.chain, divergence.height) == ("hub", 7)
    assert divergence.nodes_by_hash == {"aa": ("hub.0", "hub.2"), "bb": ("hub.1",)}
    with pytest.raises(
        AppHashesDiverge, match=r"chain hub at height 7: aa of hub\.0, hub\.2 against bb of hub\.1"
    ):
        check_agreement(reports)


def test_different_heights_and_different_chains_are_not_compared() -> None:
    check_agreement(
        [
            replace(build_report("hub.0"), states=(Observation(7, "aa"),)),
            replace(build_report("hub.1"), states=(Observation(8, "bb"),)),
            replace(build_report("shard.0", chain="shard"), states=(Observation(7, "cc"),)),
        ]
    )


def test_a_node_that_says_nothing_is_no_divergence() -> None:
    check_agreement([build_report("hub.0"), replace(build_report("hub.1"), states=(Observation(1, "aa"),))])
    assert build_report("hub.0").app_hash == ""


@contextmanager
def serving(address: str, height: int, app_hash: bytes) -> Iterator[None]:
    """Play an app that still answers although its CometBFT has halted."""
    answer = query_pb2.GetStatusResponse(height=height, app_hash=app_hash)
    method = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: answer,
        request_deserializer=query_pb2.GetStatusRequest.FromString,
        response_serializer=query_pb2.GetStatusResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("gradchain.node.v1.NodeService", {"GetStatus": method}),)
    )
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def test_apps_are_asked_themselves_when_their_engines_have_halted(tmp_path: Path) -> None:
    manifest = parse_manifest(
        {"name": "net", "seed": "s", "validators": 2, "chains": [{"name": "hub", "kind": "hub"}]}, "test"
    )
    first, second = Localnet.create(manifest, tmp_path).nodes
    with (
        serving(first.grpc_address, 7, b"\xaa"),
        serving(second.grpc_address, 7, b"\xbb"),
    ):
        reports = collect_reports([first, second])
    assert [report.answers for report in reports] == [False, False]
    with pytest.raises(AppHashesDiverge, match=r"aa of hub\.0 against bb of hub\.1"):
        check_agreement(reports)
    assert [report.states for report in collect_reports([first, second])] == [(), ()]


states = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["aa", "bb"])), max_size=3)


@given(st.lists(states, max_size=5))
def test_an_alarm_is_raised_exactly_when_a_height_has_two_hashes(told: list[list[tuple[int, str]]]) -> None:
    reports = [
        replace(build_report(f"hub.{index}"), states=tuple(Observation(*state) for state in items))
        for index, items in enumerate(told)
    ]
    by_height: dict[int, set[str]] = {}
    for items in told:
        for height, app_hash in items:
            by_height.setdefault(height, set()).add(app_hash)
    expected = {height for height, hashes in by_height.items() if len(hashes) > 1}
    assert {divergence.height for divergence in find_divergences(reports)} == expected
