"""The pages at `/` and `/admin`, in a real browser without internet access.

tests/node/page_journeys.mjs and tests/node/console_journeys.mjs define the journeys.
"""

import asyncio
import json
import re
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from client import Api
from fastapi import FastAPI
from identity_provider import SignInProvider, by_provider
from month_of_data import fill_database
from npm import NODE, run
from oauth_servers import mcp_file, oauth_servers
from people import MODE, register
from programs import chromium
from running import running, settings, tertulia
from scripted import says, scripted
from starlette.requests import HTTPConnection

from tertulia.cli import users
from tertulia.server.app import Tertulia
from tertulia.server.http.pages import ASSETS
from tertulia.viewer import Viewer

JOURNEYS = [
    name
    for file in ("page_journeys.mjs", "console_journeys.mjs")
    for name in re.findall(r'async "([^"]+)"', (NODE / file).read_text())
]
HOSTILE = """<script>window.taken = 1</script> <img src=x onerror="window.taken = 2">

<iframe src="javascript:parent.taken = 3"></iframe>

[a link](javascript:window.taken=4) [data](data:text/html,<script>window.taken=5</script>) ![pixel](https://example.com/x.png)

<a href="javascript:window.taken=6" onclick="window.taken=7">another</a> <style>body { display: none }</style>

```html
<script>window.taken = 8</script>
```

End."""
WIDE = """An English paragraph.

مرحبا بالعالم، هذا نص عربي.

- واحد
- اثنان

| Responsibilities | Dependencies | Characteristics | Considerations | Recommendations |
| --- | --- | --- | --- | --- |
| one | two | three | four | five |

```python
print("مرحبا")
```
"""

WEBHOOK_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ASSISTANTS = {
    "guide": """---
name: Guide
description: Answers questions about the city, and lets you choose everything else.
starters: ["Where is the museum?", "Hello, my name is Ada"]
tools: [pay]
memory: true
models: [claude-haiku-5-5]
clients_may_set: [instructions, model, options, tools]
---
""",
    "strict": """---
name: Strict
description: Lets you change nothing.
starters: ["What may I ask?"]
tools: [pay, code_execution]
---
""",
}


def host(folder: Path) -> FastAPI:
    """Return a host application that mounts Tertulia under a prefix."""

    async def who_is_asking(connection: HTTPConnection) -> Viewer:
        name = connection.cookies.get("name", "Ada")
        return Viewer(f"{name.lower()}@example.com", name)

    part = Tertulia(settings(folder), authenticate=who_is_asking)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/ai", part.app)
    return app


@contextmanager
def console(folder: Path) -> Generator[str]:
    """Serve a month of data to `olga`, who is an operator, and to users who are not."""
    webhooks = folder / "webhooks.json"
    webhooks.write_text(
        json.dumps(
            [{"name": "shop", "url": "https://127.0.0.1:9/", "secret": WEBHOOK_KEY, "events": ["conversation.deleted"]}]
        )
    )
    mode = {**MODE, "webhooks": str(webhooks), "operators_may_read": True}
    configured = settings(folder, **mode)
    with tertulia(folder, **mode) as address:
        for name in ("olga", "zelda", "ada", "emmy"):
            register(address, name)
        asyncio.run(fill_database(configured.database_url))
        asyncio.run(users.set_role(configured, "olga", "operator"))
        yield address


