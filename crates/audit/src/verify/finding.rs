//! What verification finds.

use std::fmt;

use serde::Serialize;

/// Findings that are listed at most; further ones are counted.
pub const MAX_FINDINGS: usize = 1_000;

/// One thing that is wrong with a log. Indexes count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// There is no checkpoint.
    NoCheckpoint,
    /// The checkpoint is not one.
    CheckpointMalformed {
        /// What is wrong with it.
        why: String,
    },
    /// A trusted key's signature stands under a text that it did not sign: the checkpoint was edited.
    CheckpointEdited {
        /// Whose signature.
        key: String,
    },
    /// Only keys that are not trusted have signed it.
    SignedByAnother {
        /// Names and ids of the keys.
        keys: Vec<String>,
    },
    /// It is another log's checkpoint.
    OtherLog {
        /// That log's name.
        origin: String,
    },
    /// An entry's bytes are not those that were signed.
    Altered {
        /// Which.
        index: u64,
        /// What of it.
        part: Part,
    },
    /// Two entries changed places.
    Swapped {
        /// The first.
        index: u64,
        /// The second.
        with: u64,
    },
    /// An entry stands here that was never signed.
    Inserted {
        /// Where.
        index: u64,
    },
    /// Entries are gone.
    Missing {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Everything from here on is gone.
    Truncated {
        /// The first that is gone.
        from: u64,
        /// How many entries were signed.
        size: u64,
    },
    /// Entries and their tile both differ from what was signed, so that it cannot be said which.
    Unproven {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Entries and tiles fit each other, but not the signed root: the tree was made anew.
    Rewritten {
        /// How many entries it has.
        size: u64,
    },
    /// A tile of hashes is missing. The entries are not affected.
    TileMissing {
        /// Its path.
        path: String,
    },
    /// A tile of hashes has another length.
    TileCut {
        /// Its path.
        path: String,
    },
    /// A tile of hashes differs.
    TileAltered {
        /// Its path.
        path: String,
    },
    /// The second place knows a newer tree: this log was cut, or is an older copy.
    Replayed {
        /// How many entries it has.
        size: u64,
        /// How many the newest known checkpoint has.
        newest: u64,
    },
    /// The tree does not continue the one that the second place knows: its history was rewritten.
    Forked {
        /// The size at which both must be equal.
        at: u64,
    },
    /// The checkpoint in the second place does not verify.
    AnchorInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// The second place has no checkpoint.
    AnchorMissing,
    /// A row outside of the tree.
    RowInserted {
        /// Which; below 0 no tree has one.
        index: i64,
    },
    /// A body that no leaf commits to.
    BodyInserted {
        /// The row that it is said to belong to.
        index: i64,
        /// Its number there.
        slot: i64,
    },
    /// The row of the tree says another size or root than the checkpoint in it.
    HeadAltered,
    /// A sealed body is gone, and no event erased it.
    BodyMissing {
        /// Of which entry.
        index: u64,
        /// Which of its bodies.
        slot: u32,
    },
    /// The key of a body is gone, and no event of the log destroyed it.
    ErasedWithoutAuthority {
        /// Of which entry.
        index: u64,
        /// Which of its bodies.
        slot: u32,
        /// The key, in hexadecimal.
        key: String,
    },
    /// An event says that the key was destroyed, but it is there: perhaps from an old backup.
    NotErased {
        /// Of which entry.
        index: u64,
        /// Which of its bodies.
        slot: u32,
        /// The key, in hexadecimal.
        key: String,
    },
}

/// What of an entry was altered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The leaf: the bytes under the tree's hash.
    Leaf,
    /// A column of the database that repeats the leaf.
    Column(String),
    /// A sealed body, by its number.
    Body(u32),
}

