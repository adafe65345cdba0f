//! Counting wrong attempts (AUTH-3): growing waits, a hard stop, and nobody who can lock somebody else out.
//!
//! What is counted is a *name* with an *authenticator*, not an account: a name that nobody has waits and stops exactly
//! like any other, so the counters tell nothing. Each authenticator has its own counter, so guessing one does not lock
//! another. A device that signed in to the account before has a budget of its own, which no stranger can use up.
//!
//! Each attempt is settled by **one conditional statement after the comparison**: it counts a failure, or takes the
//! counter away after a success, *if* the counter lets anybody try now. Otherwise the attempt is answered 429 whatever
//! the comparison said, so that many guesses at once learn no more than as many one after the other.

use std::net::IpAddr;

use audit::{Event, Outcome};
use base::{Id, Timestamp, kind};
use store::{Tx, params};

use crate::service::Inner;
use crate::{Error, RequestMeta};

/// What is being guessed; each has its own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authenticator {
    /// The password at sign-in.
    Password,
    /// The password again, within a session.
    PasswordAgain,
    /// The password of an attempt to register, at verification.
    Verification,
    /// A TOTP code.
    Totp,
    /// A recovery code.
    RecoveryCode,
}

impl Authenticator {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAgain => "password-again",
            Self::Verification => "verification",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery-code",
        }
    }
}

/// A network's hard stop: none, its delay is bounded instead.
const NEVER: i64 = i64::MAX;
/// The delay after the hard stop that a client is told; only rebinding ends it.
const AFTER_STOP_S: u32 = 86_400;

/// The failures after this one, as `attempt_counter` stands before it: a new run begins if the five came too slowly, or
/// after a day of rest.
macro_rules! begins_anew {
    () => {
        "((attempt_counter.failures < $6 AND attempt_counter.window_start <= $4) OR attempt_counter.updated_at <= $5)"
    };
}
macro_rules! next_failures {
    () => {
        concat!("(CASE WHEN ", begins_anew!(), " THEN 1 ELSE attempt_counter.failures + 1 END)")
    };
}

store::sql! {
    /// Counts a failure, if an attempt was allowed now. Of many at once each sees those before it. `$2` bit of the name,
    /// `$3` now, `$4` start of the window, `$5` a day ago, `$6` failures without delay, `$7` first delay, `$8` longest,
    /// `$9` hard stop.
    FAIL = concat!(
        "INSERT INTO attempt_counter (counter_key, failures, consecutive, spread, window_start, not_before, updated_at) \
         VALUES ($1, 1, 1, $2, $3, 0, $3) ON CONFLICT (counter_key) DO UPDATE SET \
         failures = ", next_failures!(), ", consecutive = attempt_counter.consecutive + 1, \
         spread = CASE WHEN ", begins_anew!(), " THEN $2 ELSE attempt_counter.spread | $2 END, \
         window_start = CASE WHEN ", begins_anew!(), " THEN $3 ELSE attempt_counter.window_start END, \
         not_before = CASE WHEN ", next_failures!(), " < $6 THEN 0 \
           WHEN ", next_failures!(), " - $6 > 6 OR CAST($7 AS BIGINT) * (CASE ", next_failures!(), " - $6 \
             WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 2 THEN 4 WHEN 3 THEN 8 WHEN 4 THEN 16 WHEN 5 THEN 32 ELSE 64 END) > $8 \
             THEN $3 + CAST($8 AS BIGINT) \
           ELSE $3 + CAST($7 AS BIGINT) * (CASE ", next_failures!(), " - $6 \
             WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 2 THEN 4 WHEN 3 THEN 8 WHEN 4 THEN 16 WHEN 5 THEN 32 ELSE 64 END) END, \
         updated_at = $3 \
         WHERE attempt_counter.not_before <= $3 AND attempt_counter.consecutive < $9 \
         RETURNING failures, consecutive, spread, not_before");
    /// Takes the counter away after a success, if an attempt was allowed now.
    CLEAR = "DELETE FROM attempt_counter WHERE counter_key = $1 AND not_before <= $2 AND consecutive < $3";
    LOOK = "SELECT not_before, consecutive, failures, updated_at FROM attempt_counter WHERE counter_key = $1";
    /// Rebinding: a new password, new codes.
    FORGET = "DELETE FROM attempt_counter WHERE counter_key = $1";
    /// Says once per run that a network sprays, and makes it wait from now on: `$2` failures without delay, `$3` the end
    /// of the first delay.
    NOTE_SPRAY = "UPDATE attempt_counter SET spread = -1, \
        failures = CASE WHEN failures < $2 THEN $2 ELSE failures END, \
        not_before = CASE WHEN not_before < $3 THEN $3 ELSE not_before END \
        WHERE counter_key = $1 AND spread >= 0 RETURNING not_before";
}

