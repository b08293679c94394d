"""The simulated Claude: a Messages API server for development without an API key, and for tests.

It is a separate HTTP server. Only `server`, `cli` and tests may import it.
"""
