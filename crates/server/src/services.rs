//! Everything between the configuration and the listeners, opened in the order of its dependencies.

use std::sync::Arc;

use access::{Access, Policies, RelationParts, RelationSettings, Relations};
use audit::{Audit, LogSettings};
use base::{Clock, Entropy};
use crypto::jwe::JweKey;
use crypto::jws;
use crypto::password::policy::Policy;
use identity::{
    EncryptedAudience, Identity, Mailer, Parts, ProviderConfig, Settings, SmtpConfig, SmtpSecurity,
};
use keys::{FileRoot, Keys, RootKey, SigningSettings};
use store::{Db, DbConfig, DbUrl};

use crate::config::value::DatabaseUrl;
use crate::config::{Algorithm, MailTls, Resolved};
use crate::error::StartError;
use crate::folder;
use crate::whereabouts::{self, Places};

/// How long a signing key is published before it signs, because others cache the key set: one hour.
const SIGNING_OVERLAP_MS: i64 = 3_600_000;
/// Time for the delivery of one message.
const SMTP_TIMEOUT_MS: u64 = 30_000;

/// The capabilities of one process.
#[derive(Clone)]
pub struct Services {
    /// The configuration they were opened with.
    pub config: Resolved,
    /// The database.
    pub db: Db,
    /// The key hierarchy.
    pub keys: Keys,
    /// The audit trail.
    pub audit: Audit,
    /// The policies in force.
    pub access: Access,
    /// Puts others in force.
    pub policies: Policies,
    /// Who owns and shares what.
    pub relations: Relations,
    /// Accounts and sessions.
    pub identity: Identity,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// What the operator's files say of addresses.
    pub(crate) places: Places,
}

/// Whether data may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `serve`: makes what is missing and migrates.
    Serve,
    /// A command beside it: uses what is there.
    Command,
}

/// Opens the database without migrating it.
pub(crate) async fn connect(config: &Resolved, clock: &Clock) -> Result<Db, StartError> {
    let parse = |setting, url: &DatabaseUrl| {
        let url = url.resolve().map_err(|reason| StartError::Secret { setting, reason })?;
        Ok::<DbUrl, StartError>(url.expose().parse()?)
    };
    let mut db = DbConfig::new(parse("database.url", &config.database_url)?);
    if config.migrate_url != config.database_url {
        db.migrate_url = Some(parse("database.migrate_url", &config.migrate_url)?);
    }
    db.max_readers = u32::from(config.database.max_connections);
    db.clock = clock.clone();
    Ok(Db::connect(&db).await?)
}

/// Opens the root key; prepares a new one if there is none.
pub(crate) fn root_key(config: &Resolved, entropy: &Entropy) -> Result<RootKey, StartError> {
    let resolve = |reference: &crate::config::value::SecretRef| {
        reference.resolve().map_err(|reason| StartError::Secret { setting: "keys.passphrase", reason })
    };
    let passphrase = config.keys.passphrase.as_ref().map(resolve).transpose()?;
    let file = FileRoot::open_or_create(&config.root_file, passphrase.as_ref(), entropy)
        .map_err(keys::KeysError::from)?;
    Ok(RootKey::File(file))
}

