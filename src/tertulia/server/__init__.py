"""The server process: settings, HTTP and WebSocket, pages, telemetry, and `create_app`.

No other package reads settings, and only this one and the simulator serve HTTP. Only `cli` may import it.
"""
