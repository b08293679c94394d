"""A tea shop with its own customers, and a support assistant under /ai.

    pip install tertulia
    uvicorn shop:app

Then open http://127.0.0.1:8000 and sign in as ada, with the password "earl grey".
"""

import base64
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import support
from catalog import CARTS, CUSTOMERS, PRODUCTS
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import HTTPConnection
from starlette.staticfiles import StaticFiles

from tertulia import Settings, Tertulia, Viewer

FOLDER = Path(__file__).parent
# webhooks.yaml names this variable. A shop with several processes sets it, so that all of them have the same secret.
SECRET = os.environ.setdefault("SHOP_WEBHOOK_SECRET", f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")

SESSIONS: dict[str, str] = {}
"""The customer of each session cookie."""
EVENTS: dict[str, Any] = {}
"""The events that the shop has received, by the id of their message: an event can arrive twice."""


# ---- The assistant ---------------------------------------------------------------------------------------------------


async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
    """Return the signed-in customer, whose conversations Tertulia then shows."""
    customer = SESSIONS.get(connection.cookies.get("session", ""))
    return None if customer is None else Viewer(customer, CUSTOMERS[customer].name)


settings = Settings(
    assistants=str(FOLDER / "assistants"),
    tools=("support:find_order",),
    webhooks=str(FOLDER / "webhooks.yaml"),
)
tertulia = Tertulia(settings, authenticate=who_is_asking, hooks=support)
app = FastAPI(lifespan=tertulia.lifespan)
app.mount("/ai", tertulia.app)


@app.post("/webhooks", status_code=204)
async def receive_event(request: Request) -> None:
    """Receive an event from Tertulia. The signature proves that it is from there."""
    try:
        event = Webhook(SECRET).verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(400) from None
    EVENTS[request.headers["webhook-id"]] = event


# ---- The shop --------------------------------------------------------------------------------------------------------


async def signed_in(request: Request) -> str:
    """Return the signed-in customer."""
    viewer = await who_is_asking(request)
    if viewer is None:
        raise HTTPException(401)
    return viewer.id


SignedIn = Annotated[str, Depends(signed_in)]


@app.post("/login")
async def login(name: Annotated[str, Form()], password: Annotated[str, Form()]) -> RedirectResponse:
    if name not in CUSTOMERS or not secrets.compare_digest(password.encode(), CUSTOMERS[name].password.encode()):
        raise HTTPException(401, "The name or the password is wrong.")
    session = secrets.token_urlsafe()
    SESSIONS[session] = name
    response = RedirectResponse("/", status_code=303)
    response.set_cookie("session", session, httponly=True, samesite="strict")
    return response


@app.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    SESSIONS.pop(request.cookies.get("session", ""), None)
    return RedirectResponse("/", status_code=303)


@app.get("/me")
async def me(request: Request) -> dict[str, Any] | None:
    """Return what the page shows, or null if nobody is signed in."""
    viewer = await who_is_asking(request)
    if viewer is None:
        return None
    known = CUSTOMERS[viewer.id]
    return {"name": known.name, "ownsShop": known.owns_shop, "cart": CARTS[viewer.id], "products": PRODUCTS}


@app.post("/cart")
async def add_to_cart(product: Annotated[str, Form()], customer: SignedIn) -> dict[str, int]:
    if product not in PRODUCTS:
        raise HTTPException(404)
    cart = CARTS[customer]
    cart[product] = cart.get(product, 0) + 1
    return cart


@app.get("/log")
async def log(customer: SignedIn) -> list[Any]:
    """Return the received events, for the owner of the shop."""
    if not CUSTOMERS[customer].owns_shop:
        raise HTTPException(403)
    return list(EVENTS.values())


@app.get("/help/{page}")
async def help_page(page: str) -> FileResponse:
    if page not in {file.stem for file in (FOLDER / "help").glob("*.md")}:
        raise HTTPException(404)
    return FileResponse(FOLDER / "help" / f"{page}.md", media_type="text/plain")


@app.get("/stream.js")
async def stream() -> FileResponse:
    """Return the package that applies the events of a stream. Copy this file into your application."""
    return FileResponse(FOLDER.parents[1] / "web" / "packages" / "stream" / "index.js")


app.mount("/", StaticFiles(directory=FOLDER / "page", html=True))
