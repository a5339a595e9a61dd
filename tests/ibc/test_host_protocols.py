"""The chain kit offers what the module asks for.  The type checker proves it; running proves that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.context import BlockContext, TxContext, VerificationCache
from abci_app.state import BULK as KIT_BULK
from abci_app.state import PROVABLE as KIT_PROVABLE
from abci_app.state import Overlay, StateWriter
from ibc.host import BULK, PROVABLE, BranchedState, HostContext, HostReader, HostState, PortApp
from tests.support.ibc_host import EmptyState
from tests.support.ibc_link import RecordingApp

if TYPE_CHECKING:
    from ibc.host import Branch
    from ibc.voting import SignatureCache


def as_contexts(block: BlockContext, tx: TxContext) -> tuple[HostContext, HostContext]:
    return block, tx


def as_states(writer: StateWriter) -> tuple[HostReader, HostState]:
    return writer, writer


def as_writer(state: HostState) -> StateWriter:
    return state


def test_the_kits_types_are_those_that_the_module_asks_for() -> None:
    overlay = Overlay(EmptyState())
    branch: Branch = Overlay
    branched: BranchedState = branch(overlay)
    branched.set(BULK, b"key", b"value")
    branched.merge()
    assert overlay.get(BULK, b"key") == b"value"
    assert as_states(overlay) == (overlay, overlay)
    assert as_writer(overlay) is overlay
    cache: SignatureCache = VerificationCache()
    cache.put(b"digest", verdict=True)
    assert cache.get(b"digest") is True
    app: PortApp = RecordingApp()
    assert app is not None


def test_stores_have_the_same_names_on_both_sides() -> None:
    assert (BULK, PROVABLE) == (KIT_BULK, KIT_PROVABLE)
