//! The numbers of AUTH-1 … AUTH-6, as settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crypto::jwe::JweKey;
use crypto::password::Params;
use crypto::password::policy::Policy;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Settings of identity. `Default` holds the numbers of the specification; times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers reach us, without a final slash; links in mails start with it.
    pub public_url: String,
    /// `iss` of access tokens; usually the public URL.
    pub issuer: String,
    /// `aud` of access tokens for our own gateway.
    pub audience: String,
    /// `From:` of messages, for example `Fortissimo <no-reply@example.com>`.
    pub mail_from: String,
    /// Lifetime of an access token.
    pub access_token_ttl_ms: i64,
    /// Lifetime of an unused refresh token.
    pub refresh_ttl_ms: i64,
    /// For how long a used refresh token still gives the same successor.
    pub refresh_grace_ms: i64,
    /// A browser session ends after this long without a request.
    pub browser_idle_ms: i64,
    /// A browser session ends after this long in any case (NIST SP 800-63B AAL1: at most 30 days).
    pub browser_absolute_ms: i64,
    /// A token session ends after this long without a refresh or a request.
    pub token_idle_ms: i64,
    /// A token session ends after this long in any case.
    pub token_absolute_ms: i64,
    /// The time of last use is written at most this often.
    pub touch_interval_ms: i64,
    /// Lifetime of a verification link; at most 24 h.
    pub verify_ttl_ms: i64,
    /// Lifetime of a password reset link; at most 1 h.
    pub reset_ttl_ms: i64,
    /// Lifetime of a set-up link.
    pub setup_ttl_ms: i64,
    /// Unverified attempts kept per address; the oldest of the network with the most of them gives way.
    pub pending_per_address: u32,
    /// Messages of one kind to one address within an hour; more are silently not sent.
    pub mails_per_hour: u32,
    /// Unverified accounts are removed after this long.
    pub pending_ttl_ms: i64,
    /// Traces of delivered messages, ended sessions and ended API keys are removed after this long.
    pub trace_ttl_ms: i64,
    /// Hashing threads; 0 means one per core.
    pub hash_threads: usize,
    /// Waiting hashes per thread; more are refused with 503.
    pub hash_queue_per_thread: usize,
    /// Cost of a password hash.
    pub hash_params: Params,
    /// What a password must be.
    pub password_policy: Policy,
    /// Whom to ask whether a password was breached, such as `https://api.pwnedpasswords.com`; `None` asks nobody.
    pub breach_api: Option<String>,
    /// What the product is called in authenticator apps.
    pub product: String,
    /// Wrong attempts within this time, one after the other, start the delays.
    pub attempt_window_ms: i64,
    /// That many wrong attempts start the delays.
    pub attempts_before_delay: u32,
    /// The first delay; each further failure doubles it.
    pub attempt_first_delay_ms: i64,
    /// The longest delay.
    pub attempt_longest_delay_ms: i64,
    /// Wrong attempts without a right one after which a name's authenticator is not asked any more until it is set anew.
    /// An account has two names (username and address), so this is half of what NIST SP 800-63B allows (100).
    pub attempts_hard_stop: i64,
    /// Wrong attempts of one network that start its delays; known devices do not count and do not wait.
    pub network_attempts_before_delay: u32,
    /// A network's first delay.
    pub network_first_delay_ms: i64,
    /// A network's longest delay.
    pub network_longest_delay_ms: i64,
    /// Names that a network must have tried (of sixty groups) to be called spraying, and to wait from then on.
    pub spray_names: u32,
    /// Answers to who names an account without knowing its password come at multiples of this after their request; zero
    /// answers at once, for measurements.
    pub answer_step: Duration,
    /// How long an account that its owner closed can be taken back before it is erased.
    pub erase_after_ms: i64,
    /// How long a partial sign-in waits for its second factor.
    pub challenge_ttl_ms: i64,
    /// Wrong codes for one partial sign-in.
    pub challenge_tries: u32,
    /// Live sessions of one account; the one that was used longest ago gives way.
    pub sessions_per_account: u32,
    /// Known devices of one account; the one that was used longest ago gives way.
    pub devices_per_account: u32,
    /// A device that was not seen for this long is a stranger again; browsers keep cookies for 400 days at most.
    pub device_ttl_ms: i64,
    /// Second factors of one account.
    pub factors_per_account: i64,
    /// Live API keys of one account.
    pub api_keys_per_account: i64,
    /// How long ago factors may have been given for what matters.
    pub reauthentication_ms: i64,
    /// A session at assurance level 2 goes on at level 1 after this long.
    pub aal2_absolute_ms: i64,
    /// A session at assurance level 2 goes on at level 1 after this long without a request.
    pub aal2_idle_ms: i64,
    /// For how long a rotated API key still counts.
    pub api_key_overlap_ms: i64,
    /// Verified access tokens and cookies that are remembered.
    pub remembered_tokens: usize,
    /// Sessions whose facts are remembered.
    pub remembered_sessions: usize,
    /// Audiences whose tokens are encrypted around the signature.
    pub encrypted_audiences: Vec<EncryptedAudience>,
    /// The domain that passkeys are for, if it is not the public URL's host but one that it lies in.
    pub passkey_rp_id: Option<String>,
    /// Further origins at which these passkeys may be used.
    pub passkey_related_origins: Vec<String>,
    /// Other identity providers to sign in with.
    pub providers: Vec<crate::ProviderConfig>,
    /// Login risk.
    pub risk: crate::RiskSettings,
}

