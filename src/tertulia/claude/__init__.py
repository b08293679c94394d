"""The client of the Messages API, its requests, and the parser of its responses.

Only this package and `tools` use the Anthropic SDK, except that `generation.request` reads its errors. This package
depends on neither GraphQL nor the HTTP server.
"""
