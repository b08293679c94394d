"""The tables and all queries: no other package writes SQL.

Every query for the API takes the owner and returns only rows of that owner. The few queries that are not limited to an
owner are for the generator, and their names or docstrings say so. This package does not depend on GraphQL, HTTP or
Claude.
"""
