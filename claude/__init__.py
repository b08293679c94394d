"""Running generations: the prompt, the SDK, the translation of its events, models, and the simulated Claude.

Only this package (and `server`, to construct it) knows the Anthropic SDK. It may use `streams` and `db`; it knows no
GraphQL and, but for the simulator, no HTTP.
"""
