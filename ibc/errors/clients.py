"""What can be wrong with the clients that a chain keeps: codes 50-69."""

from __future__ import annotations

from ibc.errors.root import IbcError


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
    CURE = "The authority must recover the client from a substitute (`gradchain relayer recover`)."


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


class RecoveryUnneeded(IbcError):
    """The client that is to be recovered is active."""

    CODE = 63
    CURE = "Nothing has to be done: only expired and frozen clients are recovered."


class SubstituteMismatch(IbcError):
    """The substitute does not follow the same chain in the same way as the client that is to be recovered."""

    CODE = 64
    CURE = "Create a client of the same chain with the parameters of the other; only the trusting period may differ."


class SubstituteNotNewer(IbcError):
    """The substitute knows no later time of its chain than the client that is to be recovered."""

    CODE = 65
    CURE = "Update the substitute, or create it from a younger header."
