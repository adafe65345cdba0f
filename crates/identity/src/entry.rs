//! From a proven first factor to a session: the one road for passwords, passkeys and other providers alike.
//!
//! Whatever was proven first, what follows is the same: a challenge where the account has a second factor, else the
//! judgement of risk, and then a session with all that belongs to it, in one transaction.

use audit::Event;
use base::{Scope, Secret};
use store::{Tx, params};
use threat::login::Circumstances;

use crate::account::Account;
use crate::attempt::Guess;
use crate::challenge::{Pending, Wish};
use crate::factor::{PASSWORD, Shown};
use crate::risk::{Attempt, Proof, Weighed};
use crate::service::Inner;
use crate::session::NewSession;
use crate::{
    Aal, BrowserSession, Error, Identity, Partial, RequestMeta, SecondFactorOffer, SessionKind, SignIn,
    TokenPair, secret_text,
};

store::sql! {
    /// Replaces a hash by one of the same password; not if the password was changed meanwhile.
    REHASH = "UPDATE account SET password = $3, pepper_epoch = $4 WHERE account_id = $1 AND password = $2";
}

/// A session to be made.
struct Entry<'a> {
    account: &'a Account,
    wish: Wish<'a>,
    method: String,
    aal: Aal,
    weighed: Weighed,
}

/// Somebody whose first factor was right and who may sign in, as far as that goes.
pub(crate) struct Proven {
    pub(crate) account: Account,
    /// A hash of today's cost and pepper, if the stored one is older.
    pub(crate) rehashed: Option<(String, u32)>,
    /// The first factor, for events: `password` …
    pub(crate) method: &'static str,
    /// What the first factor alone is worth. At level 2 no second one is asked for.
    pub(crate) aal: Aal,
    /// The attempt that is settled with the session, if one is counted.
    pub(crate) guess: Option<Guess>,
    pub(crate) circumstances: Circumstances,
}

/// A session that was made, and what opens it.
enum Made {
    Tokens(TokenPair),
    Browser(BrowserSession),
}

