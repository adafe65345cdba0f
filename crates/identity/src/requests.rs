//! What the operations take and give: plain values, parsed at the border.

use access::{Role, Tier};
use base::{Email, FullName, Id, Secret, Timestamp, Username, kind};

use crate::{Aal, FactorKind};

/// A wish to have an account.
#[derive(Debug)]
pub struct Registration {
    /// The wished name; if somebody has it at verification, the account gets a free variant.
    pub username: Username,
    /// Where the verification link goes.
    pub email: Email,
    /// Optional.
    pub full_name: Option<FullName>,
    /// Checked against the password policy.
    pub password: Secret<String>,
}

/// The outcome of following a verification link.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The account that is now active.
    pub account: Id<kind::Account>,
    /// The name that it got.
    pub username: Username,
    /// The wished name was taken meanwhile, so `username` is a variant of it.
    pub renamed: bool,
}

/// Name and password.
#[derive(Debug)]
pub struct Credentials {
    /// Username or e-mail address, as typed.
    pub name: String,
    /// The password, as typed.
    pub password: Secret<String>,
    /// What the person calls this device; shown in the list of sessions. Cut to 100 characters.
    pub session_name: Option<String>,
    /// For whom the access tokens of this session are; `None` is our own gateway. Unknown ones are refused.
    pub audience: Option<String>,
}

/// What signing in came to.
#[derive(Debug)]
pub enum SignIn<T> {
    /// Signed in.
    Done(T),
    /// The first factor was right, and a second one is asked for. Nothing here opens anything by itself.
    SecondFactor(Partial),
}

impl<T> SignIn<T> {
    /// The session, if no second factor is asked for.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::SecondFactor(_) => None,
        }
    }

    /// The partial sign-in, if a second factor is asked for.
    pub fn partial(self) -> Option<Partial> {
        match self {
            Self::Done(_) => None,
            Self::SecondFactor(partial) => Some(partial),
        }
    }
}

/// A sign-in whose second factor is awaited.
#[derive(Debug)]
pub struct Partial {
    /// Opaque; goes back with the second factor. Five minutes, five tries, this client only.
    pub challenge: Secret<String>,
    /// For a browser: the value of the cookie without which the challenge is worth nothing.
    pub browser: Option<Secret<String>>,
    /// Seconds until it ends.
    pub expires_in_s: u32,
    /// What the account has.
    pub offer: SecondFactorOffer,
}

/// What a second factor can be given by.
#[derive(Debug, Clone)]
pub struct SecondFactorOffer {
    /// What the account has; empty if it has none.
    pub methods: Vec<FactorKind>,
    /// The codes of its apps are not looked at here any more: too many were wrong.
    pub codes_stopped: bool,
    /// A code can be had by mail ([`Identity::mail_code`](crate::Identity::mail_code)).
    pub code_by_mail: bool,
}

/// Tokens for a client that keeps its own (OAuth 2 names in the API).
#[derive(Debug)]
pub struct TokenPair {
    /// JWT `at+jwt` (RFC 9068), or a JWE around it for an audience that is configured so.
    pub access_token: Secret<String>,
    /// Seconds until the access token expires.
    pub expires_in_s: u32,
    /// Opaque `ftr_…`; every use gives the next one.
    pub refresh_token: Secret<String>,
    /// Seconds until the refresh token expires unused.
    pub refresh_expires_in_s: u32,
    /// The session.
    pub session: Id<kind::Session>,
    /// The account.
    pub account: Id<kind::Account>,
    /// The device's mark, to be given with the next sign-in from there; `None` from a refresh.
    pub device: Option<Secret<String>>,
}

/// A signed-in browser.
#[derive(Debug)]
pub struct BrowserSession {
    /// The value for the `__Host-` cookie.
    pub cookie: Secret<String>,
    /// The session.
    pub session: Id<kind::Session>,
    /// The account.
    pub account: Id<kind::Account>,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// The value for the device cookie.
    pub device: Secret<String>,
}

/// What a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// A cookie in a browser.
    Browser,
    /// An access and a refresh token.
    Token,
}

