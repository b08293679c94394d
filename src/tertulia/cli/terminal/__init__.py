"""`tertulia chat`: a client of the public GraphQL API for a terminal, a pipe or a script.

`session` reads what the user writes, `commands` runs commands, and `conversation` sends messages and follows answers.
`answer` turns events into pieces, which `screen` shows.
"""
