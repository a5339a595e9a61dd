"""The soak of the link: packets between real chains while relayer, RPC endpoints and validators are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from abci_app.supervisor import child_environment
from bench.errors import NetworkStalled, SenderEnded
from bench.machine import list_facts
from bench.packetnet import build_packet_manifest, running_packet_chains
from bench.soak.audit import audit_directions, check_nodes, check_tokens
from bench.soak.chaos import Chaos, RelayerRunner
from bench.soak.faults import describe_faults
from bench.soak.figures import SoakCheck, SoakRecord
from bench.soak.load import PacketLoad
from bench.soak.schedule import Pace, Victim, plan_kills
from ibc.events import PacketEventKind
from localnet.status import collect_reports
from relayer.config import load_config
from relayer.config_text import format_config
from relayer.journal import JournalReader
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.packetnet import PacketNet
    from bench.soak.audit import DirectionAudit
    from bench.soak.figures import FaultRecord
    from localnet.manifest import Manifest

STEP_S: Final = 0.1
SAY_S: Final = 60.0
DRAIN_S: Final = 300.0
"""All that was sent must have ended so long after the last packet."""
RETURN_S: Final = 120.0
"""All that was killed must be back so long after the last packet."""
MEMORY_CAP_MIB: Final = 150
FAILOVER_S: Final = 30.0
"""Endpoints must have been away so long in all for a packet to be expected meanwhile."""

LONG: Final = Pace(gap_s=(15.0, 60.0), down_s=(0.5, 12.0), relayer_share=0.75)


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """What is run."""

    directory: Path
    """Emptied first; chains, logs and the journal stay there."""
    seconds: float
    """How long packets are sent."""
    seed: int = 1
    rate: float = 12.0
    """Packets a second, all directions together."""
    hub_validators: int = 4
    block_time_ms: int = 500
    pace: Pace = LONG


def build_soak_manifest(options: SoakOptions) -> Manifest:
    """Return the network: a hub that survives the loss of a validator, and two shards that have one each.

    Hub and first shard have a full node that the relayer asks first; the second shard has its validator only.
    """
    chains: list[dict[str, object]] = [
        {"name": "hub", "kind": "hub", "validators": options.hub_validators, "full_nodes": 1},
        {"name": "shard-0", "kind": "shard", "full_nodes": 1},
        {"name": "shard-1", "kind": "shard"},
    ]
    return build_packet_manifest(chains, options.block_time_ms)


def run_soak(options: SoakOptions, say: Callable[[str], None]) -> SoakRecord:
    """Run the soak in an empty directory and return its record, whatever it has found.

    Raises:
      AppError: the chains do not start, the relayer ends by itself, or what is left open does not end in time.

    """
    options.directory.mkdir(parents=True, exist_ok=True)
    started, machine = datetime.now(UTC).isoformat(timespec="minutes"), list_facts()
    with running_packet_chains(options.directory, build_soak_manifest(options)) as net:
        say(f"{len(net.localnet.nodes)} nodes run, {len(net.links)} links")
        config = _write_config(net)
        relayer = RelayerRunner(config)
        with _running_chaos(net, relayer, options) as chaos:
            load, load_s = _run_load(net, chaos, options, say)
            drain_s = _drain(net, chaos, config)
            say(f"all packets have ended {drain_s:.1f} s after the last one; reading all blocks and states")
            own_checks = _check_relayer(relayer, config)
        audits = audit_directions(net, load.senders)
        faults = describe_faults(chaos, audits)
        sent = sum(audit.here.count(PacketEventKind.SEND) for audit in audits)
        return SoakRecord(
            started=started,
            seed=options.seed,
            load_s=round(load_s, 1),
            drain_s=round(drain_s, 1),
            rate=round(sent / load_s, 2),
            block_ms=_measure_blocks(audits),
            nodes=tuple(node.name for node in net.localnet.nodes),
            machine=machine,
            directions=tuple(audit.describe() for audit in audits),
            faults=faults,
            relayer_warnings=read_log(relayer.log)[0],
            memory=tuple(relayer.samples),
            checks=(
                *(check for audit in audits for check in audit.check()),
                _check_timeouts(audits),
                *_check_failover(faults),
                *check_tokens(net),
                *check_nodes(collect_reports(net.localnet.nodes)),
                *own_checks,
            ),
        )


# --- the run ---------------------------------------------------------------------------------------------------------


def _write_config(net: PacketNet) -> Path:
    """Write the relayer's configuration as it is, with a log that keeps what is unusual."""
    config = replace(load_config(net.config), log_level="warning")
    net.config.write_text(format_config(config), encoding="utf-8")
    return net.config


@contextmanager
def _running_chaos(net: PacketNet, relayer: RelayerRunner, options: SoakOptions) -> Iterator[Chaos]:
    nodes = net.localnet.nodes
    victims: dict[Victim, Sequence[str]] = {
        Victim.RELAYER: [""],
        Victim.ENDPOINT: [node.name for node in nodes if not node.votes],
        Victim.VALIDATOR: [node.name for node in nodes if node.votes],
    }
    plan = plan_kills(options.seed, options.seconds, victims, options.pace)
    relayer.start()
    try:
        yield Chaos(net.localnet, relayer, plan)
    finally:
        relayer.kill()


