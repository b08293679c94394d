"""Tables and every query that touches them: nothing else in the project writes SQL.

Every read that serves a caller takes the owner who asks; what belongs to somebody else is not found. The few getters
without an owner serve the generator and say so in their names. Nothing here knows GraphQL, HTTP or Claude.
"""
