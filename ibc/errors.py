"""What can be wrong with proofs, headers, clients and packets.

Codes 1-19 are those of Merkle proofs, 20-49 those of headers and the light client, 50-69 those of the clients that a
chain keeps, 70-89 those of packets.
"""

from __future__ import annotations

from tx.errors import AppError


class IbcError(AppError):
    """Root of the failures of the link between chains."""

    CODESPACE = "ibc"


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


class MalformedHeader(IbcError):
    """A header lacks a part, or a field has the wrong size."""

    CODE = 20
    CURE = "Build the header from the node's answers to /commit and /validators, unchanged."


class MalformedCommit(IbcError):
    """A commit has no vote for its block, or a vote with wrong or missing fields."""

    CODE = 21
    CURE = "Build the header from the node's answers to /commit and /validators, unchanged."


class MalformedValidatorSet(IbcError):
    """A validator set is empty, or has a validator twice or with the wrong address."""

    CODE = 22
    CURE = "Fetch all pages of /validators of the height that the header needs."


class UnsupportedKeyType(IbcError):
    """A validator's key is not an Ed25519 key."""

    CODE = 23
    CURE = "Only chains whose validators sign with Ed25519 can be followed."


class VotingPowerOutOfRange(IbcError):
    """A voting power is negative, or the sum exceeds what CometBFT allows."""

    CODE = 24
    CURE = "Do not trust the node that served this validator set."


class MalformedTime(IbcError):
    """A point in time or a duration is missing or out of range."""

    CODE = 25
    CURE = "Use a time of the years 1 to 9999 with nanoseconds below a billion, or a positive duration."


class WrongChainId(IbcError):
    """The header is of another chain."""

    CODE = 26
    CURE = "Send headers of the chain that the light client follows."


class HeaderHashMismatch(IbcError):
    """The commit is for another header."""

    CODE = 27
    CURE = "Do not trust the node that served this header; take it from another one."


class ValidatorSetMismatch(IbcError):
    """A validator set does not have the hash that it must have."""

    CODE = 28
    CURE = "Send the validators of the header's height, and those of the height after the trusted one."


class TrustedHeightMismatch(IbcError):
    """The header starts from another height than the trusted state, or from another revision of the chain."""

    CODE = 29
    CURE = "Set the trusted height to a height that the client has a consensus state for."


class HeightNotNewer(IbcError):
    """The header is not above the height that it starts from."""

    CODE = 30
    CURE = "Start from a consensus state below the header."


class TrustExpired(IbcError):
    """The trusted state is older than the trusting period, so it can no longer vouch for a header."""

    CODE = 31
    CURE = "Start from a younger consensus state; if there is none, the authority must recover the client."


class TimeNotNewer(IbcError):
    """The header's time is not after that of the trusted state."""

    CODE = 32
    CURE = "Do not trust the node that served this header; times rise with heights."


class HeaderFromFuture(IbcError):
    """The header's time is too far ahead of our own."""

    CODE = 33
    CURE = "Wait; if it persists, compare the clocks of both chains' validators."


class CommitSizeMismatch(IbcError):
    """The commit has another number of slots than the validator set has validators."""

    CODE = 34
    CURE = "Send the commit and the validator set of the same height."


class VoterMismatch(IbcError):
    """A vote's address is not that of the validator in its place."""

    CODE = 35
    CURE = "Send the commit unchanged; votes stand in the order of the validator set."


class DoubleVote(IbcError):
    """A commit holds two votes of one validator."""

    CODE = 36
    CURE = "Do not trust the node that served this commit."


class InvalidVote(IbcError):
    """A vote's signature does not verify."""

    CODE = 37
    CURE = "Take the header from another node, or mark the vote as absent if the others suffice."


class QuorumNotReached(IbcError):
    """Two thirds or less of the header's own validators signed it."""

    CODE = 38
    CURE = "Take the header from another node: a block that was committed has more votes."


class TrustNotReached(IbcError):
    """Too few of the trusted validators signed the header, so headers in between are needed."""

    CODE = 39
    CURE = "Send headers between the trusted height and this one first."


class InvalidTrustOptions(IbcError):
    """The trust level is outside [1/3, 1], or a period is not positive."""

    CODE = 40
    CURE = "Use a trust level of 1/3 to 1 and a trusting period shorter than the unbonding period."


class MalformedRpcAnswer(IbcError):
    """A node's JSON answer does not have the form of CometBFT's."""

    CODE = 41
    CURE = "Check that the address is the RPC endpoint of a CometBFT node of a supported version."


