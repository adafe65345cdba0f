//! The OpenAPI document: paths and models from the handlers, security and refusals from the endpoints' own table, so
//! that neither can be forgotten at a handler.

use axum::Extension;
use axum::body::Bytes;
use guard::Endpoint;
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, ToResponse, ToSchema};

/// A problem (RFC 9457). `type` is stable: `urn:fortissimo:problem:<name>`.
#[derive(ToSchema, ToResponse)]
#[response(description = "A problem document.", content_type = "application/problem+json")]
#[expect(dead_code, reason = "describes base::Problem's document, which knows no OpenAPI")]
pub(crate) struct Problem {
    /// Stable identifier of the kind of problem.
    #[schema(example = "urn:fortissimo:problem:invalid-field")]
    r#type: String,
    /// The kind of problem in words.
    title: String,
    status: u16,
    /// What happened this time.
    detail: Option<String>,
    /// `urn:uuid:` and the request's id, to quote when asking for help.
    instance: Option<String>,
    /// Fields that are wrong.
    errors: Option<Vec<FieldError>>,
}

/// One wrong field.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes base::FieldError, which knows no OpenAPI")]
pub(crate) struct FieldError {
    /// RFC 6901 pointer into the body, or `?name` for a query parameter.
    #[schema(example = "/email")]
    pointer: String,
    /// What would be right.
    detail: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fortissimo",
        version = "1",
        description = "Accounts, sessions, access decisions and the audit trail of a music platform. \
            Every error is a problem document."
    ),
    components(schemas(Problem, FieldError), responses(Problem)),
    tags(
        (name = "account", description = "Becoming somebody."),
        (name = "session", description = "Signing in and out."),
        (name = "factor", description = "Second factors, and giving factors again."),
        (name = "api-key", description = "Keys for programs."),
        (name = "password", description = "Forgotten and changed passwords."),
        (name = "access", description = "What the caller may do."),
        (name = "operator", description = "Accounts, for operators."),
        (name = "audit", description = "What happened."),
        (name = "discovery", description = "For those who verify our tokens."),
    )
)]
pub(crate) struct Base;

/// The finished document, as every request gets it.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Bytes);

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", tag = "discovery",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)))]
pub(crate) async fn show(
    Extension(Document(bytes)): Extension<Document>,
) -> ([(HeaderName, &'static str); 2], Bytes) {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], bytes)
}

/// Finishes the document that the handlers gave.
pub(crate) fn finish(document: &utoipa::openapi::OpenApi, endpoints: &[Endpoint], public_url: &str) -> Value {
    let mut document = serde_json::to_value(document).expect("an OpenAPI document is JSON");
    document["servers"] = json!([{ "url": public_url }]);
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token." },
        "api_key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "ftm_…",
            "description": "A key for programs; it may what its scopes name and its owner may.",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": guard::SESSION_COOKIE,
            "description": "The session of a browser; requests that change something must come from our own pages.",
        },
    });
    for endpoint in endpoints {
        let pointer = format!("/paths/{}", endpoint.path.replace('~', "~0").replace('/', "~1"));
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operation = document.pointer_mut(&pointer).and_then(|path| path.get_mut(method));
        if let Some(operation) = operation.and_then(Value::as_object_mut) {
            describe(operation, endpoint);
        }
    }
    document
}

fn describe(operation: &mut Map<String, Value>, endpoint: &Endpoint) {
    let public = endpoint.access == "public";
    operation.insert(
        "security".to_owned(),
        match endpoint.access {
            "public" => json!([]),
            // One's own account is for people: no key opens it.
            "authenticated" => json!([{ "bearer": [] }, { "session": [] }]),
            _ => json!([{ "bearer": [] }, { "api_key": [] }, { "session": [] }]),
        },
    );
    if !public && endpoint.access != "authenticated" {
        operation.insert("x-required-action".to_owned(), json!(endpoint.access));
    }
    let has_body = operation.contains_key("requestBody");
    let has_input = has_body || operation.contains_key("parameters");
    let mut refusals = vec![429, 500, 503];
    if has_input {
        refusals.push(400);
    }
    if has_body {
        refusals.extend([413, 415]);
    }
    if !public
        || matches!(endpoint.path, "/auth/login" | "/auth/login/mfa" | "/auth/refresh" | "/auth/verify-email")
    {
        refusals.push(401);
    }
    if !public || endpoint.method != Method::GET {
        refusals.push(403);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for status in refusals {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({ "$ref": "#/components/responses/Problem" }));
    }
}
