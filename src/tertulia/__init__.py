"""Tertulia: a self-hosted GraphQL conversational API for Claude.

The modules at this level are used by every package and import none of them. `schema`, `resolvers` and `db` are links to
the folders at the top of the repository.
"""
