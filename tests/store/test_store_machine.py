"""The store against dictionaries, through commits, restarts and crashes, on both databases."""

from __future__ import annotations

import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from abci_app.state import BULK, PROVABLE, STORES, Overlay
from abci_app.store import Store, open_store
from tests.support.store import StoreModel, read_pairs

if TYPE_CHECKING:
    from abci_app.snapshot import Snapshot

STORE_NAMES = st.sampled_from(STORES)
KEYS = st.lists(st.sampled_from([0x00, 0x61, 0xFF]), min_size=1, max_size=3).map(bytes)
VALUES = st.binary(min_size=1, max_size=2)
SEGMENTS = st.sampled_from([b"r1", b"r2"])
DATA = st.binary(max_size=4)
KEPT = 4


class StoreMachine(RuleBasedStateMachine):
    backend: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="store-"))
        self.committed = StoreModel()
        self.height = 0
        self.held: list[tuple[Snapshot, StoreModel]] = []

    @initialize()
    def open(self) -> None:
        self.store: Store = open_store(self.home, self.backend, kept_heights=KEPT)
        self.begin_block()

    def begin_block(self) -> None:
        self.overlay = Overlay(self.store.latest())
        self.pending = self.committed.copy()
        self.dropped: set[bytes] = set()

    @rule(name=STORE_NAMES, key=KEYS, value=VALUES)
    def set(self, name: str, key: bytes, value: bytes) -> None:
        self.overlay.set(name, key, value)
        self.pending.pairs[name][key] = value

    @rule(name=STORE_NAMES, key=KEYS)
    def delete(self, name: str, key: bytes) -> None:
        self.overlay.delete(name, key)
        self.pending.pairs[name].pop(key, None)

    @rule(segment=SEGMENTS, data=DATA)
    def put_blob(self, segment: bytes, data: bytes) -> None:
        digest = self.overlay.put_blob(segment, data)
        if segment not in self.dropped:
            self.pending.blobs[segment, digest] = data

    @rule(segment=SEGMENTS)
    def drop_segment(self, segment: bytes) -> None:
        self.overlay.drop_segment(segment)
        self.dropped.add(segment)
        self.pending.blobs = {key: data for key, data in self.pending.blobs.items() if key[0] != segment}

    @rule()
    def forget_block(self) -> None:
        self.store.stage(self.overlay)
        self.begin_block()

    @rule(gap=st.integers(1, 3))
    def commit(self, gap: int) -> None:
        staged = self.store.stage(self.overlay)
        assert staged.app_hash == self.pending.app_hash() == self.store.stage(self.overlay).app_hash
        self.height += gap
        snapshot = self.store.commit(staged, self.height, self.height * 10)
        assert snapshot.app_hash == staged.app_hash
        self.committed = self.pending
        self.held = [*self.held[1 - KEPT :], (snapshot, self.committed)]
        self.begin_block()

    def reopen(self) -> None:
        self.store.close()
        self.held = []
        self.store = open_store(self.home, kept_heights=KEPT)
        self.begin_block()

    @rule()
    def restart(self) -> None:
        self.reopen()

    @rule()
    def crash_after_blobs(self) -> None:
        """Stop between the blobs and the batch: the block must leave no trace."""
        self.store._segments.append(self.store.stage(self.overlay).blobs)
        self.reopen()

    @rule()
    def crash_before_drop(self) -> None:
        """Stop between the batch and the removal of dropped segments: the block must be whole."""
        staged = self.store.stage(self.overlay)
        self.height += 1
        kept = {path: path.read_bytes() for path in (self.home / "segments").iterdir()}
        self.store.commit(staged, self.height, self.height * 10)
        for path, data in kept.items():
            if not path.exists():
                path.write_bytes(data)
        self.committed = self.pending
        self.reopen()

    @invariant()
    def the_newest_state_is_the_model(self) -> None:
        latest = self.store.latest()
        assert (latest.height, latest.time_ns) == (self.height, self.height * 10)
        assert latest.app_hash == self.committed.app_hash()
        assert read_pairs(latest) == self.committed.pairs
        for segment in (b"r1", b"r2"):
            for data in {data for model in (self.committed, self.pending) for data in model.blobs.values()}:
                digest = sha256(data).digest()
                assert latest.get_blob(segment, digest) == self.committed.blobs.get((segment, digest))

    @invariant()
    def the_block_in_the_making_is_the_model(self) -> None:
        assert read_pairs(self.overlay) == self.pending.pairs
        for (segment, digest), data in self.pending.blobs.items():
            assert self.overlay.get_blob(segment, digest) == data

    @invariant()
    def older_states_do_not_change(self) -> None:
        for snapshot, model in self.held:
            assert self.store.at(snapshot.height) is snapshot
            assert read_pairs(snapshot) == model.pairs
            assert snapshot.app_hash == model.app_hash()
            if model.pairs[PROVABLE]:
                assert snapshot.prove(b"a")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.verify_content()
            assert set(read_pairs(self.store.latest())) == {BULK, PROVABLE}
            self.store.close()
        shutil.rmtree(self.home)


class PlyvelMachine(StoreMachine):
    backend = "plyvel"


class RocksdictMachine(StoreMachine):
    backend = "rocksdict"


@pytest.mark.parametrize("machine", [PlyvelMachine, RocksdictMachine])
def test_the_store_is_a_dictionary_that_survives_crashes(machine: type[StoreMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