class UnexpectedLightBlock(IbcError):
    """A light block was given that was not asked for, or that contradicts an earlier one."""

    CODE = 42
    CURE = "Give the light block of the height that was asked for, from one chain."


class BisectionTooLong(IbcError):
    """The way from the trusted height to the target needs more headers than the limit."""

    CODE = 43
    CURE = "Start from a younger trusted header."


class InvalidIdentifier(IbcError):
    """A client id, port or chain id has the wrong form."""

    CODE = 50
    CURE = "Use the identifier as the chain's registry or `create_client` event states it."


class ClientNotFound(IbcError):
    """There is no light client with that id."""

    CODE = 51
    CURE = "Ask the chain for its clients (ListClients)."


class ClientNotActive(IbcError):
    """The light client is expired or frozen."""

    CODE = 52
    CURE = "The authority must recover the client from a substitute."


class InvalidClientState(IbcError):
    """A client state that a client may not be created with."""

    CODE = 53
    CURE = "Correct the field that the message names."


class InvalidConsensusState(IbcError):
    """A consensus state that a client may not be created with."""

    CODE = 54
    CURE = "Take time, app hash and next validators' hash from one header."


class ConsensusStateNotFound(IbcError):
    """The client has no consensus state at that height: not updated to it, or pruned."""

    CODE = 55
    CURE = "Send a client update to that height first, in the same transaction."


class NotAuthority(IbcError):
    """Only the chain's authority may do this."""

    CODE = 56
    CURE = "Sign with the account that the genesis names as IBC authority."


class CounterpartyNotFound(IbcError):
    """The client was not tied to a client of the other chain yet."""

    CODE = 57
    CURE = "Register the counterparty first."


class CounterpartyExists(IbcError):
    """The client is tied to a client of the other chain already; that never changes."""

    CODE = 58
    CURE = "Create a new client."


class CounterpartyMismatch(IbcError):
    """The packet names another client of the other chain than the one that ours is tied to."""

    CODE = 59
    CURE = "Relay the packet over the client that it was sent for."


class UnsupportedClientMessage(IbcError):
    """The message for a client is of a type that the client does not understand."""

    CODE = 60
    CURE = "Send a 07-tendermint header, client state or consensus state."


class UnneededUpdate(IbcError):
    """The client update serves no proof of its transaction, and no refresh is due."""

    CODE = 61
    CURE = "Send the update together with the packets that are proven at its height."


class InvalidCounterparty(IbcError):
    """The counterparty's Merkle prefix is empty or too long, or does not fit the client's trees."""

    CODE = 62
    CURE = "Give one element for each of the chain's nested trees; keys are appended to the last."


class InvalidPacket(IbcError):
    """A packet has a field that is empty, malformed or out of range."""

    CODE = 70
    CURE = "Correct the field that the message names."


class PayloadTooLarge(IbcError):
    """The payloads of a packet are too large or too many."""

    CODE = 71
    CURE = "Send a root of the content, and the content itself outside of the packet."


class InvalidAcknowledgement(IbcError):
    """An acknowledgement is empty, or does not fit its packet."""

    CODE = 72
    CURE = "Send the acknowledgement unchanged, as the other chain wrote it."


class TimeoutElapsed(IbcError):
    """The packet's timeout has passed, so it can no longer be sent or received."""

    CODE = 73
    CURE = "Prove to the sender that the packet was not received in time."


class TimeoutTooFar(IbcError):
    """The packet's timeout lies too far ahead."""

    CODE = 74
    CURE = "Use a timeout of at most a day."


class TimeoutNotReached(IbcError):
    """At the proof height the packet's timeout had not passed, so it may still be received."""

    CODE = 75
    CURE = "Wait until the other chain's block time has passed the timeout, and prove at such a height."


class CommitmentMismatch(IbcError):
    """The packet differs from the one that was sent under its number."""

    CODE = 76
    CURE = "Send the packet unchanged, as the `send_packet` event or the pending list shows it."


class UnknownPort(IbcError):
    """No application of this chain listens on the port."""

    CODE = 77
    CURE = "Check the port names and the kind of chain (hub or shard)."


class RelayRedundant(IbcError):
    """Everything that the transaction relays was relayed before."""

    CODE = 78
    CURE = "Nothing has to be done."


class MalformedEvent(IbcError):
    """A packet event lacks an attribute, or holds no packet."""

    CODE = 79
    CURE = "Read the packet from the chain's pending list instead."