/// Wrong attempts before this one, in the last hour.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failures {
    /// With this name (from this device, if it is known).
    pub(crate) name: u32,
    /// From this network, unless the device is known.
    pub(crate) network: u32,
}

/// One attempt, and the counters that it counts in.
#[derive(Debug, Clone)]
pub(crate) struct Guess {
    authenticator: Authenticator,
    key: [u8; 32],
    /// Not for devices that are known: their owner must not suffer for the network.
    network: Option<[u8; 32]>,
    /// Which sixtieth of all names it is about.
    bit: i64,
}

impl Inner {
    /// The attempt to prove `subject` (a normalised name, an account's id) by this authenticator.
    pub(crate) fn guess(
        &self,
        authenticator: Authenticator,
        subject: &[u8],
        known: Option<Id<kind::Device>>,
        meta: &RequestMeta,
    ) -> Guess {
        let device = known.map_or([0; 16], |device| *device.as_bytes());
        let mut bound = Vec::with_capacity(subject.len() + 16);
        bound.extend_from_slice(&device);
        bound.extend_from_slice(subject);
        let key = self.keys.blind_index("attempt_counter", authenticator.as_str(), &bound);
        let network = match (known, meta.address) {
            (None, Some(address)) => {
                Some(self.keys.blind_index("attempt_counter", "network", &network(address)))
            }
            _ => None,
        };
        // The key is a pseudo-random function of the name; its sign bit stays free for the note of a spray.
        Guess { authenticator, key, network, bit: 1 << (key[0] % 60) }
    }

    /// Whether an attempt may be made now: asked before the expensive comparison, decided again after it.
    pub(crate) async fn may_try(&self, tx: &mut Tx, guess: &Guess) -> Result<Failures, Error> {
        let name = self.look(tx, guess.key, self.settings.attempts_hard_stop).await?;
        let network = match guess.network {
            Some(network) => self.look(tx, network, NEVER).await?,
            None => 0,
        };
        Ok(Failures { name, network })
    }

    /// Whether the hard stop is reached: only rebinding (or an operator) ends it.
    pub(crate) async fn is_stopped(&self, tx: &mut Tx, guess: &Guess) -> Result<bool, Error> {
        let row = tx.query_opt(LOOK, params![guess.key]).await?;
        Ok(row
            .map(|row| row.get::<i64>(1))
            .transpose()?
            .is_some_and(|n| n >= self.settings.attempts_hard_stop))
    }

    /// The failures of the last hour, if an attempt may be made now.
    async fn look(&self, tx: &mut Tx, key: [u8; 32], stop: i64) -> Result<u32, Error> {
        let Some(row) = tx.query_opt(LOOK, params![key]).await? else { return Ok(0) };
        self.judge(row.get(0)?, row.get(1)?, stop)?;
        let recent = self.now().since_ms(row.get(3)?) < 3_600_000;
        Ok(if recent { row.get(2)? } else { 0 })
    }

    fn judge(&self, not_before: Timestamp, consecutive: i64, stop: i64) -> Result<(), Error> {
        if consecutive >= stop {
            return Err(Error::TooManyAttempts { retry_after_s: AFTER_STOP_S });
        }
        match not_before.since_ms(self.now()) {
            ..=0 => Ok(()),
            ms => Err(Error::TooManyAttempts { retry_after_s: seconds(ms) }),
        }
    }

