"""Each alert fires when what it tells of happens, and nothing else does: Prometheus's engine on our real metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from relayer.state import Lane
from relayer.types import ClientStatus, Failure, Step, TxState
from tests.support.prometheus_go import Sample, Scrape, find_firing, read_rules
from tests.support.scraped import (
    FIRST,
    HUB,
    NODE,
    RELAYER,
    RULES,
    SECOND,
    SHARD,
    START_S,
    TRUSTING_S,
    Watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HALTED: Final = {"GradchainHeightStandsStill", "GradchainNoBlocksSeen"}


def stop_node_metrics(watched: Watched) -> None:
    watched.down = {NODE}
    watched.run(180)


def stop_relayer(watched: Watched) -> None:
    watched.down = {RELAYER}
    watched.run(180)


def halt_chains(watched: Watched) -> None:
    watched.is_halted = True
    watched.run(270)


def commit_slowly(watched: Watched) -> None:
    watched.run(900, lambda: watched.node.commit_seconds.observe(5))


def refuse_transactions(watched: Watched) -> None:
    watched.run(1_200, lambda: watched.node.refused.labels("sdk", "5").inc(30))


def lose_all_nodes(watched: Watched) -> None:
    for node in (FIRST, SECOND):
        watched.relay.set_node(SHARD.chain, node, answers=False)
    watched.run(150)


def lose_a_node(watched: Watched) -> None:
    watched.relay.set_node(SHARD.chain, SECOND, answers=False)
    watched.run(150)


def fail_a_check(check: str, seconds: int) -> Callable[[Watched], None]:
    def fail(watched: Watched) -> None:
        watched.relay.set_node(HUB.chain, SECOND, answers=True, problems={check})
        watched.run(seconds)

    return fail


def neglect_a_client(watched: Watched) -> None:
    watched.state.lanes[HUB] = Lane(HUB, SHARD, watched.make_view(age_s=TRUSTING_S / 2 + 1))
    watched.run(120)


def expire_a_client(watched: Watched) -> None:
    watched.state.lanes[HUB] = Lane(HUB, SHARD, watched.make_view(age_s=TRUSTING_S))
    watched.run(120)


def freeze_a_client(watched: Watched) -> None:
    watched.relay.set_client(HUB, ClientStatus.FROZEN)
    watched.run(120)


def prove_a_fork(watched: Watched) -> None:
    watched.relay.count_misbehaviour(SHARD.chain, "frozen")
    watched.run(15)


def serve_false_headers(watched: Watched) -> None:
    watched.run(400, lambda: watched.relay.count_misbehaviour(SHARD.chain, "unproven"))


def block_a_lane(watched: Watched) -> None:
    watched.state.lanes[HUB].blocked = Failure("relayer", 22, "no answer")
    watched.run(150)


def let_a_packet_wait(watched: Watched) -> None:
    watched.add_packet()
    watched.run(240)


def lose_track_of_a_packet(watched: Watched) -> None:
    watched.add_packet(step=Step.SUBMITTED)
    watched.run(780)


def refuse_a_packet(watched: Watched) -> None:
    watched.add_packet(step=Step.REFUSED)
    watched.run(60)


def fall_behind(watched: Watched) -> None:
    watched.cursor_lag = 51
    watched.run(150)


def empty_the_wallet(watched: Watched) -> None:
    watched.relay.set_balance(HUB.chain, "grad1relayer", 0)
    watched.run(330)


def fail_transactions(watched: Watched) -> None:
    # Once every half a minute, as a lane does that has nothing but failures.
    def fail() -> None:
        if watched.now_s // 15 % 2 == 0:
            watched.count_tx(TxState.FAILED)

    watched.run(1_260, fail)


TROUBLES: Final[Mapping[str, tuple[Callable[[Watched], None], set[str]]]] = {
    "GradchainNotScraped": (stop_node_metrics, {"GradchainNotScraped"}),
    "GradchainRelayerDown": (stop_relayer, {"GradchainRelayerDown", "GradchainNotScraped"}),
    "GradchainHeightStandsStill": (halt_chains, HALTED),
    "GradchainNoBlocksSeen": (halt_chains, HALTED),
    "GradchainSlowCommit": (commit_slowly, {"GradchainSlowCommit"}),
    "GradchainTransactionsRefused": (refuse_transactions, {"GradchainTransactionsRefused"}),
    "GradchainChainUnreachable": (lose_all_nodes, {"GradchainChainUnreachable", "GradchainNodeDown"}),
    "GradchainNodeDown": (lose_a_node, {"GradchainNodeDown"}),
    "GradchainWrongChain": (fail_a_check("chain_id", 90), {"GradchainWrongChain"}),
    "GradchainNodeLags": (fail_a_check("height", 150), {"GradchainNodeLags"}),
    "GradchainClockSkew": (fail_a_check("clock", 330), {"GradchainClockSkew"}),
    "GradchainClientExpiresSoon": (neglect_a_client, {"GradchainClientExpiresSoon"}),
    "GradchainClientUnusable": (freeze_a_client, {"GradchainClientUnusable"}),
    "GradchainFork": (prove_a_fork, {"GradchainFork"}),
    "GradchainFalseHeaders": (serve_false_headers, {"GradchainFalseHeaders"}),
    "GradchainLaneBlocked": (block_a_lane, {"GradchainLaneBlocked"}),
    "GradchainPacketsOld": (let_a_packet_wait, {"GradchainPacketsOld"}),
    "GradchainPacketsUnfinished": (lose_track_of_a_packet, {"GradchainPacketsUnfinished"}),
    "GradchainPacketRefused": (refuse_a_packet, {"GradchainPacketRefused"}),
    "GradchainRelayerBehind": (fall_behind, {"GradchainRelayerBehind"}),
    "GradchainWalletEmpty": (empty_the_wallet, {"GradchainWalletEmpty"}),
    "GradchainTransactionsFail": (fail_transactions, {"GradchainTransactionsFail"}),
}


@pytest.fixture
def watched() -> Watched:
    """A network that has done well for five minutes."""
    network = Watched()
    network.run(300)
    return network


def test_every_alert_is_set_off_by_a_trouble() -> None:
    assert {alert.name for alert in read_rules(RULES.read_text()).alerts} == TROUBLES.keys()


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_sets_off_its_alert_and_no_other(watched: Watched, name: str) -> None:
    cause, expected = TROUBLES[name]
    cause(watched)
    assert watched.name_firing() == expected


@pytest.mark.parametrize("step_s", [15, 60])
def test_nothing_fires_from_the_first_scrape_on_while_all_is_well(step_s: int) -> None:
    network = Watched(step_s)
    seen: set[str] = set()
    for _ in range(12):
        network.run(60)
        seen |= network.name_firing()
    assert not seen


@pytest.mark.parametrize("name", ["GradchainHeightStandsStill", "GradchainFork", "GradchainPacketRefused"])
def test_an_alert_fires_as_well_where_everything_is_scraped_once_a_minute(name: str) -> None:
    network = Watched(step_s=60)
    network.run(300)
    cause, expected = TROUBLES[name]
    cause(network)
    assert network.name_firing() == expected


def test_the_text_names_what_it_is_about(watched: Watched) -> None:
    lose_a_node(watched)
    (alert,) = watched.find_firing()
    assert alert.annotations["summary"] == f"{SECOND} of shard-1 does not answer the relayer"
    assert alert.labels["severity"] == "warning"


def test_a_template_that_names_a_label_which_the_result_lacks_is_an_error(watched: Watched) -> None:
    lose_a_node(watched)
    text = RULES.read_text().replace("{{ $labels.node }} of {{", "{{ $labels.nodes }} of {{")
    with pytest.raises(RuntimeError, match="nodes"):
        find_firing(text, watched.scrapes, START_S * 1_000, watched.now_s * 1_000, 15_000)


def test_an_expired_client_no_longer_expires_soon(watched: Watched) -> None:
    expire_a_client(watched)
    assert watched.name_firing() == {"GradchainClientUnusable"}


def test_a_client_that_is_expired_and_said_to_be_so_sets_off_one_alert(watched: Watched) -> None:
    watched.relay.set_client(HUB, ClientStatus.EXPIRED)
    expire_a_client(watched)
    (alert,) = watched.find_firing()
    assert (alert.name, alert.labels["chain"]) == ("GradchainClientUnusable", "hub-1")


def test_a_node_that_answers_again_sets_off_nothing(watched: Watched) -> None:
    lose_a_node(watched)
    watched.relay.set_node(SHARD.chain, SECOND, answers=True)
    watched.run(15)
    assert not watched.name_firing()


def test_a_node_that_is_down_for_less_than_two_minutes_sets_off_nothing(watched: Watched) -> None:
    watched.relay.set_node(SHARD.chain, SECOND, answers=False)
    watched.run(105)
    assert not watched.name_firing()


def test_a_packet_that_was_refused_before_the_first_scrape_sets_off_the_alert() -> None:
    network = Watched()
    refuse_a_packet(network)
    assert network.name_firing() == {"GradchainPacketRefused"}


def test_a_packet_that_is_refused_long_after_the_start_sets_off_the_alert(watched: Watched) -> None:
    watched.run(900)
    refuse_a_packet(watched)
    assert watched.name_firing() == {"GradchainPacketRefused"}


def test_a_transaction_now_and_then_may_be_refused(watched: Watched) -> None:
    watched.run(1_200, lambda: watched.node.refused.labels("sdk", "5").inc(10))
    assert not watched.name_firing()


def test_what_else_prometheus_cannot_scrape_is_not_our_concern(watched: Watched) -> None:
    for step in range(20):
        at_ms = (START_S + 15 * (step + 1)) * 1_000
        up = Sample({"__name__": "up", "job": "shop", "instance": "shop:1"}, 0.0)
        watched.scrapes.append(Scrape(at_ms, "shop", (up,)))
    assert not watched.name_firing()


def test_a_refused_packet_is_old_news_after_a_quarter_of_an_hour(watched: Watched) -> None:
    refuse_a_packet(watched)
    watched.run(1_200)
    assert not watched.name_firing()


def test_a_fork_is_told_of_until_the_relayer_is_started_again(watched: Watched) -> None:
    prove_a_fork(watched)
    watched.run(1_800)
    assert watched.name_firing() == {"GradchainFork"}
    watched.start_relayer()
    watched.run(60)
    assert not watched.name_firing()


def test_an_account_that_needs_no_tokens_may_be_empty(watched: Watched) -> None:
    watched.relay.set_minimum(HUB.chain, 0)
    empty_the_wallet(watched)
    assert not watched.name_firing()


def test_a_transaction_now_and_then_may_fail(watched: Watched) -> None:
    def send() -> None:
        for state in (TxState.INCLUDED, TxState.INCLUDED, TxState.FAILED):
            watched.count_tx(state)

    watched.run(1_260, send)
    assert not watched.name_firing()


def test_one_relayer_of_two_that_is_gone_is_noticed(watched: Watched) -> None:
    other = Watched()
    other.run(300)
    watched.down = {RELAYER}
    watched.run(180)
    other.run(180)
    for scrape in other.scrapes:
        samples = tuple(
            Sample({**sample.labels, "instance": "other:1"}, sample.value) for sample in scrape.samples
        )
        watched.scrapes.append(Scrape(scrape.at_ms, f"other {scrape.target}", samples))
    (alert,) = watched.find_firing()
    assert (alert.name, alert.labels["instance"]) == ("GradchainNotScraped", "relayer:1")
