"""Looking at everything that a relayer depends on, and naming all that is wrong: for `health` and `validate --live`.

Each check is a fact and a verdict; nothing is changed, and nothing but keys and nodes is needed: the relayer may run
or not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.keyfile import load_key
from ibc.errors import IbcError
from ibc.tendermint import TrustedState, is_expired
from relayer import queries
from relayer.config import EXPIRY_DIVISOR
from relayer.discovery import find_link
from relayer.errors import (
    ChainMismatch,
    ClientAstray,
    ClientUnusable,
    ClockSkewed,
    EndpointsDown,
    NodeLagging,
    ProblemsFound,
    TrustedHeaderMismatch,
    WalletEmpty,
)
from relayer.evidence import Follower
from relayer.filters import list_doubts
from relayer.holder import find_holder
from relayer.probe import probe_chain
from relayer.types import NS_PER_SECOND, ClientStatus
from relayer.vouched import Vouched, ask_trusted, compare_client
from tx.errors import REGISTRY, AppError
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2 as hub_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from relayer.config import ChainConfig, HealthConfig, RelayerConfig, TrustedHeader
    from relayer.nodes import ChainNodes
    from relayer.probe import NodeProbe
    from relayer.types import ChainId, ClientView, LinkEnd

TRUSTED: Final = "trusted header"
"""Name of the checks of what the operator vouches for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    """relayer, filter, endpoint, chain id, height, block age, clock, trusted header, key, balance, link, client"""
    subject: str
    """What it is about: a node, a key, a client."""
    is_good: bool
    found: str
    code: str
    """`codespace/code` of what is wrong; empty if nothing is."""
    cure: str
    is_note: bool = False
    """Not wrong, but people should know: `found` says what could not be told, or would fail later."""


@dataclass(frozen=True, slots=True)
class Examination:
    """All checks."""

    is_good: bool
    checks: tuple[Check, ...]


@dataclass(slots=True)
class _Findings:
    """Checks as they are made, and the errors of those that failed."""

    checks: list[Check]
    errors: list[AppError]

    def good(self, name: str, subject: str, found: str) -> None:
        self.checks.append(Check(name, subject, is_good=True, found=found, code="", cure=""))

    def note(self, name: str, subject: str, found: str) -> None:
        self.checks.append(Check(name, subject, is_good=True, found=found, code="", cure="", is_note=True))

    def bad(self, name: str, subject: str, error: AppError) -> None:
        registered = REGISTRY.get((error.CODESPACE, error.CODE))
        cure = "" if registered is None else registered.CURE
        code = f"{error.CODESPACE}/{error.CODE}"
        self.checks.append(Check(name, subject, is_good=False, found=error.message, code=code, cure=cure))
        self.errors.append(error)


async def examine(
    config: RelayerConfig, hub: ChainNodes, shards: Mapping[ChainId, ChainNodes], now_ns: int
) -> tuple[Examination, ProblemsFound | None]:
    """Examine all that a configuration names; return what was found, and an error if anything is wrong."""
    chains = (hub, *shards.values())
    probes = dict(
        zip(
            (chain.chain_id for chain in chains), await asyncio.gather(*map(probe_chain, chains)), strict=True
        )
    )
    findings = _Findings([], [])
    holder = find_holder(config.journal)
    # Links are also examined before the first start.
    say = findings.good if holder.runs else findings.note
    say("relayer", str(config.journal), str(holder))
    _note_doubts(findings, config)
    for chain in chains:
        _judge_nodes(findings, probes[chain.chain_id], config.health, now_ns)
    served = {chain.chain_id: chain for chain in (config.hub, *config.served_shards)}
    vouched: dict[ChainId, Vouched] = {}
    for chain in chains:
        trusted = served[chain.chain_id].trusted
        if trusted is None:
            continue
        state = await _check_trusted(findings, chain, probes[chain.chain_id], trusted)
        if state is not None:
            _judge_age(findings, chain.chain_id, state, config.client.trusting_period_s, now_ns)
            vouched[chain.chain_id] = Vouched(chain, trusted.header_hash, state)
    for chain in chains:
        await _check_keys(findings, chain, served[chain.chain_id])
    can_ask = {name: any(_answers(probe) for probe in found) for name, found in probes.items()}
    for shard in shards.values():
        if can_ask[hub.chain_id] and can_ask[shard.chain_id]:
            await _check_link(findings, hub, shard, vouched, now_ns)
    return _conclude(findings)


