"""The browser's pages, as they are served: no build, no inline scripts, nothing from other hosts.

They are clients of the public API like any other. No Python lives here.
"""
