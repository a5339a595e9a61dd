"""`relayer link|start|status|recover`: what people and scripts see, and what signals do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from abci_app.endpoint import Endpoint
from relayer.cli import relayer_group
from relayer.config import FilterConfig, NodeAddress
from relayer.errors import ConfigMissing
from relayer.holder import find_holder
from tests.support.ports import free_ports
from tests.support.relayer import ended, received, running_pair
from tests.support.relayer_cli import write_config
from tests.support.tools import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path, linked=False) as running:
        write_config(running.config)
        yield running


def run(pair: Pair, *arguments: str) -> str:
    """Run a command that must succeed, and return what it prints to standard output."""
    path = pair.directory / "relayer.toml"
    result = CliRunner().invoke(
        relayer_group, [arguments[0], "--config", str(path), *arguments[1:]], catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def test_recover_tells_what_it_did(pair: Pair) -> None:
    run(pair, "link")
    assert json.loads(run(pair, "recover", "shard-1", "--json"))["steps"] == []
    assert "complete already" in run(pair, "recover", "shard-1")


def test_link_tells_what_it_did_and_that_nothing_is_left(pair: Pair) -> None:
    first = json.loads(run(pair, "link", "--json"))
    assert [link["shard"] for link in first["links"]] == ["shard-1"]
    assert len(first["links"][0]["steps"]) == 5
    assert "complete already" in run(pair, "link")


def test_status_says_what_is_missing(pair: Pair) -> None:
    status = json.loads(run(pair, "status", "--json"))
    (link,) = status["links"]
    assert not link["ready"]
    assert "relayer/60" in link["error"]


def test_status_reports_packets_that_wait_although_no_relayer_runs(pair: Pair) -> None:
    run(pair, "link")
    pair.send_from_hub(3)
    eventually(pair.hub.has_sent, "the packets to be sent")
    status = json.loads(run(pair, "status", "--json"))
    hub_end, shard_end = status["links"][0]["ends"]
    assert (hub_end["pending"], hub_end["oldest_sequence"]) == (3, 1)
    assert shard_end["pending"] == 0
    assert shard_end["oldest_age_s"] == 0
    time.sleep(1.1)
    (link,) = json.loads(run(pair, "status", "--json"))["links"]
    assert 1 <= link["ends"][0]["oldest_age_s"] < 60
    assert 86_000 < shard_end["client_expires_in_s"] <= 86_400
    assert hub_end["client_status"] == "active"


def test_status_for_people_is_a_table(pair: Pair) -> None:
    run(pair, "link")
    text = run(pair, "status")
    assert "shard-1" in text
    assert "07-tendermint-0" in text
    assert "expires in s" in text


def test_status_names_a_chain_that_does_not_answer(pair: Pair) -> None:
    dead = replace(pair.config.hub.nodes[0], rpc="http://127.0.0.1:9", grpc="127.0.0.1:9")
    write_config(replace(pair.config, hub=replace(pair.config.hub, nodes=(dead,))))
    status = json.loads(run(pair, "status", "--json"))
    assert "relayer/21" in status["chains"][0]["error"]
    assert status["chains"][1]["error"] == ""


def test_a_missing_configuration_is_an_error_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissing):
        CliRunner().invoke(
            relayer_group, ["status", "--config", str(tmp_path / "none.toml")], catch_exceptions=False
        )


def start(pair: Pair, *arguments: str) -> subprocess.Popen[str]:
    """Start a relayer in a process of its own."""
    path = pair.directory / "relayer.toml"
    command = [sys.executable, "-m", "relayer.main", "--config", str(path), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_relayer_cleanly(pair: Pair, number: signal.Signals) -> None:
    run(pair, "link")
    with start(pair, "--json") as process:
        pair.send_from_hub(2)
        eventually(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements")
        process.send_signal(number)
        _, logged = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    assert lines[0]["event"] == "relayer started"
    assert lines[-1]["event"] == "relayer stopped"
    assert {"packet moved", "link found"} <= {line["event"] for line in lines}


def test_a_signal_ends_a_relayer_cleanly_that_waits_for_a_silent_node(pair: Pair) -> None:
    run(pair, "link")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        nodes = (NodeAddress(f"http://{address}", address), *pair.config.hub.nodes)
        write_config(replace(pair.config, hub=replace(pair.config.hub, nodes=nodes)))
        with start(pair, "--json") as process:
            eventually(lambda: find_holder(pair.config.journal).runs, "the journal to be taken")
            process.send_signal(signal.SIGTERM)
            _, logged = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(logged.splitlines()[-1])["event"] == "relayer stopped"


def test_a_relayer_that_is_killed_again_and_again_loses_nothing(pair: Pair) -> None:
    run(pair, "link")
    pause_s = 1.2
    for _ in range(4):
        pair.send_from_hub(2)
        pair.send_from_shard()
        with start(pair) as process:
            time.sleep(pause_s)
            process.kill()
            process.communicate(timeout=30)
        pause_s += 0.17
    with start(pair) as process:
        eventually(lambda: ended(pair.hub) == ["acknowledged"] * 8, "eight acknowledgements")
        eventually(lambda: ended(pair.shard) == ["acknowledged"] * 4, "four acknowledgements")
        process.terminate()
        process.communicate(timeout=30)
    assert (received(pair.shard), received(pair.hub)) == (8, 4)
    for node in (pair.hub, pair.shard):
        assert len(node.taken) == len(set(node.taken))


def test_a_start_warns_of_a_port_that_no_chain_has(pair: Pair) -> None:
    write_config(replace(pair.config, filter=FilterConfig(skip_ports=("fl.shrad",))))
    run(pair, "link")
    with start(pair, "--json") as process:
        pair.send_from_hub()
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        process.terminate()
        _, logged = process.communicate(timeout=30)
    (doubt,) = [line for line in map(json.loads, logged.splitlines()) if line["event"] == "filter in doubt"]
    assert doubt["level"] == "warning"
    assert "skip_ports names fl.shrad" in doubt["reason"]
    assert "[filter]" in doubt["cure"]


def test_a_second_relayer_with_the_same_journal_does_not_start(pair: Pair) -> None:
    run(pair, "link")
    with start(pair) as first:
        eventually((pair.directory / "relayer.db").exists, "a journal")
        pair.send_from_hub()
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        with start(pair) as second:
            _, logged = second.communicate(timeout=30)
        first.terminate()
        first.communicate(timeout=30)
    assert second.returncode == 1
    assert "[relayer/3]" in logged
    assert "cure:" in logged


def test_metrics_are_served_where_the_configuration_says(pair: Pair) -> None:
    (port,) = free_ports(1)
    run(pair, "link")
    write_config(replace(pair.config, http=Endpoint("127.0.0.1", port)))
    with start(pair) as process:
        pair.send_from_hub()
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        process.terminate()
        process.communicate(timeout=30)
    assert "gradchain_relayer_client_expiry_seconds" in text
    assert "gradchain_relayer_packets_total" in text


def test_help_costs_no_imports_of_grpc() -> None:
    code = "import sys, relayer.cli; sys.exit('grpc' in sys.modules or 'aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, env=dict(os.environ))
    assert done.returncode == 0
