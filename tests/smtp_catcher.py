"""A real SMTP server (aiosmtpd) that writes every message to a folder.

usage: smtp_catcher.py PORT FOLDER [plain]

Without `plain` it demands STARTTLS and the password in FOLDER/password; it makes a certificate of its own
and leaves it as FOLDER/ca.pem.
"""

import datetime
import ipaddress
import pathlib
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
plain = "plain" in sys.argv[3:]
PASSWORD = "sound check one two"


class Writer:
    async def handle_DATA(self, server, session, envelope):
        name = f"{time.time_ns()}.eml"
        temporary = folder / (name + ".part")
        temporary.write_bytes(b"X-Envelope-To: " + ", ".join(envelope.rcpt_tos).encode() + b"\r\n" + envelope.content)
        temporary.rename(folder / name)
        return "250 kept"


def certificate():
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    secret = folder / "server.key"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", secret)
    return context


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.password.decode() == PASSWORD
    return AuthResult(success=good)


options = {}
if not plain:
    (folder / "password").write_text(PASSWORD)
    options = {
        "tls_context": certificate(),
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }
Controller(Writer(), hostname="127.0.0.1", port=port, **options).start()
while True:
    time.sleep(60)
