"""The recipes of docs/identity.md: their settings and tokens, with a provider that issues these tokens."""

import json
import re
import shlex
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from client import Api, Json
from fences import ROOT, fences
from identity_provider import SignInProvider
from running import running, tertulia
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

PAGE = ROOT / "docs" / "identity.md"
VIEWER = "{ viewer { name roles plan { name } } }"
REDIRECT, VERIFIER, NONCE = "https://chat.example.com/", "v" * 43, "a nonce"
TIMES = ("iat", "exp", "nbf", "auth_time")


@dataclass(frozen=True)
class Recipe:
    """The code blocks of a recipe.

    Attributes:
        settings: The fields of the settings, by name.
        claims: The claims of the token that the server accepts.
        plans: The file of plans.
    """

    settings: dict[str, str]
    claims: Json
    plans: str


def recipe(name: str) -> Recipe:
    """Return the recipe below a heading of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begins = lines.index(f"## {name}") + 1
    ends = next(number for number, line in enumerate(lines, 1) if number > begins and line.startswith("## "))
    blocks = {fence.language: fence.text for fence in fences(PAGE) if begins < fence.line < ends}
    words = [word for word in shlex.split(blocks["sh"]) if word != "export"]
    values = dict(word.split("=", 1) for word in words)
    return Recipe(
        {name.removeprefix("TERTULIA_").lower(): value for name, value in values.items()},
        json.loads(blocks["json"]),
        blocks["toml"],
    )


class RecipeProvider(SignInProvider):
    """A provider that issues the tokens of a recipe: the one that the server accepts, and one that it does not."""

    def __init__(self, recipe: Recipe, other_access_token: Json | str | None) -> None:
        super().__init__()
        self.recipe = recipe
        self.other_access_token = other_access_token

    def app(self) -> Starlette:
        path = urlsplit(self.recipe.settings["oidc_issuer"]).path.rstrip("/")
        return Starlette(routes=[Mount(path, routes=self.routes())])

    def signed(self, **changes: Any) -> str:
        """Return the token of the recipe, for now."""
        now = int(time.time())
        claims: Json = (
            self.recipe.claims | dict.fromkeys(TIMES, now) | {"iss": self.address, "exp": now + 300} | changes
        )
        return self.token(claims.pop("sub"), **claims)

    def issue(self, nonce: str | None = None) -> Json:
        client, other = self.recipe.settings["oidc_client_id"], self.other_access_token
        if other is None:  # the server accepts the access token
            return {
                "access_token": self.signed(),
                "id_token": self.token(self.recipe.claims["sub"], aud=client, azp=client, nonce=nonce),
            }
        access_token = other if isinstance(other, str) else self.signed(**other)
        return {"access_token": access_token, "id_token": self.signed(nonce=nonce)}

    async def _discovery(self, _request: Request) -> Response:
        base = self.address.rstrip("/")
        return JSONResponse(
            {
                "issuer": self.address,
                "jwks_uri": f"{base}/keys",
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            }
        )

    async def _keys(self, request: Request) -> Response:
        answer = await super()._keys(request)
        (key,) = json.loads(bytes(answer.body))["keys"]
        # Entra's keys name no algorithm, and Keycloak also lists a key for encryption.
        encrypting = {**key, "kid": "encrypting", "use": "enc", "alg": "RSA-OAEP"}
        return JSONResponse({"keys": [encrypting, {name: key[name] for name in ("kty", "n", "e", "kid", "use")}]})

    async def _form(self, request: Request) -> dict[str, str] | None:
        form = {name: str(value) for name, value in (await request.form()).items()}
        return form if form["client_id"] == self.recipe.settings["oidc_client_id"] else None


@contextmanager
def served(recipe: Recipe, provider: RecipeProvider, folder: Path) -> Generator[str]:
    """Serve with the settings of a recipe, whose provider runs on this machine."""
    (folder / "plans.toml").write_text(recipe.plans)
    issuer = urlsplit(recipe.settings["oidc_issuer"])
    with running(provider.app(), lifespan="off") as address:
        provider.address = address + issuer.path
        chosen = {**recipe.settings, "oidc_issuer": provider.address, "plans": str(folder / "plans.toml")}
        with tertulia(folder, **chosen) as server:
            yield server


GRAPH = {"aud": "00000003-0000-0000-c000-000000000000", "roles": ["Tertulia.Operator"]}
OKTA = {"aud": "api://default", "sub": "ada@example.com", "cid": "0oa2hn5kq8Zt7bYc94x7", "uid": "00u3hn5lb9Wq2dRf54x7"}


@pytest.mark.parametrize(
    ("name", "other_access_token", "user", "roles"),
    [
        ("Entra ID", GRAPH, "ada@example.com", ["operator"]),
        ("Okta", OKTA, "ada@example.com", ["operator"]),
        ("Keycloak", None, "ada", ["operator"]),
        ("Google", "ya29.a0AfB_byC", "ada@example.com", []),
        ("Auth0", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..iv.text.tag", "ada@example.com", ["operator"]),
    ],
)
def test_each_recipe_signs_users_in_with_their_plan_and_role(
    name: str, other_access_token: Json | str | None, user: str, roles: list[str], tmp_path: Path
) -> None:
    chosen = recipe(name)
    provider = RecipeProvider(chosen, other_access_token)
    with served(chosen, provider, tmp_path) as server, Api(server) as nobody:
        form = {"code": provider.code(VERIFIER, REDIRECT, NONCE), "code_verifier": VERIFIER, "nonce": NONCE}
        form |= {"grant_type": "authorization_code", "redirect_uri": REDIRECT}
        signed_in = nobody.http.post("/auth/token", data=form)
        assert signed_in.status_code == 200, signed_in.text
        with Api(server, signed_in.json()["access_token"]) as api:
            assert api.ask(VIEWER)["viewer"] == {"name": user, "roles": roles, "plan": {"name": "pro"}}
        without = {name for name, value in chosen.claims.items() if isinstance(value, list | dict)} - {"aud"} | {"hd"}
        refused = [
            provider.signed(aud="another application"),
            provider.signed(iss=provider.address.rstrip("/") + "/other"),
            *([] if other_access_token is None else [provider.issue()["access_token"]]),
        ]
        for token in refused:
            with Api(server, token) as api:
                assert api.post(VIEWER).status_code == 401
        # Another employee, who has no groups and no roles.
        with Api(server, provider.signed(**dict.fromkeys(without), sub="2")) as api:
            assert api.ask(VIEWER)["viewer"] | {"name": user} == {
                "name": user,
                "roles": [],
                "plan": {"name": "default"},
            }


def test_every_recipe_of_the_page_is_tested() -> None:
    headings = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[: headings.index("When somebody leaves")] == ["Entra ID", "Okta", "Keycloak", "Google", "Auth0"]
