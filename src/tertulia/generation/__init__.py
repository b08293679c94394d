"""Generations: the task that writes each answer, from its start or recovery to the transaction that saves its end.

It may use everything below the resolvers. It does not know GraphQL or HTTP.
"""
