"""`./run soak link`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

DOCS_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "soak.md"
FAILED_EXIT: Final = 1


@click.command(name="link")
@click.option("--minutes", default=30.0, show_default=True, help="How long packets are sent.")
@click.option("--seed", default=1, show_default=True, help="Of the schedule of kills and of the load.")
@click.option("--rate", default=12.0, show_default=True, help="Packets a second, all directions together.")
@click.option("--validators", default=4, show_default=True, help="Validators of the hub.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write everything there, every kill included.",
)
@click.option("--write-docs", is_flag=True, help="Put the record into docs/soak.md as the last run.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".gradchain/soak"),
    show_default=True,
    help="Where chains, logs and the relayer's journal are kept; it is emptied first.",
)
def link_command(
    minutes: float,
    seed: int,
    rate: float,
    validators: int,
    json_file: Path | None,
    write_docs: bool,
    directory: Path,
) -> None:
    """Send packets between a hub and two shards while relayer, RPC endpoints and validators are killed.

    At the end both sides are audited from their blocks and states; exit non-zero if anything differs.
    docs/soak.md says what is run and what must hold.
    """
    from bench.soak.link import SoakOptions, run_soak  # noqa: PLC0415
    from bench.soak.report import print_record, record_to_json, record_to_markdown  # noqa: PLC0415
    from localnet.demo.directory import claim_directory  # noqa: PLC0415
    from tools.page_parts import LAST_RUN, replace_part  # noqa: PLC0415

    options = SoakOptions(
        directory.absolute(), seconds=60 * minutes, seed=seed, rate=rate, hub_validators=validators
    )
    with claim_directory(options.directory):
        record = run_soak(options, lambda text: click.echo(text, err=True))
    print_record(record)
    if json_file is not None:
        json_file.write_text(record_to_json(record), encoding="utf-8")
    if write_docs:
        page = DOCS_PAGE.read_text(encoding="utf-8")
        DOCS_PAGE.write_text(replace_part(page, LAST_RUN, record_to_markdown(record)), encoding="utf-8")
    if not record.passed:
        sys.exit(FAILED_EXIT)
