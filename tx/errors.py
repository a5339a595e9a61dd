"""The root of every expected failure.

Bad input, a closed round, a forged proof: each is a subclass of `AppError` with a codespace and a code that
never change and are never reused, because clients match on them and the code of a failed transaction is hashed
into the next header.  Anything that is not an `AppError` is a bug of ours: it propagates and stops the node
instead of becoming part of the chain's history.

```
AppError
|- TxError            tx           envelope, signatures, expiry, statements
|- AggregationError   aggregation  payloads, commitments, weights, sums
|- IbcError           ibc          clients, proofs, packets
|- NodeError          node         server, store, gateway, limits
|- HubError           hub          accounts, tasks, registry, rounds, models, settlement
|- ShardError         shard        rounds, updates, checkpoints
|- RelayError         relayer      journal, endpoints, links
|- ParticipantError   participant  training loop, data, verification of what the hub serves
|- LocalnetError      localnet     manifests, processes, ports
```
"""

from __future__ import annotations

from typing import ClassVar

REGISTRY: dict[tuple[str, int], type[AppError]] = {}
"""Every registered error by (codespace, code); filled when its class is defined."""


class AppError(Exception):
    """An expected failure.

    A subclass that can be raised defines `CODE` (unique in its codespace, 1 or greater); its docstring states
    the cause and `CURE` what the person who sees it can do.  `docs/errors.md` is generated from both.
    """

    CODESPACE: ClassVar[str]
    CODE: ClassVar[int]
    CURE: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Register the error.

        Raises:
          TypeError: the (codespace, code) pair is taken, or the code is not positive.

        """
        super().__init_subclass__()
        if "CODE" not in cls.__dict__:
            return
        key = (cls.CODESPACE, cls.CODE)
        if cls.CODE < 1 or key in REGISTRY:
            raise TypeError(f"error code {key} of {cls.__name__} is taken or not positive")
        REGISTRY[key] = cls

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.CODESPACE}/{self.CODE}]"
