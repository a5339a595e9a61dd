"""`gradchain model`: fetch a task's model, or verify it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from aggregation.model import encode_model, model_chunks, to_float
from cli.files import check_new
from cli.hubclient import get_round
from cli.options import task_option, with_network
from cli.output import show
from cli.params import ROUND
from cli.proofs import check_spec, verify_info
from cli.weights import check_suffix, write_weights
from participant.errors import UnverifiedData
from participant.tasks import get_task

if TYPE_CHECKING:
    from cli.context import Session
    from participant.verified import VerifiedHub
    from wire.gradchain.fl.v1 import round_pb2


@dataclass(frozen=True, slots=True)
class FetchedView:
    """A model in a new file."""

    file: str
    task: int
    round: int | None
    """The round whose base model it is; nothing for the newest model."""
    root: bytes
    parameters: int
    verified: bool
    """The root is proven, and the bytes have it."""
    tensors_verified: bool
    """Names and shapes are those of the proven spec; before the first round there is no proof of it."""


@dataclass(frozen=True, slots=True)
class VerifiedView:
    """A model whose root is proven and whose bytes have that root."""

    task: int
    root: bytes
    height: int
    """Of the header that proves the root; the model is that of the state below it."""
    header_hash: bytes
    app_hash: bytes
    signatures: int
    """Validators that voted for the header's block."""
    signed_power: int
    total_power: int
    headers_verified: int
    """Headers that the light client went through from the genesis file."""
    chunks: int
    model_bytes: int
    parameters: int
    verified: bool


@click.group("model", no_args_is_help=True)
def model_group() -> None:
    """Fetch a task's model, or verify it.

    Nothing that a node says is believed: the root is proven by light client from the genesis file (--genesis, or that
    of the localnet), and the bytes are checked against the root.
    """


@model_group.command("get")
@task_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="New file: a state_dict (.pt) or arrays by name (.npz), in float32.",
)
@click.option(
    "--round",
    "round_number",
    type=ROUND,
    metavar="N",
    help="The base model of this round, to train from; the newest model if not given.",
)
@with_network
def get_command(session: Session, task: int, out: Path, round_number: int | None) -> None:
    """Fetch a model, verify it, and write it to a file that PyTorch or NumPy reads."""
    check_suffix(out)
    check_new(out)
    hub = session.verified_hub()
    spec = hub.task_spec(task)
    info = _prove_round(session, hub, task, round_number)
    if info is not None:
        check_spec(spec, info)
    if info is None or round_number is None:
        proven = hub.prove_model(task)
        root, model = proven.root, proven.model
    else:
        root, model = info.base_root, hub.model_at(info.base_root, spec.parameters)
    write_weights(out, to_float(model).astype(np.float32), spec.tensors)
    view = FetchedView(
        file=str(out),
        task=task,
        round=round_number,
        root=root,
        parameters=int(model.size),
        verified=True,
        tensors_verified=info is not None,
    )
    show(view, as_json=session.as_json)


def _prove_round(
    session: Session, hub: VerifiedHub, task: int, round_number: int | None
) -> round_pb2.RoundInfo | None:
    """Return the proven record of a round, or of the newest; None if none is given and there is none yet.

    Raises:
      RemoteError: there is no such round.
      UnverifiedData: the chain proves another record.

    """
    if round_number is None and not get_task(session.hub(), task).round:
        return None
    info = get_round(session, task, round_number, None).info
    if info.task != task or round_number not in (None, info.round):
        raise UnverifiedData(f"expected round {round_number or 'newest'} of task {task}, got another one")
    verify_info(hub, info)
    return info


@model_group.command("verify")
@task_option
@with_network
def verify_command(session: Session, task: int) -> None:
    """Verify the newest model of a task: header, proof of its root, and every byte."""
    hub = session.verified_hub()
    proven = hub.prove_model(task)
    encoded = encode_model(proven.model)
    proof = proven.proof
    view = VerifiedView(
        task=task,
        root=proven.root,
        height=proof.height,
        header_hash=proof.header_hash,
        app_hash=proof.app_hash,
        signatures=proof.signatures,
        signed_power=proof.signed_power,
        total_power=proof.total_power,
        headers_verified=hub.headers_verified,
        chunks=len(model_chunks(encoded)),
        model_bytes=len(encoded),
        parameters=int(proven.model.size),
        verified=True,
    )
    show(view, as_json=session.as_json)
