"""The conformance suite of PROTOCOL.md: requirements that any server can be checked against, over its public interface.

It imports no other part of the package than `tertulia.json`.
"""
