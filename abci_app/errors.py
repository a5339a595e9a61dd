"""Expected failures of a node: server, store, processes, limits and execution.

Codes 1-19 are the ABCI server's, 20-39 the store's, 40-79 the node's processes and its CometBFT, 80-99 those of
execution, 100-119 those of the gRPC services.
"""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class NodeError(AppError):
    """Root of the failures of a node."""

    CODESPACE: ClassVar[str] = "node"


class SocketInUse(NodeError):
    """Another process already listens on the address."""

    CODE = 1
    CURE = (
        "Stop the other process, or choose another address: `abci` in node.toml, `--address` of the example."
    )


class SocketPathTooLong(NodeError):
    """The path of the unix socket is longer than the operating system allows."""

    CODE = 2
    CURE = "Use a home directory with a shorter path."


class InvalidSocketAddress(NodeError):
    """The address is neither `unix:///path` nor `tcp://host:port`, or cannot be bound."""

    CODE = 3
    CURE = "Write the address as `unix:///path/to/socket` or `tcp://127.0.0.1:26658`."


class SocketPathTaken(NodeError):
    """Something that is not a socket lies where the unix socket should be."""

    CODE = 4
    CURE = "Move the file away, or choose another path."


class MalformedFrame(NodeError):
    """A peer sent bytes that are no length-prefixed ABCI request."""

    CODE = 5
    CURE = 'Connect only CometBFT 0.38 to 0.40 with `abci = "socket"` to this address.'


class FrameTooLarge(NodeError):
    """A peer announced a message above the limit."""

    CODE = 6
    CURE = "Lower the chain's `block.max_bytes`, or raise the server's limit."


class CallOrderViolated(NodeError):
    """ABCI calls came in an order that the specification excludes."""

    CODE = 7
    CURE = "Reset the app together with CometBFT's data, or report the recorded calls."


class ApplicationFailed(NodeError):
    """The application raised an exception that it did not expect, and was stopped before it could do harm."""

    CODE = 8
    CURE = "Read the traceback in the log; start the node again, and report it if it comes back."


class ImpossibleAnswer(NodeError):
    """The application answered something on which CometBFT would stop."""

    CODE = 9
    CURE = "Correct the application: see the requirements in CometBFT's specification of ABCI."


class KeyFileExists(NodeError):
    """A key file would have been overwritten."""

    CODE = 10
    CURE = "Choose another path; delete the old key only if you are sure that nobody needs it."


class KeyFileMissing(NodeError):
    """There is no key file at the path."""

    CODE = 11
    CURE = "Make the key (`gradchain key new`, `gradchain relayer keys add`), or correct its name or path."


class KeyFileReadable(NodeError):
    """The key file may be read or changed by others than its owner."""

    CODE = 12
    CURE = "Run `chmod 600` on the file, and consider whether the key has leaked."


class KeyFileInvalid(NodeError):
    """The file is not what a key is saved as, or has been altered."""

    CODE = 13
    CURE = "Restore the file from a backup."


class KeyFileUnusable(NodeError):
    """The operating system refuses to open or create the key file."""

    CODE = 14
    CURE = "Create the directory, or correct its permissions."


class CometMissing(NodeError):
    """No `cometbft` binary was found, or what was found does not run."""

    CODE = 40
    CURE = (
        "Build the pinned version with `./run setup` (it lands in .tools/bin), put `cometbft` on PATH, or name the "
        "file in the environment variable GRADCHAIN_COMETBFT."
    )


class CometUnsupported(NodeError):
    """The `cometbft` binary is of a release line that this application does not speak with, or has a known hole."""

    CODE = 41
    CURE = (
        "Install the pinned 0.39 release with `./run setup`. Never use `go install ...@latest`: it gives the "
        "abandoned 1.x line."
    )


class HomeMissing(NodeError):
    """The directory is no node home: it has no node.toml."""

    CODE = 42
    CURE = "Make a home with `gradchain node init`, or give the right path with --home."


class HomeInvalid(NodeError):
    """A file of the node home cannot be read, or holds a value that is not allowed."""

    CODE = 43
    CURE = "Correct the file that the message names, or make the home again with `gradchain node init`."


class HomeExists(NodeError):
    """A home would be made where one exists: its keys would be lost."""

    CODE = 44
    CURE = "Choose another directory, or remove the old home first if its keys are not needed any more."


class NodeRunning(NodeError):
    """Another supervisor runs a node on the same home; two would sign against each other."""

    CODE = 45
    CURE = "Stop the other node (the message names its process), or give this one a home of its own."


class PortInUse(NodeError):
    """A port that the node needs is taken by another process."""

    CODE = 46
    CURE = "Stop what listens there (`ss -ltnp`), or change the port in node.toml and config/config.toml."


class CrashLoop(NodeError):
    """The node's processes died too often shortly after their start."""

    CODE = 47
    CURE = "Read the end of logs/app.log and logs/comet.log in the home, mend the cause, and start the node again."


class InvalidSetting(NodeError):
    """A CometBFT setting is out of its range, or contradicts another."""

    CODE = 48
    CURE = "Choose a value that satisfies the rule that the message states."


class UnsafeDirectory(NodeError):
    """The directory of the ABCI socket belongs to another user or is open to others."""

    CODE = 49
    CURE = "Remove the directory that the message names; it is made again, private, at the next start."


class NurseryFailed(NodeError):
    """The process that starts the apps of a localnet ended, or did not start."""

    CODE = 50
    CURE = "Read the end of logs/supervisor.log in the localnet's directory, and start the localnet again."


class EndpointUnreachable(NodeError):
    """A node's RPC endpoint did not answer: refused, timed out, or cut the connection."""

    CODE = 55
    CURE = "Check that the node runs and that the address is right, or use another endpoint of the chain."


