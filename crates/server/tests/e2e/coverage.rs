//! Every endpoint and every page, tried as a stranger, as the wrong user, as a collaborator whose time is over, and as the
//! right one. The table is data; an endpoint that it lacks fails the test.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testkit::{Client, Program, Settings};

use crate::start;

/// Whom an endpoint is for.
#[derive(Clone, Copy, PartialEq)]
enum For {
    /// Everybody.
    All,
    /// Whoever is signed in, about themselves: there is nothing of others to reach.
    Self_,
    /// The owner of what the path names. To everybody else it does not exist.
    Owner,
    /// Who has the right; everybody else is refused.
    Operator,
}
use For::{All, Operator, Owner, Self_};

/// Method, template, for whom, path with names in capitals, body, and the status for the right one.
type Row = (&'static str, &'static str, For, &'static str, &'static str, u16);

/// A form without the token of its page. Whoever gets as far as being told that may use it. Forms of objects are sent with
/// their token instead, because what they say about an object is told behind it.
const FORM: u16 = 403;

/// In this order: what takes away stands behind what needs it.
const TABLE: &[Row] = &[
    ("GET", "/.well-known/jwks.json", All, "/.well-known/jwks.json", "", 200),
    ("GET", "/.well-known/openid-configuration", All, "/.well-known/openid-configuration", "", 200),
    (
        "GET",
        "/.well-known/oauth-authorization-server",
        All,
        "/.well-known/oauth-authorization-server",
        "",
        200,
    ),
    ("GET", "/v1/openapi.json", All, "/v1/openapi.json", "", 200),
    ("GET", "/log/checkpoint", All, "/log/checkpoint", "", 200),
    ("GET", "/log/cosigned", All, "/log/cosigned", "", 404),
    ("GET", "/log/tile/**", All, "/log/tile/9/999", "", 404),
    (
        "POST",
        "/auth/register",
        All,
        "/auth/register",
        r#"{"username":"new","email":"new@example.com","password":"eleven quiet violets sing"}"#,
        202,
    ),
    ("POST", "/auth/verify-email", All, "/auth/verify-email", r#"{"code":"x"}"#, 400),
    (
        "POST",
        "/auth/setup",
        All,
        "/auth/setup",
        r#"{"code":"x","username":"second","email":"s@example.com","password":"eleven quiet violets sing"}"#,
        400,
    ),
    (
        "POST",
        "/auth/login",
        All,
        "/auth/login",
        r#"{"identifier":"nobody","password":"eleven quiet violets"}"#,
        401,
    ),
    ("POST", "/auth/refresh", All, "/auth/refresh", r#"{"refresh_token":"x"}"#, 401),
    ("POST", "/auth/password/forgot", All, "/auth/password/forgot", r#"{"email":"nobody@example.com"}"#, 202),
    (
        "POST",
        "/auth/password/reset",
        All,
        "/auth/password/reset",
        r#"{"code":"x","new_password":"eleven quiet violets sing"}"#,
        400,
    ),
    ("GET", "/auth/profile", Self_, "/auth/profile", "", 200),
    ("GET", "/auth/sessions", Self_, "/auth/sessions", "", 200),
    ("PATCH", "/auth/sessions/{id}", Owner, "/auth/sessions/SESSION", r#"{"name":"desk"}"#, 204),
    ("POST", "/v1/access/check", Self_, "/v1/access/check", r#"{"checks":[{"action":"track:read"}]}"#, 200),
    (
        "POST",
        "/v1/access/list",
        Self_,
        "/v1/access/list",
        r#"{"action":"project:read","type":"project"}"#,
        200,
    ),
    ("GET", "/v1/resources/{type}/{id}", Owner, "/v1/resources/project/P1", "", 200),
    ("PUT", "/v1/resources/{type}/{id}", Owner, "/v1/resources/project/P1", "{}", 200),
    ("GET", "/v1/resources/{type}/{id}/shares", Owner, "/v1/resources/project/P1/shares", "", 200),
    (
        "PUT",
        "/v1/resources/{type}/{id}/shares/{subject}",
        Owner,
        "/v1/resources/project/P1/shares/OPERATOR",
        r#"{"relation":"shared"}"#,
        200,
    ),
    ("GET", "/account/sharing", Self_, "/account/sharing", "", 200),
    ("GET", "/account/sharing/{type}/{id}", Owner, "/account/sharing/project/P1", "", 200),
    (
        "POST",
        "/account/sharing/{type}/{id}/share",
        Owner,
        "/account/sharing/project/P1/share",
        "subject=OPERATOR&relation=shared&until=",
        303,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/revoke",
        Owner,
        "/account/sharing/project/P1/revoke",
        "subject=OPERATOR",
        303,
    ),
    (
        "DELETE",
        "/v1/resources/{type}/{id}/shares/{subject}",
        Owner,
        "/v1/resources/project/P2/shares/OPERATOR",
        "",
        200,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/offer",
        Owner,
        "/account/sharing/project/P1/offer",
        "who=nobody-of-this-name&relation=shared&until=",
        303,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/withdraw",
        Owner,
        "/account/sharing/project/P1/withdraw",
        "offer=PENDING",
        303,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/links",
        Owner,
        "/account/sharing/project/P1/links",
        "may+project%3Aread=yes&uses=1&hours=2",
        200,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/links/revoke",
        Owner,
        "/account/sharing/project/P1/links/revoke",
        "link=LINK",
        303,
    ),
    (
        "POST",
        "/account/sharing/{type}/{id}/transfer",
        Owner,
        "/account/sharing/project/P3/transfer",
        "heir=OPERATOR",
        303,
    ),
    // What is offered is its receiver's alone: neither who offered it nor anybody else accepts it.
    ("POST", "/account/offers/{id}/accept", Owner, "/account/offers/GIFTA/accept", "", 303),
    ("POST", "/account/offers/{id}/decline", Owner, "/account/offers/GIFTB/decline", "", 303),
    ("GET", "/account/join", Self_, "/account/join", "", 200),
    ("POST", "/account/join", Self_, "/account/join", "", FORM),
    ("GET", "/v1/projects/{id}/collaboration-tokens", Owner, "/v1/projects/P1/collaboration-tokens", "", 200),
    (
        "POST",
        "/v1/projects/{id}/collaboration-tokens",
        Owner,
        "/v1/projects/P1/collaboration-tokens",
        r#"{"permissions":["project:read"]}"#,
        201,
    ),
    (
        "POST",
        "/v1/collaboration-tokens/redeem",
        Self_,
        "/v1/collaboration-tokens/redeem",
        r#"{"token":"x"}"#,
        400,
    ),
    ("DELETE", "/v1/collaboration-tokens/{id}", Owner, "/v1/collaboration-tokens/TOKEN", "", 200),
    ("GET", "/v1/teams", Self_, "/v1/teams", "", 200),
    ("POST", "/v1/teams", Self_, "/v1/teams", r#"{"name":"strings"}"#, 201),
    ("GET", "/v1/teams/{id}/members", Owner, "/v1/teams/TEAM/members", "", 200),
    ("PUT", "/v1/teams/{id}/members/{member}", Owner, "/v1/teams/TEAM/members/OPERATOR", "", 200),
    ("DELETE", "/v1/teams/{id}/members/{member}", Owner, "/v1/teams/TEAM/members/OPERATOR", "", 200),
    ("DELETE", "/v1/teams/{id}", Owner, "/v1/teams/TEAM", "", 200),
    (
        "POST",
        "/v1/resources/{type}/{id}/break-glass",
        Operator,
        "/v1/resources/project/P1/break-glass",
        r#"{"reason":"a report of a stolen recording","minutes":15}"#,
        201,
    ),
    ("GET", "/v1/break-glass", Operator, "/v1/break-glass", "", 200),
    ("DELETE", "/v1/break-glass/{id}", Operator, "/v1/break-glass/GLASS", "", 200),
    (
        "POST",
        "/v1/resources/{type}/{id}/transfer",
        Owner,
        "/v1/resources/project/P2/transfer",
        r#"{"to":"OPERATOR"}"#,
        200,
    ),
    ("DELETE", "/v1/resources/{type}/{id}", Owner, "/v1/resources/project/P1", "", 200),
    ("GET", "/v1/audit/events", Operator, "/v1/audit/events", "", 200),
    ("GET", "/v1/accounts", Operator, "/v1/accounts", "", 200),
    ("GET", "/v1/accounts/{id}", Operator, "/v1/accounts/ADA", "", 200),
    ("PATCH", "/v1/accounts/{id}", Operator, "/v1/accounts/OTHER", r#"{"tier":"pro"}"#, 204),
    ("GET", "/.well-known/passkey-endpoints", All, "/.well-known/passkey-endpoints", "", 200),
    ("GET", "/.well-known/webauthn", All, "/.well-known/webauthn", "", 200),
    ("POST", "/auth/login/mfa", All, "/auth/login/mfa", r#"{"challenge":"x","code":"123456"}"#, 401),
    ("POST", "/auth/login/mfa/mail", All, "/auth/login/mfa/mail", r#"{"challenge":"x"}"#, 401),
    ("POST", "/account/sign-in/code", All, "/account/sign-in/code", "", FORM),
    ("POST", "/auth/passkeys/upgrade/start", Self_, "/auth/passkeys/upgrade/start", "", 200),
    (
        "POST",
        "/auth/passkeys/upgrade/finish",
        Self_,
        "/auth/passkeys/upgrade/finish",
        r#"{"ceremony":"x","credential":{}}"#,
        401,
    ),
    ("POST", "/account/passkeys/upgrade/start", Self_, "/account/passkeys/upgrade/start", "", FORM),
    ("POST", "/account/passkeys/upgrade", Self_, "/account/passkeys/upgrade", "", FORM),
    ("POST", "/auth/email/confirm", All, "/auth/email/confirm", r#"{"code":"x"}"#, 400),
    ("POST", "/auth/passkeys/login/start", All, "/auth/passkeys/login/start", "{}", 200),
    (
        "POST",
        "/auth/passkeys/login/finish",
        All,
        "/auth/passkeys/login/finish",
        r#"{"ceremony":"x","credential":{}}"#,
        400,
    ),
    ("GET", "/auth/oauth/{provider}/start", All, "/auth/oauth/nobody/start", "", 404),
    ("GET", "/auth/oauth/{provider}/callback", All, "/auth/oauth/nobody/callback", "", 404),
    (
        "POST",
        "/auth/reauthenticate",
        Self_,
        "/auth/reauthenticate",
        r#"{"password":"wrong but long enough"}"#,
        401,
    ),
    ("POST", "/auth/email/change", Self_, "/auth/email/change", r#"{"email":"elsewhere@example.com"}"#, 202),
    ("POST", "/auth/account/close", Self_, "/auth/account/close", r#"{"username":"nobody-else"}"#, 400),
    ("POST", "/auth/account/reopen", All, "/auth/account/reopen", r#"{"code":"x"}"#, 400),
    ("GET", "/auth/mfa/factors", Self_, "/auth/mfa/factors", "", 200),
    (
        "PATCH",
        "/auth/mfa/factors/{id}",
        Self_,
        "/auth/mfa/factors/00000000-0000-7000-8000-000000000000",
        r#"{"name":"x"}"#,
        404,
    ),
    (
        "DELETE",
        "/auth/mfa/factors/{id}",
        Self_,
        "/auth/mfa/factors/00000000-0000-7000-8000-000000000000",
        "",
        404,
    ),
    ("POST", "/auth/mfa/totp/setup", Self_, "/auth/mfa/totp/setup", "{}", 201),
    (
        "POST",
        "/auth/mfa/totp/confirm",
        Self_,
        "/auth/mfa/totp/confirm",
        r#"{"factor_id":"00000000-0000-7000-8000-000000000000","code":"123456"}"#,
        404,
    ),
    (
        "POST",
        "/auth/mfa/totp/disable",
        Self_,
        "/auth/mfa/totp/disable",
        r#"{"factor_id":"00000000-0000-7000-8000-000000000000"}"#,
        404,
    ),
    ("POST", "/auth/mfa/recovery-codes", Self_, "/auth/mfa/recovery-codes", "", 409),
    ("POST", "/auth/passkeys/register/start", Self_, "/auth/passkeys/register/start", "", 200),
    (
        "POST",
        "/auth/passkeys/register/finish",
        Self_,
        "/auth/passkeys/register/finish",
        r#"{"ceremony":"x","credential":{}}"#,
        401,
    ),
    ("POST", "/auth/passkeys/reauthenticate/start", Self_, "/auth/passkeys/reauthenticate/start", "", 409),
    (
        "POST",
        "/auth/passkeys/reauthenticate/finish",
        Self_,
        "/auth/passkeys/reauthenticate/finish",
        r#"{"ceremony":"x","credential":{}}"#,
        401,
    ),
    ("GET", "/auth/passkeys/signal", Self_, "/auth/passkeys/signal", "", 200),
    ("GET", "/auth/api-keys", Self_, "/auth/api-keys", "", 200),
    ("POST", "/auth/api-keys", Self_, "/auth/api-keys", r#"{"name":"ci","scopes":["track:read"]}"#, 201),
    ("POST", "/auth/api-keys/{id}/rotate", Owner, "/auth/api-keys/APIKEY/rotate", "", 201),
    ("DELETE", "/auth/api-keys/{id}", Owner, "/auth/api-keys/APIKEY", "", 204),
    ("GET", "/auth/events", Self_, "/auth/events", "", 200),
    ("GET", "/auth/events/export", Self_, "/auth/events/export", "", 200),
    ("GET", "/auth/events/{id}", Owner, "/auth/events/TRACE", "", 200),
    ("GET", "/auth/events/{id}/proof", Owner, "/auth/events/TRACE/proof", "", 200),
    (
        "GET",
        "/v1/audit/events/{id}",
        Operator,
        "/v1/audit/events/00000000-0000-7000-8000-000000000000",
        "",
        404,
    ),
    (
        "GET",
        "/v1/audit/events/{id}/proof",
        Operator,
        "/v1/audit/events/00000000-0000-7000-8000-000000000000/proof",
        "",
        404,
    ),
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
    ("GET", "/account/activity", Self_, "/account/activity", "", 200),
    ("GET", "/account/activity/export", Self_, "/account/activity/export", "", 200),
    ("GET", "/account/providers", Self_, "/account/providers", "", 200),
    (
        "POST",
        "/account/providers/{id}/unlink",
        Self_,
        "/account/providers/00000000-0000-7000-8000-000000000000/unlink",
        "",
        FORM,
    ),
    ("GET", "/account/confirm", Self_, "/account/confirm", "", 200),
    ("POST", "/account/confirm", Self_, "/account/confirm", "", FORM),
    ("POST", "/account/confirm/passkey/start", Self_, "/account/confirm/passkey/start", "", FORM),
    ("POST", "/account/confirm/passkey", Self_, "/account/confirm/passkey", "", FORM),
    ("POST", "/account/passkeys/start", All, "/account/passkeys/start", "", FORM),
    ("POST", "/account/passkeys/sign-in", All, "/account/passkeys/sign-in", "", FORM),
    ("POST", "/account/security/passkeys/start", Self_, "/account/security/passkeys/start", "", FORM),
    ("POST", "/account/security/passkeys", Self_, "/account/security/passkeys", "", FORM),
    ("GET", "/account/close", Self_, "/account/close", "", 200),
    ("POST", "/account/close", Self_, "/account/close", "", FORM),
    ("GET", "/account/reopen", All, "/account/reopen", "", 200),
    ("POST", "/account/reopen", All, "/account/reopen", "", FORM),
    ("GET", "/account/email", All, "/account/email", "", 200),
    ("POST", "/account/email", All, "/account/email", "", FORM),
    ("POST", "/account/language", All, "/account/language", "", FORM),
    ("GET", "/account/sign-in-notice", All, "/account/sign-in-notice", "", 400),
    ("POST", "/account/sign-in-notice", All, "/account/sign-in-notice", "", FORM),
    ("POST", "/account/sign-in/second", All, "/account/sign-in/second", "", FORM),
    ("GET", "/account/security", Self_, "/account/security", "", 200),
    ("GET", "/account/security/email", Self_, "/account/security/email", "", 200),
    ("POST", "/account/security/email", Self_, "/account/security/email", "", FORM),
    ("POST", "/account/security/totp", Self_, "/account/security/totp", "", FORM),
    ("POST", "/account/security/totp/confirm", Self_, "/account/security/totp/confirm", "", FORM),
    ("POST", "/account/security/recovery-codes", Self_, "/account/security/recovery-codes", "", FORM),
    (
        "POST",
        "/account/security/factors/{id}/name",
        Self_,
        "/account/security/factors/00000000-0000-7000-8000-000000000000/name",
        "",
        FORM,
    ),
    (
        "POST",
        "/account/security/factors/{id}/remove",
        Self_,
        "/account/security/factors/00000000-0000-7000-8000-000000000000/remove",
        "",
        FORM,
    ),
    ("POST", "/account/security/api-keys", Self_, "/account/security/api-keys", "", FORM),
    (
        "POST",
        "/account/security/api-keys/{id}/rotate",
        Self_,
        "/account/security/api-keys/00000000-0000-7000-8000-000000000000/rotate",
        "",
        FORM,
    ),
    (
        "POST",
        "/account/security/api-keys/{id}/revoke",
        Self_,
        "/account/security/api-keys/00000000-0000-7000-8000-000000000000/revoke",
        "",
        FORM,
    ),
    (
        "GET",
        "/console/events/{id}",
        Operator,
        "/console/events/00000000-0000-7000-8000-000000000000",
        "",
        404,
    ),
    (
        "GET",
        "/console/events/{id}/proof",
        Operator,
        "/console/events/00000000-0000-7000-8000-000000000000/proof",
        "",
        404,
    ),
    (
        "POST",
        "/console/events/{id}/verify",
        Operator,
        "/console/events/00000000-0000-7000-8000-000000000000/verify",
        "",
        FORM,
    ),
    ("GET", "/console/log", Operator, "/console/log", "", 200),
    ("POST", "/console/log/verify", Operator, "/console/log/verify", "", FORM),
    ("GET", "/account", Self_, "/account", "", 200),
    ("GET", "/account/sign-up", All, "/account/sign-up", "", 200),
    ("POST", "/account/sign-up", All, "/account/sign-up", "", FORM),
    ("GET", "/account/verify", All, "/account/verify", "", 200),
    ("POST", "/account/verify", All, "/account/verify", "", FORM),
    ("GET", "/account/sign-in", All, "/account/sign-in", "", 200),
    ("POST", "/account/sign-in", All, "/account/sign-in", "", FORM),
    ("POST", "/account/sign-out", Self_, "/account/sign-out", "", FORM),
    ("GET", "/account/forgot", All, "/account/forgot", "", 200),
    ("POST", "/account/forgot", All, "/account/forgot", "", FORM),
    ("GET", "/account/reset", All, "/account/reset", "", 200),
    ("POST", "/account/reset", All, "/account/reset", "", FORM),
    ("GET", "/account/password", Self_, "/account/password", "", 200),
    ("POST", "/account/password", Self_, "/account/password", "", FORM),
    ("GET", "/account/setup", All, "/account/setup", "", 303),
    ("POST", "/account/setup", All, "/account/setup", "", FORM),
    ("POST", "/account/sessions/revoke-others", Self_, "/account/sessions/revoke-others", "", FORM),
    ("POST", "/account/sessions/{id}/revoke", Self_, "/account/sessions/SESSION/revoke", "", FORM),
    ("POST", "/account/sessions/{id}/name", Self_, "/account/sessions/SESSION/name", "", FORM),
    ("GET", "/account/assets/{file}", All, "/account/assets/style.css", "", 200),
    ("GET", "/console/assets/{file}", All, "/console/assets/style.css", "", 200),
    ("GET", "/console", Operator, "/console", "", 200),
    ("GET", "/console/events", Operator, "/console/events", "", 200),
    // The right one's stream would not end; `live` opens it.
    ("GET", "/console/events/stream", Operator, "/console/events/stream", "", 0),
    ("GET", "/console/accounts", Operator, "/console/accounts", "", 200),
    ("GET", "/console/accounts/{id}", Operator, "/console/accounts/ADA", "", 200),
    ("POST", "/console/accounts/{id}/disable", Operator, "/console/accounts/ADA/disable", "", FORM),
    ("POST", "/console/accounts/{id}/enable", Operator, "/console/accounts/ADA/enable", "", FORM),
    ("POST", "/console/accounts/{id}/lift", Operator, "/console/accounts/ADA/lift", "", FORM),
    ("POST", "/console/accounts/{id}/role", Operator, "/console/accounts/ADA/role", "", FORM),
    ("POST", "/console/accounts/{id}/tier", Operator, "/console/accounts/ADA/tier", "", FORM),
    ("GET", "/console/policies", Operator, "/console/policies", "", 200),
    ("GET", "/console/policies/{serial}", Operator, "/console/policies/1", "", 200),
    ("POST", "/console/policies/{serial}/activate", Operator, "/console/policies/1/activate", "", FORM),
    ("GET", "/console/roles", Operator, "/console/roles?relation=owner", "", 200),
    ("GET", "/console/explain", Operator, "/console/explain", "", 200),
    ("POST", "/console/explain", Operator, "/console/explain", "", FORM),
    ("GET", "/console/mail", Operator, "/console/mail", "", 200),
    ("GET", "/console/mail/{id}", Operator, "/console/mail/00000000-0000-7000-8000-000000000000", "", 404),
    ("DELETE", "/auth/sessions/{id}", Owner, "/auth/sessions/SESSION", "", 204),
    ("DELETE", "/auth/sessions", Self_, "/auth/sessions", "", 200),
    (
        "POST",
        "/auth/password/change",
        Self_,
        "/auth/password/change",
        r#"{"current_password":"wrong","new_password":"eleven quiet violets sing"}"#,
        401,
    ),
    ("POST", "/auth/logout", Self_, "/auth/logout", "{}", 204),
];

/// What is wrong with a table, compared with what the program serves.
fn faults(table: &[Row]) -> Vec<String> {
    // The very list that the program's route table is made of.
    let listed = server::own_endpoints();
    let listed: BTreeSet<(String, &str)> =
        listed.iter().map(|one| (one.method.to_string(), one.path)).collect();
    let tried: BTreeSet<(String, &str)> = table.iter().map(|row| (row.0.to_owned(), row.1)).collect();
    let mut faults: Vec<_> =
        listed.difference(&tried).map(|one| format!("tried as nobody: {one:?}")).collect();
    faults.extend(tried.difference(&listed).map(|one| format!("no longer there: {one:?}")));
    if tried.len() != table.len() {
        faults.push("one stands twice".to_owned());
    }
    for (method, template, whose, ..) in table {
        // Nobody calls an object everybody's or one's own, and so leaves out the wrong user.
        let object = ["{type}", "{subject}", "{member}", "/projects/{id}", "/teams/{id}", "/offers/{id}"];
        if object.iter().any(|part| template.contains(part)) && !matches!(whose, Owner | Operator) {
            faults.push(format!("{method} {template} bears an object and is not tried as the wrong user"));
        }
    }
    faults
}

#[test]
fn the_table_has_every_endpoint_once() {
    assert_eq!(faults(TABLE), Vec::<String>::new());
}

#[test]
fn an_endpoint_that_the_table_lacks_is_found() {
    for lacking in 0..TABLE.len() {
        let (method, template, ..) = TABLE[lacking];
        let table = [&TABLE[..lacking], &TABLE[lacking + 1..]].concat();
        assert_eq!(faults(&table), [format!("tried as nobody: {:?}", (method.to_owned(), template))]);
    }
    let invented = ("GET", "/v1/projects/{id}/secrets", Self_, "/v1/projects/P1/secrets", "", 200);
    assert_eq!(faults(&[TABLE, &[invented]].concat()).len(), 2, "not there, and of an object");
}

/// The people of the table and the names in its paths.
struct Cast {
    stranger: Client,
    wrong: Client,
    lapsed: Client,
    owner: Client,
    operator: Client,
    names: HashMap<&'static str, String>,
}

async fn signed_in(program: &Program, name: &str) -> (Client, String) {
    let token = program.artist(name).await["access_token"].as_str().unwrap().to_owned();
    let client = program.client().bearer(&token);
    let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
    (client, id)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}")).to_owned()
}

/// Makes everything that the table names.
async fn cast(program: &Program) -> Cast {
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let operator_id = text(&operator.get("/auth/profile").await.expect(200).json(), "id");
    let (owner, ada) = signed_in(program, "ada").await;
    let (wrong, other) = signed_in(program, "mallory").await;
    let (lapsed, lapsed_id) = signed_in(program, "bob").await;
    operator.patch(&format!("/v1/accounts/{ada}"), json!({"tier": "studio"})).await.expect(204);
    for (project, whose) in
        [("P1", &ada), ("P2", &ada), ("P3", &ada), ("GIFT1", &operator_id), ("GIFT2", &operator_id)]
    {
        let place = format!("/v1/resources/project/{project}");
        let body = json!({"owner": whose}).to_string();
        operator.send(Method::PUT, &place, &[JSON], body.into()).await.expect(201);
    }
    let soon = base::Clock::system().now().plus_ms(1_500).to_rfc3339();
    for project in ["P1", "P2", "P3"] {
        let place = format!("/v1/resources/project/{project}/shares/{lapsed_id}");
        let body = json!({"relation": "collaborator", "expires_at": soon}).to_string();
        owner.send(Method::PUT, &place, &[JSON], body.into()).await.expect(200);
        lapsed.get(&format!("/v1/resources/project/{project}")).await.expect(200);
    }
    let team = text(&owner.post("/v1/teams", json!({"name": "horns"})).await.expect(201).json(), "id");
    // Who was in the team once is to it as who was a collaborator once.
    let member = format!("/v1/teams/{team}/members/{lapsed_id}");
    owner.send(Method::PUT, &member, &[], Bytes::new()).await.expect(200);
    lapsed.get(&format!("/v1/teams/{team}/members")).await.expect(200);
    owner.delete(&member).await.expect(200);
    let wish = json!({"permissions": ["project:read"]});
    let token = owner.post("/v1/projects/P2/collaboration-tokens", wish.clone()).await.expect(201).json();
    let link = owner.post("/v1/projects/P1/collaboration-tokens", wish).await.expect(201).json();
    let share = json!({"relation": "shared"}).to_string();
    let place = format!("/v1/resources/project/P2/shares/{operator_id}");
    owner.send(Method::PUT, &place, &[JSON], share.into()).await.expect(200);
    offer(&owner, "P1", "somebody").await;
    let pending = between(
        &owner.get("/account/sharing/project/P1").await.expect(200).text(),
        "name=\"offer\" value=\"",
    );
    let mut gifts = Vec::new();
    for project in ["GIFT1", "GIFT2"] {
        offer(&operator, project, "ada").await;
        // The newest stands first.
        gifts.push(between(
            &owner.get("/account/sharing").await.expect(200).text(),
            "action=\"/account/offers/",
        ));
    }
    let reason = json!({"reason": "a report of a stolen recording", "minutes": 15});
    let glass = operator.post("/v1/resources/project/P2/break-glass", reason).await.expect(201).json();
    let wish = json!({"name": "desk", "scopes": ["track:read"]});
    let key = owner.post("/auth/api-keys", wish).await.expect(201).json();
    let trace = owner.get("/auth/events?kind=session.signed_in").await.expect(200).json();
    // A second session of the owner's.
    program.sign_in("ada", "violet thunder under the bridge").await;
    let sessions = owner.get("/auth/sessions").await.expect(200).json();
    let session =
        sessions["sessions"].as_array().unwrap().iter().find(|one| one["current"] == false).unwrap();
    let names = HashMap::from([
        ("ADA", ada),
        ("OTHER", other),
        ("OPERATOR", operator_id),
        ("SESSION", text(session, "id")),
        ("TEAM", team),
        ("TOKEN", text(&token, "id")),
        ("GLASS", text(&glass, "id")),
        ("LINK", text(&link, "id")),
        ("APIKEY", text(&key, "id")),
        ("TRACE", text(&trace["events"][0], "id")),
        ("PENDING", pending),
        ("GIFTA", gifts[0].clone()),
        ("GIFTB", gifts[1].clone()),
    ]);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    Cast { stranger: program.client(), wrong, lapsed, owner, operator, names }
}

/// What stands behind these letters, up to the next quotation mark or slash.
fn between(page: &str, before: &str) -> String {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("{before} is missing in {page}"));
    rest.split(['"', '/']).next().unwrap_or_default().to_owned()
}

/// The token of the forms of a person's pages.
async fn form_token(client: &Client) -> String {
    between(&client.get("/account").await.expect(200).text(), "name=\"form_token\" value=\"")
}

async fn offer(by: &Client, project: &str, to: &str) {
    let body = format!("form_token={}&who={to}&relation=shared&until=", form_token(by).await);
    let place = format!("/account/sharing/project/{project}/offer");
    by.send(Method::POST, &place, &[FORM_BODY], body.into()).await.expect(303);
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM_BODY: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_each_of_them_as_it_should() {
    let program = start(Settings::default());
    let cast = cast(&program).await;
    // So that there is a history.
    let output = program.output(&["policy", "activate", "--builtin"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = Vec::new();
    for (method, template, whose, path, body, right) in TABLE {
        let fill = |text: &str| {
            cast.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        };
        let (path, body) = (fill(path), fill(body));
        let page = path.starts_with("/account") || path.starts_with("/console");
        let kind = if page { FORM_BODY } else { JSON };
        let headers: &[(&str, &str)] =
            if *method == "GET" || (body.is_empty() && !page) { &[] } else { &[kind] };
        let right_one = if *whose == Operator { &cast.operator } else { &cast.owner };
        let tries: &[(&str, &Client, u16)] = match whose {
            All => &[("stranger", &cast.stranger, *right)],
            Self_ => &[("stranger", &cast.stranger, 401), ("the right one", right_one, *right)],
            Owner => &[
                ("stranger", &cast.stranger, 401),
                ("wrong user", &cast.wrong, 404),
                ("lapsed collaborator", &cast.lapsed, 404),
                ("the right one", right_one, *right),
            ],
            Operator => &[
                ("stranger", &cast.stranger, 401),
                ("wrong user", &cast.wrong, 403),
                ("lapsed collaborator", &cast.lapsed, 403),
                ("the right one", right_one, *right),
            ],
        };
        // With the token of their own page, so that the answer is about the object and not about the form.
        let behind_its_token = page && *method == "POST" && *right != FORM && *whose == Owner;
        for (who, client, expected) in tries {
            if *expected == 0 {
                continue;
            }
            let body = match behind_its_token && *who != "stranger" {
                true => format!("form_token={}&{body}", form_token(client).await),
                false => body.clone(),
            };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = client.send(method, &path, headers, Bytes::from(body)).await;
            let status = answer.status.as_u16();
            // A form that is refused for its token was not refused for its sender.
            let formal =
                page && *right == FORM && *who == "the right one" || (*whose == All && *right == FORM);
            let about_form = answer.text().contains("not made for this browser");
            // And who was refused as a person got no further than that.
            let told = if formal { about_form } else { !about_form };
            if status != *expected || !told {
                wrong
                    .push(format!("{template} {path} as {who}: {status}, not {expected}: {}", answer.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
