"""The relayer."""

import abci_app  # noqa: F401  # sets what gRPC reads when it is imported
