"""Authentication: identity providers, tokens, passwords, sessions, and the routes below `/auth`."""