impl Identity {
    /// Completes a partial sign-in of a client that keeps tokens, by a code of an app or a recovery code.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`], [`Error::WrongCode`], [`Error::TooManyAttempts`]; failures of the store.
    pub async fn sign_in_with_code(
        &self,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<TokenPair, Error> {
        match self.0.complete_with_code(SessionKind::Token, challenge, code, meta).await? {
            Made::Tokens(pair) => Ok(pair),
            Made::Browser(_) => Err(Error::internal("tokens were asked for")),
        }
    }

    /// Completes a partial sign-in of a browser.
    ///
    /// # Errors
    /// As [`Identity::sign_in_with_code`].
    pub async fn sign_in_browser_with_code(
        &self,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<BrowserSession, Error> {
        match self.0.complete_with_code(SessionKind::Browser, challenge, code, meta).await? {
            Made::Browser(session) => Ok(session),
            Made::Tokens(_) => Err(Error::internal("a browser session was asked for")),
        }
    }

    /// What the account of a browser's partial sign-in has to offer; takes none of its tries.
    ///
    /// # Errors
    /// [`Error::InvalidChallenge`]; failures of the store.
    pub async fn challenge_offer(
        &self,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<SecondFactorOffer, Error> {
        let mut tx = self.0.db.begin_read(Scope::System("second factor")).await?;
        let (account, method) = self.0.peek_challenge(&mut tx, SessionKind::Browser, challenge, meta).await?;
        self.0.second_factor_offer(&mut tx, account, &method, meta).await
    }
}

/// What a first factor led to.
pub(crate) enum Led {
    /// A session.
    In(SignedIn),
    /// A challenge.
    Halfway(Partial),
}

/// A session that was made; opaque, so that only its own kind comes out.
pub(crate) struct SignedIn(Made);

impl Led {
    /// As a client that keeps tokens sees it.
    pub(crate) fn tokens(self) -> Result<SignIn<TokenPair>, Error> {
        match self {
            Self::In(SignedIn(Made::Tokens(pair))) => Ok(SignIn::Done(pair)),
            Self::In(SignedIn(Made::Browser(_))) => Err(Error::internal("tokens were asked for")),
            Self::Halfway(partial) => Ok(SignIn::SecondFactor(partial)),
        }
    }

    /// As a browser sees it.
    pub(crate) fn browser(self) -> Result<SignIn<BrowserSession>, Error> {
        match self {
            Self::In(SignedIn(Made::Browser(session))) => Ok(SignIn::Done(session)),
            Self::In(SignedIn(Made::Tokens(_))) => Err(Error::internal("a browser session was asked for")),
            Self::Halfway(partial) => Ok(SignIn::SecondFactor(partial)),
        }
    }
}

impl Inner {
    /// From a first factor to a session, or to a challenge where the account has a second one. The one way in for every
    /// first factor. No transaction may be open.
    pub(crate) async fn sign_in_proven(
        &self,
        proven: Proven,
        wish: Wish<'_>,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        let account = proven.account.id;
        let offer = if proven.aal == Aal::Two {
            None
        } else {
            let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
            let offer = self.second_factor_offer(&mut tx, account, proven.method, meta).await?;
            Some(offer).filter(|offer| !offer.methods.is_empty())
        };
        if let Some(offer) = offer {
            let mut tx = self.db.begin(Scope::System("sign-in")).await?;
            self.settle(&mut tx, &proven).await?;
            let partial =
                self.leave_challenge(&mut tx, &proven.account, proven.method, &wish, offer, meta).await?;
            tx.commit().await?;
            metrics::counter!("identity_sign_ins_total", "outcome" => "second-factor-asked").increment(1);
            return Ok(Led::Halfway(partial));
        }
        let proof = if proven.aal == Aal::Two { Proof::Strong } else { Proof::Password };
        // Looked at before the judgement, because its mails would tell a guesser at a stopped name that one was right.
        if let Some(guess) = &proven.guess {
            let mut tx = self.db.begin_read(Scope::System("sign-in")).await?;
            self.may_try(&mut tx, guess).await?;
        }
        let attempt = Attempt { proof, circumstances: proven.circumstances };
        let weighed = self.weigh(&proven.account, attempt, meta).await?;
        let mut tx = self.db.begin(Scope::System("sign-in")).await?;
        self.settle(&mut tx, &proven).await?;
        let entry = Entry {
            account: &proven.account,
            wish,
            method: proven.method.to_owned(),
            aal: proven.aal,
            weighed,
        };
        Ok(Led::In(SignedIn(self.enter(tx, entry, None, meta).await?)))
    }

    /// Counts the attempt as right, and keeps the renewed hash.
    async fn settle(&self, tx: &mut Tx, proven: &Proven) -> Result<(), Error> {
        if let Some(guess) = &proven.guess {
            self.count_success(tx, guess).await?;
        }
        if let Some((hash, pepper_epoch)) = &proven.rehashed {
            let account = &proven.account;
            tx.execute(REHASH, params![account.id, &account.password, hash, *pepper_epoch]).await?;
        }
        Ok(())
    }

    async fn complete_with_code(
        &self,
        kind: SessionKind,
        challenge: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        let weighed = self.weigh_challenge(kind, challenge, meta).await?;
        let mut tx = self.db.begin(Scope::System("second factor")).await?;
        let pending = match self.take_try(&mut tx, kind, challenge, meta).await {
            Ok(pending) => pending,
            Err(Error::InvalidChallenge) => {
                drop(tx);
                return self.refuse(None, "invalid-challenge", Error::InvalidChallenge, meta).await;
            }
            Err(error) => return Err(error),
        };
        match self.check_code(&mut tx, pending.account.id, &pending.method, code, meta).await {
            Ok(Some(shown)) => Ok(self.complete(tx, pending, kind, &shown, weighed, meta).await?),
            Ok(None) => {
                tx.commit().await?;
                Err(Error::WrongCode)
            }
            Err(error) => Err(error),
        }
    }

    /// Judges the sign-in that a challenge would become; nothing more can be asked for, so nothing is refused. No
    /// transaction may be open.
    pub(crate) async fn weigh_challenge(
        &self,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<Weighed, Error> {
        let mut tx = self.db.begin_read(Scope::System("second factor")).await?;
        let account = match self.peek_challenge(&mut tx, kind, challenge, meta).await {
            Ok((account, _)) => Account::load(&mut tx, account).await?,
            Err(Error::InvalidChallenge) => {
                drop(tx);
                return self.refuse(None, "invalid-challenge", Error::InvalidChallenge, meta).await;
            }
            Err(error) => return Err(error),
        };
        drop(tx);
        let attempt = Attempt { proof: Proof::Strong, circumstances: Circumstances::default() };
        self.weigh(&account, attempt, meta).await
    }

    /// As [`Inner::complete`], for whoever gives another factor than a code.
    pub(crate) async fn complete_led(
        &self,
        tx: Tx,
        pending: Pending,
        kind: SessionKind,
        shown: &Shown,
        weighed: Weighed,
        meta: &RequestMeta,
    ) -> Result<Led, Error> {
        Ok(Led::In(SignedIn(self.complete(tx, pending, kind, shown, weighed, meta).await?)))
    }

    /// Ends a challenge with the session that it was for, after its second factor was right.
    async fn complete(
        &self,
        mut tx: Tx,
        pending: Pending,
        kind: SessionKind,
        shown: &Shown,
        weighed: Weighed,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        self.use_challenge(&mut tx, &pending).await?;
        if pending.method == PASSWORD && !shown.by_mail {
            self.vouch_for_password(&mut tx, pending.account.id).await?;
        }
        let wish = Wish {
            kind,
            audience: pending.audience.as_deref(),
            session_name: pending.session_name.as_deref(),
        };
        let method = format!("{}+{}", pending.method, shown.kind.as_str());
        let entry = Entry { account: &pending.account, wish, method, aal: Aal::Two, weighed };
        self.enter(tx, entry, Some(shown), meta).await
    }

    /// Makes the session and all that belongs to it, and commits.
    async fn enter(
        &self,
        mut tx: Tx,
        entry: Entry<'_>,
        shown: Option<&Shown>,
        meta: &RequestMeta,
    ) -> Result<Made, Error> {
        let Entry { account, wish, method, aal, weighed } = entry;
        let first_factor = method.split('+').next().unwrap_or_default();
        let id = account.id;
        let cookie = (wish.kind == SessionKind::Browser).then(|| secret_text::random(&self.entropy));
        let new = NewSession {
            account,
            kind: wish.kind,
            audience: wish.audience,
            name: wish.session_name,
            cookie: cookie.as_ref(),
            aal,
            first_factor,
            risk: self.risk_of(&weighed),
        };
        let (session, session_end) = self.insert_session(&mut tx, &new, meta).await?;
        let refresh = match &cookie {
            Some(_) => None,
            None => {
                let (token, end) = self.first_refresh(&mut tx, id, session, session_end).await?;
                Some((token, end, self.access_token(id, session, wish.audience, session_end)?))
            }
        };
        let device = self.note_device(&mut tx, id, meta).await?;
        if let Some(shown) = shown {
            self.note_passed(&mut tx, id, shown, Some(session), meta).await?;
        }
        let event = Event::SignedIn { session, method: known_method(&method) };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(id)).await?;
        self.remember_sign_in(&mut tx, account, weighed, meta).await?;
        tx.commit().await?;
        metrics::counter!("identity_sign_ins_total", "outcome" => "success").increment(1);
        Ok(match (cookie, refresh) {
            (Some(cookie), _) => Made::Browser(BrowserSession {
                cookie,
                session,
                account: id,
                expires_at: session_end,
                device,
            }),
            (None, Some((refresh_token, refresh_end, (access_token, expires_in_s)))) => {
                Made::Tokens(TokenPair {
                    access_token,
                    expires_in_s,
                    refresh_token,
                    refresh_expires_in_s: self.seconds_until(refresh_end),
                    session,
                    account: id,
                    device: Some(device),
                })
            }
            (None, None) => return Err(Error::internal("a token session has a refresh token")),
        })
    }

    pub(crate) fn seconds_until(&self, end: base::Timestamp) -> u32 {
        u32::try_from(end.since_ms(self.now()).max(0) / 1000).unwrap_or(u32::MAX)
    }
}

/// Events have a closed set of words.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "password",
        "password+totp",
        "password+recovery_code",
        "password+passkey",
        "passkey",
        "provider",
        "provider+totp",
        "provider+recovery_code",
        "provider+passkey",
    ];
    KNOWN.iter().find(|known| **known == method).copied().unwrap_or("other")
}
