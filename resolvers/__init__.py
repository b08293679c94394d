"""Resolvers: one function per GraphQL field, with the name of the field.

Resolvers accept Python values and return rows or small frozen dataclasses. They never import `schema`, which declares
the GraphQL types of these values. They access the database through `db`, streams through the log, and Claude through
the generation manager.
"""