@pytest.fixture
def addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, str]]:
    """Servers for the sets of journeys: a slow simulator, accounts, an identity provider, hostile HTML, wide content."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        places = {
            name: tmp_path / name
            for name in (
                "LOCAL",
                "CONNECTED",
                "ASSISTED",
                "PASSWORD",
                "PROVIDER",
                "SCRIPTED",
                "WIDE",
                "MOUNTED",
                "CONSOLE",
            )
        }
        for place in places.values():
            place.mkdir()
        claudes = {
            name: stack.enter_context(scripted(says(text))) for name, text in (("SCRIPTED", HOSTILE), ("WIDE", WIDE))
        }
        named = {"title_model": "claude-haiku-5-5"}
        provider = SignInProvider()
        provider.address = stack.enter_context(running(provider.app(), lifespan="off"))
        provided = stack.enter_context(tertulia(places["PROVIDER"], **by_provider(provider)))
        # Valid until the last journey has ended, however busy the machine is.
        token = provider.token("ada", exp=int(time.time()) + 3_600)
        folder = places["ASSISTED"] / "assistants"
        folder.mkdir()
        for name, content in ASSISTANTS.items():
            (folder / f"{name}.md").write_text(content)
        oauth = stack.enter_context(oauth_servers())
        oauth.provider.person = "ada@notes"
        mcp = {"mcp_config": mcp_file(places["CONNECTED"], oauth)}
        connected = stack.enter_context(tertulia(places["CONNECTED"], **mcp))
        plans = tmp_path / "plans.toml"
        plans.write_text('[guest]\nmessages = "1000/hour"\n')
        mounted = stack.enter_context(running(host(places["MOUNTED"])))
        yield {
            "MOUNTED": f"{mounted}/ai",
            "CONSOLE": stack.enter_context(console(places["CONSOLE"])),
            "LOCAL": stack.enter_context(
                tertulia(places["LOCAL"], **named, simulator_pace=0.5, tools=("some_tools:pay",), sharing=True)
            ),
            "ASSISTED": stack.enter_context(
                tertulia(
                    places["ASSISTED"],
                    **named,
                    assistants=str(folder),
                    tools=("some_tools:pay", "some_tools:who", "code_execution"),
                )
            ),
            "PASSWORD": stack.enter_context(
                tertulia(places["PASSWORD"], **named, auth="password", guests=True, plans=str(plans))
            ),
            "CONNECTED": f"{connected}#{oauth.issuer}/forget",
            "PROVIDER": f"{provided}#{token}",
            **{
                name: stack.enter_context(
                    tertulia(places[name], anthropic_api_key="sk-ant-scripted", anthropic_base_url=claude.address)
                )
                for name, claude in claudes.items()
            },
        }


@pytest.mark.needs("chromium", "node", "tests/node", "page")
def test_every_journey_through_the_page_succeeds(addresses: dict[str, str], subtests: pytest.Subtests) -> None:
    pairs = [word for pair in addresses.items() for word in pair]
    results = run("journeys.mjs", chromium(), "-", *pairs, seconds=840)
    for journey in JOURNEYS:
        with subtests.test(journey):
            outcome = results.pop(journey, "was not run")
            assert outcome == "ok", outcome
    assert results == {}


@pytest.mark.needs("page")
def test_the_page_is_precompressed_immutable_and_has_a_strict_policy(api: Api) -> None:
    with httpx2.Client(base_url=api.address, headers={"accept-encoding": "gzip"}) as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert page.headers["cache-control"] == "no-cache"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<script>" not in page.text
        script = re.search(r'src="(assets/app/[^"]+\.js)"', page.text)
        assert script
        for accepted, encoding in (("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)):
            asked = {"accept-encoding": accepted}
            response = client.get("/" + script[1], headers=asked)
            assert response.headers.get("content-encoding") == encoding
            assert response.headers["content-type"].startswith("text/javascript")
            assert "immutable" in response.headers["cache-control"]
            conditional = asked | {"if-none-match": response.headers["etag"]}
            assert client.get("/" + script[1], headers=conditional).status_code == 304


@pytest.mark.needs("page")
@pytest.mark.parametrize(("path", "scripts"), [("/sandbox", "'unsafe-inline'"), ("/diagrams", "'self'")])
def test_frames_have_no_origin_and_no_network_and_only_the_page_can_embed_them(
    api: Api, path: str, scripts: str
) -> None:
    headers = httpx2.get(api.address + path).raise_for_status().headers
    directives = [directive.partition(" ") for directive in headers["content-security-policy"].split("; ")]
    policy = {name: value for name, _, value in directives}
    assert policy.pop("sandbox") == "allow-scripts"
    assert (policy.pop("default-src"), policy.pop("base-uri"), policy.pop("form-action")) == ("'none'",) * 3
    assert (policy.pop("frame-ancestors"), headers["x-frame-options"]) == ("'self'", "SAMEORIGIN")
    assert (policy.pop("script-src"), policy.pop("style-src")) == (scripts, "'unsafe-inline'")
    assert all(set(sources.split()) <= {"data:", "blob:"} for sources in policy.values())
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-dns-prefetch-control"] == "off"
    assert "set-cookie" not in headers
    page = httpx2.get(f"{api.address}/", headers={"accept": "text/html"}).headers["content-security-policy"]
    assert "frame-src 'self'" in page


@pytest.mark.needs("page")
def test_the_scripts_of_diagrams_can_be_loaded_without_an_origin(api: Api) -> None:
    page = httpx2.get(f"{api.address}/diagrams").text
    scripts = re.findall(r'(?:src|href)="(assets/app/diagrams/[^"]+\.js)"', page)
    assert scripts
    headers = httpx2.get(f"{api.address}/{scripts[0]}", headers={"origin": "null"}).raise_for_status().headers
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers


def test_graphiql_without_a_build_says_so_and_reloads(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ASSETS, "app", tmp_path / "not-built")
    page = api.http.get("/graphql", headers={"accept": "text/html"})
    assert (page.status_code, "make page" in page.text, 'http-equiv="refresh"' in page.text) == (200, True, True)


def test_the_console_without_a_build_says_so_and_reloads(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ASSETS, "app", tmp_path / "not-built")
    page = httpx2.get(f"{api.address}/admin")
    assert (page.status_code, "make page" in page.text, 'http-equiv="refresh"' in page.text) == (200, True, True)


@pytest.mark.needs("page")
def test_the_console_has_a_strict_policy_and_is_not_part_of_the_chat_page(api: Api) -> None:
    chat, console = (httpx2.get(api.address + path, headers={"accept": "text/html"}) for path in ("/", "/admin"))
    policy = console.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    scripts = [re.findall(r'src="(assets/app/[^"]+\.js)"', page.text) for page in (chat, console)]
    assert [len(names) for names in scripts] == [1, 1]
    assert scripts[1][0] not in chat.text


def test_the_plain_page_is_served_without_a_build(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ASSETS, "app", tmp_path / "not-built")
    page = httpx2.get(f"{api.address}/", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.text == httpx2.get(f"{api.address}/plain").text
    assert "plain.js" in page.text


def test_a_page_that_is_built_while_the_server_runs_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tmp_path / "build"
    monkeypatch.setitem(ASSETS, "app", build)
    with tertulia(tmp_path) as address:
        assert "plain.js" in httpx2.get(f"{address}/", headers={"accept": "text/html"}).text
        assert httpx2.get(f"{address}/assets/app/page.js").status_code == 404
        build.mkdir()
        (build / "page.js").write_text("built")
        (build / "index.html").write_text('<script src="assets/app/page.js"></script>')
        assert "assets/app/page.js" in httpx2.get(f"{address}/", headers={"accept": "text/html"}).text
        assert httpx2.get(f"{address}/assets/app/page.js").text == "built"


def test_the_root_reports_how_users_sign_in(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with tertulia(tmp_path, auth="password") as address:
        root = httpx2.get(f"{address}/", headers={"accept": "application/json"}).json()
    assert (root["auth"], root["registration"]) == ("password", "open")
    assert (root["guests"], root["sharing"]) == (False, False)
    assert httpx2.get(f"{api.address}/").json()["auth"] == "local"
