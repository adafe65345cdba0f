//! `[[provider]]`: other identity providers to sign in with.

use std::path::PathBuf;

use identity::ProviderProtocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::SecretRef;

/// Another identity provider with whose accounts people may sign in (OpenID Connect or OAuth 2). Its redirect address
/// for us is `<server.public_url>/auth/oauth/<id>/callback`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name in addresses: lower-case letters, digits and `-`.
    pub id: String,
    /// Its name for people. Default: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// `google`, `spotify` or `ableton` fill in what is publicly known; what is written here goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Preset")]
    pub preset: Option<Preset>,
    /// The issuer of an OpenID Connect provider; its metadata is read there. With `authorize_url` it is only a stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there, by reference; absent for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub client_secret: Option<SecretRef>,
    /// What to ask for. Default: the preset's, or `["openid", "email", "profile"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub scopes: Option<Vec<String>>,
    /// Authorization endpoint of a provider without OpenID Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub authorize_url: Option<String>,
    /// Its token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token_url: Option<String>,
    /// Where the profile is read (JSON) with the access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub profile_url: Option<String>,
    /// The profile's field that identifies the account for ever. Default: `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub subject_field: Option<String>,
    /// The profile's field with the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub email_field: Option<String>,
    /// The profile's field that is `true` if the provider has verified that address; without it no address counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub verified_field: Option<String>,
    /// PEM file with the private authority that signs its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
}

/// A provider whose addresses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Preset {
    /// OpenID Connect at accounts.google.com.
    Google,
    /// OAuth 2 at accounts.spotify.com; it vouches for no address, so it signs in to linked accounts only.
    Spotify,
    /// The name only: Ableton publishes no addresses, they come with the partner's agreement.
    Ableton,
}

impl Provider {
    /// Its name for people.
    pub fn shown_name(&self) -> &str {
        let preset = match self.preset {
            Some(Preset::Google) => "Google",
            Some(Preset::Spotify) => "Spotify",
            Some(Preset::Ableton) => "Ableton",
            None => &self.id,
        };
        self.name.as_deref().unwrap_or(preset)
    }

    /// What to ask for.
    pub fn asked_scopes(&self) -> Vec<String> {
        let usual: &[&str] = match self.preset {
            Some(Preset::Spotify) => &["user-read-email"],
            _ if self.authorize_url.is_some() => &[],
            _ => &["openid", "email", "profile"],
        };
        self.scopes.clone().unwrap_or_else(|| usual.iter().map(|&scope| scope.to_owned()).collect())
    }

    /// How it speaks, with the preset filled in.
    ///
    /// # Errors
    /// The name of the setting that is missing or wrong, and what would be right.
    pub fn protocol(&self) -> Result<ProviderProtocol, (&'static str, &'static str)> {
        let spotify = self.preset == Some(Preset::Spotify);
        let or = |given: &Option<String>, known: Option<&str>| given.clone().or(known.map(str::to_owned));
        let issuer = or(
            &self.issuer,
            match self.preset {
                Some(Preset::Google) => Some("https://accounts.google.com"),
                Some(Preset::Spotify) => Some("https://accounts.spotify.com"),
                _ => None,
            },
        )
        .ok_or(("issuer", "is missing; for OpenID Connect the issuer's URL, else a stable name for it"))?;
        let authorize = or(&self.authorize_url, spotify.then_some("https://accounts.spotify.com/authorize"));
        let Some(authorize_url) = authorize else {
            url(&issuer).map_err(|reason| ("issuer", reason))?;
            return Ok(ProviderProtocol::OpenIdConnect { issuer });
        };
        let token_url = or(&self.token_url, spotify.then_some("https://accounts.spotify.com/api/token"))
            .ok_or(("token_url", "is needed beside authorize_url"))?;
        let profile_url = or(&self.profile_url, spotify.then_some("https://api.spotify.com/v1/me"))
            .ok_or(("profile_url", "is needed beside authorize_url"))?;
        url(&authorize_url).map_err(|reason| ("authorize_url", reason))?;
        url(&token_url).map_err(|reason| ("token_url", reason))?;
        url(&profile_url).map_err(|reason| ("profile_url", reason))?;
        Ok(ProviderProtocol::OAuth2 {
            issuer,
            authorize_url,
            token_url,
            profile_url,
            subject_field: self.subject_field.clone().unwrap_or_else(|| "id".to_owned()),
            email_field: or(&self.email_field, spotify.then_some("email")),
            verified_field: self.verified_field.clone(),
        })
    }

    /// Whether the id can stand in an address.
    pub fn has_plain_id(&self) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=32).contains(&self.id.len()) && self.id.bytes().all(plain)
    }
}

/// With TLS, unless it is on this machine.
fn url(text: &str) -> Result<(), &'static str> {
    let wrong = "expected an https URL (http only for a provider on this machine)";
    let uri: http::Uri = text.parse().map_err(|_| wrong)?;
    let near = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match uri.scheme_str() {
        Some("https") if uri.host().is_some() => Ok(()),
        Some("http") if near => Ok(()),
        _ => Err(wrong),
    }
}
