"""Queries for operators: they are not limited to an owner. Only `conversations` reads what users wrote."""
