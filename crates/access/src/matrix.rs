//! The whole matrix role × tier × relation × action: what a bundle says, as a table, and what differs between two.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base::{Id, Timestamp, kind};

use crate::{Action, Bundle, CATALOGUE, Facts, Hold, Relation, ResourceRef, Role, Subject, Tier, code};

/// Nothing, then the tiers from least to most.
const TIERS: [(Option<Tier>, char); 4] =
    [(None, '-'), (Some(Tier::Free), 'f'), (Some(Tier::Pro), 'p'), (Some(Tier::Studio), 's')];

/// How the person stands to the object: the tables, in their order, with the line above each. A token is not among
/// them: it is worth what its terms say, which are not policies.
const STANCES: [(&str, Option<Option<Relation>>, &str); 7] = [
    ("no object", None, "The action as such, with no object named."),
    ("unrelated", Some(None), "On an object of somebody else's."),
    ("public", Some(Some(Relation::Public)), "On an object that is shown to everybody."),
    ("shared", Some(Some(Relation::Shared)), "On an object that is shared with them."),
    ("collaborator", Some(Some(Relation::Collaborator)), "On an object that they work on with its owner."),
    ("owner", Some(Some(Relation::Owner)), "On an object of their own."),
    (
        "break_glass",
        Some(Some(Relation::BreakGlass)),
        "On an object that they may look into for a recorded reason.",
    ),
];

type Codes = [[&'static str; TIERS.len()]; Role::ALL.len()];

/// What one bundle decides about a plain session of every role and tier, in every relation. Conditions that depend on the
/// moment (suspended, unverified, locked, risk, age of the second factor) are fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The bundle's version.
    pub version: Arc<str>,
    /// By the number of the stance, then the action in the catalogue's order, then the kind of the object.
    rows: BTreeMap<(usize, usize, String, String), Codes>,
}

/// One cell in which two bundles differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// What is done.
    pub action: String,
    /// To what kind of object; empty if none is named.
    pub kind: String,
    /// How the person stands to it, such as `owner`; `no object` and `unrelated` are no relation.
    pub relation: &'static str,
    /// The person's role.
    pub role: Role,
    /// The person's tier.
    pub tier: Option<Tier>,
    /// The decision's code before; [`code::UNKNOWN_ACTION`] if there was no such action.
    pub before: &'static str,
    /// The decision's code after.
    pub after: &'static str,
}

impl CellChange {
    /// Whether it is allowed now and was not before.
    pub fn is_widening(&self) -> bool {
        self.after == code::GRANTED
    }
}

impl Matrix {
    /// Asks the bundle every question. A few thousand decisions: milliseconds.
    pub fn of(bundle: &Bundle) -> Self {
        let mut rows = BTreeMap::new();
        for name in bundle.actions() {
            let Ok(action) = bundle.action(name) else { continue };
            let order = CATALOGUE.iter().position(|known| *known == name).unwrap_or(CATALOGUE.len());
            for (stance, (_, relation, _)) in STANCES.iter().enumerate() {
                let kinds = match relation {
                    None => vec![String::new()],
                    Some(_) => bundle.kinds(&action).into_iter().map(str::to_owned).collect(),
                };
                for kind in kinds {
                    let codes = codes(bundle, &action, &kind, *relation);
                    rows.insert((stance, order, name.to_owned(), kind), codes);
                }
            }
        }
        Self { version: Arc::clone(bundle.version()), rows }
    }

    /// The names of the tables in their order, with what each is about.
    pub fn relations() -> [(&'static str, &'static str); STANCES.len()] {
        STANCES.map(|(name, _, about)| (name, about))
    }

    /// One table, for pages: each action with, for each role, the tiers that may (`any` if it needs none, empty if nobody
    /// may). Empty for a name that is not among [`relations`](Self::relations).
    pub fn table(&self, relation: &str) -> Vec<(String, Vec<String>)> {
        let cell = |row: &[&'static str; TIERS.len()]| {
            let may = |tier: usize| row[tier] == code::GRANTED;
            if may(0) {
                return "any".to_owned();
            }
            let tiers = TIERS.iter().enumerate().filter(|(at, _)| may(*at));
            tiers.filter_map(|(_, (tier, _))| Some(tier.as_ref()?.as_str())).collect::<Vec<_>>().join(", ")
        };
        let rows = self.rows.iter().filter(|((stance, ..), _)| STANCES[*stance].0 == relation);
        rows.map(|((_, _, action, kind), codes)| (title(action, kind), codes.iter().map(cell).collect()))
            .collect()
    }

