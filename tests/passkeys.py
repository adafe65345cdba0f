"""An authenticator and client in software (cryptography, and CBOR of PyPI fido2) that registers a passkey, signs in with
it, and then lies in every way that a client can.

usage: passkeys.py PORT NAME PASSWORD
"""

import base64
import hashlib
import json
import struct
import sys
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

port, name, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
base, origin, rp_id = f"http://127.0.0.1:{port}", f"http://localhost:{port}", "localhost"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def call(path, body=None, token=None, method=None):
    headers = {"content-type": "application/json", "user-agent": "passkeys.py"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, headers, method=method or ("POST" if data is not None else "GET"))
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


class Passkey:
    def __init__(self):
        self.key, self.id, self.count = ec.generate_private_key(ec.SECP256R1()), hashlib.sha256(str(id(self)).encode()).digest(), 0

    def flags(self, up=True, uv=True, at=False, be=True, bs=True):
        return up * 1 | uv * 4 | be * 8 | bs * 16 | at * 64

    def client_data(self, kind, challenge, origin_=origin, **more):
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin_, "crossOrigin": False, **more}).encode()

    def create(self, options, uv=True, origin_=origin, rp=rp_id, challenge=None, kind="webauthn.create", up=True, signed=False):
        public = options["publicKey"]
        numbers = self.key.public_key().public_numbers()
        cose = cbor.encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        data = hashlib.sha256(rp.encode()).digest() + struct.pack(">BI", self.flags(up=up, uv=uv, at=True), self.count)
        data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + cose
        client = self.client_data(kind, challenge or public["challenge"], origin_)
        self.user = public["user"]["id"]
        attested = {"fmt": "none", "attStmt": {}, "authData": data}
        if signed:
            signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
            attested = {"fmt": "packed", "attStmt": {"alg": -7, "sig": signature}, "authData": data}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "attestationObject": b64(cbor.encode(attested)), "transports": ["internal"]}}

    def get(self, options, uv=True, up=True, origin_=origin, rp=rp_id, challenge=None, kind="webauthn.get", user=None, count=None, key=None, ident=None, flip=False):
        public = options["publicKey"]
        if count is None:
            self.count += 1
            count = self.count
        data = hashlib.sha256(rp.encode()).digest() + struct.pack(">BI", self.flags(uv=uv, up=up), count)
        client = self.client_data(kind, challenge or public["challenge"], origin_)
        signature = bytearray((key or self.key).sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256())))
        if flip:
            signature[-1] ^= 1
        ident = ident or self.id
        return {"id": b64(ident), "rawId": b64(ident), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(bytes(signature)), "userHandle": self.user if user is None else user}}


def expect(got, wanted, what):
    status, body = got
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    if status not in wanted:
        raise SystemExit(f"{what}: {status} {body}")
    return body


def start(challenge=None):
    return expect(call("/auth/passkeys/login/start", {"challenge": challenge} if challenge else {}), 200, "start")


def finish(question, credential, **more):
    return call("/auth/passkeys/login/finish", {"ceremony": question["ceremony"], "credential": credential, **more})


token = expect(call("/auth/login", {"identifier": name, "password": password}), 200, "login")["access_token"]
passkey = Passkey()

# Conditional create: right after the password the client makes a passkey without asking anybody (UP = 0, UV = 0).
def upgrade(token_=None):
    return expect(call("/auth/passkeys/upgrade/start", token=token_ or token, method="POST"), 200, "upgrade start")


def upgraded(question, credential, token_=None):
    return call("/auth/passkeys/upgrade/finish", {"ceremony": question["ceremony"], "credential": credential}, token_ or token)


silent = {"up": False, "uv": False}
for what, changes in {
    "of another origin": {"origin_": "https://evil.example"}, "for another relying party": {"rp": "evil.example"}, "with another challenge": {"challenge": b64(b"x" * 32)},
    "of the other kind": {"kind": "webauthn.get"}, "with a signature over the missing presence": {"signed": True},
}.items():
    question = upgrade()
    expect(upgraded(question, Passkey().create(question["options"], **silent, **changes)), 401, f"upgraded {what}")
