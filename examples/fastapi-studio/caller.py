"""Who calls: read from the gateway's signed statement, and from nothing else.

The gateway sends `Fortissimo-Assertion` with every request that it lets pass for a signed-in person: a JWT (RFC 7519),
signed with ES256, valid for one minute and meant for one service. Cookies, tokens and all other headers are the
gateway's business; this service does not look at them.
"""

import threading
import time
from dataclasses import dataclass

import jwt
from jwt import PyJWK, PyJWKClient

from problem import Refused

HEADER = "fortissimo-assertion"
TYPE = "fortissimo-assertion+jwt"
ALGORITHM = "ES256"

# Bytes; a statement has about 600.
LONGEST = 8 * 1024
# Seconds that this machine's clock may differ from the gateway's.
LEEWAY_S = 5
# Seconds after which the keys are fetched again in any case, so that a withdrawn key is forgotten.
KEYS_MAX_AGE_S = 300
# Seconds between two fetches. Whoever reaches this port could otherwise make it hammer the gateway with invented keys.
KEYS_MIN_AGE_S = 5
# Seconds for one fetch.
FETCH_TIMEOUT_S = 5


@dataclass(frozen=True)
class Caller:
    """A signed-in person, as the gateway vouches for them."""

    account: str
    username: str
    role: str
    tier: str


class GatewayKeys:
    """The gateway's public keys, fetched when they are needed. Safe to share between threads."""

    def __init__(self, gateway: str):
        self._client = PyJWKClient(f"{gateway}/.well-known/jwks.json", cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_s = self._tried_s = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: str) -> PyJWK | None:
        """The key of that id; `None` if the gateway has none. 503 if its keys cannot be had."""
        with self._lock:
            now_s = time.monotonic()
            aged = now_s - self._fetched_s > KEYS_MAX_AGE_S
            if (aged or kid not in self._keys) and now_s - self._tried_s > KEYS_MIN_AGE_S:
                self._tried_s = now_s
                self._fetch()
                self._fetched_s = now_s
            elif aged:
                raise Refused(503, "The gateway's keys are out of reach.")
            return self._keys.get(kid)

    def _fetch(self) -> None:
        try:
            found = self._client.get_signing_keys(refresh=True)
        except (jwt.PyJWTError, OSError, ValueError) as error:
            raise Refused(503, "The gateway's keys are out of reach.") from error
        # Access tokens may be signed with other algorithms and their keys are published in the same place.
        self._keys = {key.key_id: key for key in found if key.algorithm_name == ALGORITHM}


class Verifier:
    """Checks statements of one gateway for one service."""

    def __init__(self, gateway: str, audience: str):
        self._issuer = gateway
        self._audience = audience
        self._keys = GatewayKeys(gateway)

    def caller(self, statements: list[str]) -> Caller:
        """Who is vouched for by the values of the header; 401 without exactly one statement that is valid now."""
        if len(statements) != 1 or len(statements[0]) > LONGEST:
            raise refused()
        try:
            return self._check(statements[0])
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            # Not told why: only a forger would learn from it.
            raise refused() from error

    def _check(self, statement: str) -> Caller:
        header = jwt.get_unverified_header(statement)
        # Exactly these: no key that the sender brings along, no extension that would have to be understood.
        if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise ValueError("not a statement of the gateway")
        key = self._keys.find(header["kid"])
        if key is None:
            raise ValueError("signed with a key that the gateway does not publish")
        claims = jwt.decode(
            statement,
            key,
            algorithms=[ALGORITHM],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "sub", "iat", "exp"], "strict_aud": True},
        )
        words = [claims.get(name) for name in ("sub", "username", "role", "tier")]
        if not all(isinstance(word, str) and word for word in words):
            raise ValueError("a claim is missing")
        return Caller(*words)


def refused() -> Refused:
    """401: nobody that the gateway vouches for."""
    return Refused(401, "This service answers requests that came through its gateway.", {"WWW-Authenticate": "Fortissimo-Assertion"})
