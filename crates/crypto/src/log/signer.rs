//! Private keys that sign checkpoints.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ML_DSA_44_SIGNING, PqdsaKeyPair};
use base::{Entropy, Timestamp};
use zeroize::Zeroizing;

use super::checkpoint::Checkpoint;
use super::vkey::{KeyType, VerifierKey, check_name, cosigned_subtree, cosigned_v1};
use super::{Malformed, base64};

/// A private key with its owner's name. Its memory is aws-lc's, which wipes it when the key is dropped; it
/// can neither be printed nor copied.
pub struct LogSigner {
    pair: Pair,
    verifier: VerifierKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    MlDsa44(Box<PqdsaKeyPair>),
}

impl LogSigner {
    /// A fresh key and its 32-byte seed, to be sealed.
    ///
    /// # Errors
    /// If the name is not one (see [`VerifierKey::new`]).
    pub fn generate(
        name: &str,
        kind: KeyType,
        entropy: &Entropy,
    ) -> Result<(Self, Zeroizing<[u8; 32]>), Malformed> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Ok((Self::from_seed(name, kind, &seed)?, seed))
    }

    /// The key of a seed: RFC 8032's 32 bytes, or FIPS 204's xi.
    ///
    /// # Errors
    /// If the name is not one (see [`VerifierKey::new`]).
    pub fn from_seed(name: &str, kind: KeyType, seed: &[u8; 32]) -> Result<Self, Malformed> {
        const ANY_SEED: &str = "every 32 bytes are the seed of a key";
        check_name(name)?;
        let (pair, verifier) = match kind {
            KeyType::Ed25519 | KeyType::CosignatureEd25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect(ANY_SEED);
                let verifier = VerifierKey::new(name, kind, pair.public_key().as_ref())?;
                (Pair::Ed25519(pair), verifier)
            }
            KeyType::CosignatureMlDsa44 => {
                let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed).expect(ANY_SEED);
                let verifier = VerifierKey::new(name, kind, pair.public_key().as_ref())?;
                (Pair::MlDsa44(Box::new(pair)), verifier)
            }
        };
        Ok(Self { pair, verifier })
    }

    /// The public half; written out, it is the vkey.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// One signature line (with its newline) over a note's text. `at` goes into cosignatures; plain Ed25519
    /// has no time.
    ///
    /// # Errors
    /// If the key is for cosignatures and the text is not a checkpoint's.
    ///
    /// # Panics
    /// Never: a valid key signs any message.
    pub fn sign_line(&self, text: &str, at: Timestamp) -> Result<String, Malformed> {
        const SIGNED: &str = "a valid key signs any message";
        let time = u64::try_from(at.as_secs()).unwrap_or(0);
        let mut bytes = self.verifier.id().to_be_bytes().to_vec();
        match (&self.pair, self.verifier.kind()) {
            (Pair::Ed25519(pair), KeyType::CosignatureEd25519) => {
                Checkpoint::parse(text)?;
                bytes.extend_from_slice(&time.to_be_bytes());
                bytes.extend_from_slice(pair.sign(&cosigned_v1(time, text)).as_ref());
            }
            (Pair::Ed25519(pair), _) => bytes.extend_from_slice(pair.sign(text.as_bytes()).as_ref()),
            (Pair::MlDsa44(pair), _) => {
                let head = Checkpoint::parse(text)?;
                let message = cosigned_subtree(self.verifier.name(), time, &head).ok_or(Malformed::new(
                    "checkpoint",
                    "an ML-DSA-44 signature does not cover it: a long origin or extension lines",
                ))?;
                bytes.extend_from_slice(&time.to_be_bytes());
                let mut signature = vec![0; ML_DSA_44_SIGNING.signature_len()];
                pair.sign(&message, &mut signature).expect(SIGNED);
                bytes.extend_from_slice(&signature);
            }
        }
        Ok(format!("\u{2014} {} {}\n", self.verifier.name(), base64(&bytes)))
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSigner({:?})", self.verifier)
    }
}