def examine_files(config: RelayerConfig) -> tuple[Examination, ProblemsFound | None]:
    """Examine what can be examined without asking a chain: the keys."""
    findings = _Findings([], [])
    _note_doubts(findings, config)
    for chain in (config.hub, *config.served_shards):
        _load_addresses(findings, chain)
    return _conclude(findings)


def _note_doubts(findings: _Findings, config: RelayerConfig) -> None:
    for doubt in list_doubts(config.filter):
        findings.note("filter", "[filter]", doubt)


def _conclude(findings: _Findings) -> tuple[Examination, ProblemsFound | None]:
    examination = Examination(not findings.errors, tuple(findings.checks))
    if not findings.errors:
        return examination, None
    first = findings.errors[0]
    count = len(findings.errors)
    message = (
        f"expected no problem, got {count}; the first: {first}"
        if count > 1
        else f"expected no problem, got: {first}"
    )
    return examination, ProblemsFound(message, first)


def examine_nodes(probes: Sequence[NodeProbe], limits: HealthConfig, now_ns: int) -> tuple[Check, ...]:
    """Examine what the nodes of one chain said, each by itself and all among each other."""
    findings = _Findings([], [])
    _judge_nodes(findings, probes, limits, now_ns)
    return tuple(findings.checks)


def _answers(probe: NodeProbe) -> bool:
    return _is_right_chain(probe) is None


def _is_right_chain(probe: NodeProbe) -> AppError | None:
    """Return why a node cannot be used at all, or None."""
    for answer in (probe.rpc_status, probe.grpc_status):
        if isinstance(answer, AppError):
            return EndpointsDown(answer.message)
    assert not isinstance(probe.rpc_status, AppError)  # noqa: S101 - for the type checker
    assert not isinstance(probe.grpc_status, AppError)  # noqa: S101
    got = (probe.rpc_status.chain_id, probe.grpc_status.chain_id, probe.grpc_status.kind)
    if got != (probe.chain_id, probe.chain_id, probe.kind):
        return ChainMismatch(
            f"expected a {probe.kind} {probe.chain_id} at {probe.rpc} and {probe.grpc}, got {got[0]} and a {got[2]} "
            f"{got[1]}"
        )
    return None


def _judge_nodes(findings: _Findings, probes: Sequence[NodeProbe], limits: HealthConfig, now_ns: int) -> None:
    """Judge the nodes of one chain, each by itself and all among each other."""
    usable: list[NodeProbe] = []
    for probe in probes:
        problem = _is_right_chain(probe)
        if problem is None:
            findings.good("endpoint", probe.rpc, f"{probe.kind} {probe.chain_id}, height {probe.height}")
            usable.append(probe)
        else:
            name = "chain id" if isinstance(problem, ChainMismatch) else "endpoint"
            findings.bad(name, probe.rpc, problem)
    newest = max((probe.height or 0 for probe in usable), default=0)
    for probe in usable:
        _judge_height(findings, probe, newest, limits, now_ns)
        _judge_clock(findings, probe, limits, now_ns)