    /// Counts a failure in the transaction. The error means that this attempt came too early to be told anything.
    pub(crate) async fn count_failure(
        &self,
        tx: &mut Tx,
        guess: &Guess,
        about: Option<Id<kind::Account>>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let settings = &self.settings;
        let now = self.now();
        let (window, day) = (now.plus_ms(-settings.attempt_window_ms), now.plus_ms(-86_400_000));
        let row = tx
            .query_opt(
                FAIL,
                params![
                    guess.key,
                    0_i64,
                    now,
                    window,
                    day,
                    settings.attempts_before_delay,
                    settings.attempt_first_delay_ms,
                    settings.attempt_longest_delay_ms,
                    settings.attempts_hard_stop
                ],
            )
            .await?;
        let Some(row) = row else {
            self.look(tx, guess.key, settings.attempts_hard_stop).await?;
            // The counter moved in between; the next look says how long.
            return Err(Error::TooManyAttempts { retry_after_s: 1 });
        };
        let (failures, not_before): (u32, Timestamp) = (row.get(0)?, row.get(3)?);
        if row.get::<i64>(1)? == settings.attempts_hard_stop
            && let Some(account) = about
        {
            self.tell_stopped(tx, guess.authenticator, account, meta).await?;
        }
        if not_before > now {
            let delay_s = seconds(not_before.since_ms(now));
            let mut record = self.record(meta, Event::AccountThrottled { failures, delay_s });
            record = record.ended(Outcome::Denied);
            record.about = about;
            self.audit.append(tx, &record).await?;
            metrics::counter!("identity_throttled_total", "what" => "name").increment(1);
        }
        match guess.network {
            Some(network) => self.count_network(tx, network, guess.bit, now, window, day, meta).await,
            None => Ok(()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one statement, used once")]
    async fn count_network(
        &self,
        tx: &mut Tx,
        network: [u8; 32],
        bit: i64,
        now: Timestamp,
        window: Timestamp,
        day: Timestamp,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let settings = &self.settings;
        let row = tx
            .query_opt(
                FAIL,
                params![
                    network,
                    bit,
                    now,
                    window,
                    day,
                    settings.network_attempts_before_delay,
                    settings.network_first_delay_ms,
                    settings.network_longest_delay_ms,
                    NEVER
                ],
            )
            .await?;
        let Some(row) = row else {
            self.look(tx, network, NEVER).await?;
            return Err(Error::TooManyAttempts { retry_after_s: 1 });
        };
        let (failures, spread): (u32, i64) = (row.get(0)?, row.get(2)?);
        if spread < 0 || spread.count_ones() < settings.spray_names {
            return Ok(());
        }
        let until = now.plus_ms(settings.network_first_delay_ms);
        let noted =
            tx.query_opt(NOTE_SPRAY, params![network, settings.network_attempts_before_delay, until]).await?;
        if let Some(row) = noted {
            // Nobody's account: what is seen here is a network that tries many names.
            let delay_s = seconds(row.get::<Timestamp>(0)?.since_ms(now).max(0));
            let event = Event::SignInSprayed { names: spread.count_ones(), failures, delay_s };
            self.audit.append(tx, &self.record(meta, event).ended(Outcome::Denied)).await?;
            metrics::counter!("identity_throttled_total", "what" => "network").increment(1);
            tracing::warn!(failures, "one network tries many names");
        }
        Ok(())
    }

    /// Settles a right attempt in the transaction. The error means that it came too early to be let in.
    pub(crate) async fn count_success(&self, tx: &mut Tx, guess: &Guess) -> Result<(), Error> {
        let stop = self.settings.attempts_hard_stop;
        if let Some(network) = guess.network {
            self.look(tx, network, NEVER).await?;
        }
        if tx.execute(CLEAR, params![guess.key, self.now(), stop]).await? == 0 {
            self.look(tx, guess.key, stop).await?;
        }
        Ok(())
    }

    /// Lets an authenticator begin anew, because it was rebound.
    pub(crate) async fn forget_failures(&self, tx: &mut Tx, guess: &Guess) -> Result<(), Error> {
        tx.execute(FORGET, params![guess.key]).await?;
        Ok(())
    }
}

fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(1000) + i64::from(ms.rem_euclid(1000) > 0)).unwrap_or(u32::MAX)
}

/// The network of an address: the address itself, or the /64 of IPv6.
pub(crate) fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_an_address_or_a_64() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!((seconds(1), seconds(1000), seconds(1001), seconds(0)), (1, 1, 2, 0));
    }
}
