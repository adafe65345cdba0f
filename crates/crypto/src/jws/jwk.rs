//! Public keys as JSON Web Keys (RFC 7517, 7518, 8037) and their thumbprints (RFC 7638).

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use serde_json::{Value, json};

use super::InvalidKey;
use super::scheme::{Curve, Scheme};
use crate::compact::{decode, encode};
use crate::mac::sha256;

/// Members that only a private or shared key has.
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key of a supported kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicJwk {
    /// A point on a curve of ECDSA, in coordinates of the curve's width.
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    /// Modulus and exponent, big-endian without leading zeros, and a scheme of RSA.
    Rsa { scheme: Scheme, n: Vec<u8>, e: Vec<u8> },
    /// A point on Ed25519.
    Ed { x: [u8; 32] },
}

/// The kinds of keys that verify here.
enum Kind {
    Ec(Curve),
    Rsa(Scheme),
    Ed,
}

impl Kind {
    const fn scheme(&self) -> Scheme {
        match self {
            Self::Ec(curve) => curve.scheme(),
            Self::Rsa(scheme) => *scheme,
            Self::Ed => Scheme::EdDSA,
        }
    }
}

impl PublicJwk {
    /// Reads a JWK that is meant for signatures; `None` if it is for something else or of a kind that this
    /// product does not use, which RFC 7517 says to ignore.
    pub(super) fn read(jwk: &Value) -> Result<Option<(Option<String>, Self)>, InvalidKey> {
        let text = |name: &str| jwk.get(name).map(|v| v.as_str().ok_or(InvalidKey("a member is no string")));
        let text = |name: &str| text(name).transpose();
        if SECRET.iter().any(|name| jwk.get(name).is_some()) {
            return Err(InvalidKey("it holds private parts"));
        }
        let named = text("alg")?;
        let kind = match (text("kty")?, text("crv")?) {
            (Some("EC"), Some(curve)) => Curve::named(curve).map(Kind::Ec),
            // The default of OpenID Connect, where the key does not say.
            (Some("RSA"), None) => {
                Scheme::named(named.unwrap_or("RS256")).filter(|scheme| scheme.rsa().is_some()).map(Kind::Rsa)
            }
            (Some("OKP"), Some("Ed25519")) => Some(Kind::Ed),
            _ => None,
        };
        let Some(kind) = kind else { return Ok(None) };
        let other_use = text("use")?.is_some_and(|usage| usage != "sig");
        let other_algorithm = named.is_some_and(|name| name != kind.scheme().name());
        let other_operation = jwk.get("key_ops").is_some_and(|ops| {
            ops.as_array().is_none_or(|ops| !ops.iter().any(|op| op.as_str() == Some("verify")))
        });
        if other_use || other_algorithm || other_operation {
            return Ok(None);
        }
        let bytes = |name: &str| {
            let encoded = text(name)?.ok_or(InvalidKey("a member is missing"))?;
            decode(encoded).ok_or(InvalidKey("a member is not base64url"))
        };
        let key = match kind {
            Kind::Ec(curve) => {
                let coordinate = |name: &str| match bytes(name)? {
                    bytes if bytes.len() == curve.width() => Ok(bytes),
                    _ => Err(InvalidKey("a coordinate has not the curve's width")),
                };
                Self::Ec { curve, x: coordinate("x")?, y: coordinate("y")? }
            }
            Kind::Ed => Self::Ed {
                x: bytes("x")?.try_into().map_err(|_| InvalidKey("a coordinate has not 32 bytes"))?,
            },
            Kind::Rsa(scheme) => Self::rsa(scheme, bytes("n")?, bytes("e")?)?,
        };
        let kid = text("kid")?.filter(|kid| !kid.is_empty() && kid.len() <= 256).map(str::to_owned);
        key.parsed()?;
        Ok(Some((kid, key)))
    }

    /// An RSA key within the bounds that this product accepts.
    pub(super) fn rsa(scheme: Scheme, n: Vec<u8>, e: Vec<u8>) -> Result<Self, InvalidKey> {
        let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
        // FIPS 186-5: an exponent below 65537 forgives mistakes elsewhere too easily.
        let exponent = e.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let sane = (3..=4).contains(&e.len()) && e[0] != 0 && exponent >= 65_537 && exponent % 2 == 1;
        if is_roca(&n) {
            return Err(InvalidKey("the RSA modulus comes from a broken generator (ROCA, CVE-2017-15361)"));
        }
        match (n.first(), (2048..=8192).contains(&bits), sane) {
            (Some(1..), true, true) => Ok(Self::Rsa { scheme, n, e }),
            (_, _, false) => Err(InvalidKey("the RSA exponent is not an odd number of 65537 or more")),
            _ => Err(InvalidKey("the RSA modulus has not 2048 to 8192 bits")),
        }
    }

    pub(super) const fn scheme(&self) -> Scheme {
        match self {
            Self::Ec { curve, .. } => curve.scheme(),
            Self::Rsa { scheme, .. } => *scheme,
            Self::Ed { .. } => Scheme::EdDSA,
        }
    }

    /// The key in the form that verifies, parsed and checked once.
    pub(super) fn parsed(&self) -> Result<ParsedPublicKey, InvalidKey> {
        let rejected = |_| InvalidKey("it is not a point on its curve or not an RSA key");
        match self {
            // SEC 1 calls this form uncompressed.
            Self::Ec { curve, x, y } => {
                ParsedPublicKey::new(curve.ecdsa(), [&[4], &x[..], &y[..]].concat()).map_err(rejected)
            }
            Self::Ed { x } => ParsedPublicKey::new(&ED25519, x).map_err(rejected),
            Self::Rsa { scheme, n, e } => {
                let parameters =
                    scheme.rsa().ok_or(InvalidKey("an RSA key with a scheme that is not RSA's"))?;
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(rejected)
            }
        }
    }

    /// The required members in the order of RFC 7638.
    fn members(&self) -> String {
        match self {
            Self::Ec { curve, x, y } => {
                let curve = curve.name();
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
            Self::Rsa { n, e, .. } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
            }
            Self::Ed { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x)),
        }
    }

    /// The RFC 7638 thumbprint: base64url of SHA-256.
    pub(super) fn thumbprint(&self) -> String {
        encode(&sha256(self.members().as_bytes()))
    }

    /// The JWK to publish.
    pub(super) fn to_json(&self, kid: &str) -> Value {
        let mut jwk: Value =
            serde_json::from_str(&self.members()).expect("members are written as JSON of base64url texts");
        for (name, value) in [("kid", kid), ("alg", self.scheme().name()), ("use", "sig")] {
            jwk[name] = json!(value);
        }
        jwk
    }
}

/// Whether a modulus (big-endian) has the fingerprint of the ROCA generator: its primes were powers of 65537 modulo a
/// product of small primes, so the modulus is one modulo each of them (Nemec et al., CCS 2017, section 3). A modulus of
/// another origin has it with a chance of about 2^-27.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|&prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let (mut power, generator) = (1, 65_537 % prime);
        (0..prime).any(|_| {
            power = power * generator % prime;
            power == rest
        })
    })
}
