"""Generations: the task that writes each answer, from its start or recovery to the transaction that saves its end.

It may import every package below the resolvers. It depends on neither GraphQL nor HTTP.
"""
