"""Authentication with the tokens of an OpenID Connect identity provider."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jwt
import pytest
import strawberry
from client import Api, Json
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm
from running import running, settings, tertulia
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from test_auth import socket
from test_command import run_here
from test_websocket import closing

from tertulia import FieldContext, Tertulia

VIEWER = "{ viewer { id name } }"
AUDIENCE = "tertulia-tests"


class Provider:
    """An identity provider with its discovery document and signing keys."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.address = ""
        self.fetched = 0
        self.issuer: str | None = None
        self.padding = ""
        self.status = 200
        self.extra: list[Json] = []
        self.add("one")

    def add(self, id: str) -> None:
        self.keys[id] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def app(self) -> Starlette:
        return Starlette(routes=self.routes())

    def routes(self) -> list[Route]:
        return [Route("/.well-known/openid-configuration", self._found), Route("/keys", self._keys)]

    async def _found(self, _request: Request) -> Response:
        found = {"issuer": self.issuer or self.address, "jwks_uri": f"{self.address}/keys", "padding": self.padding}
        return JSONResponse(found, self.status)

    async def _keys(self, _request: Request) -> Response:
        self.fetched += 1
        public_keys = [
            {
                **json.loads(RSAAlgorithm.to_jwk(key.public_key())),
                "kid": id,
                "use": "sig",
                "alg": "RS256",
            }
            for id, key in self.keys.items()
        ]
        return JSONResponse({"keys": [*public_keys, *self.extra]})

    def token(self, subject: str, key: Any = None, algorithm: str = "RS256", kid: str = "one", **more: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.address, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300, **more}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.keys[kid], algorithm, headers={"kid": kid})


@pytest.fixture
def provider() -> Generator[Provider]:
    provider_ = Provider()
    with running(provider_.app(), lifespan="off") as provider_.address:
        yield provider_


@pytest.fixture
def address(provider: Provider, tmp_path: Path) -> Generator[str]:
    mode = {"auth": "oidc", "oidc_issuer": provider.address, "oidc_audience": AUDIENCE}
    with tertulia(tmp_path, **mode) as address_:
        yield address_


def viewer(address: str, token: str) -> Json:
    with Api(address, token) as api:
        viewer_: Json = api.ask(VIEWER)["viewer"]
        return viewer_


def test_a_user_is_created_at_the_first_token_and_recognized_later(provider: Provider, address: str) -> None:
    first = viewer(address, provider.token("1", preferred_username="Ada"))
    assert first["name"] == "ada"
    assert viewer(address, provider.token("1", email="other@example.com")) == first
    other = viewer(address, provider.token("2", preferred_username="ada"))
    assert other["id"] != first["id"]
    assert other["name"].startswith("ada-")
    assert viewer(address, provider.token("3"))["name"].startswith("user-")
    assert provider.fetched == 1


@strawberry.type
class RolesQuery:
    @strawberry.field
    async def roles(self, info: strawberry.Info[FieldContext]) -> list[str]:
        return list(info.context.viewer.claims["roles"])


def test_an_applications_field_can_read_the_claims_of_a_token(provider: Provider, tmp_path: Path) -> None:
    chosen = settings(tmp_path, auth="oidc", oidc_issuer=provider.address, oidc_audience=AUDIENCE)
    embedded = Tertulia(chosen, query=[RolesQuery])
    host = FastAPI(lifespan=embedded.lifespan)
    host.mount("/ai", embedded.app)
    with running(host) as address, Api(f"{address}/ai", provider.token("1", roles=["editor"])) as api:
        assert api.ask("{ roles }") == {"roles": ["editor"]}


def test_a_socket_is_authenticated_by_a_providers_token(provider: Provider, address: str) -> None:
    with Api(address, provider.token("1")) as api, api.socket() as opened:
        opened.send({"type": "ping"})
        assert opened.receive() == {"type": "pong"}
    with socket(address, {"Authorization": "Bearer nonsense"}) as opened:
        assert closing(opened.connection) == (4403, "Forbidden")