def _run_load(
    net: PacketNet, chaos: Chaos, options: SoakOptions, say: Callable[[str], None]
) -> tuple[PacketLoad, float]:
    """Send and kill until the time is up; return the load, and for how long it went on.

    Raises:
      SenderEnded: a sender failed.

    """
    load = PacketLoad(net.chains, options.rate, options.seed)
    load.start()
    said_s = 0.0
    try:
        while chaos.elapsed_s < options.seconds:
            chaos.step()
            if not load.is_running:
                raise SenderEnded("expected all senders to go on, got the end of one")
            if chaos.elapsed_s - said_s >= SAY_S:
                said_s = chaos.elapsed_s
                asked = sum(ask.packets for sender in load.senders for ask in sender.asked)
                say(f"{said_s / 60:.0f} min: {asked:,} packets asked for, {len(chaos.faults)} kills")
            time.sleep(STEP_S)
        chaos.finish()
        load_s = chaos.elapsed_s
    finally:
        # Chains that were killed are back by now or soon, so that what was asked for becomes known.
        load.stop()
    return load, load_s


def _drain(net: PacketNet, chaos: Chaos, config: Path) -> float:
    """Wait until everything is back and nothing is open, on the chains and in the journal; return the seconds.

    Raises:
      NetworkStalled: it takes too long.

    """
    begin = time.monotonic()
    while not chaos.is_calm:
        chaos.step()
        if time.monotonic() - begin > RETURN_S:
            away = [fault.kill.node for fault in chaos.faults if not fault.recovered_ns and fault.kill.node]
            raise NetworkStalled(f"expected all nodes to come back in {RETURN_S:g} s, got none of {away}")
        time.sleep(STEP_S)
    while left := _count_open(net, config):
        chaos.step()
        if time.monotonic() - begin > DRAIN_S:
            raise NetworkStalled(f"expected all packets to end in {DRAIN_S:g} s, got {left} open")
        time.sleep(STEP_S)
    return time.monotonic() - begin


def _count_open(net: PacketNet, config: Path) -> int:
    try:
        return sum(end.count_pending() for end in net.chains) or _count_unfinished(config)
    except AppError:
        return 1  # a node that restarted does not serve yet


def _count_unfinished(config: Path) -> int:
    with closing(JournalReader(load_config(config).journal)) as journal:
        unfinished = journal.unfinished()
    return len(unfinished.packets) + len(unfinished.txs) + len(unfinished.bodies)


# --- what the relayer says of itself ---------------------------------------------------------------------------------


def _check_relayer(relayer: RelayerRunner, config: Path) -> list[SoakCheck]:
    """Stop the relayer, and check how it ends and what it leaves."""
    status = relayer.stop()
    peak = max((sample.mib for sample in relayer.samples), default=0.0)
    cap = f"at most {MEMORY_CAP_MIB} MiB"
    return [
        SoakCheck("relayer: exit status when told to stop", "0", str(status)),
        SoakCheck("relayer: open work in its journal", "0", str(_count_unfinished(config))),
        SoakCheck("relayer: errors in its log", "0", str(read_log(relayer.log)[1])),
        SoakCheck("relayer: memory", cap, cap if peak <= MEMORY_CAP_MIB else f"{peak:.0f} MiB"),
        _check_health(config),
    ]


def _check_health(config: Path) -> SoakCheck:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "relayer", "health", "--config", str(config), "--json"],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=False,
    )
    got = str(done.returncode) if done.returncode == 0 else f"{done.returncode}: {done.stderr.strip()}"
    return SoakCheck("relayer health: exit status", "0", got)


def _check_timeouts(audits: Sequence[DirectionAudit]) -> SoakCheck:
    """Check that the load had packets that timed out: otherwise half of the link was idle."""
    some = any(audit.here.count(PacketEventKind.TIME_OUT) for audit in audits)
    return SoakCheck("packets that timed out", "some", "some" if some else "none")


def _check_failover(faults: Sequence[FaultRecord]) -> list[SoakCheck]:
    """Check that packets went on while RPC endpoints were away, if these were away long enough to tell."""
    away = [fault for fault in faults if fault.victim == Victim.ENDPOINT.value]
    if sum(fault.down_s for fault in away) < FAILOVER_S:
        return []
    some = any(fault.relayed for fault in away)
    return [SoakCheck("packets relayed while an RPC endpoint was away", "some", "some" if some else "none")]


def read_log(path: Path) -> tuple[dict[str, int], int]:
    """Return the warnings of a relayer's log by their event, and how many lines are errors or no log lines at all."""
    warnings: Counter[str] = Counter()
    errors = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            errors += 1
            continue
        if values["level"] == "warning":
            warnings[values["event"]] += 1
        else:
            errors += values["level"] != "info"
    return dict(sorted(warnings.items())), errors


def _measure_blocks(audits: Sequence[DirectionAudit]) -> dict[str, float]:
    """Return the mean time between two blocks of each chain, in ms."""
    found = {}
    for audit in audits:
        times = audit.here.times_ns
        first, last = min(times), max(times)
        mean = (times[last] - times[first]) / max(1, last - first) / 1e6
        found[audit.source] = round(mean, 1)
    return found
