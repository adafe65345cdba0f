//! Every endpoint and every page, tried as a stranger, as the wrong user, as a collaborator whose time is over, and as the
//! right one. The table is data; an endpoint that it lacks fails the test.

mod cast;
mod objects;
mod operators;
mod own;
mod public;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use testkit::{Client, Settings};

use crate::start;
use cast::{cast, form_token};

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

/// A form without the token of its page. Whoever gets as far as being told that may use it. Forms of whatever has an id are
/// sent with their token instead, because what they say about it is told behind it.
const FORM: u16 = 403;

/// In this order: what takes away stands behind what needs it.
fn table() -> Vec<Row> {
    [public::PUBLIC, objects::OBJECTS, operators::OPERATORS, own::OWN].concat()
}

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
    for (method, template, whose, path, _, right) in table {
        // What a path names belongs to somebody, so nobody calls it everybody's or one's own and leaves out the wrong user.
        // The names of providers and of files are no secret.
        let named = template.replace("{provider}", "").replace("{file}", "").contains('{');
        if !named {
            continue;
        }
        if !matches!(whose, Owner | Operator) {
            faults.push(format!("{method} {template} names something and is not tried as the wrong user"));
        }
        if path.contains("00000000") {
            faults.push(format!("{method} {template} is tried with nobody's id"));
        }
        if *right == FORM && ["/account", "/console"].iter().any(|p| path.starts_with(p)) {
            faults.push(format!("{method} {template} is tried without the token of its form"));
        }
    }
    faults
}

#[test]
fn the_table_has_every_endpoint_once() {
    assert_eq!(faults(&table()), Vec::<String>::new());
}

#[test]
fn an_endpoint_that_the_table_lacks_is_found() {
    let table = table();
    for lacking in 0..table.len() {
        let (method, template, ..) = table[lacking];
        let fewer = [&table[..lacking], &table[lacking + 1..]].concat();
        assert_eq!(faults(&fewer), [format!("tried as nobody: {:?}", (method.to_owned(), template))]);
    }
    let invented = ("GET", "/v1/projects/{id}/secrets", Self_, "/v1/projects/P1/secrets", "", 200);
    assert_eq!(faults(&[&table[..], &[invented]].concat()).len(), 2, "not there, and of an object");
    // A row that says too little of what it names.
    for (method, template, whose, path, right) in [
        ("DELETE", "/auth/mfa/factors/{id}", Self_, "/auth/mfa/factors/APPTWO", 204),
        ("DELETE", "/auth/mfa/factors/{id}", All, "/auth/mfa/factors/APPTWO", 204),
        (
            "DELETE",
            "/auth/mfa/factors/{id}",
            Owner,
            "/auth/mfa/factors/00000000-0000-7000-8000-000000000000",
            404,
        ),
        ("POST", "/console/accounts/{id}/role", Operator, "/console/accounts/EVE/role", FORM),
    ] {
        let at = table.iter().position(|row| (row.0, row.1) == (method, template)).unwrap();
        let mut weaker = table.clone();
        weaker[at] = (method, template, whose, path, "", right);
        assert_eq!(faults(&weaker).len(), 1, "{method} {template} {path}");
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM_BODY: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_each_of_them_as_it_should() {
    let program = start(Settings::default());
    let cast = cast(&program).await;
    let mut wrong = Vec::new();
    for (method, template, whose, path, body, right) in &table() {
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
        let behind_its_token =
            page && *method == "POST" && *right != FORM && matches!(whose, Owner | Operator);
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
