"""Measurements beside the yardsticks, and long runs under faults."""

import abci_app  # noqa: F401  # sets what gRPC reads when it is imported
