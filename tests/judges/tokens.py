"""Our tokens, judged by joserfc (of Authlib), with our key set as it is published.

usage: tokens.py CASES; see tokens.mjs for the file. Prints what it disagrees about; agrees with exit code 0.
"""

import json
import sys
import urllib.request

from joserfc import jwe, jwt
from joserfc.jwk import KeySet, import_key

with open(sys.argv[1]) as file:
    asked = json.load(file)
with urllib.request.urlopen(asked["jwks_uri"]) as answer:
    keys = KeySet.import_key_set(json.load(answer))


def judge(case):
    token = case["token"]
    if "jwk" in case:
        algorithms = [case["management"], "A256GCM"]
        opened = jwe.decrypt_compact(token, import_key(case["jwk"]), algorithms=algorithms)
        if opened.protected.get("cty") != "JWT":
            raise ValueError(f"cty is {opened.protected.get('cty')}")
        token = opened.plaintext.decode()
    decoded = jwt.decode(token, keys, algorithms=[asked["algorithm"]])
    if decoded.header.get("typ") != "at+jwt":
        raise ValueError(f"typ is {decoded.header.get('typ')}")
    essential = {name: {"essential": True} for name in ("sub", "jti", "exp", "iat", "client_id")}
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": asked["issuer"]},
        aud={"essential": True, "value": case["audience"]},
        **essential,
    ).validate(decoded.claims)


wrong = 0
for case in asked["cases"]:
    try:
        judge(case)
        verdict = "good"
    except Exception as refused:  # noqa: BLE001: whatever it is, the token was not taken
        verdict = f"refused: {refused!r}"
    if (verdict == "good") != case["good"]:
        print(f"{case['name']}: {verdict}")
        wrong += 1
print(f"joserfc judged {len(asked['cases'])} tokens")
sys.exit(1 if wrong else 0)
