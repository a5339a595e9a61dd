"""The demo's own audit: what it can check from outside, with nothing but the genesis file and the nodes' answers."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from aggregation.merkle import merkle_root
from localnet.demo.options import Check
from participant.errors import UnverifiedData
from tx.codec import encode
from wire.gradchain.hub.v1 import query_pb2 as hub_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localnet.demo.children import Report
    from localnet.demo.options import DemoOptions, RoundRow
    from localnet.demo.setup import DemoChains
    from localnet.nodes import ChainHandle
    from participant.verified import ProvenModel, VerifiedHub
    from wire.gradchain.hub.v1 import query_pb2_grpc


def count_events(chain: ChainHandle) -> Counter[str]:
    """Count the events of every executed block of a chain by their kind, as its first node tells them."""
    counts: Counter[str] = Counter()
    with chain.nodes[0].open_rpc() as rpc:
        # The height of the node's own status may be stored only, and have no results yet.
        for height in range(1, rpc.abci_info().height + 1):
            results = rpc.block_results(height)
            counts.update(event.kind for event in results.events)
            for tx in results.txs:
                counts.update(event.kind for event in tx.events)
                counts["transactions" if tx.code == 0 else "failed_transactions"] += 1
    return counts


def check_agreement(chain: ChainHandle) -> Check:
    """Check that all nodes of a chain have the same app hash at every height that all of them have."""
    rpcs = [node.open_rpc() for node in chain.nodes]
    try:
        top = min(rpc.status().height for rpc in rpcs)
        for height in range(1, top + 1):
            hashes = {rpc.header(height).app_hash for rpc in rpcs}
            if len(hashes) != 1:
                return Check(
                    f"{chain.name}: nodes agree", "audit", height, passed=False, detail=f"height {height}"
                )
    finally:
        for rpc in rpcs:
            rpc.close()
    return Check(f"{chain.name}: same app hash on all {len(rpcs)} nodes, heights", "audit", top, passed=True)


def _get_round(
    request: hub_query.GetRoundRequest, stub: query_pb2_grpc.HubServiceStub
) -> hub_query.GetRoundResponse:
    return stub.GetRound(request, timeout=30.0)


def _get_settlement(
    request: hub_query.GetSettlementRequest, stub: query_pb2_grpc.HubServiceStub
) -> hub_query.GetSettlementResponse:
    return stub.GetSettlement(request, timeout=30.0)


def check_rounds(hub: VerifiedHub, chains: DemoChains, task: int, rows: list[RoundRow]) -> list[Check]:
    """Prove every round's result and settlement, and that each round starts from the model of the one before."""
    proven_results = proven_settlements = 0
    problems: list[str] = []
    previous = b""
    for row in rows:
        round_request = hub_query.GetRoundRequest(task=task, round=row.number, attempt=row.attempt)
        found = chains.hub_connection.hub(partial(_get_round, round_request)).round
        settlement_request = hub_query.GetSettlementRequest(task=task, round=row.number)
        settlement = chains.hub_connection.hub(partial(_get_settlement, settlement_request))
        if previous and found.result.base_root != previous:
            problems.append(f"round {row.number} does not start from the model of the round before")
        previous = found.result.model_root
        try:
            hub.prove_round_result(found.result)
            proven_results += 1
            leaves = [encode(leaf) for leaf in settlement.leaves]
            if merkle_root(leaves) != settlement.settlement_root:
                problems.append(f"the leaves of settlement {row.number} have another root")
            hub.prove_settlement(task, row.number, settlement.settlement_root)
            proven_settlements += 1
        except UnverifiedData as error:
            problems.append(str(error))
    detail = "; ".join(problems)
    passed = not problems
    return [
        Check("round results proven to the genesis validators", "audit", proven_results, passed, detail),
        Check("settlements proven, leaves under their root", "audit", proven_settlements, passed, detail),
    ]


def check_tokens(
    chains: DemoChains, before: dict[str, int], after: dict[str, int], escrow: int
) -> list[Check]:
    """Check that no token was made or lost: by the hub's own totals, and by the balances of the demo's accounts."""
    supply = chains.hub_connection.hub(
        lambda stub: stub.GetSupply(hub_query.GetSupplyRequest(), timeout=30.0)
    )
    total = supply.balances + supply.escrowed
    moved = sum(after.values()) + escrow - sum(before.values())
    return [
        Check(
            "tokens conserved: balances and escrows sum to the supply",
            "audit",
            supply.supply,
            passed=total == supply.supply,
            detail="" if total == supply.supply else f"expected {supply.supply}, got {total}",
        ),
        Check(
            "tokens conserved over the demo's accounts",
            "audit",
            sum(after.values()),
            passed=moved == 0,
            detail="" if moved == 0 else f"{moved} appeared",
        ),
    ]


