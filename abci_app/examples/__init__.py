"""Small complete applications on the ABCI server: what to read first, and what tests the server."""
