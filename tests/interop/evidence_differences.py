"""Where evidence alone is judged otherwise than by ibc-go's 07-tendermint, on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EvidenceDifference:
    """A kind of evidence with two verdicts."""

    name: str
    why: str


ANOTHER_REVISION: Final = EvidenceDifference(
    "evidence of another revision of the chain",
    "ibc-go puts the revision of the header into the client's chain id; a chain of another revision is another chain "
    "to us, since its validators may have been replaced at the upgrade.",
)

EVIDENCE_DIFFERENCES: Final = (ANOTHER_REVISION,)
