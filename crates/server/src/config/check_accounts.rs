//! Bounds of what protects accounts and what they share: `[accounts]`, `[sessions]`, `[attempts]`, `[access]`. A value beyond them would switch a
//! protection off, or lock people out, without saying so.

use super::Resolved;
use super::check::Checker;
use super::value::Period;

/// Checks the four sections.
pub(super) fn accounts(config: &Resolved, out: &mut Checker<'_>) {
    let (accounts, sessions, attempts) = (&config.accounts, &config.sessions, &config.attempts);
    let (second, minute, hour, day) =
        (Period::from_secs(1), Period::from_minutes(1), Period::from_hours(1), Period::from_days(1));
    let days = Period::from_days;

    let mut period = |section: &str, key: &str, value: Period, least: Period, most: Period| {
        if value < least || value > most {
            out.error(&[section, key], format!("must be between {least} and {most}"));
        }
    };
    period("accounts", "verification_ttl", accounts.verification_ttl, minute, day);
    period("accounts", "reset_ttl", accounts.reset_ttl, minute, hour);
    period("accounts", "setup_ttl", accounts.setup_ttl, minute, days(7));
    period("accounts", "unverified_ttl", accounts.unverified_ttl, accounts.verification_ttl, days(30));
    period("accounts", "ended_ttl", accounts.ended_ttl, day, days(400));
    period("accounts", "erase_after", accounts.erase_after, hour, days(30));
    period("accounts", "api_key_overlap", accounts.api_key_overlap, Period::from_ms(0), days(7));
    period("sessions", "browser_idle", sessions.browser_idle, minute, days(90));
    period("sessions", "browser_absolute", sessions.browser_absolute, sessions.browser_idle, days(365));
    period("sessions", "token_idle", sessions.token_idle, config.tokens.access_ttl, days(90));
    period("sessions", "token_absolute", sessions.token_absolute, sessions.token_idle, days(365));
    period("sessions", "two_factor_idle", sessions.two_factor_idle, minute, Period::from_hours(12));
    period(
        "sessions",
        "two_factor_absolute",
        sessions.two_factor_absolute,
        sessions.two_factor_idle,
        days(7),
    );
    period("sessions", "fresh_for", sessions.fresh_for, minute, Period::from_minutes(10));
    period("sessions", "second_factor_ttl", sessions.second_factor_ttl, minute, Period::from_minutes(10));
    period("sessions", "known_device_ttl", sessions.known_device_ttl, day, days(400));
    let access = &config.access;
    period("access", "break_glass_max", access.break_glass_max, minute, day);
    period("access", "invitation_max", access.invitation_max, minute, days(30));
    period("access", "offer_ttl", access.offer_ttl, hour, days(90));
    period("attempts", "window", attempts.window, minute, day);
    period("attempts", "first_delay", attempts.first_delay, second, Period::from_minutes(15));
    period("attempts", "longest_delay", attempts.longest_delay, attempts.first_delay, day);
    period("attempts", "network_first_delay", attempts.network_first_delay, second, minute);
    period(
        "attempts",
        "network_longest_delay",
        attempts.network_longest_delay,
        attempts.network_first_delay,
        hour,
    );

    let alone = u32::from(accounts.password_min);
    let numbers = [
        ("accounts", "unverified_per_address", accounts.unverified_per_address, 1, 20),
        ("accounts", "mails_per_hour", accounts.mails_per_hour, 1, 20),
        ("accounts", "password_min", alone, 15, 64),
        (
            "accounts",
            "password_min_second_factor",
            u32::from(accounts.password_min_second_factor),
            8,
            alone.clamp(8, 64),
        ),
        ("accounts", "second_factors", accounts.second_factors, 2, 50),
        ("accounts", "api_keys", accounts.api_keys, 1, 200),
        ("accounts", "hash_workers", u32::from(accounts.hash_workers), 0, 256),
        ("accounts", "hash_queue", u32::from(accounts.hash_queue), 1, 10_000),
        ("sessions", "second_factor_tries", sessions.second_factor_tries, 1, 10),
        ("sessions", "per_account", sessions.per_account, 1, 200),
        ("sessions", "known_devices", sessions.known_devices, 1, 100),
        ("attempts", "before_delay", attempts.before_delay, 1, 10),
        ("attempts", "hard_stop", attempts.hard_stop, attempts.before_delay.min(50), 50),
        ("attempts", "network_before_delay", attempts.network_before_delay, 5, 1_000),
        ("attempts", "spray_names", attempts.spray_names, 3, 50),
    ];
    for (section, key, value, least, most) in numbers {
        if !(least..=most).contains(&value) {
            out.error(&[section, key], format!("must be between {least} and {most}"));
        }
    }
    if accounts.breach_api.as_ref().is_some_and(|origin| !origin.is_https() && !origin.is_loopback()) {
        let message = "must be https: what goes out there says something about passwords";
        out.error(&["accounts", "breach_api"], message);
    }
    let product = &accounts.product;
    if product.trim().is_empty()
        || product.chars().count() > 50
        || product.chars().any(|c| c.is_control() || c == ':')
    {
        // The Key URI format of authenticator apps ends the issuer with a colon.
        out.error(
            &["accounts", "product"],
            "must be 1 to 50 characters without control characters and colons",
        );
    }
}