impl Services {
    /// Opens everything. Commands must not make data: a typing error in a folder's name would leave one behind.
    pub(crate) async fn open(
        config: Resolved,
        clock: Clock,
        entropy: Entropy,
        mode: Mode,
    ) -> Result<Self, StartError> {
        if mode == Mode::Command {
            demand_data(&config)?;
        }
        // Commands judge no sign-ins, and these files may be large.
        let places = if mode == Mode::Serve { Places::open(&config)? } else { Places::default() };
        let db = connect(&config, &clock).await?;
        match mode {
            Mode::Serve => {
                let applied = db.migrate().await?;
                if let Some(newest) = applied.last() {
                    tracing::info!(applied = applied.len(), newest, "migrated the database");
                }
            }
            Mode::Command => {
                let waiting =
                    db.migration_status().await?.iter().filter(|one| one.applied_at.is_none()).count();
                if waiting > 0 {
                    return Err(StartError::NotMigrated(waiting));
                }
            }
        }
        let root = root_key(&config, &entropy)?;
        let keys = Keys::open_with(&db, &root, signing(&config), clock.clone(), entropy.clone()).await?;
        // The root key has done its work; nothing after this needs it.
        drop(root);
        let log = log_settings(&config, mode);
        let audit = Audit::start_with(db.clone(), keys.clone(), clock.clone(), entropy.clone(), log);
        let access = match (config.access.load(), mode) {
            (Ok(access), _) => access,
            (Err(refused), Mode::Serve) => return Err(refused.into()),
            // Commands decide nothing, and one of them puts the folder right.
            (Err(refused), Mode::Command) => {
                tracing::warn!(%refused, "the policy folder cannot be loaded; the command goes on without");
                Access::builtin()?
            }
        };
        let access = access.under(config.access.conditions());
        let policies = Policies::new(db.clone(), audit.clone(), clock.clone(), access.clone());
        match (policies.refresh().await, mode) {
            (Ok(_), _) => {}
            // With other policies than the operator's it would allow what nobody wanted to allow.
            (Err(error), Mode::Serve) => return Err(StartError::Policies(error)),
            // A command must be able to put it right.
            (Err(error), Mode::Command) => {
                tracing::warn!(%error, "the policies in force cannot be loaded; the command goes on without");
            }
        }
        let relations = Relations::open(RelationParts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            settings: relation_settings(&config),
        });
        let identity = Identity::open(Parts {
            db: db.clone(),
            keys: keys.clone(),
            audit: audit.clone(),
            access: access.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            mailer: mailer(&config)?,
            settings: Settings {
                risk: whereabouts::risk(&config, &places),
                encrypted_audiences: encrypted_audiences(&config)?,
                providers: providers(&config)?,
                ..settings(&config, mode)
            },
        })
        .await?;
        Ok(Self { config, db, keys, audit, access, policies, relations, identity, clock, entropy, places })
    }

    /// Writes what is queued and closes the database.
    pub async fn close(self) {
        self.audit.shutdown().await;
        if let Err(error) = self.db.close().await {
            tracing::error!(%error, "the database did not close cleanly; it recovers at the next start");
        }
    }
}

/// Refuses to go on where there is no installation: a typing error in a folder's name must not make one.
pub(crate) fn demand_data(config: &Resolved) -> Result<(), StartError> {
    let missing = match &config.database_url {
        DatabaseUrl::Sqlite(path) if !path.exists() => Some(path.clone()),
        _ if !config.root_file.exists() => Some(config.root_file.clone()),
        _ => None,
    };
    match missing {
        Some(path) => Err(StartError::NoData { path }),
        None => folder::prepare(&config.server.data_dir),
    }
}

fn log_settings(config: &Resolved, mode: Mode) -> LogSettings {
    let files = mode == Mode::Serve;
    LogSettings {
        origin: config.log_origin.clone(),
        post_quantum: config.audit.post_quantum,
        // One process keeps the files: the one that serves the data folder.
        folder: files.then(|| config.log_folder.clone()),
        anchor: files.then(|| config.log_anchor.clone()),
        database: match &config.database_url {
            DatabaseUrl::Sqlite(path) if files => Some(path.clone()),
            _ => None,
        },
        watch_every: std::time::Duration::from_millis(config.audit.watch_every.as_ms()),
    }
}

pub(crate) fn signing(config: &Resolved) -> SigningSettings {
    let tokens = &config.tokens;
    SigningSettings {
        algorithm: match tokens.algorithm {
            Algorithm::ES256 => jws::Algorithm::ES256,
            Algorithm::RS256 => jws::Algorithm::RS256,
            Algorithm::EdDSA => jws::Algorithm::EdDSA,
        },
        period_ms: tokens.rotate_keys_every.as_ms_i64(),
        overlap_ms: SIGNING_OVERLAP_MS.min(tokens.rotate_keys_every.as_ms_i64() / 2),
        // A minute more than the longest token lives, for clocks that differ.
        keep_ms: tokens.access_ttl.as_ms_i64() + 60_000,
    }
}

fn relation_settings(config: &Resolved) -> RelationSettings {
    RelationSettings {
        self_registration: config.access.self_registration,
        break_glass_max_ms: config.access.break_glass_max.as_ms_i64(),
        invitation_max_ms: config.access.invitation_max.as_ms_i64(),
        offer_ttl_ms: config.access.offer_ttl.as_ms_i64(),
        issuer: config.issuer.to_string(),
        ..RelationSettings::default()
    }
}

