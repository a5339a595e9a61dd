"""What can be wrong with Merkle proofs: codes 1-19."""

from __future__ import annotations

from ibc.errors.root import IbcError


class MalformedProof(IbcError):
    """The bytes are no proof: they do not decode, are not canonical, or lack a part."""

    CODE = 1
    CURE = "Send the proof as the chain's node gave it."


class UnsupportedProof(IbcError):
    """The proof is a batch or compressed one.  Such proofs are not accepted, as in ibc-go."""

    CODE = 2
    CURE = "Send one existence or non-existence proof for each key."


class WrongProofKind(IbcError):
    """A proof of absence stands where one of existence is needed, or the other way round."""

    CODE = 3
    CURE = "Prove the packet's commitment or acknowledgement to exist, and a timed-out packet's receipt to be absent."


class LeafMismatch(IbcError):
    """The proof hashes its leaf in another way than the tree's format."""

    CODE = 4
    CURE = "Make the proof with the tree format that the light client was created with."


class InnerMismatch(IbcError):
    """The proof has an inner node that the tree's format does not allow."""

    CODE = 5
    CURE = "Make the proof with the tree format that the light client was created with."


class DepthOutOfRange(IbcError):
    """The proof has more or fewer inner nodes than the tree's format allows."""

    CODE = 6
    CURE = "Make the proof with the tree format that the light client was created with."


class ProofKeyMismatch(IbcError):
    """The proof is about another key."""

    CODE = 7
    CURE = "Prove the key that the message names, with the counterparty's Merkle prefix in front."


class ProofValueMismatch(IbcError):
    """The proof is about another value."""

    CODE = 8
    CURE = "Send the packet or acknowledgement unchanged, as it was committed."


class EmptyKeyOrValue(IbcError):
    """A key or value is empty; nothing can be proven about it."""

    CODE = 9
    CURE = "Prove a key and a value of at least one byte."


class RootMismatch(IbcError):
    """The proof leads to another root than the one that is trusted."""

    CODE = 10
    CURE = "Prove against the state of the block below the proof height: its root is in the next header."


class KeyNotBetween(IbcError):
    """The neighbours in a proof of absence do not enclose the key."""

    CODE = 11
    CURE = "Make the proof of absence again: it is for another key, or the key exists."


class NotNeighbours(IbcError):
    """The leaves in a proof of absence are not next to each other, or not at the tree's edge."""

    CODE = 12
    CURE = "Make the proof of absence again, from the tree at the proof height."


class ProofCountMismatch(IbcError):
    """A proof through nested trees has another number of parts than there are trees."""

    CODE = 13
    CURE = "Send one proof for each tree, the innermost first."


class UnsupportedProofSpec(IbcError):
    """The description of a tree's format is unsound, or of a kind that is not supported."""

    CODE = 14
    CURE = "Create the client with the default formats: IAVL, then simple Merkle."
