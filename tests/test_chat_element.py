"""The element `<tertulia-chat>` on the page of an application with a strict Content-Security-Policy, in a real browser."""

import subprocess
from pathlib import Path

import pytest
from npm import run
from people import MODE, register
from programs import chromium
from running import running, tertulia
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "web" / "packages" / "chat"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Shop</title>
<link rel="stylesheet" href="/shop.css"><script type="module" src="/shop.js"></script>
<main><h1>Shop</h1><tertulia-chat url="{url}" token-url="/token"></tertulia-chat></main>"""
STYLE = "tertulia-chat { --tertulia-background: rgb(1, 2, 3); --tertulia-color: #eee; }"
SCRIPT = """
window.seen = [];
window.blocked = [];
document.addEventListener("securitypolicyviolation", (event) => window.blocked.push(event.violatedDirective));
const chat = document.querySelector("tertulia-chat");
for (const name of ["tertulia-sent", "tertulia-answer", "tertulia-error"]) {
  document.addEventListener(name, ({ detail }) => window.seen.push([name, detail]));
}
chat.conversation = sessionStorage.getItem("conversation");
chat.addEventListener("tertulia-sent", ({ detail }) => sessionStorage.setItem("conversation", detail.conversationId));
const openPage = { name: "openPage", description: "Open a page.", inputSchema: { type: "object" } };
chat.settings = { tools: { server: ["pay"], client: [openPage] } };
chat.tools = { openPage(input) { window.opened = input; return "opened"; } };
// Properties that are set before the element is defined apply.
await import("/tertulia-chat.js");
"""


def shop(folder: Path, tokens: dict[str, str]) -> Starlette:
    """Return an application whose page contains the element, with its own token for the signed-in user."""

    def page(_: Request) -> Response:
        connect = f"'self' {tokens['url']} {tokens['url'].replace('http', 'ws')}"
        policy = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}"
        headers = {"content-security-policy": f"{policy}; require-trusted-types-for 'script'"}
        return HTMLResponse(PAGE.format(url=tokens["url"]), headers=headers)

    def file(request: Request) -> Response:
        files = {
            "shop.js": (SCRIPT, "text/javascript"),
            "shop.css": (STYLE, "text/css"),
            "tertulia-chat.js": ((folder / "tertulia-chat.js").read_text(), "text/javascript"),
            "token": (tokens["token"], "text/plain"),
        }
        text, kind = files.get(request.path_params["name"], ("", "text/plain"))
        return Response(text, media_type=kind)

    return Starlette(routes=[Route("/", page), Route("/{name}", file)])


@pytest.mark.needs("chromium", "node", "node_modules", "tests/node")
def test_the_element_is_a_whole_conversation_under_a_strict_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = tmp_path / "built"
    vite: list[str | Path] = [ROOT / "node_modules" / ".bin" / "vite", "build", "--outDir", built]
    subprocess.run(vite, cwd=PACKAGE, check=True, capture_output=True, timeout=120)
    tokens: dict[str, str] = {}
    tools = ("some_tools:pay",)
    with (
        running(shop(built, tokens), lifespan="off") as address,
        tertulia(tmp_path, **MODE, cors_origins=(address,), simulator_pace=0.2, tools=tools) as url,
    ):
        tokens.update(url=url, token=register(url, "ada")["access_token"])
        assert run("chat_element.mjs", chromium(), address) == "ok"