def _judge_height(
    findings: _Findings, probe: NodeProbe, newest: int, limits: HealthConfig, now_ns: int
) -> None:
    status, behind = probe.rpc_status, newest - (probe.height or 0)
    if isinstance(status, AppError):
        return
    age_s = (now_ns - status.block_time_ns) // NS_PER_SECOND
    if status.catching_up:
        text = f"expected {probe.rpc} to have caught up, got it at height {probe.height} of {newest} or more"
        findings.bad("height", probe.rpc, NodeLagging(text))
    elif behind > limits.max_lag_blocks:
        text = f"expected {probe.rpc} at most {limits.max_lag_blocks} blocks below {newest}, got it {behind} below"
        findings.bad("height", probe.rpc, NodeLagging(text))
    elif status.height == 0:
        findings.bad("height", probe.rpc, NodeLagging(f"expected blocks of {probe.chain_id}, got none yet"))
    elif age_s > limits.max_block_age_s:
        text = f"expected a block of {probe.chain_id} within {limits.max_block_age_s} s, got the newest {age_s} s old"
        findings.bad("block age", probe.rpc, NodeLagging(text))
    else:
        findings.good("height", probe.rpc, f"{behind} blocks behind, newest block {max(age_s, 0)} s old")


def _judge_clock(findings: _Findings, probe: NodeProbe, limits: HealthConfig, now_ns: int) -> None:
    status = probe.rpc_status
    if isinstance(status, AppError):
        return
    # Block time is the validators' clocks.  It lags behind on an idle chain, but is never ahead of a right clock.
    ahead_s = (status.block_time_ns - now_ns) / NS_PER_SECOND
    skew_s = ahead_s if ahead_s > limits.max_clock_skew_s else probe.clock_skew_s
    if skew_s is None:
        findings.good("clock", probe.rpc, "not told; no block from the future")
        return
    if abs(skew_s) > limits.max_clock_skew_s:
        text = (
            f"expected the clock of {probe.rpc} within {limits.max_clock_skew_s} s of the one here, "
            f"got it {abs(skew_s):.1f} s {'ahead' if skew_s > 0 else 'behind'}"
        )
        findings.bad("clock", probe.rpc, ClockSkewed(text))
    else:
        findings.good("clock", probe.rpc, f"{abs(skew_s):.1f} s apart, to half a second")


async def _check_trusted(
    findings: _Findings, chain: ChainNodes, probes: Sequence[NodeProbe], trusted: TrustedHeader
) -> TrustedState | None:
    """Compare the trusted header of a chain with what each of its nodes serves; return its state if one has it."""
    known: TrustedState | None = None
    answers = await ask_trusted(chain, trusted)
    for probe, answer in zip(probes, answers, strict=True):
        if not _answers(probe):
            continue  # that is named already
        if isinstance(answer, TrustedState):
            findings.good(TRUSTED, probe.rpc, f"served at height {trusted.height}")
            known = answer
        elif isinstance(answer, (TrustedHeaderMismatch, IbcError)):
            findings.bad(TRUSTED, probe.rpc, answer)
        else:
            findings.note(TRUSTED, probe.rpc, answer.message)
    if known is None:
        text = f"no node serves it at height {trusted.height}: no new client can start there, and none can be compared"
        findings.note(TRUSTED, chain.chain_id, text)
    return known


def _judge_age(
    findings: _Findings, chain_id: ChainId, state: TrustedState, trusting_period_s: int, now_ns: int
) -> None:
    """Judge whether a new client could start from the trusted header; those that exist do not need it."""
    age_s = (now_ns - state.time_ns) // NS_PER_SECOND
    if is_expired(state.time_ns, trusting_period_s * NS_PER_SECOND, now_ns):
        text = f"{age_s} s old: a new client, which trusts for {trusting_period_s} s, would be refused"
        findings.note(TRUSTED, chain_id, text)
    else:
        findings.good(TRUSTED, chain_id, f"height {state.height}, {age_s} s old")


def _load_addresses(findings: _Findings, chain: ChainConfig) -> dict[Path, bytes]:
    """Return the public keys of the key files that can be used."""
    found: dict[Path, bytes] = {}
    for path in chain.key_files:
        try:
            found[path] = load_key(path).public_key
        except AppError as error:
            findings.bad("key", f"{chain.chain_id}: {path.name}", error)
        else:
            findings.good("key", f"{chain.chain_id}: {path.name}", format_address(found[path]))
    return found


