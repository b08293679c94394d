"""Tools that Claude can call: Python functions and MCP servers, their registry, their schemas, and their execution."""