fn settings(config: &Resolved, mode: Mode) -> Settings {
    let (tokens, accounts, mail) = (&config.tokens, &config.accounts, &config.mail);
    let (sessions, attempts) = (&config.sessions, &config.attempts);
    Settings {
        public_url: config.public_url.to_string(),
        issuer: config.issuer.to_string(),
        audience: tokens.audience.clone(),
        mail_from: format!("{} <{}>", quoted(&mail.from_name), mail.from),
        product: accounts.product.clone(),
        access_token_ttl_ms: tokens.access_ttl.as_ms_i64(),
        refresh_ttl_ms: tokens.refresh_ttl.as_ms_i64(),
        refresh_grace_ms: tokens.refresh_grace.as_ms_i64(),
        verify_ttl_ms: accounts.verification_ttl.as_ms_i64(),
        reset_ttl_ms: accounts.reset_ttl.as_ms_i64(),
        setup_ttl_ms: accounts.setup_ttl.as_ms_i64(),
        pending_per_address: accounts.unverified_per_address,
        pending_ttl_ms: accounts.unverified_ttl.as_ms_i64(),
        mails_per_hour: accounts.mails_per_hour,
        trace_ttl_ms: accounts.ended_ttl.as_ms_i64(),
        erase_after_ms: accounts.erase_after.as_ms_i64(),
        password_policy: Policy {
            min_alone: usize::from(accounts.password_min),
            min_with_second_factor: usize::from(accounts.password_min_second_factor),
            ..Policy::default()
        },
        breach_api: accounts.breach_api.as_ref().map(ToString::to_string),
        factors_per_account: i64::from(accounts.second_factors),
        api_keys_per_account: i64::from(accounts.api_keys),
        api_key_overlap_ms: accounts.api_key_overlap.as_ms_i64(),
        // Commands hash no passwords; one idle thread is enough.
        hash_threads: if mode == Mode::Command { 1 } else { usize::from(accounts.hash_workers) },
        hash_queue_per_thread: usize::from(accounts.hash_queue),
        browser_idle_ms: sessions.browser_idle.as_ms_i64(),
        browser_absolute_ms: sessions.browser_absolute.as_ms_i64(),
        token_idle_ms: sessions.token_idle.as_ms_i64(),
        token_absolute_ms: sessions.token_absolute.as_ms_i64(),
        aal2_idle_ms: sessions.two_factor_idle.as_ms_i64(),
        aal2_absolute_ms: sessions.two_factor_absolute.as_ms_i64(),
        reauthentication_ms: sessions.fresh_for.as_ms_i64(),
        challenge_ttl_ms: sessions.second_factor_ttl.as_ms_i64(),
        challenge_tries: sessions.second_factor_tries,
        sessions_per_account: sessions.per_account,
        devices_per_account: sessions.known_devices,
        device_ttl_ms: sessions.known_device_ttl.as_ms_i64(),
        attempt_window_ms: attempts.window.as_ms_i64(),
        attempts_before_delay: attempts.before_delay,
        attempt_first_delay_ms: attempts.first_delay.as_ms_i64(),
        attempt_longest_delay_ms: attempts.longest_delay.as_ms_i64(),
        attempts_hard_stop: i64::from(attempts.hard_stop),
        network_attempts_before_delay: attempts.network_before_delay,
        network_first_delay_ms: attempts.network_first_delay.as_ms_i64(),
        network_longest_delay_ms: attempts.network_longest_delay.as_ms_i64(),
        spray_names: attempts.spray_names,
        ..Settings::default()
    }
}

fn providers(config: &Resolved) -> Result<Vec<ProviderConfig>, StartError> {
    let one = |provider: &crate::config::Provider| {
        let secret = |reference: &crate::config::value::SecretRef| {
            reference
                .resolve()
                .map(Arc::new)
                .map_err(|reason| StartError::Secret { setting: "provider.client_secret", reason })
        };
        Ok(ProviderConfig {
            id: provider.id.clone(),
            name: provider.shown_name().to_owned(),
            protocol: provider
                .protocol()
                .map_err(|(setting, reason)| StartError::Secret { setting, reason: reason.to_owned() })?,
            client_id: provider.client_id.clone(),
            client_secret: provider.client_secret.as_ref().map(secret).transpose()?,
            scopes: provider.asked_scopes(),
            ca_pem: provider.ca_file.as_deref().map(|path| read_pem("provider.ca_file", path)).transpose()?,
        })
    };
    config.provider.iter().map(one).collect()
}

