//! The first operator.

use access::{Permit, Role};
use identity::{Error, Setup};

use crate::house::{DAY, House, OTHER_PASSWORD, PASSWORD, credentials, secret};

fn setup(code: &str, name: &str) -> Setup {
    Setup {
        code: code.to_owned(),
        username: name.parse().unwrap(),
        email: format!("{name}@example.com").parse().unwrap(),
        full_name: Some("Grace Hopper".parse().unwrap()),
        password: secret(PASSWORD),
    }
}

async fn link(house: &House) -> String {
    let link = house.identity.issue_setup_link(Permit::for_system("test"), &house.meta()).await.unwrap();
    let (page, code) = link.url.expose().split_once("?code=").unwrap();
    assert_eq!(page, "http://localhost:8080/account/setup");
    code.to_owned()
}

#[tokio::test]
async fn one_link_makes_the_operator_and_all_links_end() {
    for house in House::all().await {
        assert!(house.identity.needs_setup().await.unwrap());
        let (one, two) = (link(&house).await, link(&house).await);
        let mut weak = setup(&one, "grace");
        weak.password = secret("short");
        assert!(matches!(
            house.identity.complete_setup(weak, &house.meta()).await,
            Err(Error::WeakPassword(_))
        ));
        house.identity.complete_setup(setup(&two, "grace"), &house.meta()).await.unwrap();
        assert!(!house.identity.needs_setup().await.unwrap());
        for code in [&one, &two] {
            let again = house.identity.complete_setup(setup(code, "other"), &house.meta()).await;
            assert!(matches!(again, Err(Error::InvalidCode)));
        }
        let more = house.identity.issue_setup_link(Permit::for_system("test"), &house.meta()).await;
        assert!(matches!(more, Err(Error::Conflict(_))));
        let caller = house.caller(&house.sign_in("grace").await).await.unwrap();
        assert_eq!(caller.role, Role::SuperAdmin);
        let profile = house.identity.profile(&caller).await.unwrap();
        assert_eq!(profile.full_name.unwrap().as_str(), "Grace Hopper");
        assert!(profile.verified_at.is_some());
    }
}

#[tokio::test]
async fn links_end_after_a_day_and_guesses_do_not_work() {
    for house in House::all().await {
        let code = link(&house).await;
        for wrong in ["", "x", &"A".repeat(43)] {
            let result = house.identity.complete_setup(setup(wrong, "eve"), &house.meta()).await;
            assert!(matches!(result, Err(Error::InvalidCode)));
        }
        house.clock.advance_ms(DAY);
        let late = house.identity.complete_setup(setup(&code, "grace"), &house.meta()).await;
        assert!(matches!(late, Err(Error::InvalidCode)));
        let fresh = link(&house).await;
        house.identity.complete_setup(setup(&fresh, "grace"), &house.meta()).await.unwrap();
    }
}

#[tokio::test]
async fn a_taken_name_leaves_the_link_usable() {
    for house in House::all().await {
        house.account("ada").await;
        let code = link(&house).await;
        let taken = house.identity.complete_setup(setup(&code, "ada"), &house.meta()).await;
        assert!(matches!(taken, Err(Error::Conflict(_))));
        house.identity.complete_setup(setup(&code, "grace"), &house.meta()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_make_one_operator() {
    for house in House::all().await {
        let mut codes = Vec::new();
        for _ in 0..8 {
            codes.push(link(&house).await);
        }
        let mut tasks = Vec::new();
        for (n, code) in codes.into_iter().enumerate() {
            let (identity, meta) = (house.identity.clone(), house.meta());
            tasks.push(tokio::spawn(async move {
                identity.complete_setup(setup(&code, &format!("grace{n}")), &meta).await
            }));
        }
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => made += 1,
                Err(Error::InvalidCode) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(made, 1);
        let wrong = house.identity.sign_in(credentials("grace0", OTHER_PASSWORD), &house.meta()).await;
        assert!(wrong.is_err());
    }
}
