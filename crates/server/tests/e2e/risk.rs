//! Sign-ins that look new: the mail, its page, and what the buttons do (AUTH-10).

use http::Method;
use serde_json::{Value, json};
use testkit::{Client, Program, Settings, code_in, wait_for_mail};

use crate::start;

const PASSWORD: &str = "violet thunder under the bridge";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";

async fn from_phone(program: &Program) -> testkit::Answer {
    let body = json!({"identifier": "ada", "password": PASSWORD}).to_string();
    let headers = [("content-type", "application/json"), ("user-agent", PHONE)];
    program.client().send(Method::POST, "/auth/login", &headers, body.into()).await
}

/// Presses a button of the page behind a mail's link, as a browser does; gives the answer.
async fn press(program: &Program, code: &str, answer: &str) -> testkit::Answer {
    let path = format!("/account/sign-in-notice?code={code}");
    let page = program.client().get(&path).await.expect(200);
    let (name, value) = page.header("set-cookie").split_once(';').unwrap().0.split_once('=').unwrap();
    let token = page.text().split_once("name=\"form_token\" value=\"").unwrap().1[..43].to_owned();
    let origin = format!("http://localhost:{}", program.port);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str())];
    let body = format!("form_token={token}&code={code}&answer={answer}");
    let client: Client = program.client().cookie(name, value);
    client.send(Method::POST, "/account/sign-in-notice", &headers, body.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_told_and_undone_with_one_button() {
    let program = start(Settings::default());
    let usual = program.artist("ada").await;
    let stranger = from_phone(&program).await.expect(200).json();
    let mail = wait_for_mail(&program.folder().join("mail"), &["new sign-in", "sign-in-notice?code="]).await;
    assert!(mail.contains("from a device or browser you have not used before"), "{mail}");
    let code = code_in(&mail);
    let profile = |pair: &Value| {
        let client = program.client().bearer(pair["access_token"].as_str().unwrap());
        async move { client.get("/auth/profile").await.status.as_u16() }
    };
    // A scanner that opens the link does no harm.
    let page = program.client().get(&format!("/account/sign-in-notice?code={code}")).await.expect(200);
    assert!(page.text().contains("No, it was not me"));
    assert_eq!((profile(&usual).await, profile(&stranger).await), (200, 200));

    let gone = press(&program, &code, "not-mine").await.expect(303);
    assert!(gone.header("location").starts_with("/account/reset?done=disowned&code="));
    assert_eq!((profile(&usual).await, profile(&stranger).await), (401, 401));
    from_phone(&program).await.problem(403, "password-compromised");
    // The link had its time, and one that nobody sent never had any.
    for code in [code.as_str(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "%00"] {
        program.client().get(&format!("/account/sign-in-notice?code={code}")).await.expect(400);
    }
    let reset = gone.header("location").split_once("code=").unwrap().1;
    let wish = json!({"code": reset, "password": "another long enough passphrase"});
    let answer = program.client().post("/auth/password/reset", wish).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    program.sign_in("ada", "another long enough passphrase").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_must_be_confirmed_waits_for_the_owner() {
    let sections = "[risk]\nstep_up_at = 0.4\n".to_owned();
    let program = start(Settings { sections, ..Settings::default() });
    program.artist("ada").await;
    from_phone(&program).await.problem(403, "confirm-sign-in");
    // Who does not know the password learns what they learnt before: nothing.
    let wrong = json!({"identifier": "ada", "password": "not the password at all"});
    program.client().post("/auth/login", wrong).await.problem(401, "wrong-credentials");
    let mail = wait_for_mail(&program.folder().join("mail"), &["Is it you", "sign-in-notice?code="]).await;
    let thanks = press(&program, &code_in(&mail), "mine").await.expect(200);
    assert!(thanks.text().contains("sign in again"), "{}", thanks.text());
    let pair = from_phone(&program).await.expect(200).json();
    // What happened can be read by its owner, with the reasons.
    let client = program.client().bearer(pair["access_token"].as_str().unwrap());
    let page = client.get("/account/activity").await.expect(200);
    assert!(page.text().contains("A sign-in had to be confirmed"), "{}", page.text());
    assert!(page.text().contains("from a device or browser you have not used before"));
    program.client().get("/account/activity").await.expect(401);
}
