"""Users of a server in the mode `password`: their registration and their requests."""

from typing import Any

import httpx2
from client import WAIT, Api, Json

PASSWORD = "a long enough one"
SECRET = "a secret of the tests, which is long enough"
MODE: dict[str, Any] = {"auth": "password", "secret_key": SECRET}


def post(address: str, path: str, **form: str) -> httpx2.Response:
    """Send a form to `/auth/PATH`."""
    return httpx2.post(f"{address}/auth/{path}", data=form, timeout=WAIT)


def register(address: str, name: str, password: str = PASSWORD) -> Json:
    """Register an account and return its tokens."""
    response = post(address, "register", username=name, password=password)
    assert response.status_code == 201, response.text
    tokens: Json = response.json()
    return tokens


def signed(address: str, tokens: Json) -> Api:
    """Return a client that sends the access token of a signed-in user."""
    return Api(address, tokens["access_token"])
