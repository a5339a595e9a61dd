"""Each kind of bad input has a code of its own, with cause and cure in docs/errors.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from abci_app import errors as node
from aggregation import errors as aggregation
from hub import errors as hub
from ibc import errors as ibc
from shards import errors as shard
from tx import failures as tx
from tx.errors import REGISTRY

if TYPE_CHECKING:
    from tx.errors import AppError

ITEMS: Final[dict[str, tuple[type[AppError], ...]]] = {
    "malformed protobuf": (tx.MalformedEncoding,),
    "encoding that is not canonical": (tx.NonCanonicalEncoding,),
    "unknown field": (tx.UnknownField,),
    "wrong chain id": (tx.WrongChain, shard.WrongDestination, ibc.WrongChainId),
    "expired": (tx.Expired,),
    "replayed": (node.TxReplayed,),
    "a signature too many": (tx.WrongSigners,),
    "bad signature": (tx.InvalidSignature,),
    "payload that does not match its root": (shard.PayloadMismatch,),
    "commitment that does not match its blob": (shard.CommitmentMismatch,),
    "wrong counts": (shard.CountMismatch,),
    "wrong size": (shard.WrongPayloadSize, shard.WrongCommitmentCount),
    "value out of range": (shard.PayloadOutOfRange,),
    "closed round": (shard.RoundClosed,),
    "unknown round": (shard.UnknownRound, hub.RoundNotFound),
    "participant not assigned": (shard.NotAssigned,),
    "second update": (shard.SecondUpdate, shard.SlotSpent),
    "oversized transaction": (node.TxTooLarge,),
    "oversized update": (node.UpdatesNotTaken,),
    "full mempool": (node.MempoolFull,),
    "bundle with two equal items": (node.DuplicateItem,),
    "packet with a forged proof": (ibc.RootMismatch, ibc.ProofValueMismatch, ibc.ProofKeyMismatch),
    "old header": (ibc.HeightNotNewer, ibc.TimeNotNewer, ibc.TrustExpired),
    "expired client": (ibc.ClientNotActive,),
    "wrong client": (
        ibc.ClientNotFound,
        ibc.CounterpartyMismatch,
        shard.ForeignClient,
        hub.ForeignClient,
    ),
    "double delivery": (ibc.RelayRedundant, shard.AlreadyAccepted, hub.AlreadyCheckpointed),
    "body that does not match": (
        aggregation.MerklePathError,
        hub.WrongPart,
        hub.BodyMismatch,
        hub.CertificateMismatch,
        hub.WeightMismatch,
        aggregation.AggregateSumError,
        aggregation.AggregateOpeningError,
    ),
    "aggregate out of range": (aggregation.AggregateRangeError,),
    "zero participants": (tx.InvalidSpec,),
    "checkpoint that came too late": (hub.CheckpointTooLate,),
    "disk full": (node.DiskFull,),
    "port in use": (node.PortInUse, node.GrpcAddressInUse, node.SocketInUse),
    "two nodes on one home": (node.NodeRunning, node.HomeLocked),
    "CometBFT of another version line": (node.CometUnsupported,),
}
"""A shard that never reports is nobody's failure: its round closes at the deadline without it."""

PAGE: Final = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


def test_no_two_kinds_share_a_code() -> None:
    codes = [(error.CODESPACE, error.CODE) for errors in ITEMS.values() for error in errors]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("name", ITEMS)
def test_every_code_is_registered_and_documented_with_cause_and_cure(name: str) -> None:
    for error in ITEMS[name]:
        assert REGISTRY[error.CODESPACE, error.CODE] is error
        section = PAGE.split(f"## {error.CODESPACE}\n")[1].split("\n## ")[0]
        (row,) = [row for row in section.splitlines() if row.startswith(f"| {error.CODE} |")]
        _, _, title, cause, cure, _ = (cell.strip() for cell in row.split(" | ".strip()))
        assert title == error.__name__
        assert len(cause) > 10
        assert cure == " ".join(error.CURE.split())
