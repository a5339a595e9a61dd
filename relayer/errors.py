"""Expected failures of the relayer.

Codes 1-19 are those of configuration and journal, 20-39 those of chains and their nodes, 40-59 those of relaying,
60-79 those of setting up links.
"""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class RelayError(AppError):
    """Root of the failures of the relayer."""

    CODESPACE: ClassVar[str] = "relayer"


class ConfigMissing(RelayError):
    """The configuration file cannot be read."""

    CODE = 1
    CURE = (
        "Give its path with `--config`, or write one with `gradchain relayer config init`; for a localnet "
        "`gradchain localnet up` writes it."
    )


class ConfigInvalid(RelayError):
    """The configuration has an unknown key, lacks one, or holds a value that is not allowed."""

    CODE = 2
    CURE = "Correct the key that the message names; `relayer/relayer.example.toml` explains every setting."


class JournalInUse(RelayError):
    """Another relayer works with this journal."""

    CODE = 3
    CURE = "Stop the process that the message names, or give this one a journal of its own."


class JournalUnusable(RelayError):
    """The journal cannot be opened or written: permissions, a full disk, or a damaged file."""

    CODE = 4
    CURE = "Free the disk or correct the permissions. A damaged journal may be deleted: the chains are asked instead."


class JournalTooNew(RelayError):
    """The journal was written by a newer version of the relayer."""

    CODE = 5
    CURE = "Use that version, or delete the journal: the chains are asked instead."


class JournalMissing(RelayError):
    """There is no journal yet: the relayer was never started with this configuration."""

    CODE = 6
    CURE = "Start the relayer first (`gradchain relayer start`)."


class HttpUnset(RelayError):
    """The configuration names no address at which its relayer could be asked."""

    CODE = 7
    CURE = "Set `http` in `[relayer]` to a loopback address, and start the relayer anew."


class ConfigExists(RelayError):
    """A configuration would be written where a file is already."""

    CODE = 12
    CURE = "Choose another path with `--out`, or remove the file first."


class ConfigUneditable(RelayError):
    """The configuration is laid out in a way that a command cannot change safely."""

    CODE = 13
    CURE = "Make the change by hand: the message names the key."


class PortTaken(RelayError):
    """The address on which the relayer is to serve metrics and the state of packets cannot be had."""

    CODE = 14
    CURE = "Stop what listens there (`ss -ltnp`), or choose another address as `http` in `[relayer]`."


class RequestInvalid(RelayError):
    """A request to the relayer's HTTP server has an unknown path or a value that is not allowed."""

    CODE = 15
    CURE = (
        "Ask for one of the paths that the message or `GET /` lists, under the address in the configuration."
    )


class PacketUnknown(RelayError):
    """The relayer has not seen the packet, or has forgotten it long after it ended."""

    CODE = 16
    CURE = "Check chain, client and sequence; `gradchain relayer pending` asks the chains themselves."


class RelayerSilent(RelayError):
    """No relayer serves the address that the configuration names."""

    CODE = 17
    CURE = "Start the relayer with this configuration. If it runs, start it anew: it serves the `http` it was started with."


class ShardUnknown(RelayError):
    """A command names a chain that the configuration does not have, or leaves out."""

    CODE = 18
    CURE = "Take one of the chain ids of the configuration that the message lists."


class ProblemsFound(RelayError):
    """An examination found something wrong."""

    CODE = 19
    CURE = "Each problem is listed with its own cure; `docs/operations.md` explains the checks."

    def __init__(self, message: str, worst: AppError) -> None:
        """Say how many there are; `worst` is the one that decides about the exit code."""
        super().__init__(message)
        self.worst = worst


class ChainMismatch(RelayError):
    """A node belongs to another chain than the configuration says, or is of another kind."""

    CODE = 20
    CURE = "Correct `chain_id` or the addresses of that chain in the configuration."


class EndpointsDown(RelayError):
    """No node of a chain answered."""

    CODE = 21
    CURE = "Check that a node of the chain runs and that its addresses are right. The relayer keeps trying."


class AnswerLost(RelayError):
    """A step got no answer for so long that it is tried again."""

    CODE = 22
    CURE = "Nothing has to be done; if it persists, look for overloaded nodes."


