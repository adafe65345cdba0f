"""A real OpenID provider (PyPI idpyoidc) that takes everybody for the person "diana".

usage: idpyoidc_provider.py PORT REDIRECT_URI
"""

import http.server
import sys
import tempfile
import urllib.parse

from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration

port, redirect = int(sys.argv[1]), sys.argv[2]
issuer = f"http://127.0.0.1:{port}"
folder = tempfile.mkdtemp()
keys = [{"type": "RSA", "use": ["sig"]}, {"type": "EC", "crv": "P-256", "use": ["sig"]}]
config = {
    "issuer": issuer,
    "httpc_params": {"verify": False},
    "key_conf": {"private_path": f"{folder}/private.json", "public_path": f"{folder}/public.json", "key_defs": keys, "read_only": False, "uri_path": "jwks.json"},
    "token_handler_args": {
        "code": {"lifetime": 600, "kwargs": {"crypt_conf": {"kwargs": {"keys": {"private_path": f"{folder}/code.json", "key_defs": [{"type": "OCT", "use": ["enc"], "kid": "password"}, {"type": "OCT", "use": ["enc"], "kid": "salt"}]}, "iterations": 1}}}},
        "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 3600}},
        "id_token": {"class": "idpyoidc.server.token.id_token.IDToken", "kwargs": {"base_claims": {"email": None, "email_verified": None}}},
    },
    "endpoint": {
        "provider_config": {"path": ".well-known/openid-configuration", "class": "idpyoidc.server.oidc.provider_config.ProviderConfiguration", "kwargs": {}},
        "authorization": {"path": "authorization", "class": "idpyoidc.server.oidc.authorization.Authorization", "kwargs": {}},
        "token": {"path": "token", "class": "idpyoidc.server.oidc.token.Token", "kwargs": {"client_authn_method": ["client_secret_post", "client_secret_basic"]}},
        "userinfo": {"path": "userinfo", "class": "idpyoidc.server.oidc.userinfo.UserInfo", "kwargs": {}},
    },
    "add_on": {"pkce": {"function": "idpyoidc.server.oauth2.add_on.pkce.add_support", "kwargs": {"essential": True}}},
    "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {"diana": {"sub": "diana", "email": "diana@example.com", "email_verified": True}}}},
    "authentication": {"anon": {"acr": "http://www.swamid.se/policy/assurance/al1", "class": "idpyoidc.server.user_authn.user.NoAuthn", "kwargs": {"user": "diana"}}},
    "template_dir": folder,
    "session_params": {"encrypter": {"kwargs": {"keys": {"key_defs": [{"type": "OCT", "use": ["enc"], "kid": "password"}, {"type": "OCT", "use": ["enc"], "kid": "salt"}]}, "iterations": 1}}},
}
server = Server(OPConfiguration(conf=config, base_path=folder), cwd=folder)
server.context.cdb["studio"] = {
    "client_id": "studio", "client_secret": "studio-secret-that-is-long-enough-0123456789", "redirect_uris": [(redirect, None)],
    "response_types_supported": ["code"], "allowed_scopes": ["openid", "email", "profile"], "token_endpoint_auth_method": "client_secret_basic",
    "client_salt": "salted",
}
server.context.keyjar.add_symmetric("studio", "studio-secret-that-is-long-enough-0123456789")


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, name, request):
        endpoint = server.get_endpoint(name)
        info = {"headers": {"authorization": self.headers.get("authorization", "")}, "url": issuer + self.path, "method": self.command}
        parsed = endpoint.parse_request(request, http_info=info)
        if "error" in parsed:
            return self.reply(400, parsed.to_json())
        args = endpoint.process_request(parsed, http_info=info)
        if "http_response" in args:
            return self.reply(200, args["http_response"])
        done = endpoint.do_response(request=parsed, **args)
        if name == "authorization" and done["response"].startswith(redirect):
            self.send_response(302)
            self.send_header("location", done["response"])
            return self.end_headers()
        return self.reply(400 if done["response"].startswith('{"error') else 200, done["response"])

    def reply(self, status, body):
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/jwks.json":
            return self.reply(200, server.context.keyjar.export_jwks_as_json(""))
        names = {"/.well-known/openid-configuration": "provider_config", "/authorization": "authorization", "/userinfo": "userinfo"}
        if url.path not in names:
            return self.reply(404, "{}")
        return self.answer(names[url.path], dict(urllib.parse.parse_qsl(url.query)))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        return self.answer("token", dict(urllib.parse.parse_qsl(body)))


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
