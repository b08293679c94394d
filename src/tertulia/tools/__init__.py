"""The tools that Claude can call: Python functions and MCP servers, the registry, their schemas and their execution."""