impl SessionKind {
    /// In the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Token => "token",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Browser, Self::Token].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One live session, for its owner.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The session.
    pub id: Id<kind::Session>,
    /// Browser or tokens.
    pub kind: SessionKind,
    /// Signed in at.
    pub created_at: Timestamp,
    /// Last use, exact to a minute.
    pub last_seen_at: Timestamp,
    /// The absolute end.
    pub expires_at: Timestamp,
    /// What the person calls it.
    pub name: Option<String>,
    /// User agent at sign-in.
    pub agent: Option<String>,
    /// Client address at sign-in.
    pub address: Option<String>,
    /// Country at sign-in, two letters, if known.
    pub place: Option<String>,
    /// How strongly it is proven.
    pub aal: Aal,
    /// This is the session that asks.
    pub current: bool,
}

/// The state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountStatus {
    /// Registered, address not verified yet.
    Pending,
    /// May sign in.
    Active,
    /// Disabled by an operator.
    Disabled,
}

impl AccountStatus {
    /// In the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// An account with its personal data, for its owner or an operator.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// The account.
    pub id: Id<kind::Account>,
    /// Its name.
    pub username: Username,
    /// Its address.
    pub email: Email,
    /// Its holder's name.
    pub full_name: Option<FullName>,
    /// Role.
    pub role: Role,
    /// Tier.
    pub tier: Tier,
    /// State.
    pub status: AccountStatus,
    /// The password must be changed before the next sign-in.
    pub compromised: bool,
    /// Registered at.
    pub created_at: Timestamp,
    /// Address verified at.
    pub verified_at: Option<Timestamp>,
    /// Last change of the row.
    pub updated_at: Timestamp,
}

/// One line in the operator's list; holds no sealed data, so that a list needs no decryption.
#[derive(Debug, Clone)]
pub struct AccountLine {
    /// The account.
    pub id: Id<kind::Account>,
    /// Its name.
    pub username: Username,
    /// Role.
    pub role: Role,
    /// Tier.
    pub tier: Tier,
    /// State.
    pub status: AccountStatus,
    /// Registered at.
    pub created_at: Timestamp,
}

/// What part of the accounts an operator wants to see.
#[derive(Debug, Clone, Default)]
pub struct AccountQuery {
    /// Continue after this account (the last one of the page before).
    pub after: Option<Id<kind::Account>>,
    /// Lines per page; 0 means 50, more than 200 means 200.
    pub limit: u32,
    /// Only this state.
    pub status: Option<AccountStatus>,
    /// Only names that start so.
    pub username_prefix: Option<String>,
}

/// A page of accounts, newest first.
#[derive(Debug, Clone)]
pub struct AccountPage {
    /// The lines.
    pub accounts: Vec<AccountLine>,
    /// Where the next page starts; `None` if this was the last.
    pub next: Option<Id<kind::Account>>,
}

/// The first operator's account.
#[derive(Debug)]
pub struct Setup {
    /// Code of the set-up link.
    pub code: String,
    /// Name.
    pub username: Username,
    /// Address; taken as verified.
    pub email: Email,
    /// Optional.
    pub full_name: Option<FullName>,
    /// Checked against the password policy.
    pub password: Secret<String>,
}

/// A one-time link that the operator opens to make the first account.
#[derive(Debug)]
pub struct SetupLink {
    /// The whole address, `<public_url>/account/setup?code=…`.
    pub url: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// One message of the file outbox.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// The message.
    pub id: Id<kind::Mail>,
    /// What it is about: `verify`, `reset` …
    pub kind: String,
    /// Whom it belongs to.
    pub account: Id<kind::Account>,
    /// Written at.
    pub created_at: Timestamp,
}

/// What the janitor removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts to register that were never verified, with their keys.
    pub pending_accounts: u64,
    /// Links that ended.
    pub codes: u64,
    /// Refresh tokens that ended.
    pub refresh_tokens: u64,
    /// Sessions that ended a while ago.
    pub sessions: u64,
    /// Traces of messages.
    pub mails: u64,
    /// Partial sign-ins, set-ups and wishes that came to nothing, counters that rest, devices that nobody uses.
    pub traces: u64,
    /// Questions that nobody answered in time (mails about sign-ins, ways to providers, passkeys), and budgets of mails.
    pub questions: u64,
    /// API keys that ended a while ago.
    pub api_keys: u64,
    /// Accounts that their owners closed a while ago.
    pub erased: u64,
}
