use access::actions::{SystemConfig, UserAdmin, UserRead};
use access::{Permit, Role, Tier};
use base::{Email, Id, Secret, kind};

use crate::*;

impl Identity {
    /// Starts an account. The answer is the same whether or not the address or the name is known; a mail decides.
    pub async fn register(&self, wish: Registration, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Follows a verification link: exactly that attempt becomes an account.
    pub async fn verify_email(&self, code: &str, meta: &RequestMeta) -> Result<Verified, Error> { todo!() }
    /// Signs in a client that keeps tokens.
    pub async fn sign_in(&self, credentials: Credentials, meta: &RequestMeta) -> Result<TokenPair, Error> { todo!() }
    /// Signs in a browser.
    pub async fn sign_in_browser(&self, credentials: Credentials, meta: &RequestMeta) -> Result<BrowserSession, Error> { todo!() }
    /// The next pair for a refresh token.
    pub async fn refresh(&self, token: &str, meta: &RequestMeta) -> Result<TokenPair, Error> { todo!() }
    /// Ends the caller's session.
    pub async fn sign_out(&self, caller: &AccountCaller, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Mails a reset link if there is such an account; the answer never tells.
    pub async fn forgot_password(&self, email: &Email, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Sets a new password by a reset link and ends all sessions.
    pub async fn reset_password(&self, code: &str, password: Secret<String>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Sets a new password and ends all other sessions.
    pub async fn change_password(&self, caller: &AccountCaller, current: Secret<String>, new: Secret<String>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// The caller's live sessions, newest first.
    pub async fn sessions(&self, caller: &AccountCaller) -> Result<Vec<SessionView>, Error> { todo!() }
    /// Names one of the caller's sessions; `None` takes the name away. At most 100 characters, no control characters.
    pub async fn name_session(&self, caller: &AccountCaller, session: Id<kind::Session>, name: Option<&str>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Ends one of the caller's sessions.
    pub async fn revoke_session(&self, caller: &AccountCaller, session: Id<kind::Session>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Ends all of the caller's sessions but the one that asks; gives how many.
    pub async fn revoke_other_sessions(&self, caller: &AccountCaller, meta: &RequestMeta) -> Result<u64, Error> { todo!() }
    /// The caller's own account.
    pub async fn profile(&self, caller: &AccountCaller) -> Result<AccountView, Error> { todo!() }
    /// No operator exists yet, so that a set-up link would work.
    pub async fn needs_setup(&self) -> Result<bool, Error> { todo!() }
    /// A new set-up link; `Conflict` once an operator exists.
    pub async fn issue_setup_link(&self, permit: Permit<SystemConfig>, meta: &RequestMeta) -> Result<SetupLink, Error> { todo!() }
    /// Makes the first operator: an active, verified super_admin.
    pub async fn complete_setup(&self, setup: Setup, meta: &RequestMeta) -> Result<Id<kind::Account>, Error> { todo!() }
    /// A page of accounts, newest first.
    pub async fn accounts(&self, permit: Permit<UserRead>, query: &AccountQuery, meta: &RequestMeta) -> Result<AccountPage, Error> { todo!() }
    /// One account with its personal data.
    pub async fn account(&self, permit: Permit<UserRead>, account: Id<kind::Account>, meta: &RequestMeta) -> Result<AccountView, Error> { todo!() }
    /// The account with this username or e-mail address, for commands that get a name.
    pub async fn find_account(&self, permit: Permit<UserRead>, name: &str, meta: &RequestMeta) -> Result<Option<Id<kind::Account>>, Error> { todo!() }
    /// Disables an account and ends its sessions at once. The last active super_admin stays.
    pub async fn disable_account(&self, permit: Permit<UserAdmin>, account: Id<kind::Account>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Lets a disabled account sign in again.
    pub async fn enable_account(&self, permit: Permit<UserAdmin>, account: Id<kind::Account>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Gives a role; takes effect at once. The last active super_admin stays one.
    pub async fn set_role(&self, permit: Permit<UserAdmin>, account: Id<kind::Account>, role: Role, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Gives a tier; takes effect at once.
    pub async fn set_tier(&self, permit: Permit<UserAdmin>, account: Id<kind::Account>, tier: Tier, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Marks a password as compromised: the next sign-in demands a new one.
    pub async fn mark_compromised(&self, permit: Permit<UserAdmin>, account: Id<kind::Account>, meta: &RequestMeta) -> Result<(), Error> { todo!() }
    /// Who presents this access token. Fast for tokens seen before; never later than a revocation.
    pub async fn authenticate_token(&self, token: &str) -> Result<AccountCaller, Error> { todo!() }
    /// Who presents this session cookie.
    pub async fn authenticate_cookie(&self, value: &str) -> Result<AccountCaller, Error> { todo!() }
    /// Delivers one queued message; called by the job worker, never in a request.
    pub async fn deliver_mail(&self, mail: Id<kind::Mail>) -> Result<(), DeliveryError> { todo!() }
    /// The messages in the file outbox, newest first, at most 200; empty with SMTP.
    pub async fn outbox_list(&self, permit: Permit<UserAdmin>) -> Result<Vec<OutboxEntry>, Error> { todo!() }
    /// One message of the file outbox, as RFC 5322 text.
    pub async fn outbox_read(&self, permit: Permit<UserAdmin>, mail: Id<kind::Mail>, meta: &RequestMeta) -> Result<Secret<String>, Error> { todo!() }
    /// Removes what has had its time; called by the job worker.
    pub async fn janitor(&self) -> Result<Swept, Error> { todo!() }
}
