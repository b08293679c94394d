"""A FastAPI application with its own users, and Tertulia under /ai.

    pip install tertulia uvicorn
    uvicorn app:app

Then open http://127.0.0.1:8000/login/ada: it signs Ada in with a cookie and shows the chat at /ai/.
"""

import secrets

import strawberry
from fastapi import FastAPI, HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse

from tertulia import FieldContext, Settings, Tertulia, Viewer

PEOPLE = {"ada": "Ada Lovelace", "grace": "Grace Hopper"}
SESSIONS: dict[str, str] = {}
"""The user of each session cookie. A real application stores its sessions in a database."""


async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
    """Return the user of a request or a WebSocket; both carry the cookie."""
    user = SESSIONS.get(connection.cookies.get("session", ""))
    return None if user is None else Viewer(id=user, name=PEOPLE[user])


@strawberry.type
class GreetingQuery:
    """A field of the application, which clients can select together with Tertulia's fields."""

    @strawberry.field
    async def greeting(self, info: strawberry.Info[FieldContext]) -> str:
        """Greet the viewer."""
        return f"Hello, {info.context.viewer.name}!"


tertulia = Tertulia(Settings(), authenticate=who_is_asking, query=[GreetingQuery])
app = FastAPI(lifespan=tertulia.lifespan)
app.mount("/ai", tertulia.app)


@app.get("/login/{user}")
async def login(user: str) -> RedirectResponse:
    """Sign a user in. A real application requires a password here."""
    if user not in PEOPLE:
        raise HTTPException(404, "There is no such user.")
    session = secrets.token_urlsafe()
    SESSIONS[session] = user
    response = RedirectResponse("/ai/")
    response.set_cookie("session", session, httponly=True, samesite="strict")
    return response