fn read_pem(setting: &'static str, path: &std::path::Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| StartError::Secret {
        setting,
        reason: format!("{} cannot be read: {error}", path.display()),
    })
}

/// The keys of `tokens.encrypted_audiences`.
fn encrypted_audiences(config: &Resolved) -> Result<Vec<EncryptedAudience>, StartError> {
    let wrong = |audience: &str, reason: String| StartError::Secret {
        setting: "tokens.encrypted_audiences",
        reason: format!("{audience}: {reason}"),
    };
    let tokens = &config.tokens;
    let mut audiences = Vec::with_capacity(tokens.encrypted_audiences.len());
    for (audience, reference) in &tokens.encrypted_audiences {
        let text = reference.resolve().map_err(|reason| wrong(audience, reason))?;
        let key = JweKey::from_jwk(&text).map_err(|error| wrong(audience, error.to_string()))?;
        if *audience == tokens.audience && key.public_jwk().is_some() {
            // We could not open what we issue to ourselves.
            return Err(wrong(audience, "tokens for the gateway itself need a shared key".to_owned()));
        }
        audiences.push(EncryptedAudience { audience: audience.clone(), key: Arc::new(key) });
    }
    Ok(audiences)
}

/// A display name as RFC 5322 wants it: quoted if it has more than letters, digits and spaces.
fn quoted(name: &str) -> String {
    if name.chars().all(|c| c.is_alphanumeric() || c == ' ') {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn mailer(config: &Resolved) -> Result<Mailer, StartError> {
    let mail = &config.mail;
    let Some(host) = &mail.host else {
        return Ok(match &mail.outbox_dir {
            Some(dir) => Mailer::OutboxPlain { dir: dir.clone() },
            None => Mailer::Outbox { dir: config.server.data_dir.join("outbox") },
        });
    };
    let login = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => {
            let password = password
                .resolve()
                .map_err(|reason| StartError::Secret { setting: "mail.password", reason })?;
            Some((user.clone(), password))
        }
        _ => None,
    };
    let ca_pem = mail.ca_file.as_deref().map(|path| read_pem("mail.ca_file", path)).transpose()?;
    Ok(Mailer::Smtp(SmtpConfig {
        host: host.clone(),
        port: config.mail_port,
        security: match mail.tls {
            MailTls::Starttls => SmtpSecurity::StartTls,
            MailTls::Implicit => SmtpSecurity::Tls,
            MailTls::None => SmtpSecurity::Plain,
        },
        login,
        ca_pem,
        timeout_ms: SMTP_TIMEOUT_MS,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same numbers stand in two places; here they are held together.
    #[test]
    fn the_defaults_of_the_file_are_those_of_identity() {
        let config = crate::config::Config::default().resolve();
        let (of_file, own) = (settings(&config, Mode::Serve), Settings::default());
        assert_eq!(format!("{of_file:#?}"), format!("{own:#?}"));
    }

    #[test]
    fn what_the_file_says_of_attempts_and_sessions_arrives() {
        let mut config = crate::config::Config::default();
        let seconds = crate::config::value::Period::from_secs;
        config.attempts.before_delay = 3;
        config.attempts.network_longest_delay = seconds(77);
        config.attempts.spray_names = 7;
        config.sessions.fresh_for = seconds(99);
        config.sessions.second_factor_tries = 4;
        config.accounts.api_keys = 9;
        config.accounts.password_min = 20;
        let settings = settings(&config.resolve(), Mode::Serve);
        assert_eq!(
            (settings.attempts_before_delay, settings.network_longest_delay_ms, settings.spray_names),
            (3, 77_000, 7)
        );
        assert_eq!((settings.reauthentication_ms, settings.challenge_tries), (99_000, 4));
        assert_eq!((settings.api_keys_per_account, settings.password_policy.min_alone), (9, 20));
    }

    #[test]
    fn sender_names_with_punctuation_are_quoted() {
        assert_eq!(quoted("Blue Note Studio"), "Blue Note Studio");
        assert_eq!(quoted("Ada \"A\" <x>"), "\"Ada \\\"A\\\" <x>\"");
    }
}
