"""The log of a generation's events: its contract, and how it is kept in memory.

The log is the truth of a stream; everything else listens. Nothing here knows the database, GraphQL, HTTP or Claude.
"""
