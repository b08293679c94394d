"""Connections of users to MCP servers with OAuth: discovery, authorization, tokens and sessions."""
