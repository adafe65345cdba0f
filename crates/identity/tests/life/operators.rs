//! What operators do.

use access::{Permit, Role, Tier};
use base::{Id, kind};
use identity::{AccountQuery, AccountStatus, Error};

use crate::house::{House, PASSWORD};

#[tokio::test]
async fn accounts_are_listed_in_pages() {
    for house in House::all().await {
        for n in 0..5 {
            house.account(&format!("name{n}")).await;
            house.clock.advance_ms(1_000);
        }
        house.account("other").await;
        house.clock.advance_ms(1_000);
        house.register("pending", "pending@example.com", PASSWORD).await;
        let mut query = AccountQuery { limit: 3, ..AccountQuery::default() };
        let mut names = Vec::new();
        loop {
            let page =
                house.identity.accounts(Permit::for_system("test"), &query, &house.meta()).await.unwrap();
            assert!(page.accounts.len() <= 3);
            names.extend(page.accounts.iter().map(|line| line.username.to_string()));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(names, ["pending", "other", "name4", "name3", "name2", "name1", "name0"]);
        let query = AccountQuery {
            status: Some(AccountStatus::Active),
            username_prefix: Some("NAME".into()),
            ..AccountQuery::default()
        };
        let page = house.identity.accounts(Permit::for_system("test"), &query, &house.meta()).await.unwrap();
        assert_eq!((page.accounts.len(), page.next), (5, None));
        // Characters that a pattern would understand are just characters.
        let query = AccountQuery { username_prefix: Some("%".into()), ..AccountQuery::default() };
        let page = house.identity.accounts(Permit::for_system("test"), &query, &house.meta()).await.unwrap();
        assert!(page.accounts.is_empty());
    }
}

#[tokio::test]
async fn accounts_are_found_by_any_name_and_shown() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        for name in ["ada", " ADA@example.com", &ada.to_string()] {
            let found =
                house.identity.find_account(Permit::for_system("test"), name, &house.meta()).await.unwrap();
            assert_eq!(found, Some(ada), "{name}");
        }
        let nobody: Id<kind::Account> = Id::new(&house.clock, &house.entropy);
        for name in ["bob", "", "@", &nobody.to_string()] {
            let found =
                house.identity.find_account(Permit::for_system("test"), name, &house.meta()).await.unwrap();
            assert_eq!(found, None, "{name}");
        }
        let view = house.identity.account(Permit::for_system("test"), ada, &house.meta()).await.unwrap();
        assert_eq!(view.email.as_str(), "ada@example.com");
        let none = house.identity.account(Permit::for_system("test"), nobody, &house.meta()).await;
        assert!(matches!(none, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn role_and_tier_take_effect_at_once() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let pair = house.sign_in("ada").await;
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!((caller.role, caller.tier), (Role::User, Tier::Free));
        house
            .identity
            .set_role(Permit::for_system("test"), ada, Role::Moderator, &house.meta())
            .await
            .unwrap();
        house.identity.set_tier(Permit::for_system("test"), ada, Tier::Studio, &house.meta()).await.unwrap();
        let caller = house.caller(&pair).await.unwrap();
        assert_eq!((caller.role, caller.tier), (Role::Moderator, Tier::Studio));
        let changes = house.events().await.iter().filter(|kind| *kind == "account.role_changed").count();
        assert_eq!(changes, 2);
    }
}

#[tokio::test]
async fn states_change_only_from_where_they_are() {
    for house in House::all().await {
        let ada = house.account("ada").await;
        let permit = || Permit::for_system("test");
        assert!(matches!(
            house.identity.enable_account(permit(), ada, &house.meta()).await,
            Err(Error::Conflict(_))
        ));
        house.identity.disable_account(permit(), ada, &house.meta()).await.unwrap();
        assert!(matches!(
            house.identity.disable_account(permit(), ada, &house.meta()).await,
            Err(Error::Conflict(_))
        ));
        house.identity.enable_account(permit(), ada, &house.meta()).await.unwrap();
        house.sign_in("ada").await;
        let nobody = Id::new(&house.clock, &house.entropy);
        assert!(matches!(
            house.identity.disable_account(permit(), nobody, &house.meta()).await,
            Err(Error::NotFound)
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_operator_stays() {
    for house in House::all().await {
        let permit = || Permit::for_system("test");
        let mut operators = Vec::new();
        for name in ["one", "two", "three"] {
            let id = house.account(name).await;
            house.identity.set_role(permit(), id, Role::SuperAdmin, &house.meta()).await.unwrap();
            operators.push(id);
        }
        // Each is disabled or demoted, all at once; one must remain.
        let tasks: Vec<_> = operators
            .iter()
            .enumerate()
            .map(|(n, &id)| {
                let (identity, meta) = (house.identity.clone(), house.meta());
                tokio::spawn(async move {
                    if n % 2 == 0 {
                        identity.disable_account(Permit::for_system("test"), id, &meta).await
                    } else {
                        identity.set_role(Permit::for_system("test"), id, Role::User, &meta).await
                    }
                })
            })
            .collect();
        let mut kept = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => {}
                Err(Error::Conflict(_)) => kept += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(kept, 1);
        assert!(!house.identity.needs_setup().await.unwrap());
    }
}

#[tokio::test]
async fn an_attempt_to_register_is_given_nothing() {
    for house in House::all().await {
        house.account("ada").await;
        // Anybody may attempt anybody's name; an operator who mistakes the attempt for the person must be refused.
        house.register("ada", "eve@example.com", PASSWORD).await;
        let query = AccountQuery { status: Some(AccountStatus::Pending), ..AccountQuery::default() };
        let page = house.identity.accounts(Permit::for_system("test"), &query, &house.meta()).await.unwrap();
        let attempt = page.accounts[0].id;
        let meta = house.meta();
        let role = house.identity.set_role(Permit::for_system("test"), attempt, Role::Admin, &meta).await;
        let tier = house.identity.set_tier(Permit::for_system("test"), attempt, Tier::Studio, &meta).await;
        assert!(matches!((role, tier), (Err(Error::Conflict(_)), Err(Error::Conflict(_)))));
    }
}