question = expect(call("/auth/passkeys/register/start", token=token, method="POST"), 200, "register start")
expect(upgraded(question, Passkey().create(question["options"], **silent)), 401, "upgraded with an ordinary ceremony")
question = upgrade()
body = {"ceremony": question["ceremony"], "credential": Passkey().create(question["options"], **silent)}
expect(call("/auth/passkeys/register/finish", body, token), 401, "registered with an upgrade's ceremony")
question = upgrade()
other = expect(call("/auth/login", {"identifier": name, "password": password}), 200, "login")["access_token"]
expect(upgraded(question, Passkey().create(question["options"], **silent), other), 401, "upgraded in another session")
quiet = Passkey()
question = upgrade()
public = question["options"]["publicKey"]
assert question["options"]["mediation"] == "conditional" and public["attestation"] == "none", question
assert public["authenticatorSelection"]["residentKey"] == "required" and public["authenticatorSelection"]["userVerification"] == "preferred", question
made = expect(upgraded(question, quiet.create(question["options"], **silent)), 201, "upgrade")
expect(upgraded(question, quiet.create(question["options"], **silent)), 401, "upgraded with a used ceremony")
question = upgrade()
assert [b64(quiet.id)] == [one["id"] for one in question["options"]["publicKey"]["excludeCredentials"]], question
expect(upgraded(question, quiet.create(question["options"], **silent)), (401, 409), "upgraded twice")
factors = expect(call("/auth/mfa/factors", token=token), 200, "factors")
assert [one["demanded"] for one in factors["factors"]] == [False] and factors["recovery_codes_left"] == 0, factors
# Nobody is asked for it: the password alone still signs in. It signs in only with the person verified.
assert "access_token" in expect(call("/auth/login", {"identifier": name, "password": password}), 200, "login after an upgrade")
question = start()
expect(finish(question, quiet.get(question["options"], uv=False)), 401, "signed in with an upgraded passkey without user verification")
question = start()
expect(finish(question, quiet.get(question["options"], up=False)), 401, "signed in with an upgraded passkey without presence")
question = start()
by_passkey = expect(finish(question, quiet.get(question["options"])), 200, "sign in with an upgraded passkey")["access_token"]
# A session that did not begin with a password makes none.
expect(call("/auth/passkeys/upgrade/start", token=by_passkey, method="POST"), 403, "upgrade after a passkey")
expect(call(f"/auth/mfa/factors/{made['id']}", None, token, "DELETE"), 204, "remove an upgraded passkey")
question = start()
problem = expect(finish(question, quiet.get(question["options"])), 401, "signed in with a removed passkey")
assert "forget" in problem["detail"], problem

# Registrations that must not count.
for what, changes in {
    "without user verification": {"uv": False}, "without presence": {"up": False}, "without either": silent, "of another origin": {"origin_": "https://evil.example"}, "of a port beside": {"origin_": "http://localhost:1"},
    "for another relying party": {"rp": "evil.example"}, "with another challenge": {"challenge": b64(b"x" * 32)}, "of the other kind": {"kind": "webauthn.get"},
}.items():
    question = expect(call("/auth/passkeys/register/start", token=token, method="POST"), 200, "register start")
    body = {"ceremony": question["ceremony"], "credential": Passkey().create(question["options"], **changes)}
    expect(call("/auth/passkeys/register/finish", body, token), 401, f"registered {what}")
question = expect(call("/auth/passkeys/register/start", token=token, method="POST"), 200, "register start")
assert question["options"]["publicKey"]["authenticatorSelection"]["residentKey"] == "required", question
body = {"ceremony": question["ceremony"], "credential": passkey.create(question["options"]), "name": "Studio laptop"}
made = expect(call("/auth/passkeys/register/finish", body, token), 201, "register")
assert len(made["recovery_codes"]) == 10, made
expect(call("/auth/passkeys/register/finish", body, token), 401, "registered with a used ceremony")
question = expect(call("/auth/passkeys/register/start", token=token, method="POST"), 200, "register start")
assert [b64(passkey.id)] == [one["id"] for one in question["options"]["publicKey"]["excludeCredentials"]], question
body = {"ceremony": question["ceremony"], "credential": passkey.create(question["options"])}
expect(call("/auth/passkeys/register/finish", body, token), (401, 409), "registered twice")
signal = expect(call("/auth/passkeys/signal", token=token), 200, "signal")
assert signal["allAcceptedCredentialIds"] == [b64(passkey.id)] and signal["rpId"] == rp_id, signal

