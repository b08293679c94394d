"""The browser's pages, and the packages with which browsers and programs follow an answer.

`app/` is the source of the page at /, which `make page` builds into `build/`; `packages/` holds the reducer of a
stream, for JavaScript and Python. The other files are served as they are: no inline scripts, nothing from other hosts.
All are clients of the public API like any other; the server imports nothing of this.
"""
