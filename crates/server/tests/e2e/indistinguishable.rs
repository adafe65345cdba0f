//! Known and unknown names over HTTP: the same status, the same words, the same headers and the same cookies, by the API
//! and on the pages. (The time is measured by `cargo bench -p fortissimo-identity --bench indistinguishable`.)

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use testkit::{Answer, Client, Settings};

use crate::start;

/// What differs from one answer to the next whoever it is about: the names of the request and of the moment.
const OF_THE_MOMENT: [&str; 3] = ["date", "x-request-id", "server-timing"];

/// An answer without what is of the moment, and without the name that was asked about.
fn told(answer: &Answer, names: &[&str]) -> (u16, BTreeMap<String, Vec<String>>, String) {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let random = name == "set-cookie" || name == "content-security-policy";
        let value = if random { shape(&value) } else { value };
        if !OF_THE_MOMENT.contains(&name.as_str()) {
            headers.entry(name.to_string()).or_default().push(value);
        }
    }
    let mut text = answer.text();
    if let Ok(mut problem) = serde_json::from_str::<serde_json::Value>(&text) {
        if let Some(fields) = problem.as_object_mut() {
            for of_the_moment in ["instance", "request_id", "trace_id"] {
                fields.remove(of_the_moment);
            }
        }
        text = problem.to_string();
    }
    for name in names {
        text = text.replace(name, "NAME");
    }
    (answer.status.as_u16(), headers, shape(&text))
}

/// The text with every long run of letters and digits made one of the same length: tokens, nonces, marks.
fn shape(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !word(c)) {
        let (run, end) = piece.split_at(piece.trim_end_matches(|c: char| !word(c)).len());
        let mixed = run.len() >= 20 && run.chars().any(|c| c.is_ascii_digit());
        out.push_str(&if mixed { "#".repeat(run.len()) } else { run.to_owned() });
        out.push_str(end);
    }
    out
}

/// A page's form, sent as a browser sends it.
async fn form(client: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    let page = client.get(path).await.expect(200);
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form_token\" value=\"").expect("a form");
    let token = rest.split('"').next().unwrap_or_default();
    let cookies: Vec<String> = page
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| Some(value.to_str().ok()?.split(';').next()?.to_owned()))
        .collect();
    let mut body = format!("form_token={token}");
    for (name, value) in fields {
        body.push_str(&format!("&{name}={}", value.replace('@', "%40").replace(' ', "+")));
    }
    let origin = format!("http://localhost:{}", client.port());
    let cookies = cookies.join("; ");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookies.as_str()),
    ];
    client.send(Method::POST, path, &headers, Bytes::from(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_an_answer_tells_whether_there_is_such_an_account() {
    let program = start(Settings::default());
    program.operator().await;
    program.artist("known").await;
    let (client, wrong) = (program.client(), "not the right one at all");
    // Registered and not verified yet: as unknown as any other.
    let wish =
        json!({"username": "later", "email": "later@example.com", "password": testkit::ARTIST_PASSWORD});
    client.post("/auth/register", wish).await.expect(202);

    let mut heard: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for name in ["known", "other", "later"] {
        let email = format!("{name}@example.com");
        let names = [email.as_str(), name];
        // One guess by each name, for the counters wait later: for all alike, which has its own test.
        for identifier in [name, &email] {
            let answer =
                client.post("/auth/login", json!({"identifier": identifier, "password": wrong})).await;
            heard
                .entry(if identifier == name { "login" } else { "login by address" })
                .or_default()
                .push(told(&answer, &names));
        }
        let answer = client.post("/auth/password/forgot", json!({"email": email})).await;
        heard.entry("forgot").or_default().push(told(&answer, &names));
        let wish = json!({"username": "new-name", "email": email, "password": testkit::ARTIST_PASSWORD});
        heard.entry("register").or_default().push(told(&client.post("/auth/register", wish).await, &names));
        let wish = json!({
            "username": name, "email": format!("new-{name}@example.com"), "password": testkit::ARTIST_PASSWORD,
        });
        heard
            .entry("register a name")
            .or_default()
            .push(told(&client.post("/auth/register", wish).await, &names));
        let page = form(&client, "/account/sign-in", &[("identifier", name), ("password", wrong)]).await;
        heard.entry("sign-in page").or_default().push(told(&page, &names));
        let page = form(&client, "/account/forgot", &[("email", &email)]).await;
        heard.entry("forgot page").or_default().push(told(&page, &names));
        let fields = [("username", "new-name"), ("email", &*email), ("password", testkit::ARTIST_PASSWORD)];
        let page = form(&client, "/account/sign-up", &fields).await;
        heard.entry("sign-up page").or_default().push(told(&page, &names));
    }
    for (what, answers) in &heard {
        assert_eq!(answers.len(), 3, "{what}");
        assert_eq!(answers[0], answers[1], "{what}: known and unknown");
        assert_eq!(answers[1], answers[2], "{what}: unknown and not verified");
        let right = match *what {
            "login" | "login by address" | "sign-in page" => 401,
            "forgot" | "register" | "register a name" => 202,
            _ => 200,
        };
        assert_eq!(answers[0].0, right, "{what} was really asked: {:?}", answers[0]);
    }
}
