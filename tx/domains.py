"""Every domain string that separates one use of a hash or a signature from another.

All stand here, so that no two can be the same by accident.
"""

from __future__ import annotations

from typing import Final

TX_SIGNATURE: Final = b"gradchain/tx/1"
"""Prefix of the digest that an account signs: sha256(domain || body bytes)."""

STATEMENT_SIGNATURE: Final = b"gradchain/update-statement/1"
"""Prefix of the digest that a participant signs: sha256(domain || statement bytes)."""

ASSIGNMENT_LEAF: Final = "gradchain/assignment/1"
CERTIFICATE_LEAF: Final = "gradchain/certificate/1"
COMMITMENT_LEAF: Final = "gradchain/aggregate-commitment/1"
GRAM_LEAF: Final = "gradchain/gram/1"
SETTLEMENT_LEAF: Final = "gradchain/settlement/1"
"""First field of every leaf of the Merkle tree that it names."""

SPEC_DIGEST: Final = b"gradchain/task-spec/1"
"""Prefix of the digest of a task spec: sha256(domain || spec bytes)."""

ROUND_SEED: Final = b"gradchain/round-seed/1"
ASSIGNMENT_ORDER: Final = b"gradchain/assignment-order/1"
BATCH_ORDER: Final = b"gradchain/batch-order/1"

AGGREGATE_FOLD: Final = b"gradchain/aggregate-fold/1"
BATCH_CHECK: Final = b"gradchain/batch-check/1"

COMMIT_VOTE_CHECK: Final = b"gradchain/commit-vote-check/1"
"""Prefix of the digest under which a node remembers that it verified a validator's vote."""

PACKET_PROOF_CHECK: Final = b"gradchain/packet-proof-check/1"
"""Prefix of the digest under which a node remembers that it verified the proof of a packet."""
