"""The kinds of cases that are judged side by side; docs/differential.md has a row for each."""

from __future__ import annotations

from typing import Final

from tests.support.differential import Comparison

_ICS23: Final = "cosmos/ics23"
_UPDATES: Final = "cometbft/light, 07-tendermint"

IAVL_PROOFS: Final = Comparison("proofs of IAVL trees", "cosmos/iavl", _ICS23)
STORE_PROOFS: Final = Comparison("proofs of our store", "our store", _ICS23)
MAP_PROOFS: Final = Comparison("proofs of simple maps", "cosmos-sdk/store", _ICS23)
CHANGED_IAVL_PROOFS: Final = Comparison("changed proofs of IAVL trees", "cosmos/iavl", _ICS23)
CHANGED_STORE_PROOFS: Final = Comparison("changed proofs of our store", "our store", _ICS23)
CHANGED_MAP_PROOFS: Final = Comparison("changed proofs of simple maps", "cosmos-sdk/store", _ICS23)
OUR_CHAINS: Final = Comparison("chained proofs of our chains", "our store", "ibc-go MerkleProof")
SDK_CHAINS: Final = Comparison(
    "chained proofs of SDK chains", "cosmos/iavl, cosmos-sdk/store", "ibc-go MerkleProof"
)
SOUND_UPDATES: Final = Comparison("sound updates", "the tests", _UPDATES)
CHANGED_UPDATES: Final = Comparison("changed updates", "the tests", _UPDATES)
EVIDENCE: Final = Comparison("evidence", "the tests", "07-tendermint")
PACKETS: Final = Comparison("packets", "the tests", "ibc-go channel/v2")
ACKNOWLEDGEMENTS: Final = Comparison("acknowledgements", "the tests", "ibc-go channel/v2")
REAL_HEADERS: Final = Comparison("real headers", "CometBFT nodes", _UPDATES)

COMPARISONS: Final = (
    IAVL_PROOFS,
    STORE_PROOFS,
    MAP_PROOFS,
    CHANGED_IAVL_PROOFS,
    CHANGED_STORE_PROOFS,
    CHANGED_MAP_PROOFS,
    OUR_CHAINS,
    SDK_CHAINS,
    SOUND_UPDATES,
    CHANGED_UPDATES,
    EVIDENCE,
    PACKETS,
    ACKNOWLEDGEMENTS,
    REAL_HEADERS,
)
