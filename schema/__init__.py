"""The GraphQL API: types, fields, errors, the root types, and the printed schema.graphql.

This package has declarations only: a field is an annotation and its resolver. Nothing here reads or writes rows.
"""
