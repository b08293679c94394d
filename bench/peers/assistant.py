"""Serve Tertulia with an assistant, whose instructions have variables of the user. The token of a request is the user.

Usage: python -m bench.peers.assistant --port PORT, in a folder with `assistants`
"""

import argparse

import uvicorn
from starlette.requests import HTTPConnection

from tertulia import Settings, Tertulia, Viewer

PLANS = ("free", "pro", "team")


async def authenticate(connection: HTTPConnection) -> Viewer | None:
    """Return the user whom the token names, such as `user 7`."""
    name = connection.headers.get("authorization", "").removeprefix("Bearer ")
    number = name.rpartition(" ")[2]
    return Viewer(name, name, claims={"plan": PLANS[int(number) % len(PLANS)]}) if number.isdigit() else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    tertulia = Tertulia(Settings(), authenticate=authenticate)
    tertulia.app.router.lifespan_context = tertulia.lifespan
    uvicorn.run(tertulia.app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning", access_log=False)
