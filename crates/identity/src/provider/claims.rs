//! What a provider says about somebody.

use serde::Deserialize;
use serde_json::Value;

use super::{ProviderFault, ProviderProtocol};

/// OpenID Connect Core 1.0, section 2: at most 255 ASCII characters.
const MAX_SUBJECT: usize = 255;

/// Somebody at a provider.
pub(super) struct Person {
    pub(super) subject: String,
    /// Only if the provider has verified it.
    pub(super) verified_email: Option<String>,
    /// What the person knows the account by.
    pub(super) label: Option<String>,
    /// When they proved themselves there, in seconds since 1970, if the provider says it.
    pub(super) auth_time_s: Option<i64>,
}

/// The claims of an ID token that matter here; signature, issuer, audience and times are checked before.
#[derive(Deserialize)]
pub(super) struct IdClaims {
    sub: String,
    aud: Value,
    azp: Option<String>,
    nonce: Option<String>,
    at_hash: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
    name: Option<String>,
    preferred_username: Option<String>,
    auth_time: Option<i64>,
}

impl IdClaims {
    /// The rest of the checks of OpenID Connect Core 1.0, section 3.1.3.7.
    pub(super) fn person(
        self,
        client_id: &str,
        nonce: &str,
        access_token_hash: &str,
    ) -> Result<Person, ProviderFault> {
        let many = self.aud.as_array().is_some_and(|list| list.len() > 1);
        let party = match &self.azp {
            Some(azp) => azp == client_id,
            None => !many,
        };
        let fresh = self
            .nonce
            .as_deref()
            .is_some_and(|given| base::constant_time_eq(given.as_bytes(), nonce.as_bytes()));
        let same_token = self.at_hash.as_deref().is_none_or(|given| given == access_token_hash);
        if !(party && fresh && same_token) {
            return Err(ProviderFault::NotAuthentic);
        }
        let verified = match &self.email_verified {
            Some(Value::Bool(verified)) => *verified,
            // Some providers write it as a text.
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        let label = self.email.clone().or(self.preferred_username).or(self.name);
        let person = Person::new(self.sub, self.email.filter(|_| verified), label)?;
        Ok(Person { auth_time_s: self.auth_time, ..person })
    }
}

impl Person {
    fn new(
        subject: String,
        verified_email: Option<String>,
        label: Option<String>,
    ) -> Result<Self, ProviderFault> {
        let plain = !subject.is_empty() && subject.len() <= MAX_SUBJECT && subject.is_ascii();
        if !plain {
            return Err(ProviderFault::NotAuthentic);
        }
        let label = label.map(|text| text.chars().filter(|c| !c.is_control()).take(100).collect());
        Ok(Self { subject, verified_email, label, auth_time_s: None })
    }

    /// From the profile of an OAuth 2 provider.
    pub(super) fn from_profile(profile: &Value, protocol: &ProviderProtocol) -> Result<Self, ProviderFault> {
        let ProviderProtocol::OAuth2 { subject_field, email_field, verified_field, .. } = protocol else {
            return Err(ProviderFault::NotAuthentic);
        };
        let text = |name: &str| match profile.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            // Some providers number their accounts.
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            _ => None,
        };
        let subject = text(subject_field).ok_or(ProviderFault::NotAuthentic)?;
        let email = email_field.as_deref().and_then(text);
        let verified =
            verified_field.as_deref().is_some_and(|name| profile.get(name) == Some(&Value::Bool(true)));
        let label = email.clone().or_else(|| text("display_name")).or_else(|| text("name"));
        Self::new(subject, email.filter(|_| verified), label)
    }
}