def test_invalid_tokens_are_refused(provider: Provider, address: str) -> None:
    public = provider.keys["one"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    late = int(time.time()) - 60
    bad = {
        "of another issuer": provider.token("1", iss="https://elsewhere.example"),
        "for another audience": provider.token("1", aud="somebody else"),
        "for nobody": provider.token("1", aud=None),
        "expired": provider.token("1", exp=late),
        "valid beyond the calendar": provider.token("1", exp=10**15),
        "without an end": provider.token("1", exp=None),
        "of nobody": provider.token("1", sub=None),
        "not yet": provider.token("1", nbf=int(time.time()) + 600),
        "signed by a stranger": provider.token("1", stranger),
        "unsigned": jwt.encode({"sub": "1"}, "", "none", headers={"kid": "one"}),
        "signed with the public key as a secret": _by_secret(provider, pem),
        "by another algorithm": provider.token("1", ec.generate_private_key(ec.SECP256R1()), "ES256"),
        "nonsense": "a.b.c",
    }
    for kind, token in bad.items():
        with Api(address, token) as api:
            refused = api.post(VIEWER)
        assert (refused.status_code, "www-authenticate" in refused.headers) == (401, True), kind


def _by_secret(provider: Provider, pem: bytes) -> str:
    def part(value: Any) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    claims = {"iss": provider.address, "aud": AUDIENCE, "sub": "1", "exp": int(time.time()) + 300}
    signing_input = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}"
    return f"{signing_input}.{part(hmac.new(pem, signing_input.encode(), hashlib.sha256).digest())}"


def test_new_keys_are_fetched_and_unknown_keys_cause_a_limited_number_of_requests(
    provider: Provider, address: str
) -> None:
    assert viewer(address, provider.token("1"))
    provider.add("two")
    assert viewer(address, provider.token("1", kid="two"))
    assert provider.fetched == 2
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for number in range(20):
        with Api(address, provider.token("1", stranger, kid=f"unknown {number}")) as api:
            assert api.post(VIEWER).status_code == 401
    assert provider.fetched == 5


def test_keys_that_cannot_verify_signatures_are_ignored(provider: Provider, address: str) -> None:
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
    provider.extra = [{"kty": "oct", "k": secret, "kid": "secret", "alg": "HS256"}, {"kty": "x"}, {}]
    assert viewer(address, provider.token("1"))
    with Api(
        address, provider.token("1", base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)), "HS256", kid="secret")
    ) as api:
        assert api.post(VIEWER).status_code == 401


FAULTS = {"status": 500, "issuer": "https://elsewhere.example", "padding": "x" * 1_000_000}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unavailable_provider_causes_temporary_refusals(provider: Provider, address: str, fault: str) -> None:
    usual = getattr(provider, fault)
    setattr(provider, fault, FAULTS[fault])
    token = provider.token("1")
    with Api(address, token) as api:
        refused = [api.post(VIEWER), api.http.get("/export")]
        assert [response.status_code for response in refused] == [503, 503]
        assert all(response.headers["retry-after"] == "5" for response in refused)
        with socket(address, {"Authorization": f"Bearer {token}"}) as opened:
            assert closing(opened.connection) == (1013, "Try again later")
        setattr(provider, fault, usual)
        assert api.ask(VIEWER)


def test_known_keys_remain_valid_while_the_provider_is_unavailable(provider: Provider, address: str) -> None:
    assert viewer(address, provider.token("1"))
    provider.status = 500
    assert viewer(address, provider.token("2"))


def test_doctor_checks_the_providers_keys(provider: Provider, tmp_path: Path) -> None:
    mode = {"TERTULIA_AUTH": "oidc", "TERTULIA_OIDC_ISSUER": provider.address, "TERTULIA_OIDC_AUDIENCE": AUDIENCE}
    healthy = run_here(tmp_path, "doctor", **mode)
    assert f"identity: tokens of {provider.address} for {AUDIENCE}; 1 keys" in healthy.stdout
    provider.status = 500
    unavailable = run_here(tmp_path, "doctor", **mode)
    assert (unavailable.exit_code, "wrong  TERTULIA_OIDC_ISSUER" in unavailable.stdout) == (1, True)
