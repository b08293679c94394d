"""An OpenID Connect provider: sign-in by code with PKCE and by device code, rotating refresh tokens, revocation."""

import base64
import hashlib
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from scripted import WAIT, Gate
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from test_oidc import AUDIENCE, Provider

CLIENT, SECRET = "tertulia-page", "a secret: of the client"


def by_provider(provider: "SignInProvider", **more: Any) -> dict[str, Any]:
    """Return the settings of a server that signs users in at a provider."""
    return {
        "auth": "oidc",
        "oidc_issuer": provider.address,
        "oidc_audience": AUDIENCE,
        "oidc_client_id": CLIENT,
        **more,
    }


def challenge(verifier: str) -> str:
    """Return the code challenge of a verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class SignInProvider(Provider):
    """Signs `person` in at once, or waits at `gate`. Codes and refresh tokens work once."""

    def __init__(self, *, secret: str | None = None) -> None:
        super().__init__()
        self.secret = secret
        self.reset()

    def reset(self) -> None:
        """Forget all sign-ins and faults."""
        self.person = "ada"
        self.lifetime = 300
        self.audience = AUDIENCE
        self.opaque = False
        self.denies = False
        self.down = False
        self.gate: Gate | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.refreshes: set[str] = set()
        self.devices: dict[str, int] = {}
        self.pending_polls = 1
        self.device_answer: str | None = None
        self.requests: list[dict[str, str]] = []
        self.signed_out: list[dict[str, str]] = []

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/device", self._device, methods=["POST"]),
            Route("/revoke", self._revoke, methods=["POST"]),
            Route("/logout", self._logout),
        ]

    def code(self, verifier: str, redirect_uri: str, nonce: str) -> str:
        """Return an authorization code, as if a person had signed in."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"code_challenge": challenge(verifier), "redirect_uri": redirect_uri, "nonce": nonce}
        return code

    async def _discovery(self, _request: Request) -> Response:
        if self.down:
            return Response(status_code=502)
        names = {
            "jwks_uri": "keys",
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "device_authorization_endpoint": "device",
            "revocation_endpoint": "revoke",
            "end_session_endpoint": "logout",
        }
        return JSONResponse({"issuer": self.address, **{key: f"{self.address}/{path}" for key, path in names.items()}})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert (asked["code_challenge_method"], "openid" in asked["scope"].split()) == ("S256", True)
        if self.denies:
            answer = {"error": "access_denied", "state": asked["state"]}
        else:
            answer = {"code": secrets.token_urlsafe(16), "state": asked["state"], "iss": self.address}
            self.codes[answer["code"]] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def _token(self, request: Request) -> Response:
        form = await self._form(request)
        if self.gate is not None:
            self.gate.reached.set()
            await anyio.to_thread.run_sync(self.gate.open.wait, WAIT)
        if form is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        if self.down:
            return Response("Bad gateway", 502)
        answer = self._grant(form)
        return JSONResponse(answer, 400 if "error" in answer else 200)

    def _grant(self, form: dict[str, str]) -> dict[str, Any]:
        match form["grant_type"]:
            case "authorization_code":
                asked = self.codes.pop(form["code"], None)
                wanted = {"code_challenge": challenge(form["code_verifier"]), "redirect_uri": form["redirect_uri"]}
                if asked is None or wanted.items() - asked.items():
                    return {"error": "invalid_grant"}
                return self.issue(asked["nonce"])
            case "refresh_token" if form["refresh_token"] in self.refreshes:
                self.refreshes.remove(form["refresh_token"])
                return self.issue()
            case "refresh_token":
                return {"error": "invalid_grant"}
            case _:
                return self._grant_device(form["device_code"])

    def _grant_device(self, code: str) -> dict[str, Any]:
        if code not in self.devices:
            return {"error": "expired_token"}
        if self.denies:
            return {"error": "access_denied"}
        if self.devices[code] > 0:
            self.devices[code] -= 1
            return {"error": "authorization_pending"}
        return self.issue()

    def issue(self, nonce: str | None = None) -> dict[str, Any]:
        """Return new tokens of the person."""
        refresh = secrets.token_urlsafe(16)
        self.refreshes.add(refresh)
        # As with a real provider, a refresh can return the same access token: it has no random part.
        issued_at = int(time.time()) // 30 * 30
        claims: dict[str, Any] = {
            "iat": issued_at,
            "exp": issued_at + self.lifetime,
            "preferred_username": self.person,
        }
        access = "opaque" if self.opaque else self.token(self.person, aud=self.audience, **claims)
        id_token = self.token(self.person, aud=CLIENT, nonce=nonce, **claims)
        return {"access_token": access, "token_type": "Bearer", "refresh_token": refresh, "id_token": id_token}

    async def _device(self, request: Request) -> Response:
        if await self._form(request) is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        if self.device_answer is not None:
            return Response(self.device_answer, media_type="application/json")
        code = secrets.token_urlsafe(16)
        self.devices[code] = self.pending_polls
        answer = {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.address}/activate"}
        return JSONResponse({**answer, "expires_in": 600, "interval": 0})

    async def _revoke(self, request: Request) -> Response:
        form = await self._form(request)
        assert form is not None
        self.refreshes.discard(form["token"])
        return Response()

    async def _logout(self, request: Request) -> Response:
        self.signed_out.append(dict(request.query_params))
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)

    async def _form(self, request: Request) -> dict[str, str] | None:
        """Return the form of a request; None if it is not of the client."""
        form = dict(parse_qsl((await request.body()).decode()))
        self.requests.append(form)
        if self.secret is not None:
            pair = f"{CLIENT}:{'a%20secret%3A%20of%20the%20client'}"
            expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
            return form if request.headers.get("authorization") == expected else None
        return form if form.get("client_id") == CLIENT else None
