"""The `tertulia` command and its subcommands.

It may import every package. No package may import it.
"""
