"""An OpenID provider that attacks: each first path segment is an issuer with one fault of its own ("honest" has none).

usage: hostile_provider.py PORT
"""

import base64
import hashlib
import http.server
import json
import sys
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

port = int(sys.argv[1])
key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
fetched = {}


def jwk(private, kid):
    out = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    return {**out, "kid": kid, "use": "sig", "alg": "ES256"}


def id_token(mode, nonce, issuer, access_token):
    now = int(time.time())
    half = base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()
    claims = {"iss": issuer, "sub": "mallory-1", "aud": "studio", "iat": now, "exp": now + 300, "nonce": nonce,
              "email": f"{mode}@example.com", "email_verified": True, "at_hash": half}
    changes = {
        "wrong-nonce": {"nonce": "another"}, "wrong-aud": {"aud": "somebody-else"}, "wrong-iss": {"iss": "https://accounts.google.com"},
        "many-aud": {"aud": ["studio", "another"]}, "wrong-azp": {"azp": "another"}, "expired": {"exp": now - 600, "iat": now - 900},
        "empty-sub": {"sub": ""}, "long-sub": {"sub": "x" * 300}, "wrong-at-hash": {"at_hash": half[::-1]}, "unverified": {"email_verified": False},
        "future": {"iat": now + 3600, "exp": now + 7200}, "text-verified": {"email_verified": "true"},
        "fresh": {"auth_time": now}, "stale": {"auth_time": now - 3600},
    }
    claims.update(changes.get(mode, {}))
    if mode == "no-nonce":
        del claims["nonce"]
    headers = {"kid": "rotated" if mode == "rotated" else "k"}
    if mode == "alg-none":
        return jwt.encode(claims, None, algorithm="none", headers=headers)
    if mode == "key-confusion":
        head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k"}).encode()).rstrip(b"=")
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        import hmac
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        tag = base64.urlsafe_b64encode(hmac.new(pem, head + b"." + body, hashlib.sha256).digest()).rstrip(b"=")
        return (head + b"." + body + b"." + tag).decode()
    if mode == "embedded-key":
        headers["jwk"] = jwk(other, "k")
    signer = other if mode in ("other-key", "embedded-key") else key
    return jwt.encode(claims, signer, algorithm="ES256", headers=headers)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def go(self, location):
        self.send_response(302)
        self.send_header("location", location)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        mode, _, rest = url.path.lstrip("/").partition("/")
        issuer, query = f"http://127.0.0.1:{port}/{mode}", dict(urllib.parse.parse_qsl(url.query))
        if rest == ".well-known/openid-configuration":
            if mode == "redirecting":
                return self.go(f"http://127.0.0.1:{port}/honest/.well-known/openid-configuration")
            shown = f"http://127.0.0.1:{port}/honest" if mode == "other-metadata" else issuer
            padding = "x" * 1_000_000 if mode == "huge" else ""
            return self.reply({"issuer": shown, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
                               "jwks_uri": f"{issuer}/jwks", "padding": padding,
                               "claims_supported": ["sub", "auth_time"] if mode in ("fresh", "stale", "silent") else ["sub"],
                               "authorization_response_iss_parameter_supported": mode in ("no-iss-parameter", "wrong-iss-parameter")})
        if rest == "jwks":
            fetched[mode] = fetched.get(mode, 0) + 1
            return self.reply({"keys": [jwk(key, "rotated" if mode == "rotated" else "k")]})
        if rest == "authorize":
            assert query["code_challenge_method"] == "S256" and query["response_type"] == "code", query
            back = {"state": query["state"], "code": f"{query.get('nonce', '')}.{query['code_challenge']}"}
            if mode == "wrong-iss-parameter":
                back["iss"] = f"http://127.0.0.1:{port}/honest"
            if mode == "declined":
                back = {"state": query["state"], "error": "access_denied"}
            return self.go(f"{query['redirect_uri']}?{urllib.parse.urlencode(back)}")
        if rest == "me":
            if self.headers["authorization"] != "Bearer opaque":
                return self.reply({}, 401)
            return self.reply({"id": 4711, "email": "profile@example.com", "verified": mode == "plain-verified", "display_name": "P"})
        return self.reply({}, 404)

    def do_POST(self):
        body = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        mode = self.path.strip("/").split("/")[0]
        nonce, _, challenge = body["code"].partition(".")
        proof = base64.urlsafe_b64encode(hashlib.sha256(body["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        basic = base64.b64encode(b"studio:studio-secret-that-is-long-enough-0123456789").decode()
        if proof != challenge or self.headers["authorization"] != f"Basic {basic}":
            return self.reply({"error": "invalid_grant"}, 400)
        answer = {"access_token": "opaque", "token_type": "Bearer"}
        if mode != "no-id-token" and not mode.startswith("plain"):
            answer["id_token"] = id_token(mode, nonce, f"http://127.0.0.1:{port}/{mode}", "opaque")
        return self.reply(answer)


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
