//! Identifiers: UUIDv7 (RFC 9562) with the kind of thing in the type.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Clock, Entropy, Timestamp};

/// The kinds of things that have an [`crate::Id`].
pub mod kind {
    macro_rules! kinds { ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])* #[derive(Debug, Clone, Copy)] pub enum $name {}
    )* } }
    kinds! {
        /// A person's account.
        Account,
        /// A sign-in session.
        Session,
        /// An account at another identity provider.
        ProviderLink,
        /// A request through the pipeline.
        Request,
        /// An audit event.
        Event,
        /// A queued job.
        Job,
        /// A message in the mail outbox.
        Mail,
        /// A key in the hierarchy.
        Key,
        /// One access token (`jti`).
        Token,
        /// An alert.
        Alert,
        /// A second factor.
        Factor,
        /// A browser or program that signed in before.
        Device,
        /// A key for programs.
        ApiKey,
        /// An object of a service, registered for access decisions.
        Object,
        /// A team of people who are given access together.
        Team,
        /// A collaboration token.
        Invitation,
        /// An administrator's look at something private.
        BreakGlass,
        /// Access that begins when its receiver accepts it.
        Offer,
    }
}

/// A UUIDv7 that names one thing of kind `K`. Sorts by creation time.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

impl<K> Id<K> {
    /// A new identifier at the clock's time.
    pub fn new(clock: &Clock, entropy: &Entropy) -> Self {
        Self::at(clock.now(), entropy)
    }

    /// A new identifier at a given time.
    pub fn at(now: Timestamp, entropy: &Entropy) -> Self {
        let ms = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &entropy.bytes()).into_uuid(), PhantomData)
    }

    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes), PhantomData)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The bare UUID.
    pub const fn uuid(&self) -> Uuid {
        self.0
    }
}

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected a UUID such as 0198c0de-0000-7000-8000-000000000000")]
pub struct InvalidId;

impl<K> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // Only the hyphenated form: one spelling per identifier.
        if text.len() != 36 {
            return Err(InvalidId);
        }
        Uuid::try_parse(text).map(|uuid| Self(uuid, PhantomData)).map_err(|_| InvalidId)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_refuse_other_spellings() {
        let entropy = Entropy::seeded(3);
        let early: Id<kind::Account> = Id::at(Timestamp::from_millis(1_000), &entropy);
        let late: Id<kind::Account> = Id::at(Timestamp::from_millis(2_000), &entropy);
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 7);
        assert!(early.uuid().simple().to_string().parse::<Id<kind::Account>>().is_err());
        assert!("".parse::<Id<kind::Account>>().is_err());
    }
}
