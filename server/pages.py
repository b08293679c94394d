"""What browsers see: the chat page, GraphiQL, Swagger UI and ReDoc, all served from this machine; and its health."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from server.accept import preferred

HEADERS = {
    # React and ReDoc write style attributes; everything else is ours, from this host.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LINKS = {
    "graphql": "/graphql",
    "chat": "/chat",
    "chat_stream": "/chat/stream",
    "attachments": "/attachments",
    "export": "/export",
    "import": "/import",
    "docs": "/docs",
    "redoc": "/redoc",
    "openapi": "/openapi.json",
    "health": "/healthz",
    "readiness": "/readyz",
}


def package_folder(name: str, *inside: str) -> Path | None:
    """Find a folder of an installed package without importing it; None where it is not installed."""
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0], *inside) if places else None


ASSETS = {
    "web": package_folder("web"),
    "graphiql": package_folder("graphene_django_graphiql_static", "static", "graphene_django_graphiql_static"),
    "openapi": package_folder("fastapi_offline", "static"),
}


def graphiql_page(_request: Request) -> Response:
    """Give the page for GraphQL, with example operations."""
    return _page("graphiql.html", needs="graphiql")


def pages_router() -> APIRouter:
    """Make the routes of pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home(request: Request) -> Response:
        if preferred(request.headers.get("accept"), ("application/json", "text/html")) == "text/html":
            return _page("chat.html")
        return JSONResponse({"name": "Tertulia", "links": LINKS})

    @router.get("/docs")
    async def docs() -> Response:
        return _page("docs.html", needs="openapi")

    @router.get("/redoc")
    async def redoc() -> Response:
        return _page("redoc.html", needs="openapi")

    return router


def health_router(ready: Callable[[], Awaitable[dict[str, bool]]]) -> APIRouter:
    """Make the routes that a supervisor asks; `ready` says of each part whether it serves."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> Response:
        parts = await ready()
        well = all(parts.values())
        shown = {name: "ok" if fine else "failing" for name, fine in parts.items()}
        return JSONResponse({"status": "ok" if well else "unavailable", **shown}, 200 if well else 503)

    return router


def mount_assets(app: FastAPI) -> None:
    """Serve the files that pages load."""
    for name, folder in ASSETS.items():
        if folder is not None:
            app.mount(f"/assets/{name}", StaticFiles(directory=folder), name=f"assets-{name}")


def _page(name: str, needs: str = "web") -> Response:
    folder = ASSETS["web"]
    if folder is None:
        return HTMLResponse("<p>The pages are not installed.</p>", 503)
    shown = name if ASSETS[needs] is not None else "missing.html"
    return HTMLResponse((folder / shown).read_text(encoding="utf-8"), headers=HEADERS)
