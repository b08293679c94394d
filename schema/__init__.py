"""What a client sees: types, fields, errors, the roots, and the printed schema.graphql.

Declarations only: a field is an annotation and the resolver that serves it. Nothing here reads or writes anything.
"""
