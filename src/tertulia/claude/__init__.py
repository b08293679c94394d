"""The Messages API: the client, the requests that it sends, and the parser of what it returns.

Only this package and `tools` use the Anthropic SDK, except that `generation.request` reads its errors. It knows neither
GraphQL nor HTTP.
"""
