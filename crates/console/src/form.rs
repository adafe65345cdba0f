//! Submitted forms: bound to the visitor, fields taken by name, errors beside their field.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use base::{Problem, ProblemKind, Secret};

use crate::Console;
use crate::page::{Failure, Notice};
use crate::visit::Visit;

/// A form that this visitor got from us.
pub(crate) struct Submitted {
    pub(crate) visit: Visit,
    fields: BTreeMap<String, String>,
}

impl FromRequest<Console> for Submitted {
    type Rejection = Failure;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, console).await?;
        let Form(fields) =
            Form::<BTreeMap<String, String>>::from_request(Request::from_parts(parts, body), console)
                .await
                .map_err(|error| Problem::new(ProblemKind::MalformedRequest).detail(error.body_text()))?;
        let token = fields.get("form_token").map_or("", String::as_str);
        if !visit.owns(console, token) {
            return Err(Failure::foreign_form());
        }
        Ok(Self { visit, fields })
    }
}

impl Submitted {
    /// A field's text, trimmed; empty if absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.trim())
    }

    /// A secret field, as typed.
    pub(crate) fn secret(&mut self, name: &str) -> Secret<String> {
        Secret::new(self.fields.remove(name).unwrap_or_default())
    }

    /// A field as a type that parses; the reason goes to `errors` if it does not.
    pub(crate) fn parse<T>(&self, name: &'static str, errors: &mut Errors) -> Option<T>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.text(name).parse().map_err(|error| errors.add(name, capitalised(&format!("{error}")))).ok()
    }
}

/// What is wrong with which field.
#[derive(Default, Clone)]
pub(crate) struct Errors(Vec<(String, String)>);

impl Errors {
    pub(crate) fn add(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.0.push((field.into(), text.into()));
    }

    /// What is wrong with this field; empty if nothing.
    pub(crate) fn of(&self, field: &str) -> &str {
        self.0.iter().find(|(name, _)| name == field).map_or("", |(_, text)| text)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts what an operation on relations says about a field (`"must be in the future"`) beside that of the form.
    pub(crate) fn refuse(&mut self, field: &str, reason: &str) {
        self.add(field, capitalised(reason));
    }

    /// The same errors, where a form calls a field otherwise than the operation does: from, to.
    pub(crate) fn renamed(mut self, names: &[(&str, &str)]) -> Self {
        for (field, _) in &mut self.0 {
            if let Some((_, to)) = names.iter().find(|(from, _)| from == field) {
                (*to).clone_into(field);
            }
        }
        self
    }

    /// Errors of a list's element stand beside the field that holds the list.
    pub(crate) fn of_lists(mut self) -> Self {
        for (name, _) in &mut self.0 {
            if let Some((list, _)) = name.split_once('/') {
                *name = list.to_owned();
            }
        }
        self
    }

    /// Puts an operation's refusal beside the fields that it names, or into a notice.
    pub(crate) fn take(&mut self, error: &identity::Error) -> Option<Notice> {
        let problem = error.problem();
        if let identity::Error::Internal(source) = error {
            tracing::error!(%source, "an operation of identity failed");
        }
        for wrong in &problem.errors {
            self.add(wrong.pointer.trim_start_matches('/'), capitalised(&wrong.detail));
        }
        if !problem.errors.is_empty() {
            return None;
        }
        let mut text = problem.kind.title().to_owned();
        if let Some(detail) = &problem.detail {
            text = format!("{text}. {detail}");
        } else {
            text.push('.');
        }
        Some(Notice::bad(text))
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}
