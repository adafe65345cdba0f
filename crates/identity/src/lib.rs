//! Accounts, passwords, sessions, tokens and mail: who is calling (AUTH-1 … AUTH-6).
//!
//! [`Identity`] is the one door. Every operation takes parsed values and a [`RequestMeta`], writes its audit event in
//! the transaction of its change, and takes effect at once: a revocation is known to this node before the operation
//! answers and to other nodes within a second.
//!
//! What this crate refuses to do: it knows no HTTP and decides no permission (operators bring an
//! [`access::Permit`]); it never sends mail in a request; it never stores a password, code, cookie or token that
//! could be used; it never tells a stranger whether an account exists.
//!
//! ```no_run
//! # async fn example(identity: identity::Identity, meta: identity::RequestMeta) -> Result<(), Box<dyn std::error::Error>> {
//! use base::Secret;
//! use identity::{Credentials, Registration};
//! identity.register(Registration {
//!     username: "ada".parse()?,
//!     email: "ada@example.com".parse()?,
//!     full_name: None,
//!     password: Secret::new("violet tuba orchard eleven".into()),
//! }, &meta).await?;
//! // … follow the link of the mail, then:
//! let signed_in = identity.sign_in(Credentials {
//!     name: "ada".into(),
//!     password: Secret::new("violet tuba orchard eleven".into()),
//!     session_name: None,
//!     audience: None,
//! }, &meta).await?;
//! if let identity::SignIn::Done(pair) = signed_in {
//!     let caller = identity.authenticate_token(pair.access_token.expose()).await?;
//! }
//! # Ok(()) }
//! ```

mod account;
mod api_key;
mod assurance;
mod attempt;
mod authenticate;
mod background;
mod breach;
mod break_glass;
mod caller;
mod challenge;
mod closing;
mod code;
mod device;
mod email_change;
mod entry;
mod error;
mod even;
mod factor;
mod hash_pool;
mod import;
mod janitor;
mod lock;
mod mail;
mod names;
mod offer;
mod operators;
mod passkey;
mod password;
mod provider;
mod refresh;
mod register;
mod remember;
mod requests;
mod risk;
mod secret_text;
mod service;
mod session;
mod settings;
mod setup;
mod sign_in;
mod token;

pub use api_key::{ApiKeyView, KeyCaller, MadeApiKey, NewApiKey};
pub use assurance::{Aal, Again, WaysAgain};
pub use break_glass::GlassNotice;
pub use caller::{AccountCaller, Caller, Holder, Method, RequestMeta};
pub use error::{Error, Source};
pub use factor::{FactorKind, FactorView, Factors, TotpSetup};
pub use import::{ImportOutcome, ImportedAccount, ImportedHash, MAX_IMPORT};
pub use mail::{DeliveryError, Mailer, ReadableLetter, SmtpConfig, SmtpSecurity};
pub use offer::OfferNotice;
pub use passkey::{NewPasskey, PasskeyPurpose, PasskeyQuestion, PasskeySignal};
pub use provider::{
    ProviderAnswer, ProviderConfig, ProviderFault, ProviderLink, ProviderOutcome, ProviderProtocol,
    ProviderPurpose, ProviderStart,
};
pub use remember::Recall;
pub use requests::{
    AccountLine, AccountPage, AccountQuery, AccountStatus, AccountView, BrowserSession, Credentials,
    OutboxEntry, Partial, Registration, SecondFactorOffer, SessionKind, SessionView, Setup, SetupLink,
    SignIn, Swept, TokenPair, Verified,
};
pub use risk::{Answer, Locator, NoticeView, RiskSettings, Whereabouts, risk_reason_words};
pub use service::{Identity, Parts};
pub use settings::{EncryptedAudience, Settings};
