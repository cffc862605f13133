"""An SMTP server on loopback, by aiosmtpd. Prints the port, then each mail as a line of JSON.

    smtp_server.py MODE DIRECTORY

MODE: smtps | starttls (both want a login), greylist, refuse, gone (refuses dba@), hang. DIRECTORY takes ca.pem.
"""

import asyncio
import datetime
import ipaddress
import json
import ssl
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MODE, DIRECTORY = sys.argv[1], Path(sys.argv[2])
LOGIN = LoginPassword(b"drctl", b"opensesame")


def certificate():
    """A server's certificate that its own authority has signed."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def make(name, issuer, key, signer, authority):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = make("test authority", "test authority", ca_key, ca_key, True)
    leaf = make("localhost", "test authority", key, ca_key, False)
    pem = serialization.Encoding.PEM
    (DIRECTORY / "ca.pem").write_bytes(ca.public_bytes(pem))
    (DIRECTORY / "server.pem").write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DIRECTORY / "server.pem")
    return context


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if MODE == "greylist":
            return "451 4.7.1 greylisted, come back in five minutes"
        if MODE == "refuse":
            return "550 5.7.1 relaying denied"
        if MODE == "gone" and address.startswith("dba@"):
            return "550 5.1.1 no such mailbox"
        if MODE == "hang":
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "headers": {name.lower(): str(value) for name, value in mail.items()},
                    "parts": parts,
                    "encrypted": server.transport.get_extra_info("sslcontext") is not None,
                    "authenticated": bool(session.authenticated),
                }
            ),
            flush=True,
        )
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    # What is not "handled" here, aiosmtpd answers with 535.
    return AuthResult(success=data == LOGIN, handled=data == LOGIN)


async def main():
    context = certificate()
    wants_login = MODE in ("smtps", "starttls")
    settings = {"auth_require_tls": MODE != "smtps", "authenticator": login, "auth_required": wants_login}
    if MODE == "starttls":
        settings |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), **settings), "127.0.0.1", 0, ssl=context if MODE == "smtps" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
