"""MCP servers: the configuration file, the connections, the tools that they list, and the results that they return."""
