"""The server process: settings, HTTP and WebSocket, pages, telemetry, and `create_app`.

The only package that reads settings and serves HTTP, except the simulator. Only `cli` may import it.
"""