/// An audience that gets nested JWE instead of plain JWS.
#[derive(Clone)]
pub struct EncryptedAudience {
    /// The `aud`.
    pub audience: String,
    /// The key that its tokens are encrypted to.
    pub key: Arc<JweKey>,
}

impl fmt::Debug for EncryptedAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedAudience({})", self.audience)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            issuer: "http://localhost:8080".to_owned(),
            audience: "fortissimo".to_owned(),
            mail_from: "Fortissimo <no-reply@localhost.localdomain>".to_owned(),
            access_token_ttl_ms: 15 * MINUTE,
            refresh_ttl_ms: 7 * DAY,
            refresh_grace_ms: 10 * SECOND,
            browser_idle_ms: DAY,
            browser_absolute_ms: 30 * DAY,
            token_idle_ms: 7 * DAY,
            token_absolute_ms: 30 * DAY,
            touch_interval_ms: MINUTE,
            verify_ttl_ms: DAY,
            reset_ttl_ms: HOUR,
            setup_ttl_ms: DAY,
            pending_per_address: 5,
            mails_per_hour: 3,
            pending_ttl_ms: DAY,
            trace_ttl_ms: 7 * DAY,
            hash_threads: 0,
            hash_queue_per_thread: 32,
            hash_params: Params::STANDARD,
            password_policy: Policy::default(),
            breach_api: None,
            product: "Fortissimo".to_owned(),
            attempt_window_ms: 15 * MINUTE,
            attempts_before_delay: 5,
            attempt_first_delay_ms: 10 * SECOND,
            attempt_longest_delay_ms: 15 * MINUTE,
            attempts_hard_stop: 50,
            network_attempts_before_delay: 30,
            network_first_delay_ms: 2 * SECOND,
            network_longest_delay_ms: MINUTE,
            spray_names: 10,
            answer_step: crate::even::STEP,
            erase_after_ms: 7 * DAY,
            challenge_ttl_ms: 5 * MINUTE,
            challenge_tries: 5,
            sessions_per_account: 100,
            devices_per_account: 50,
            device_ttl_ms: 400 * DAY,
            factors_per_account: 20,
            api_keys_per_account: 50,
            reauthentication_ms: 10 * MINUTE,
            aal2_absolute_ms: DAY,
            aal2_idle_ms: HOUR,
            api_key_overlap_ms: DAY,
            remembered_tokens: 32_768,
            remembered_sessions: 32_768,
            encrypted_audiences: Vec::new(),
            passkey_rp_id: None,
            passkey_related_origins: Vec::new(),
            providers: Vec::new(),
            risk: crate::RiskSettings::default(),
        }
    }
}
