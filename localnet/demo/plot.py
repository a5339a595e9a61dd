"""The picture of a run: accuracy a round, beside the float baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def draw_accuracy(
    path: Path, chain: Sequence[float], baselines: Mapping[str, Sequence[float]], title: str
) -> None:
    """Write a PNG with the curves; accuracies are in percent, one a round."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and needed once

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4), dpi=120)
    styles = ("--", ":")
    for (name, values), style in zip(sorted(baselines.items()), styles, strict=False):
        axes.plot(range(1, len(values) + 1), values, style, label=f"float FedAvg, {name}")
    axes.plot(range(1, len(chain) + 1), chain, "-o", markersize=3, label="gradchain (on chain, integers)")
    axes.set_xlabel("round")
    axes.set_ylabel("test accuracy, %")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
