//! No list and no question walks along a whole table, on either database.

use store::{Db, Sql, testing};

use super::{audience, list, read};

/// Each statement with the indexes that it must use.
const STATEMENTS: &[(&Sql, &[&str])] = &[
    (&list::OWNED, &["access_object_owner"]),
    (&list::PUBLIC, &["access_object_public"]),
    (&list::ANY, &["access_object_kind"]),
    (&list::GIVEN, &["access_relation_subject"]),
    (&list::TEAMS, &["access_relation_subject", "access_member_of"]),
    (&list::PARTS, &["access_object_parent", "access_relation_subject", "access_member_of"]),
    (&list::GLASSES, &["access_break_glass_account"]),
    (&audience::GIVEN, &[]),
    (&audience::MEMBERS, &["access_relation_teams"]),
    (&audience::LOOKERS, &["access_break_glass_open"]),
    (&audience::STANDING, &["account_standing"]),
    (&read::OBJECT, &["access_object_name", "access_break_glass_open"]),
    (&read::INHERITED, &["access_member_of"]),
];
/// What the statements make themselves, and it is small.
const OWN: &[&str] = &["whole", "above", "given", "team", "place", "me", "CONSTANT"];

#[tokio::test]
async fn every_step_uses_an_index_on_sqlite() {
    let db = Db::memory();
    for (sql, indexes) in STATEMENTS {
        let plan = testing::sqlite_plan(&db, sql).await.unwrap();
        let text = plan.join("\n");
        for index in *indexes {
            assert!(text.contains(index), "{} without {index}:\n{text}", sql.name());
        }
        for step in plan.iter().filter(|step| step.contains("SCAN ")) {
            assert!(OWN.iter().any(|own| step.contains(own)), "{} reads everything:\n{text}", sql.name());
        }
        let by_kind =
            text.contains("access_object_kind (kind=? AND object_id>?)") && sql.name() != list::ANY.name();
        assert!(!by_kind, "{} walks along everything of a kind:\n{text}", sql.name());
        let reading = sql.name() == read::INHERITED.name() && text.contains("access_relation_subject");
        assert!(!reading, "{} walks along everything that somebody has:\n{text}", sql.name());
    }
}

#[tokio::test]
async fn every_step_uses_an_index_on_postgres() {
    let Some(server) = testing::postgres().await else { return };
    for (sql, _) in STATEMENTS {
        let text = server.plan(sql).await.join("\n");
        assert!(!text.contains("Seq Scan"), "{} reads everything:\n{text}", sql.name());
    }
}
