"""How a field is served: one function per field, bearing the field's name.

Resolvers take Python values and give back rows or small frozen dataclasses; they never import `schema`, which only
shows what they give. They reach the database through `db`, a stream through the log, Claude through the generator.
"""
