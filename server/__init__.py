"""The process: settings, HTTP and WebSocket, pages, `create_app`, and the `tertulia` command.

The only package that reads settings and knows HTTP. Nothing may import it.
"""
