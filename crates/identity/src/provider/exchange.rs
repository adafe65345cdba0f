//! The protocol: where the browser is sent, and what a code is exchanged for.

use base::Timestamp;
use crypto::jws::{HalfHash, TokenError};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::claims::{IdClaims, Person};
use super::{Provider, ProviderFault, ProviderProtocol};

/// Clocks of providers may differ from ours by this.
const LEEWAY_S: u32 = 60;

/// OpenID Connect adds the ID token to the token response.
#[derive(Debug, Deserialize, Serialize)]
struct WithIdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for WithIdToken {}

type Answer = StandardTokenResponse<WithIdToken, BasicTokenType>;
type Protocol = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What only we know of one way to a provider and back.
pub(super) struct Proofs<'a> {
    pub(super) state: &'a str,
    pub(super) nonce: &'a str,
    pub(super) verifier: &'a str,
}

impl Provider {
    /// The URL to send the browser to. `again`: the provider shall ask the person even if it knows them still.
    pub(super) async fn authorize_url(
        &self,
        redirect: &str,
        proofs: &Proofs<'_>,
        again: bool,
        now: Timestamp,
    ) -> Result<String, ProviderFault> {
        let protocol = self.protocol(redirect, now).await?;
        let verifier = PkceCodeVerifier::new(proofs.verifier.to_owned());
        let mut request = protocol
            .authorize_url(|| CsrfToken::new(proofs.state.to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new));
        if let ProviderProtocol::OpenIdConnect { .. } = &self.config.protocol {
            if !self.config.scopes.iter().any(|scope| scope == "openid") {
                request = request.add_scope(Scope::new("openid".to_owned()));
            }
            request = request.add_extra_param("nonce", proofs.nonce.to_owned());
            if again {
                // OpenID Connect Core §3.1.2.1; with max_age the ID token must say when it was.
                request = request.add_extra_param("prompt", "login").add_extra_param("max_age", "0");
            }
        }
        Ok(request.url().0.into())
    }

    /// Whether the person proved themselves there since `begun_s`. What a provider says that it tells must be told: the
    /// demand goes through the browser, which can leave it out. One that does not tell is believed, as it is at a sign-in:
    /// whoever passes it unasked could sign out and in again.
    pub(super) async fn asked_again(
        &self,
        person: &Person,
        begun_s: i64,
        now: Timestamp,
    ) -> Result<bool, ProviderFault> {
        match (&self.config.protocol, person.auth_time_s) {
            (_, Some(at)) => Ok(at >= begun_s - i64::from(LEEWAY_S)),
            (ProviderProtocol::OAuth2 { .. }, None) => Ok(true),
            (ProviderProtocol::OpenIdConnect { issuer }, None) => {
                Ok(!self.remote.metadata(issuer, now).await?.tells_auth_time())
            }
        }
    }

    /// Whether the `iss` of an answer is this provider's (RFC 9207): always if it is there, and it must be there if the
    /// provider says that it sends it.
    pub(super) async fn is_issuer(&self, iss: Option<&str>, now: Timestamp) -> Result<bool, ProviderFault> {
        match (&self.config.protocol, iss) {
            (_, Some(iss)) => Ok(iss == self.issuer()),
            (ProviderProtocol::OAuth2 { .. }, None) => Ok(true),
            (ProviderProtocol::OpenIdConnect { issuer }, None) => {
                let metadata = self.remote.metadata(issuer, now).await?;
                Ok(!metadata.authorization_response_iss_parameter_supported)
            }
        }
    }

    /// Exchanges the code and says who came back.
    pub(super) async fn person(
        &self,
        code: String,
        redirect: &str,
        proofs: &Proofs<'_>,
        now: Timestamp,
    ) -> Result<Person, ProviderFault> {
        let protocol = self.protocol(redirect, now).await?;
        let http = |request: oauth2::HttpRequest| {
            let client = self.remote.client.clone();
            async move {
                let answer = client.send(request.map(bytes::Bytes::from)).await?;
                Ok::<_, outbound::OutboundError>(answer.map(|body| body.to_vec()))
            }
        };
        let answer = protocol
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(proofs.verifier.to_owned()))
            .request_async(&http)
            .await
            .map_err(|error| {
                tracing::warn!(provider = self.config.id, %error, "a provider refused a code");
                match error {
                    RequestTokenError::ServerResponse(_) => ProviderFault::NotAuthentic,
                    _ => ProviderFault::Unavailable,
                }
            })?;
        let access_token = answer.access_token().secret();
        match &self.config.protocol {
            ProviderProtocol::OAuth2 { profile_url, .. } => {
                let profile = self.remote.get(profile_url, Some(access_token)).await?;
                Person::from_profile(&profile, &self.config.protocol)
            }
            ProviderProtocol::OpenIdConnect { .. } => {
                let id_token =
                    answer.extra_fields().id_token.as_deref().ok_or(ProviderFault::NotAuthentic)?;
                let (claims, hash) = self.id_claims(id_token, now).await?;
                claims.person(&self.config.client_id, proofs.nonce, &hash.of(access_token))
            }
        }
    }

    async fn id_claims(&self, id_token: &str, now: Timestamp) -> Result<(IdClaims, HalfHash), ProviderFault> {
        let metadata = self.remote.metadata(self.issuer(), now).await?;
        let mut unknown = false;
        loop {
            let keys = self.remote.keys(&metadata, unknown, now).await?;
            match keys.verify_id_token(id_token, self.issuer(), &self.config.client_id, now, LEEWAY_S) {
                Ok(claims) => return Ok(claims),
                // The provider may have changed its keys since we asked.
                Err(TokenError::UnknownKey) if !unknown => unknown = true,
                Err(error) => {
                    tracing::warn!(provider = self.config.id, %error, "an ID token was refused");
                    return Err(ProviderFault::NotAuthentic);
                }
            }
        }
    }

    async fn protocol(&self, redirect: &str, now: Timestamp) -> Result<Protocol, ProviderFault> {
        let metadata;
        let (authorize, token, in_body) = match &self.config.protocol {
            ProviderProtocol::OpenIdConnect { issuer } => {
                metadata = self.remote.metadata(issuer, now).await?;
                let in_body = metadata.wants_secret_in_body();
                (metadata.authorization_endpoint.clone(), metadata.token_endpoint.clone(), in_body)
            }
            ProviderProtocol::OAuth2 { authorize_url, token_url, .. } => {
                (authorize_url.clone(), token_url.clone(), false)
            }
        };
        let wrong = |_| {
            tracing::warn!(provider = self.config.id, "a provider's endpoint is not a URL");
            ProviderFault::Unavailable
        };
        let client = Client::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::new(authorize).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(token).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(redirect.to_owned()).map_err(wrong)?)
            .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
        Ok(match &self.config.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
            None => client,
        })
    }
}