async def _check_keys(findings: _Findings, nodes: ChainNodes, chain: ChainConfig) -> None:
    """Check that the keys of a chain exist, and hold what they must."""
    keys = _load_addresses(findings, chain)
    if not chain.min_balance:
        return
    for path, public_key in keys.items():
        subject = f"{chain.chain_id}: {path.name}"
        try:
            balance = (await get_account(nodes, public_key)).balance
        except AppError as error:
            if not isinstance(error, EndpointsDown):  # what does not answer is named already
                findings.bad("balance", subject, error)
            continue
        if balance < chain.min_balance:
            text = f"expected at least {chain.min_balance} on {format_address(public_key)}, got {balance}"
            findings.bad("balance", subject, WalletEmpty(text))
        else:
            findings.good("balance", subject, str(balance))


async def get_account(hub: ChainNodes, public_key: bytes) -> hub_pb2.GetAccountResponse:
    """Return balance and earnings of an account on the hub; the word of one node.

    Raises:
      AppError: the hub cannot be asked.

    """
    request = hub_pb2.GetAccountRequest(account=public_key)
    return await hub.ask(lambda node: node.hub.GetAccount(request, timeout=node.timeout_s))


async def get_relay_pay(hub: ChainNodes, public_key: bytes) -> hub_pb2.GetRelayPayResponse:
    """Return what an account was paid for its deliveries in all; the word of one node.

    Raises:
      AppError: the hub cannot be asked.

    """
    request = hub_pb2.GetRelayPayRequest(account=public_key, limit=1)
    return await hub.ask(lambda node: node.hub.GetRelayPay(request, timeout=node.timeout_s))


async def _check_link(
    findings: _Findings,
    hub: ChainNodes,
    shard: ChainNodes,
    vouched: Mapping[ChainId, Vouched],
    now_ns: int,
) -> None:
    try:
        ready = await find_link(hub, shard)
        head = {chain.chain_id: (await queries.get_head(chain)).time_ns for chain in (hub, shard)}
    except AppError as error:
        findings.bad("link", shard.chain_id, error)
        return
    findings.good("link", shard.chain_id, f"{ready.link.hub} and {ready.link.shard}")
    ends: Iterable[tuple[LinkEnd, ClientView]] = (
        (ready.link.hub, ready.hub_client),
        (ready.link.shard, ready.shard_client),
    )
    for end, view in ends:
        # The chain that keeps the client decides, by its own time; an idle chain's lags behind.
        _judge_client(findings, end, view, max(now_ns, head[end.chain]))
    for follower, of in ((Follower(ready.link.hub, hub), shard), (Follower(ready.link.shard, shard), hub)):
        if of.chain_id in vouched:
            await _compare_client(findings, follower, vouched[of.chain_id], now_ns)


async def _compare_client(findings: _Findings, follower: Follower, vouched: Vouched, now_ns: int) -> None:
    """Compare a client with the trusted header of the chain that it follows."""
    subject = str(follower.end)
    try:
        compared = await compare_client(follower, vouched, now_ns)
    except ClientAstray as error:
        findings.bad(TRUSTED, subject, error)
    except AppError as error:
        findings.note(TRUSTED, subject, error.message)
    else:
        say = findings.good if compared.is_known else findings.note
        say(TRUSTED, subject, compared.found)


def _judge_client(findings: _Findings, end: LinkEnd, view: ClientView, now_ns: int) -> None:
    left_s = (view.time_ns + view.trusting_period_ns - now_ns) // NS_PER_SECOND
    period_s = view.trusting_period_ns // NS_PER_SECOND
    if view.status is not ClientStatus.ACTIVE:
        text = f"expected an active client {end}, got one that is {view.status.value}"
    elif left_s <= 0:
        text = f"expected an active client {end}, got one that expired {-left_s} s ago"
    elif left_s * EXPIRY_DIVISOR < period_s:
        text = f"expected {end} to be refreshed by half of its {period_s} s, got {left_s} s left until it expires"
    else:
        findings.good("client", str(end), f"active, expires in {left_s} s")
        return
    findings.bad("client", str(end), ClientUnusable(text))