def get_relay_pay(chains: DemoChains) -> hub_query.GetRelayPayResponse:
    """Return what the hub says that it has paid to the relayer."""
    request = hub_query.GetRelayPayRequest(account=chains.localnet.key("relayer").public_key)
    return chains.hub_connection.hub(lambda stub: stub.GetRelayPay(request, timeout=30.0))


def check_relay_pay(
    chains: DemoChains, task: int, rows: list[RoundRow], pay: hub_query.GetRelayPayResponse, earned: int
) -> Check:
    """Check that the relayer was paid for each expected packet once, and that this is what its balance grew by.

    Expected are the headers of the checkpoints and the parts of their bodies.  The leaves of the settlements are those
    that `check_rounds` has found under proven roots.
    """
    relayer = chains.localnet.key("relayer").public_key
    expected = packets = amount = 0
    for row in rows:
        round_request = hub_query.GetRoundRequest(task=task, round=row.number, attempt=row.attempt)
        found = chains.hub_connection.hub(partial(_get_round, round_request)).round
        expected += sum(1 + shard.parts for shard in found.shards)
        settlement_request = hub_query.GetSettlementRequest(task=task, round=row.number)
        for leaf in chains.hub_connection.hub(partial(_get_settlement, settlement_request)).leaves:
            if leaf.packets and leaf.account == relayer:
                packets += leaf.packets
                amount += leaf.amount
    passed = (packets, amount) == (pay.packets, pay.amount) == (expected, earned)
    detail = (
        f"expected {expected} packets and {earned} tokens, got {packets} and {amount} in the settlements, "
        f"{pay.packets} and {pay.amount} in total"
    )
    return Check(
        "relayer's pay: every expected packet once, by the settlements' leaves",
        "audit",
        packets,
        passed,
        "" if passed else detail,
    )


def chain_checks(counts: dict[str, Counter[str]], chains: DemoChains, options: DemoOptions) -> list[Check]:
    """State what the chains verified, from their own events, and whether it is all that was expected."""
    hub = counts[chains.hub.name]
    shards: Counter[str] = Counter()
    for shard in chains.shards:
        shards.update(counts[shard.name])
    expected_updates = options.participants * options.rounds
    parts = min(options.shards, options.participants)
    expected_bodies = parts * options.rounds
    accepted = shards["update_accepted"]
    verified = hub["body_verified"]
    return [
        Check("updates: signature, assignment, range, commitments", "shards", accepted, accepted == expected_updates),
        Check("checkpoints: certificates, weights, sums on commitments", "hub", verified, verified == expected_bodies),
        Check("headers of shards by the light clients", "hub", hub["update_client"], hub["update_client"] > 0),
        Check("headers of the hub by the light clients", "shards", shards["update_client"], shards["update_client"] > 0),
        Check("packets with membership proofs", "hub", hub["recv_packet"], hub["recv_packet"] >= expected_bodies),
        Check("packets with membership proofs", "shards", shards["recv_packet"], shards["recv_packet"] >= expected_bodies),
        Check("bodies or updates refused", "hub and shards", hub["body_rejected"] + shards["update_refused"],
              hub["body_rejected"] + shards["update_refused"] == 0),
    ]  # fmt: skip


def check_given_up(refused: Sequence[Report]) -> Check:
    """Check that no participant gave an update up: all of the demo are honest, and shards that are away come back."""
    told = [
        f"participant {report['participant']}, round {report['round']}: {report['error']}"
        for report in refused
    ]
    return Check("updates given up", "participants", len(told), not told, "; ".join(told))


def model_check(proven: ProvenModel, rows: list[RoundRow]) -> Check:
    """Check that the proven model is the one of the last round."""
    passed = bool(rows) and rows[-1].model_root == proven.root.hex()
    return Check(
        "final model: bytes, root, proof, header", "audit", proven.proof.signatures, passed, proven.root.hex()
    )