class RpcRefused(NodeError):
    """A node's RPC endpoint answered with an error."""

    CODE = 56
    CURE = "Read the text of the answer, which the message quotes; the request itself was refused."


class RpcMalformed(NodeError):
    """A node's RPC endpoint answered with something that is no CometBFT answer."""

    CODE = 57
    CURE = "Check that the address is a CometBFT RPC endpoint of a supported release."


class TxTooLarge(NodeError):
    """A transaction exceeds one of the limits on its size: RPC body, mempool, or block."""

    CODE = 58
    CURE = "Send the parts in several transactions; `gradchain node doctor` lists every limit in force."


class MempoolFull(NodeError):
    """The node's mempool holds as much as it may."""

    CODE = 59
    CURE = "Send the same transaction again after some blocks; nothing is lost."


class HeightUnavailable(NodeError):
    """The node has no block, or no results, of that height: not made yet, or pruned."""

    CODE = 60
    CURE = "Wait for the height, or ask a node that keeps older blocks."


class NodeCatchingUp(NodeError):
    """The node is still catching up with its chain and takes no transactions."""

    CODE = 61
    CURE = "Wait until `gradchain node status` shows that it caught up, or use another endpoint."


class DiskFull(NodeError):
    """The file system, a quota or a size limit left no room for what had to be written."""

    CODE = 20
    CURE = "Free space on the disk of the node's home, then start the node again: nothing was half written."


class HomeLocked(NodeError):
    """Another process, or another store of this process, has the home open."""

    CODE = 21
    CURE = "Stop the other node, or use another home."


class BackendUnavailable(NodeError):
    """The database library that the home was made with cannot be imported here."""

    CODE = 22
    CURE = "Install the library that the message names, or make a new home and let the node catch up."


class BackendMismatch(NodeError):
    """A database library was asked for that is not the one the home was made with."""

    CODE = 23
    CURE = "Leave the choice out, or make a new home with the other library and let the node catch up."


class UnknownBackend(NodeError):
    """The name of a database library is none that the node knows."""

    CODE = 24
    CURE = "Choose `plyvel` or `rocksdict`."


class CorruptState(NodeError):
    """What the disk holds is not what the node wrote."""

    CODE = 25
    CURE = "Check the disk, restore the home from a backup, or delete the state and let the node catch up."


class StorageFailed(NodeError):
    """The operating system or the database failed to read or write for another reason than lack of space."""

    CODE = 26
    CURE = "Check the disk and the permissions of the home, then start the node again."


class StoreClosed(NodeError):
    """The store was closed, or a commit failed and nothing more may be written before it is opened again."""

    CODE = 27
    CURE = "Start the node again."


class UnsupportedFormat(NodeError):
    """The state was written in a format that this version does not know."""

    CODE = 28
    CURE = "Use the version that wrote it, or make a new home and let the node catch up."


class NothingToProve(NodeError):
    """The provable store is empty, and a proof from an empty tree does not exist."""

    CODE = 29
    CURE = "Ask again when the chain has written its first provable key."


class KeyTooDeep(NodeError):
    """A key lies deeper in the tree than any verifier follows a path."""

    CODE = 30
    CURE = "Report the key: the shape of provable keys is meant to make this impossible."


class BundleRefused(NodeError):
    """A bundle of updates was sent to a chain that takes none, such as the hub."""

    CODE = 80
    CURE = (
        "Send updates to the shard to which the participant is assigned (`gradchain participant assignment`)."
    )


class DuplicateItem(NodeError):
    """A bundle holds two updates of one participant and round."""

    CODE = 82
    CURE = "Send one update for each participant and round."


class NothingNew(NodeError):
    """Every update of the bundle is pending or stored already."""

    CODE = 83
    CURE = "Nothing has to be done: wait for the first submission to be committed."


class TxReplayed(NodeError):
    """The same transaction body was executed before, or is pending, whatever its signatures."""

    CODE = 84
    CURE = (
        "If it was meant once, nothing has to be done: look up what became of it. To do the same again, build it "
        "again: a new nonce makes it a different one."
    )


class UnknownMessageType(NodeError):
    """A transaction holds a message that this chain does not execute."""

    CODE = 85
    CURE = "Check that the message is meant for this kind of chain (hub or shard) and this version."


class CommitTimeout(NodeError):
    """The transaction is not in a block yet.  It may still be included until it expires."""

    CODE = 100
    CURE = "Ask for the outcome later, or send the same bytes again: nothing is executed twice."


class StateNotKept(NodeError):
    """The state of that height is no longer, or not yet, at hand."""

    CODE = 101
    CURE = "Ask for a recent height, or for the last one by leaving the height out."


class UpdatesNotTaken(NodeError):
    """The update does not fit into one transaction of this chain."""

    CODE = 102
    CURE = (
        "Train a model with fewer parameters: an update needs a byte for each. Operators can raise `max_tx_bytes` on "
        "all nodes of the shard; `gradchain node doctor` lists the limits in force."
    )


class NodeUnavailable(NodeError):
    """No node of the chain answered, or the one that did got no answer from its own CometBFT."""

    CODE = 103
    CURE = "Start it (`gradchain localnet up`, `gradchain node start`) or correct the address; its logs tell more."


class GrpcAddressInUse(NodeError):
    """Another process listens on the node's gRPC address."""

    CODE = 104
    CURE = "Stop what listens there (`ss -ltnp`), or give the node another address: `grpc` in node.toml."


class TooManyWaiting(NodeError):
    """As many calls as the node allows wait for a block already; this one was not started, and nothing was sent."""

    CODE = 105
    CURE = (
        "Send the same again a second later, or to another node of the chain; or send it without waiting and ask for "
        "the outcome (`GetTx`, `GetUpdate`)."
    )
