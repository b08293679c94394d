"""Webhooks: events as signed HTTP requests, as Standard Webhooks specifies them."""

import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from uuid import UUID

import aiohttp

from tertulia.claude.errors import ErrorCode
from tertulia.db import outbox
from tertulia.db.database import Database
from tertulia.db.outbox import Delivery
from tertulia.db.tables import now
from tertulia.json import Json, dumps
from tertulia.server.outbox.delivery import Gone, Undelivered
from tertulia.server.outbox.webhook_config import Endpoint

TIMEOUT = 15.0
"""Seconds for one attempt."""
DELIVERED, GONE = range(200, 300), 410
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only public IPv6 addresses, except those that contain an IPv4 address. Source: IANA, "IPv6 address space"."""
NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses that contain an IPv4 address. Source: RFC 6052."""
ADDRESS_RULE = "private, loopback and link-local addresses are refused unless `allow_private` is true"


class PrivateAddress(OSError):
    """The name of a host resolves to an address that is not public."""


class Webhook:
    """An endpoint that receives events over HTTP."""

    timeout = TIMEOUT

    def __init__(self, endpoint: Endpoint) -> None:
        """Initialize without a connection."""
        from standardwebhooks import Webhook as Signer

        self.endpoint = endpoint
        self.name = endpoint.title
        self._signers = [Signer(secret) for secret in endpoint.secret]
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, delivery: Delivery, database: Database) -> None:
        """Send an event. Raise Gone if the response is 410, and Undelivered for all others except 2xx."""
        data = _with_public_code(delivery.data)
        message_id = data.get("message_id")
        if "text" in self.endpoint.include and message_id is not None:
            async with database.read() as session:
                data = {**data, "text": await outbox.text_of(session, UUID(message_id))}
        await self.send(str(delivery.id), delivery.event, delivery.created_at, data)

    async def send(self, id: str, event: str, created_at: datetime, data: Json) -> int:
        """Send an event and return the status of the response. Raise what `deliver` raises."""
        timestamp = created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = dumps({"type": event, "timestamp": timestamp, "data": data})
        sent_at = now()
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": " ".join(signer.sign(id, sent_at, body) for signer in self._signers),
        }
        session = self._session = self._session or _open_session(self.endpoint)
        try:
            async with session.post(
                self.endpoint.url, data=body.encode(), headers=headers, allow_redirects=False
            ) as response:
                # The body is not read. The connection is closed if the body has not arrived with the status.
                status, retry_after = response.status, response.headers.get("retry-after")
        except TimeoutError:
            raise Undelivered(f"There was no response within {TIMEOUT:g} seconds.") from None
        except aiohttp.InvalidURL:
            # The message of the error contains the address, which may contain a secret.
            raise Undelivered("The address is invalid.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Undelivered(_reason(error)) from None
        if status == GONE:
            raise Gone("The endpoint responded with 410 Gone.")
        if status not in DELIVERED:
            seconds = seconds_until_retry(retry_after, now())
            raise Undelivered(f"The endpoint responded with {status}.", seconds)
        return status

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def seconds_until_retry(header: str | None, time: datetime) -> float | None:
    """Return the seconds from `time` that `Retry-After` asks to wait; None without a valid header.

    The header is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without an offset is in UTC.
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - time).total_seconds())


def _with_public_code(data: Json) -> Json:
    """Return the data with the error's code as clients know it."""
    code = data.get("error_code")
    return {**data, "error_code": ErrorCode(code).name} if code in set(ErrorCode) else data


def _open_session(endpoint: Endpoint) -> aiohttp.ClientSession:
    # The address is checked when the connection is opened: a check before that could see another result of the DNS.
    factory = None if endpoint.allow_private else _open_public_socket
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=factory),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        headers={"user-agent": "Tertulia-Webhooks"},
        auto_decompress=False,
    )


def _open_public_socket(address: Any) -> socket.socket:
    family, kind, protocol, _, (host, *_) = address
    if not is_public(host):
        raise PrivateAddress(f"The host has the address {host}; {ADDRESS_RULE}.")
    return socket.socket(family, kind, protocol)


def is_public(host: str) -> bool:
    """Return whether an IP address is public, and so is the IPv4 address that it contains."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        embedded = _embedded_address(address)
        if embedded is not None:
            address = embedded
        elif address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


def _embedded_address(address: IPv6Address) -> IPv4Address | None:
    nat64 = IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
    return address.ipv4_mapped or address.sixtofour or nat64


def _reason(error: Exception) -> str:
    reasons = list(_reasons(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error))
    private = [reason for reason in reasons if ADDRESS_RULE in reason]
    return (private or reasons or [type(error).__name__])[0].partition("\n")[0]


def _reasons(error: BaseException) -> Sequence[str]:
    parts: Sequence[BaseException] = getattr(error, "exceptions", ())
    if parts:
        return [reason for part in parts for reason in _reasons(part)]
    return [str(error) or type(error).__name__]
