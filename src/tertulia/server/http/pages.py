"""Pages for browsers (chat, console, GraphiQL, Swagger UI, ReDoc), with all their files, and the health routes."""

import json
import os
from collections.abc import Awaitable, Callable, Collection
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tertulia.server.http.negotiation import preferred

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    # Swagger UI and ReDoc use style attributes, and fonts in their styles. ReDoc also creates its worker.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
STRICT = HEADERS | {
    # The chat shows answers, and attachments from blob URLs, and loads nothing from other hosts.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
# The chat shows artifacts and draws diagrams in frames. `frame-src` also applies when a frame navigates itself.
CHAT = STRICT | {"Content-Security-Policy": STRICT["Content-Security-Policy"] + "; frame-src 'self'"}
# `sandbox` gives the frame a separate origin, so that it has no tokens, cookies or storage, also when opened alone.
FRAME_POLICY = (
    "sandbox allow-scripts; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "style-src 'unsafe-inline'; "
)
FRAME = HEADERS | {
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}
SANDBOX = FRAME | {
    "Content-Security-Policy": FRAME_POLICY
    + "script-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:",
}
DIAGRAMS = FRAME | {"Content-Security-Policy": FRAME_POLICY + "script-src 'self'"}
REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
GRAPHIQL = HEADERS | {
    # Its editors use style elements and attributes, and fonts in their styles. Their workers are files of this server.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
CACHE_FOREVER = "public, max-age=31536000, immutable"
COMPRESSED = (("br", ".br"), ("gzip", ".gz"))
LINKS = {
    "graphql": "/graphql",
    "chat": "/chat",
    "chat_stream": "/chat/stream",
    "ag_ui": "/ag-ui",
    "ai_sdk": "/ai-sdk",
    "attachments": "/attachments",
    "export": "/export",
    "import": "/import",
    "docs": "/docs",
    "redoc": "/redoc",
    "openapi": "/openapi.json",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
}


def package_folder(name: str, *inside: str) -> Path | None:
    """Return a folder of an installed package without importing it; None if it is not installed."""
    spec = find_spec(name)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0], *inside) if locations else None


def vendored_folder(name: str, package: str, *inside: str) -> Path | None:
    """Return the folder of a vendored project: in this package, as in a released wheel, or in the other package."""
    vendored = package_folder("tertulia.web", "vendor", name)
    return vendored if vendored is not None and vendored.is_dir() else package_folder(package, *inside)


ASSETS = {
    "app": package_folder("tertulia.web", "build"),
    "web": package_folder("tertulia.web"),
    "openapi": vendored_folder("openapi", "fastapi_offline", "static"),
}


def graphiql_page(_request: Request) -> Response:
    """Return the GraphiQL page, with example operations."""
    return _built("graphiql/index.html", GRAPHIQL) or _page("building.html", HEADERS)


def pages_router(
    *,
    auth: str,
    registration: str,
    guests: bool = False,
    sharing: bool = False,
    provider: bool = False,
    switched_off: Collection[str] = (),
) -> APIRouter:
    """Return the routes of pages.

    Args:
        auth: The mode of authentication.
        registration: Whether users may register: `open` or `closed`.
        guests: Whether people may chat without an account.
        sharing: Whether users may create links to conversations.
        provider: Whether users sign in at an identity provider, at the addresses of `/auth/provider`.
        switched_off: The names in `LINKS` of routes that this server does not have.
    """
    router = APIRouter(include_in_schema=False)
    links = {name: path for name, path in LINKS.items() if name not in switched_off}
    offers = {"auth": auth, "registration": registration, "guests": guests, "sharing": sharing, "provider": provider}

    @router.get("/")
    async def home(request: Request) -> Response:
        if preferred(request.headers.get("accept"), ("application/json", "text/html")) == "text/html":
            return _built("index.html", CHAT | {"Vary": "Accept"}) or _page("plain.html", STRICT)
        prefix = request.scope.get("root_path", "").rstrip("/")
        paths = {name: prefix + path for name, path in links.items()}
        return JSONResponse({"name": "Tertulia", **offers, "links": paths}, headers={"Vary": "Accept"})

    @router.get("/plain")
    async def plain() -> Response:
        return _page("plain.html", STRICT)

    @router.get("/admin")
    async def admin() -> Response:
        return _built("admin/index.html", STRICT) or _page("building.html", HEADERS)

    @router.get("/sandbox")
    async def sandbox() -> Response:
        return _page("sandbox.html", SANDBOX)

    @router.get("/diagrams")
    async def diagrams() -> Response:
        return _built("diagrams/index.html", DIAGRAMS) or _page("building.html", HEADERS)

    _add_reference(router)
    return router


