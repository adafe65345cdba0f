//! The rules that every deployment has, unless it says otherwise.

use crate::{Group, Pattern, Rule};

const MINUTE: i64 = 60_000;

/// One line of the table: name, kinds, threshold, window in minutes, group, severity, what to do.
type Line = (&'static str, &'static [&'static str], u32, i64, Group, u8, &'static str);

const RULES: &[Line] = &[
    (
        "log-tampering",
        &["log.*"],
        1,
        5,
        Group::None,
        5,
        "The log's files were changed, cut off, replaced or made read-only, or a witness says that the log is not the one \
         that it has seen (log.disputed). Run `fortissimo audit verify` against a copy \
         and the anchor, keep the disk as evidence, and find out who had access to the data folder.",
    ),
    (
        "log-surroundings",
        &["log.disk_nearly_full", "log.clock_stepped_back"],
        1,
        5,
        Group::None,
        4,
        "The log's disk is nearly full, or the clock was set back. Make room: without it, requests that must be recorded \
         are refused. Check the machine's time service.",
    ),
    (
        "evidence-failing",
        &["evidence.failing"],
        1,
        5,
        Group::None,
        4,
        "A witness or the authority for time stamps says nothing about the log any more. Until it does, nobody outside can \
         tell that newer entries were not rewritten. The console's page about the log says why; check the network and the \
         address in the settings.",
    ),
    (
        "audit-gap",
        &["audit.gap"],
        1,
        5,
        Group::None,
        4,
        "Traffic lines were lost. Look at the load, the database and the disk at the time that the event names; \
         critical events are never among them.",
    ),
    (
        "refresh-reuse",
        &["session.refresh_reused", "passkey.clone_suspected"],
        1,
        5,
        Group::Account,
        4,
        "A sign-in ticket or passkey of this account was copied; its sessions are revoked already. Ask the owner about \
         their devices, and look at what the account did since.",
    ),
    (
        "failed-sign-ins-by-address",
        &["session.sign_in_failed", "mfa.failed"],
        20,
        5,
        Group::Address,
        3,
        "Somebody at this address tries passwords or codes. Rate limits hold them back; block the network in front if it \
         goes on, and check whether any try succeeded.",
    ),
    (
        "failed-sign-ins-by-account",
        &["session.sign_in_failed", "mfa.failed"],
        10,
        15,
        Group::Account,
        3,
        "Somebody tries to get into this account. Check for a sign-in that followed; ask the owner to change the password \
         and to add a second factor.",
    ),
    (
        "failed-sign-ins-everywhere",
        &["session.sign_in_failed"],
        300,
        5,
        Group::None,
        4,
        "Many accounts are tried at once, probably with passwords stolen elsewhere. Watch successful sign-ins from new \
         places, and tighten limits.sign_in_per_minute.",
    ),
    (
        "password-spraying",
        &["session.sign_in_sprayed"],
        1,
        15,
        Group::Address,
        4,
        "One network tries many names, each with a few passwords. It is slowed down already; known devices in it are not. \
         Search the trail for sign-ins from its address that worked, and block the network in front if it goes on.",
    ),
    (
        "access-errors",
        &["authz.failed"],
        1,
        5,
        Group::None,
        5,
        "A policy cannot be evaluated, which denies. Look at the event's error, and roll the policies back if they were \
         changed.",
    ),
    (
        "denials-by-account",
        &["authz.denied"],
        30,
        5,
        Group::Account,
        3,
        "This account asks again and again for what it may not have. A broken client, or somebody who looks around.",
    ),
    (
        "key-revoked",
        &["key.revoked"],
        1,
        5,
        Group::None,
        4,
        "A key was taken out of use at once. If nobody announced it, find out who did it and why.",
    ),
    (
        "break-glass",
        &["access.break_glass_opened", "setup_link.issued"],
        1,
        5,
        Group::None,
        5,
        "Somebody took extraordinary rights: opened break-glass access, or printed a set-up link on the machine although \
         there are accounts. Check that it was announced, and review what was done with it.",
    ),
    (
        "policies-rolled-back",
        &["policy.refused", "policy.rolled_back"],
        1,
        5,
        Group::None,
        3,
        "A version of the policies was refused or taken back. Check that the one that decides now is the one you want.",
    ),
    (
        "sink-failing",
        &["sink.failing", "sink.record_skipped"],
        1,
        5,
        Group::None,
        4,
        "A sink takes no events, or refused one for good. `fortissimo audit sinks` says why, `fortissimo audit sink-test \
         NAME` tries it. Nothing is lost: it goes on where it stopped.",
    ),
];

/// The built-in rules.
pub fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = RULES.iter().map(rule).collect();
    rules.push(Rule {
        min_severity: 5,
        severity: 5,
        runbook: "Something critical happened for which there is no rule of its own. Read the event."
            .to_owned(),
        fallback: true,
        ..Rule::new("critical-event", Vec::new())
    });
    rules.push(Rule {
        outcome: Some("failure".to_owned()),
        severity: 5,
        runbook: "The log or a proof did not verify. Keep the files as they are and compare them with the anchor and \
                  with what the sinks have."
            .to_owned(),
        ..Rule::new("verification-failed", vec![Pattern::lenient("audit.verified")])
    });
    rules
}

fn rule((name, kinds, threshold, minutes, group, severity, runbook): &Line) -> Rule {
    Rule {
        threshold: *threshold,
        window_ms: minutes * MINUTE,
        group: *group,
        severity: *severity,
        runbook: (*runbook).to_owned(),
        // What is less has a rule of its own.
        min_severity: if *name == "log-tampering" { 5 } else { 1 },
        ..Rule::new(name, kinds.iter().map(|kind| Pattern::lenient(kind)).collect())
    }
}