# Alone: signed in without a name, at level 2 and without another question.
question = start()
assert question["options"]["publicKey"].get("allowCredentials", []) == [], question
assert question["options"]["publicKey"]["userVerification"] == "required", question
alone = expect(finish(question, passkey.get(question["options"])), 200, "sign in")
assert "access_token" in alone, alone
expect(finish(question, passkey.get(question["options"])), 401, "signed in with a used ceremony")

# As the second factor: the password alone gives a challenge only.
half = expect(call("/auth/login", {"identifier": name, "password": password}), 200, "login")
assert half.get("mfa_required") and "access_token" not in half and "passkey" in half["methods"], half
question = start(half["challenge"])
assert [one["id"] for one in question["options"]["publicKey"]["allowCredentials"]] == [b64(passkey.id)], question
expect(finish(question, passkey.get(question["options"])), 200, "second factor")
expect(call("/auth/passkeys/login/start", {"challenge": half["challenge"]}), 401, "a used challenge")

seen = passkey.count

# Sign-ins that must not count. Each is right but for one thing.
stranger = Passkey()
stranger.user = passkey.user
for what, changes in {
    "without user verification": {"uv": False}, "without presence": {"up": False}, "of another origin": {"origin_": "https://evil.example"},
    "for another relying party": {"rp": "evil.example"}, "with another challenge": {"challenge": b64(b"x" * 32)}, "of the other kind": {"kind": "webauthn.create"},
    "by another key": {"key": stranger.key}, "with a flipped bit": {"flip": True}, "for another user": {"user": b64(b"0123456789abcdef")},
    "without a user": {"user": ""}, "of an unknown credential": {"ident": b"y" * 32}, "of a subdomain": {"origin_": "http://app.localhost"},
}.items():
    question = start()
    expect(finish(question, passkey.get(question["options"], **changes)), (400, 401), f"signed in {what}")
question = start()
expect(finish(question, stranger.get(question["options"])), 401, "signed in with a passkey that was never registered")

# A copy: its counter does not go up.
question = start()
expect(finish(question, passkey.get(question["options"], count=seen)), 401, "signed in with a cloned counter")
question = start()
expect(finish(question, passkey.get(question["options"], count=1)), 401, "signed in with a counter that went back")
passkey.count += 10
question = start()
expect(finish(question, passkey.get(question["options"])), 200, "the original goes on")

# Given again.
token = alone["access_token"]
question = expect(call("/auth/passkeys/reauthenticate/start", token=token, method="POST"), 200, "again")
expect(call("/auth/passkeys/reauthenticate/finish", {"ceremony": question["ceremony"], "credential": passkey.get(question["options"])}, token), 204, "again")
crossed = start()
expect(call("/auth/passkeys/reauthenticate/finish", {"ceremony": crossed["ceremony"], "credential": passkey.get(crossed["options"])}, token), 401, "a ceremony of another kind")

# Bad input names the field.
for body, field in [({}, "ceremony"), ({"ceremony": 1, "credential": {}}, "ceremony"), ({"ceremony": "x", "credential": {"id": 5}}, "credential"),
                    ({"ceremony": "x", "credential": None}, "credential"), ({"ceremony": "x", "credential": {}, "colour": 1}, "colour")]:
    problem = expect(call("/auth/passkeys/login/finish", body), 400, f"bad input {body}")
    assert field in json.dumps(problem), problem

# Removed, it opens nothing any more.
expect(call(f"/auth/mfa/factors/{made['id']}", None, token, "DELETE"), 409, "removed the last factor without a warning")
expect(call(f"/auth/mfa/factors/{made['id']}?confirm_last=true", None, token, "DELETE"), 204, "remove")
question = start()
expect(finish(question, passkey.get(question["options"])), 401, "signed in with a removed passkey")
print("passkeys complete")
