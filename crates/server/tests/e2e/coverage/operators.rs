//! What operators see and change.

use super::For::Operator;
use super::{FORM, Row};

pub(super) const OPERATORS: &[Row] = &[
    ("GET", "/v1/audit/events", Operator, "/v1/audit/events", "", 200),
    ("GET", "/v1/accounts", Operator, "/v1/accounts", "", 200),
    ("GET", "/v1/accounts/{id}", Operator, "/v1/accounts/ADA", "", 200),
    ("PATCH", "/v1/accounts/{id}", Operator, "/v1/accounts/OTHER", r#"{"tier":"pro"}"#, 204),
    ("GET", "/v1/audit/events/{id}", Operator, "/v1/audit/events/TRACE", "", 200),
    ("GET", "/v1/audit/events/{id}/proof", Operator, "/v1/audit/events/TRACE/proof", "", 200),
    ("GET", "/v1/audit/export", Operator, "/v1/audit/export", "", 200),
    (
        "GET",
        "/v1/audit/aggregates",
        Operator,
        "/v1/audit/aggregates?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
        "",
        200,
    ),
    ("POST", "/v1/audit/verify", Operator, "/v1/audit/verify", "{}", 200),
    ("GET", "/v1/audit/verify", Operator, "/v1/audit/verify", "", 200),
    ("GET", "/console/events/{id}", Operator, "/console/events/TRACE", "", 200),
    ("GET", "/console/events/{id}/proof", Operator, "/console/events/TRACE/proof", "", 200),
    ("POST", "/console/events/{id}/verify", Operator, "/console/events/TRACE/verify", "", 200),
    ("GET", "/console/log", Operator, "/console/log", "", 200),
    ("POST", "/console/log/verify", Operator, "/console/log/verify", "", FORM),
    ("GET", "/console", Operator, "/console", "", 200),
    ("GET", "/console/events", Operator, "/console/events", "", 200),
    // The right one's stream would not end; `live` opens it.
    ("GET", "/console/events/stream", Operator, "/console/events/stream", "", 0),
    ("GET", "/console/accounts", Operator, "/console/accounts", "", 200),
    ("GET", "/console/accounts/{id}", Operator, "/console/accounts/ADA", "", 200),
    ("POST", "/console/accounts/{id}/disable", Operator, "/console/accounts/EVE/disable", "", 303),
    ("POST", "/console/accounts/{id}/enable", Operator, "/console/accounts/EVE/enable", "", 303),
    ("POST", "/console/accounts/{id}/lift", Operator, "/console/accounts/EVE/lift", "", 303),
    ("POST", "/console/accounts/{id}/role", Operator, "/console/accounts/EVE/role", "role=moderator", 303),
    ("POST", "/console/accounts/{id}/tier", Operator, "/console/accounts/EVE/tier", "tier=pro", 303),
    ("GET", "/console/policies", Operator, "/console/policies", "", 200),
    ("GET", "/console/policies/{serial}", Operator, "/console/policies/1", "", 200),
    ("POST", "/console/policies/{serial}/activate", Operator, "/console/policies/1/activate", "", 303),
    ("GET", "/console/roles", Operator, "/console/roles?relation=owner", "", 200),
    ("GET", "/console/explain", Operator, "/console/explain", "", 200),
    ("POST", "/console/explain", Operator, "/console/explain", "", FORM),
    ("GET", "/console/mail", Operator, "/console/mail", "", 200),
    ("GET", "/console/mail/{id}", Operator, "/console/mail/LETTER", "", 200),
];
