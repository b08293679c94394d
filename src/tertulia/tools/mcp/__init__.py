"""MCP servers: their configuration file, connections, tools and results."""
