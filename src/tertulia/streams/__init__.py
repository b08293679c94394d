"""The log of a generation's events, its contract, and how it is kept: in memory with a journal, or in Redis.

The log is the truth of a stream; everything else listens. Beside it, the signals by which processes wake one another.
Nothing here knows the database, GraphQL, HTTP or Claude.
"""
