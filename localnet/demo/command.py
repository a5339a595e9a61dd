"""`gradchain demo`: the whole main job in one command."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Final

import click

TAMPER_EXIT: Final = 4
"""A fault was planted and caught: not everything was verified, which is the point."""

MISSED_EXIT: Final = 1
SVG_COLUMNS: Final = 110


@click.command(name="demo")
@click.option("--shards", default=2, show_default=True, type=click.IntRange(1, 8), help="Shard chains.")
@click.option(
    "--validators", default=4, show_default=True, type=click.IntRange(1, 16), help="Validators of each chain."
)
@click.option("--participants", default=8, show_default=True, type=click.IntRange(1, 64), help="Who trains.")
@click.option(
    "--rounds", default=12, show_default=True, type=click.IntRange(1, 1000), help="Rounds of training."
)
@click.option("--seed", default=1, show_default=True, help="Of keys, first weights, data split and training.")
@click.option(
    "--tamper",
    type=click.Choice(["header", "proof", "body", "sum", "payload"]),
    help="Plant one fault in that place, and show which check catches it.",
)
@click.option(
    "--chaos", is_flag=True, help="Kill the relayer five times and a shard's validator once, amid work."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all results there."
)
@click.option(
    "--svg",
    "svg_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save what is on the screen at the end as a picture.",
)
@click.option("--keep", is_flag=True, help="Keep the chains' data; without it only logs and results stay.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".gradchain/demo"),
    show_default=True,
    help="Where everything is kept; emptied at the start.",
)
def demo_command(
    shards: int,
    validators: int,
    participants: int,
    rounds: int,
    seed: int,
    tamper: str | None,
    chaos: bool,
    json_file: Path | None,
    svg_file: Path | None,
    keep: bool,
    directory: Path,
) -> None:
    """Train a real model on real data while real chains check, store, carry, aggregate and pay.

    Starts a hub and shards (CometBFT nodes with our apps), a relayer, and participants that each hold a part of 5,000
    MNIST digits; then compares the result with float federated averaging on the same data.  Exits non-zero if anything
    was not verified.  No process outlives the command.
    """
    from rich.console import Console  # noqa: PLC0415 - help must be fast

    from localnet.demo.directory import claim_directory  # noqa: PLC0415
    from localnet.demo.display import DemoDisplay  # noqa: PLC0415
    from localnet.demo.options import DemoOptions, Tamper  # noqa: PLC0415
    from localnet.demo.run import Demo  # noqa: PLC0415
    from localnet.demo.summary import print_summary, write_json  # noqa: PLC0415

    options = DemoOptions(
        directory=directory.absolute(),
        shards=shards,
        validators=validators,
        participants=participants,
        rounds=rounds,
        seed=seed,
        tamper=Tamper(tamper) if tamper else None,
        chaos=chaos,
        workers=max(1, os.cpu_count() or 1),
    )
    _check_parents(options.directory, (json_file, svg_file))
    console = Console()
    headings = [f"shard-{index}" for index in range(shards)]
    with claim_directory(options.directory), DemoDisplay(console, headings, rounds) as display:
        demo = Demo(options, display)
        try:
            demo.run()
        finally:
            if json_file is not None:
                write_json(json_file, demo.result)
            if not keep:
                shutil.rmtree(options.directory / "chains", ignore_errors=True)
                demo.result.paths.pop("chains", None)
    if tamper:
        caught = demo.result.tamper
        if not caught["by"]:
            console.print(f"fault planted in {tamper}: NOT CAUGHT")
            sys.exit(MISSED_EXIT)
        console.print(
            f"fault planted in {tamper}: caught by {caught['by']}, check {caught['check']} "
            f"[{caught['codespace']}/{caught['code']}]: {caught['message']}",
            highlight=False,
            markup=False,
            soft_wrap=not console.is_terminal,
        )
        sys.exit(TAMPER_EXIT)
    print_summary(console, demo.result)
    if svg_file is not None:
        # The live table repaints many times a second; the picture is of what is left on the screen.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            recorder = Console(record=True, file=nowhere, force_terminal=True, width=SVG_COLUMNS)
            recorder.print(display.table)
            print_summary(recorder, demo.result)
            recorder.save_svg(str(svg_file), title="./run demo")


def _check_parents(directory: Path, files: tuple[Path | None, ...]) -> None:
    """Check before minutes of work that what is written at their end has a place."""
    for file in files:
        parent = None if file is None else file.absolute().parent
        if parent is not None and parent != directory and not parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))