def _add_reference(router: APIRouter) -> None:
    """Add the pages that describe the REST API."""

    @router.get("/docs")
    async def docs() -> Response:
        return _page("docs.html", HEADERS, needs="openapi")

    @router.get("/redoc")
    async def redoc() -> Response:
        return _page("redoc.html", HEADERS, needs="openapi")


PROBED = ("GET", "HEAD")
"""Load balancers, uptime monitors and `wget --spider` request only the headers."""
REASONS = {"storage": "the disk is full or not writable"}
"""The text for failing parts whose cause is known."""


def health_router(ready: Callable[[], Awaitable[dict[str, bool]]]) -> APIRouter:
    """Return the routes for health probes.

    Args:
        ready: Returns for each part of the server whether it works.
    """
    router = APIRouter(include_in_schema=False)

    @router.api_route("/healthz", methods=[*PROBED])
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.api_route("/readyz", methods=[*PROBED])
    async def readyz(exclude: Annotated[list[str], Query()] = []) -> Response:  # noqa: B006 - FastAPI copies defaults
        parts = await ready()
        # As in Kubernetes: excluded parts are reported, but do not affect the status.
        is_healthy = all(is_ready for name, is_ready in parts.items() if name not in exclude)
        statuses = {name: "ok" if is_ready else REASONS.get(name, "failing") for name, is_ready in parts.items()}
        return JSONResponse({"status": "ok" if is_healthy else "unavailable", **statuses}, 200 if is_healthy else 503)

    return router


def mount_assets(app: FastAPI) -> None:
    """Serve the files that pages load."""
    for name, folder in ASSETS.items():
        if folder is not None and name == "app":
            # `make run` serves before the build of the page has finished.
            app.mount("/assets/app", BuiltFiles(directory=folder, check_dir=False), name="assets-app")
        elif folder is not None and name == "openapi" and folder.is_dir():
            app.mount("/assets/openapi", OpenApiFiles(directory=folder), name="assets-openapi")
        elif folder is not None and folder.is_dir():
            # In a checkout, `stream.js` is a link to web/packages.
            app.mount(f"/assets/{name}", StaticFiles(directory=folder, follow_symlink=True), name=f"assets-{name}")


class OpenApiFiles(StaticFiles):
    """The files of Swagger UI and ReDoc."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file. ReDoc's script loads its maker's logo from a CDN, and shows none if the image is invalid."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if Path(full_path).name != "redoc.standalone.js" or not isinstance(response, FileResponse):
            return response
        script = Path(full_path).read_text(encoding="utf-8").replace(REDOC_LOGO, "data:,")
        headers = {"ETag": response.headers["ETag"], "Cache-Control": "no-cache"}
        return Response(script, headers=headers, media_type="text/javascript")


class BuiltFiles(StaticFiles):
    """The built files of the chat page and GraphiQL. They are compressed, and their names contain content hashes."""

    async def check_config(self) -> None:
        """Accept a folder that does not exist yet: requests for its files get 404."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file in the smallest encoding that the browser accepts."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        encoding, suffix = next(
            (pair for pair in COMPRESSED if pair[0] in accepted and Path(f"{full_path}{pair[1]}").is_file()), ("", "")
        )
        path = f"{full_path}{suffix}"
        response = super().file_response(path, Path(path).stat() if suffix else stat_result, scope, status_code)
        response.headers["Cache-Control"] = CACHE_FOREVER
        # The frame that draws diagrams has a separate origin. The files are public.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Vary"] = "Accept-Encoding"
        if suffix:
            response.headers["Content-Encoding"] = encoding
            response.headers["Content-Type"] = guess_type(str(full_path))[0] or "application/octet-stream"
        return response


def built_script(name: str) -> str | None:
    """Return the file below `/assets/app` of a script of `web/app/src`; None if it is not built."""
    folder = ASSETS["app"]
    manifest = None if folder is None else folder / "scripts.json"
    if manifest is None or not manifest.is_file():
        return None
    file: str = json.loads(manifest.read_text(encoding="utf-8"))[f"src/{name}.ts"]["file"]
    return file


def _built(name: str, headers: dict[str, str]) -> Response | None:
    """Return a page that `make page` builds; None if it is not built."""
    folder = ASSETS["app"]
    page = None if folder is None else folder / name
    if page is None or not page.is_file():
        return None
    return HTMLResponse(page.read_text(encoding="utf-8"), headers=headers)


def _page(name: str, headers: dict[str, str], needs: str = "web") -> Response:
    folder = ASSETS["web"]
    if folder is None:
        return HTMLResponse("<p>The package was installed without its pages.</p>", 503)
    file_name = name if ASSETS[needs] is not None else "missing.html"
    return HTMLResponse((folder / file_name).read_text(encoding="utf-8"), headers=headers)
