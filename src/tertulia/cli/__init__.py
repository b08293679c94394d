"""The `tertulia` command, and what its subcommands do.

It may use everything. Nothing may import it.
"""