class HeightsDisagree(RelayError):
    """The nodes of a chain are at different heights, so that a state could not be read yet."""

    CODE = 23
    CURE = "Nothing has to be done; if it persists, one of the configured nodes has stopped."


class AnswerMalformed(RelayError):
    """A node answered with something that has not the agreed form."""

    CODE = 24
    CURE = "Use nodes of a version that fits the relayer's."


class NodeLagging(RelayError):
    """A node is behind the others of its chain or still catching up, or the chain makes no blocks."""

    CODE = 30
    CURE = (
        "Look at the node with `gradchain node status`; put another one first in the configuration meanwhile."
    )


class ClockSkewed(RelayError):
    """The clock of a node and the one of this host disagree."""

    CODE = 31
    CURE = "Run NTP on both hosts: a header from the future is refused, and expiry is reckoned by the clock."


class WalletEmpty(RelayError):
    """The account of a key holds fewer tokens than the configuration asks for."""

    CODE = 32
    CURE = "Send tokens with `gradchain transfer`, or set `min_balance = 0` where nothing has to be paid."


class ProofUnusable(RelayError):
    """A node gave a proof that does not verify against the chain's signed header."""

    CODE = 40
    CURE = "Do not trust this node; put another one first in the configuration."


class PacketForged(RelayError):
    """A node reported a packet or acknowledgement that its chain's state contradicts."""

    CODE = 41
    CURE = "Do not trust this node; put another one first in the configuration."


class BatchTooLarge(RelayError):
    """A transaction would exceed the chain's limits."""

    CODE = 42
    CURE = "Nothing has to be done: fewer packets are sent together. If it persists, raise `max_tx_bytes`."


class ClientUnusable(RelayError):
    """A light client is expired or frozen, so nothing can be relayed over it."""

    CODE = 43
    CURE = (
        "The authority must recover the client (`gradchain relayer recover`); keep the relayer running to prevent "
        "expiry."
    )


class BodyUnavailable(RelayError):
    """The shard's nodes do not serve the body of a checkpoint."""

    CODE = 44
    CURE = "Add a node of the shard that still keeps the round."


class BodyForged(RelayError):
    """A shard's node serves a body that does not match the checkpoint."""

    CODE = 45
    CURE = "Do not trust this node; put another one first in the configuration."


class ClearUnfinished(RelayError):
    """Packets that were to be cleared are still open."""

    CODE = 50
    CURE = "Mend the reason that is shown with a packet; where there is none, clear again with a longer `--timeout`."


class LinkMissing(RelayError):
    """The clients of a link do not exist yet, or are not tied to each other."""

    CODE = 60
    CURE = "Set up the link with `gradchain relayer link`."


class LinkConflict(RelayError):
    """What exists on the chains contradicts the link that is to be set up."""

    CODE = 61
    CURE = (
        "Read what the message found; a client's counterparty never changes, so make a new chain or client."
    )


class AuthorityMissing(RelayError):
    """A shard has to be registered on the hub, and the configuration names no authority key."""

    CODE = 62
    CURE = "Set `authority_key_file` of the hub for `link`, or have the authority register the shard."


class WitnessDisagrees(RelayError):
    """Two nodes of one chain give different headers for one height, so there is nothing to trust first."""

    CODE = 63
    CURE = "Find out which node lies or follows a fork before you set up the link."


class TrustedHeaderMismatch(RelayError):
    """A node serves another header at `trusted_height` than the one that `trusted_hash` names."""

    CODE = 64
    CURE = (
        "Compare `trusted_height` and `trusted_hash` with a source that you trust. If they are right, the node lies or "
        "follows a fork: take it out of the configuration."
    )


class ClientAstray(RelayError):
    """A light client follows another chain than the one whose header `trusted_height` and `trusted_hash` name."""

    CODE = 65
    CURE = (
        "Compare `trusted_height` and `trusted_hash` with a source that you trust. If they are right, relay nothing over "
        "this client: `docs/operations.md` says under Forks how it is frozen and recovered."
    )


class JournalTooOld(RelayError):
    """The journal was written by an older version of the relayer, and this one has not been started on it yet."""

    CODE = 66
    CURE = "Start the relayer of this version (`gradchain relayer start`): it brings the journal up to date."
