"""The event log of generations: its contract, and its implementations in memory and in Redis.

The log is the source of truth of a stream. Signals notify readers in other processes. This package does not depend on
the database, GraphQL, HTTP or Claude.
"""
