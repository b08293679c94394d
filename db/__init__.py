"""Tables and every query that touches them: nothing else in the project writes SQL.

Every query for the API takes the owner and never returns rows of another one. The few queries without an owner are for
the generator, and their names or docstrings state it. This package does not depend on GraphQL, HTTP or Claude.
"""
