"""The clear command beside a running relayer, on a played pair of chains."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from abci_app.keyfile import save_key
from ibc.ports import SHARD_PORT
from relayer.config import FilterConfig
from tests.support.relayer import ended, received, running_pair
from tests.support.relayer_cli import relayer_in_thread, run, write_config
from tests.support.waiting import eventually
from tx.keys import SigningKey, format_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.support.relayer import Pair

CLEARER = SigningKey.from_seed(b"C" * 32)


@contextmanager
def stuck_clear(pair: Pair, results: list[Result]) -> Iterator[threading.Thread]:
    """Run a clear with a key of its own, whose transactions get into blocks when the block ends."""
    path = pair.directory / "clearer.json"
    save_key(path, CLEARER)
    hub, shard = (replace(chain, key_files=(path,)) for chain in pair.config.chains)
    write_config(replace(pair.config, hub=hub, shards=(shard,)))
    for node in (pair.hub, pair.shard):
        node.held_signer = format_address(CLEARER.public_key)
    worker = threading.Thread(target=lambda: results.append(run(pair, "clear", "--json")))
    worker.start()
    try:
        yield worker
    finally:
        for node in (pair.hub, pair.shard):
            node.release()
        worker.join()


def test_clear_beside_a_relayer_holds_up_no_live_packet(tmp_path: Path) -> None:
    results: list[Result] = []
    with running_pair(tmp_path) as pair:
        # The shard's packet is the clear's alone, so that it cannot end before its transactions are in blocks.
        live = replace(pair.config, filter=FilterConfig(skip_ports=(SHARD_PORT,)))
        pair.send_from_hub(30)
        pair.send_from_shard()
        eventually(lambda: pair.hub.has_sent() and pair.shard.has_sent(), "the packets to be sent")
        with relayer_in_thread(live), stuck_clear(pair, results) as clearing:
            eventually(lambda: len(pair.hub.held) > 0, "a transaction of the clear")
            pair.send_from_hub(3)
            eventually(lambda: ended(pair.hub) == ["acknowledged"] * 33, "all acknowledgements")
            assert clearing.is_alive(), "the clear is not done"
        # The relayer may have been faster with some of the old packets than the clear was with its list.
        report = json.loads(results[0].stdout)
        assert report["cleared"] == report["found"] > 0
        assert (received(pair.shard), ended(pair.shard)) == (33, ["acknowledged"])
