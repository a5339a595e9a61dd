from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from bench.context import BenchContext
from bench.errors import WrongVerdict
from bench.goclient import running_go_client
from bench.hubround import awaited_body
from bench.lightchain import TRUSTED_HEIGHT, make_update
from bench.repeat import Case, time_in_turn
from bench.rows import blocks, client, hub, kzg, updates
from tests.support.aggregation import shared_setup
from tests.support.localnet import use_real_cometbft
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Line


@pytest.fixture
def context(tmp_path: Path) -> BenchContext:
    return BenchContext(tmp_path, True, lambda _text: None)


def check_lines(lines: list[Line], row: str) -> None:
    assert lines
    for line in lines:
        assert line.row == row
        assert line.ours.value > 0
        assert line.ratio is None or line.ratio > 0


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_no_benchmark_starts_a_module_of_the_tests() -> None:
    """Imports are checked with the layers; a process is started by a name in a text."""
    sources = (ROOT / "bench").rglob("*.py")
    assert [path for path in sources if '"tests.' in path.read_text(encoding="utf-8")] == []


def test_cases_are_timed_in_turn_after_one_uncounted_pass() -> None:
    order: list[str] = []
    cases = [Case(name, lambda name=name: order.append(name)) for name in "ab"]  # type: ignore[misc]
    samples = time_in_turn(cases, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in samples.items()} == {"a": 2, "b": 2}


def test_batches_of_commitments_are_measured(context: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kzg, "BATCHES", (2,))
    monkeypatch.setattr(kzg, "LIARS", 2)
    monkeypatch.setattr(kzg, "SINGLES", 1)
    lines = kzg.run(context)
    check_lines(lines, "kzg")
    assert [line.case for line in lines] == ["a blob, batch of 2"] * 2 + ["a blob, 2 of 2 lie"] * 2


def test_a_checkpoint_is_measured(tmp_path: Path) -> None:
    with awaited_body(tmp_path, shared_setup(), 3, 50) as awaited:
        assert len(awaited.body.certificates) == 3
        line = hub.measure(shared_setup(), awaited, 3, 1)
    check_lines([line], "hub")


def test_a_body_that_does_not_verify_is_no_figure(tmp_path: Path) -> None:
    with awaited_body(tmp_path, shared_setup(), 2, 50) as awaited:
        awaited.hub.block(awaited.tx)
        # The hub has the body by now, so bringing it again verifies nothing.
        with pytest.raises(WrongVerdict):
            hub.measure(shared_setup(), awaited, 2, 1)


def test_blocks_through_the_server_are_measured(
    context: BenchContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = children()
    monkeypatch.setattr(blocks, "LARGE", 3)
    check_lines(blocks.run(context), "socket")
    assert children() <= before


@pytest.mark.parametrize("way", client.WAYS)
def test_a_client_update_is_measured_beside_cometbfts_light_client(way: str) -> None:
    with running_go_client() as reference:
        lines = client.measure(reference, 4, way, 1)
    check_lines(lines, "client")
    assert [line.yardstick_name for line in lines] == ["CometBFT light, Go", "its signatures alone"]


def test_a_header_that_does_not_verify_is_no_figure() -> None:
    update = make_update(4, TRUSTED_HEIGHT + 1)
    for vote in update.header.signed_header.commit.signatures:
        vote.signature = bytes(64)
    with running_go_client() as reference, pytest.raises(WrongVerdict, match="CometBFT"):
        reference.time(update, 1)


@pytest.mark.localnet
def test_updates_are_measured_beside_the_kvstore(
    context: BenchContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_real_cometbft()
    before = children()
    monkeypatch.setattr(updates, "WARM_UP", 1)
    lines = updates.measure_updates(context, "updates-1", 1, 3)
    check_lines(lines, "updates-1")
    assert [line.yardstick_name for line in lines] == ["Go kvstore"] * len(updates.BLOCK_TIMES_MS)
    assert children() <= before
