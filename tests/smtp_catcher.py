"""A real SMTP server (aiosmtpd) that writes every message to a folder.

usage: smtp_catcher.py PORT FOLDER [plain | implicit | stripped] [stranger]

Without a mode it demands STARTTLS and the password in FOLDER/password; it makes a certificate of its own and leaves it
as FOLDER/ca.pem. `implicit` is the same with TLS from the first byte. `stripped` is what is left of the first mode when
somebody on the way takes STARTTLS out of the greeting: it would take password and message in the clear. `stranger`
leaves a certificate in FOLDER/ca.pem that is not the one it shows. What clients asked for stands in FOLDER/seen.
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
modes = sys.argv[3:]
PASSWORD = "sound check one two"


def note(what):
    with open(folder / "seen", "a") as seen:
        seen.write(what + "\n")


class Writer:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        note("EHLO")
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        note("MAIL")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

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
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, secret


def context():
    pem, secret = certificate()
    (folder / "server.pem").write_bytes(pem + secret)
    (folder / "ca.pem").write_bytes(certificate()[0] if "stranger" in modes else pem)
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "server.pem")
    return made


def authenticate(server, session, envelope, mechanism, data):
    note("AUTH")
    good = isinstance(data, LoginPassword) and data.password.decode() == PASSWORD
    # `handled` would mean that the refusal was sent already.
    return AuthResult(success=good, handled=good)


options = {}
if "plain" not in modes:
    if not (folder / "password").exists():
        (folder / "password").write_text(PASSWORD)
    options = {"authenticator": authenticate, "auth_required": True}
    made = context()
    if "implicit" in modes:
        # aiosmtpd asks whether STARTTLS was used, which TLS from the first byte makes needless.
        options |= {"ssl_context": made, "auth_require_tls": False}
    elif "stripped" in modes:
        options |= {"auth_require_tls": False}
    else:
        options |= {"tls_context": made, "require_starttls": True}
Controller(Writer(), hostname="127.0.0.1", port=port, **options).start()
while True:
    time.sleep(60)
