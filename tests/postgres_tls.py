"""A TLS proxy for the tests' PostgreSQL, whose wheel has no TLS: it accepts SSLRequest and forwards the rest."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""The first message of a client that wants TLS (PostgreSQL's documentation, "Message Formats")."""


@dataclass
class TlsFront:
    """The proxy's port and certificate, and how many connections used TLS and how many did not."""

    port: int
    certificate: Path
    encrypted: int = 0
    plain: int = 0
    startup: list[bytes] = field(default_factory=list[bytes])


@contextmanager
def tls_before_postgres(folder: Path, socket: str, host: str = "localhost") -> Generator[TlsFront]:
    """Listen with TLS on a free port and forward to the PostgreSQL at `socket`. The certificate is for `host`."""
    certificate, key = make_certificate(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    front = TlsFront(0, certificate)
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(partial(_accept, front, context, socket), "127.0.0.1", 0)
        front.port = server.sockets[0].getsockname()[1]
        ready.set()
        await asyncio.to_thread(stop.wait)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield front
    finally:
        stop.set()
        thread.join(60)


async def _accept(
    front: TlsFront, context: ssl.SSLContext, socket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
        first = await reader.readexactly(8)
        if first == SSL_REQUEST:
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(context)
            first = await reader.readexactly(8)
            front.encrypted += 1
        else:
            front.plain += 1
        rest = await reader.readexactly(int.from_bytes(first[:4], "big") - 8)
        front.startup.append(rest)
        server_reader, server_writer = await asyncio.open_unix_connection(socket)
        server_writer.write(first + rest)
        pumps = [_pump(reader, server_writer), _pump(server_reader, writer)]
        await asyncio.gather(*pumps)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
    finally:
        writer.close()


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for a host, and return the files of the certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{host}.crt", folder / f"{host}.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return certificate, private