    /// The cells in which `after` allows what this does not, or the other way round, in the order of the tables.
    pub fn changes(&self, after: &Self) -> Vec<CellChange> {
        const NOTHING: Codes = [[code::UNKNOWN_ACTION; TIERS.len()]; Role::ALL.len()];
        let mut keys: Vec<_> = self.rows.keys().chain(after.rows.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut changes = Vec::new();
        for key in keys {
            let (old, new) =
                (self.rows.get(key).unwrap_or(&NOTHING), after.rows.get(key).unwrap_or(&NOTHING));
            for (role, (old, new)) in Role::ALL.iter().zip(old.iter().zip(new)) {
                for ((tier, _), (before, after)) in TIERS.iter().zip(old.iter().zip(new)) {
                    if (*before == code::GRANTED) != (*after == code::GRANTED) {
                        let (stance, _, action, kind) = key.clone();
                        let relation = STANCES[stance].0;
                        changes.push(CellChange {
                            action,
                            kind,
                            relation,
                            role: *role,
                            tier: *tier,
                            before,
                            after,
                        });
                    }
                }
            }
        }
        changes
    }
}

fn codes(bundle: &Bundle, action: &Action, kind: &str, relation: Option<Option<Relation>>) -> Codes {
    let account: Id<kind::Account> = Id::from_bytes([7; 16]);
    let mut codes = [[code::NO_GRANT; TIERS.len()]; Role::ALL.len()];
    for (role, row) in Role::ALL.iter().zip(&mut codes) {
        for ((tier, _), cell) in TIERS.iter().zip(row) {
            // With no tier the rest stays as with one.
            let subject = Subject { tier: *tier, ..Subject::account(account, *role, Tier::Free) };
            let facts = relation.map(|relation| {
                // A person as an object is named by the account.
                let own = kind == "user" && relation == Some(Relation::Owner);
                let id = if own { account.to_string() } else { "1".to_owned() };
                let unrelated =
                    Facts::unrelated(ResourceRef { kind: kind.to_owned(), id }, Timestamp::from_millis(0));
                match relation {
                    Some(relation) => unrelated.with(relation, Hold::Always),
                    None => unrelated,
                }
            });
            *cell = bundle.decide(&subject, action, facts.as_ref()).code;
        }
    }
    codes
}

/// `track:read` on a track needs no second word.
fn title(action: &str, kind: &str) -> String {
    if kind.is_empty() || action.split(':').next() == Some(kind) {
        action.to_owned()
    } else {
        format!("{action} on {kind}")
    }
}

/// One table for each relation: a line for each action, a column for each role, and in the cell the tiers that may.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Each cell lists the tiers with which that role may: - none, f free, p pro, s studio.")?;
        for (number, (name, _, about)) in STANCES.iter().enumerate() {
            let rows: Vec<_> = self.rows.iter().filter(|((stance, ..), _)| *stance == number).collect();
            writeln!(f, "\n{about} ({name})\n")?;
            let title = |(_, _, action, kind): &(usize, usize, String, String)| title(action, kind);
            let width = rows.iter().map(|(key, _)| title(key).len()).max().unwrap_or(0).max(20) + 2;
            let mut line = format!("{:<width$}", "action");
            for role in Role::ALL {
                line += &format!("{role:<14}");
            }
            writeln!(f, "{}", line.trim_end())?;
            for (key, codes) in rows {
                let mut line = format!("{:<width$}", title(key));
                for row in codes {
                    let letter = |(code, (_, letter)): (&&str, &(Option<Tier>, char))| {
                        if *code == code::GRANTED { *letter } else { '.' }
                    };
                    let cell: String = row.iter().zip(&TIERS).map(letter).collect();
                    line += &format!("{cell:<14}");
                }
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}