impl Finding {
    /// The verdict in one word, as the documents use it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoCheckpoint | Self::Missing { .. } | Self::BodyMissing { .. } => "missing",
            Self::CheckpointMalformed { .. } | Self::CheckpointEdited { .. } | Self::HeadAltered => "edited",
            Self::SignedByAnother { .. } | Self::OtherLog { .. } => "foreign",
            Self::Altered { .. } | Self::Unproven { .. } => "altered",
            Self::Swapped { .. } => "swapped",
            Self::Inserted { .. } | Self::RowInserted { .. } | Self::BodyInserted { .. } => "inserted",
            Self::Truncated { .. } => "truncated",
            Self::Rewritten { .. } | Self::Forked { .. } => "rewritten",
            Self::TileMissing { .. } | Self::TileCut { .. } | Self::TileAltered { .. } => "tile",
            Self::Replayed { .. } => "replayed",
            Self::AnchorInvalid { .. } | Self::AnchorMissing => "anchor",
            Self::ErasedWithoutAuthority { .. } => "unauthorised",
            Self::NotErased { .. } => "unerased",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.word())?;
        match self {
            Self::NoCheckpoint => write!(f, "the log has no checkpoint"),
            Self::CheckpointMalformed { why } => write!(f, "{why}"),
            Self::CheckpointEdited { key } => write!(f, "the checkpoint is not what {key} signed"),
            Self::SignedByAnother { keys } if keys.is_empty() => write!(f, "nobody signed the checkpoint"),
            Self::SignedByAnother { keys } => {
                write!(f, "the checkpoint is signed by {}, which is not trusted", keys.join(", "))
            }
            Self::OtherLog { origin } => write!(f, "this is the checkpoint of another log, {origin}"),
            Self::Altered { index, part: Part::Leaf } => write!(f, "entry {index} is not what was signed"),
            Self::Altered { index, part: Part::Column(name) } => {
                write!(f, "column {name} of entry {index} is not what was signed")
            }
            Self::Altered { index, part: Part::Body(slot) } => {
                write!(f, "body {slot} of entry {index} is not what was signed")
            }
            Self::Swapped { index, with } => write!(f, "entries {index} and {with} have changed places"),
            Self::Inserted { index } => write!(f, "at {index} stands an entry that was never signed"),
            Self::Missing { from, to } if *to == from + 1 => write!(f, "entry {from} is gone"),
            Self::Missing { from, to } => write!(f, "entries {from} to {} are gone", to - 1),
            Self::Truncated { from, size } => {
                write!(f, "everything from entry {from} on is gone; {size} entries were signed")
            }
            Self::Unproven { from, to } => {
                write!(f, "entries {from} to {} and their tile are not what was signed", to - 1)
            }
            Self::Rewritten { size } => {
                write!(f, "the tree over {size} entries fits itself but not the signed root")
            }
            Self::TileMissing { path } => write!(f, "{path} is missing"),
            Self::TileCut { path } => write!(f, "{path} has another length"),
            Self::TileAltered { path } => write!(f, "{path} differs from the signed tree"),
            Self::Replayed { size, newest } => {
                write!(f, "the log ends at {size}, but a checkpoint over {newest} entries was signed")
            }
            Self::Forked { at } => {
                write!(f, "the first {at} entries are not those that an earlier checkpoint has signed")
            }
            Self::AnchorInvalid { why } => write!(f, "the checkpoint in the second place: {why}"),
            Self::AnchorMissing => write!(f, "the second place has no checkpoint"),
            Self::RowInserted { index } => {
                write!(f, "the database has a row {index} outside of the signed tree")
            }
            Self::BodyInserted { index, slot } => {
                write!(f, "the database has a body {slot} of entry {index} that was never signed")
            }
            Self::HeadAltered => {
                write!(f, "the tree's size and root in the database are not its checkpoint's")
            }
            Self::BodyMissing { index, slot } => {
                write!(f, "body {slot} of entry {index} is gone, and nothing erased it")
            }
            Self::ErasedWithoutAuthority { index, slot, key } => {
                write!(f, "body {slot} of entry {index}: its key {key} is gone, and no event destroyed it")
            }
            Self::NotErased { index, slot, key } => {
                write!(f, "body {slot} of entry {index}: its key {key} was destroyed, and is there again")
            }
        }
    }
}

/// A bounded list of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The first ones.
    pub listed: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl Findings {
    /// Whether nothing was found.
    pub const fn none(&self) -> bool {
        self.listed.is_empty() && self.more == 0
    }

    /// Adds one. Neighbouring losses become one.
    pub fn add(&mut self, finding: Finding) {
        if let (Some(Finding::Missing { to: end, .. }), Finding::Missing { from, to }) =
            (self.listed.last_mut(), &finding)
            && *end == *from
        {
            *end = *to;
            return;
        }
        if self.listed.len() < MAX_FINDINGS { self.listed.push(finding) } else { self.more += 1 }
    }

    /// Adds another list.
    pub fn extend(&mut self, other: Self) {
        for finding in other.listed {
            self.add(finding);
        }
        self.more += other.more;
    }
}
