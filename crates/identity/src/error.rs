//! What can go wrong in identity, for callers that must act on it.

use std::borrow::Cow;

use audit::AuditError;
use base::{FieldError, Problem, ProblemKind};
use keys::KeysError;
use store::DbError;

/// Why an operation was refused or failed. [`Error::problem`] is what the client may know of it; the
/// `Display` text is for the log and holds no personal data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that parse alone, but are not acceptable here.
    #[error("a field is not acceptable")]
    Invalid(Vec<FieldError>),
    /// The password is too short, too long, common or breached; the text says which.
    #[error("the password is not acceptable: {0}")]
    WeakPassword(Cow<'static, str>),
    /// The code of a link is unknown, used, too old or for something else.
    #[error("the code is unknown, used or too old")]
    InvalidCode,
    /// Unknown name or wrong password; never told apart.
    #[error("unknown name or wrong password")]
    WrongCredentials,
    /// Too many wrong attempts for this name, by this authenticator or from this network; the same for names that nobody has.
    #[error("too many wrong attempts")]
    TooManyAttempts {
        /// Seconds after which an attempt is looked at again.
        retry_after_s: u32,
    },
    /// Too many codes were wrong: they are not looked at here until the app is set up anew.
    #[error("the codes of this factor are stopped")]
    CodesStopped,
    /// The partial sign-in is unknown, used, too old, or began elsewhere.
    #[error("the partial sign-in is not usable")]
    InvalidChallenge,
    /// The code of the second factor is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// All factors must have been given within ten minutes.
    #[error("the factors were given too long ago")]
    ReauthenticationRequired {
        /// The account has a second factor, which is asked for too.
        second_factor: bool,
    },
    /// Nothing was removed: it is the last second factor, and nobody said that this is meant.
    #[error("the last second factor goes only with an explicit confirmation")]
    LastFactor,
    /// Nothing was removed: the password alone is too short.
    #[error("without a second factor the password must have at least {0} characters")]
    PasswordTooShortAlone(usize),
    /// The password was right, but the address is not verified.
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    /// The password was right, but the account is disabled.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The password was right, but is marked as compromised; a reset link was mailed.
    #[error("the password is marked as compromised")]
    PasswordCompromised,
    /// The password was right, but the sign-in is unusual: its owner was asked by mail.
    #[error("the sign-in must be confirmed by mail first")]
    ConfirmationRequired,
    /// The access token or cookie is not valid (any more).
    #[error("the access token or cookie is not valid: {0}")]
    InvalidToken(&'static str),
    /// The refresh token is unknown, expired, or its session has ended.
    #[error("the refresh token is not valid any more")]
    InvalidRefreshToken,
    /// A refresh token came back after its grace time: the session has been ended.
    #[error("a used refresh token came back; the session was ended")]
    RefreshTokenReused,
    /// No such account, session or message, or not the caller's.
    #[error("not found")]
    NotFound,
    /// The state forbids it; the text says why.
    #[error("{0}")]
    Conflict(&'static str),
    /// All hashing threads are busy and the queue is full.
    #[error("the hashing queue is full")]
    Busy {
        /// Seconds after which a retry makes sense.
        retry_after_s: u32,
    },
    /// The database (or disk) cannot take this now. Nothing was changed.
    #[error("the store cannot do this now: {0}")]
    Unavailable(#[source] Source),
    /// A passkey was not right; never told why.
    #[error("the passkey was not accepted")]
    InvalidPasskey,
    /// A passkey that nobody here has (any more): its authenticator may forget it. Told apart from the others, because
    /// whoever shows a credential id has it from the authenticator; nobody guesses one.
    #[error("the passkey is not known")]
    UnknownPasskey,
    /// A sign-in with another identity provider came to nothing.
    #[error("{0}")]
    Provider(#[from] crate::ProviderFault),
    /// The settings are unusable; only at start.
    #[error("{0}")]
    Settings(&'static str),
    /// Our own fault.
    #[error("internal: {0}")]
    Internal(#[source] Source),
}

/// What lies under an [`Error::Unavailable`] or [`Error::Internal`].
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

impl Error {
    /// What the client is told.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            Self::Invalid(errors) => {
                let mut problem = Problem::new(ProblemKind::InvalidField);
                problem.errors.clone_from(errors);
                return problem;
            }
            Self::WeakPassword(reason) => {
                return Problem::new(ProblemKind::WeakPassword).field("/password", reason.as_ref());
            }
            Self::Conflict(reason) => return Problem::new(ProblemKind::Conflict).detail(*reason),
            Self::Busy { retry_after_s } => {
                return Problem::new(ProblemKind::Unavailable).retry_after(*retry_after_s);
            }
            Self::Unavailable(_) => return Problem::new(ProblemKind::Unavailable).retry_after(1),
            Self::PasswordCompromised => {
                return Problem::new(ProblemKind::PasswordCompromised)
                    .detail("A link to set a new password is on its way to the account's address.");
            }
            Self::Provider(fault) => {
                let kind = match fault {
                    crate::ProviderFault::Unavailable => ProblemKind::BadGateway,
                    crate::ProviderFault::UnknownFlow => ProblemKind::InvalidCode,
                    _ => ProblemKind::Forbidden,
                };
                return Problem::new(kind).detail(fault.to_string());
            }
            Self::ConfirmationRequired => {
                return Problem::new(ProblemKind::ConfirmSignIn).detail(
                    "This sign-in looks unusual. We wrote to the account's address: open the link there, say that it \
                     is you, and sign in again from here.",
                );
            }
            Self::TooManyAttempts { retry_after_s } => {
                return Problem::new(ProblemKind::RateLimited)
                    .detail("Too many wrong attempts. Wait, or use the link for a forgotten password.")
                    .retry_after(*retry_after_s);
            }
            Self::CodesStopped => {
                return Problem::new(ProblemKind::RateLimited)
                    .detail(
                        "Too many codes were wrong, so these are not looked at any more. Use a device that you signed \
                         in on before, a passkey, a recovery code or, where it is offered, a code by \
                         mail, and then set the app up anew.",
                    )
                    .retry_after(86_400);
            }
            Self::ReauthenticationRequired { second_factor } => {
                return Problem::new(ProblemKind::ReauthenticationRequired).detail(if *second_factor {
                    "Give password and second factor again (POST /auth/reauthenticate); this holds for ten minutes."
                } else {
                    "Give the password again (POST /auth/reauthenticate); this holds for ten minutes."
                });
            }
            Self::LastFactor => {
                return Problem::new(ProblemKind::Conflict).detail(
                    "This is the last second factor. Without it the password alone opens the account; confirm that this is meant.",
                );
            }
            Self::PasswordTooShortAlone(length) => {
                return Problem::new(ProblemKind::Conflict).detail(format!(
                    "The password alone is too short. Set one of at least {length} characters first."
                ));
            }
            Self::UnknownPasskey => {
                return Problem::new(ProblemKind::InvalidPasskey)
                    .detail("No account here has this passkey (any more), so your device may forget it.");
            }
            Self::InvalidPasskey => ProblemKind::InvalidPasskey,
            Self::InvalidChallenge => ProblemKind::InvalidChallenge,
            Self::WrongCode => ProblemKind::WrongCode,
            Self::InvalidCode => ProblemKind::InvalidCode,
            Self::WrongCredentials => ProblemKind::WrongCredentials,
            Self::EmailNotVerified => ProblemKind::EmailNotVerified,
            Self::AccountDisabled => ProblemKind::AccountDisabled,
            Self::InvalidToken(_) => ProblemKind::InvalidToken,
            // A thief must not learn that the reuse was noticed.
            Self::InvalidRefreshToken | Self::RefreshTokenReused => ProblemKind::InvalidRefreshToken,
            Self::NotFound => ProblemKind::NotFound,
            Self::Settings(_) | Self::Internal(_) => ProblemKind::Internal,
        };
        Problem::new(kind)
    }

    /// A broken promise of our own that has no better source than a sentence.
    pub(crate) fn internal(text: &'static str) -> Self {
        Self::Internal(text.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        error.problem()
    }
}

impl Error {
    /// Two operations met, or a value became taken meanwhile: running the operation again decides it.
    pub(crate) fn is_race(&self) -> bool {
        let (Self::Unavailable(source) | Self::Internal(source)) = self else { return false };
        source
            .downcast_ref::<DbError>()
            .is_some_and(|error| error.is_unique() || matches!(error, DbError::Conflict))
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        if error.is_outage() || error.is_retryable() {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => error.into(),
            // Who was erased is nobody any more.
            KeysError::Destroyed => Self::NotFound,
            error => Self::Internal(error.into()),
        }
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Keys(error) => error.into(),
            // What must be recorded and cannot be, is not done.
            error => Self::Unavailable(error.into()),
        }
    }
}

/// Runs an operation again when it met another one; three times at most.
macro_rules! retry_races {
    ($operation:expr) => {{
        let mut tries = 1;
        loop {
            match $operation.await {
                Err(error) if error.is_race() && tries < 3 => tries += 1,
                result => break result,
            }
        }
    }};
}
pub(crate) use retry_races;
