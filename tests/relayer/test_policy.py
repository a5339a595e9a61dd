"""What follows from each registered failure."""

from __future__ import annotations

import importlib

import pytest

from abci_app import errors as node
from ibc import errors as ibc
from relayer import errors as own
from relayer.policy import CONSEQUENCES, Consequence, consequence_of, failure_of
from relayer.types import Failure
from tx.errors import REGISTRY, AppError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ibc.RelayRedundant, Consequence.REDUNDANT),
        (node.TxReplayed, Consequence.PENDING),
        (node.MempoolFull, Consequence.RETRY),
        (own.EndpointsDown, Consequence.RETRY),
        (ibc.ClientNotActive, Consequence.LANE),
        (own.BatchTooLarge, Consequence.TOO_LARGE),
        (ibc.CommitmentMismatch, Consequence.PACKET),
        (ibc.ProofValueMismatch, Consequence.PACKET),
    ],
)
def test_failures_have_the_consequence_that_fits(error: type[AppError], expected: Consequence) -> None:
    assert consequence_of(failure_of(error("x"))) is expected


def test_a_code_that_is_not_known_concerns_the_packet_alone() -> None:
    assert consequence_of(Failure("somewhere", 4711, "?")) is Consequence.PACKET


def test_every_code_of_the_table_is_registered() -> None:
    for codespace, code in CONSEQUENCES:
        assert (codespace, code) in REGISTRY


def test_every_error_of_the_relayer_says_what_to_do() -> None:
    importlib.import_module("relayer.errors")
    errors = [error for (codespace, _), error in REGISTRY.items() if codespace == "relayer"]
    assert len(errors) >= 18
    for error in errors:
        assert error.CURE
        assert error.__doc__
