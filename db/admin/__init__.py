"""Queries for operators: they are not limited to an owner. None of them returns what a user wrote."""
