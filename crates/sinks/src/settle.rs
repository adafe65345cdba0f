//! A batch, until every record of it is settled: taken by the other side, or given up for a reason.

use crate::destination::{Destination, Trouble, Verdict, What};
use crate::form::Record;

/// A record is given up after it was refused this many times, while the other side took others.
const POISON_TRIES: u8 = 3;
/// Requests of one round: halving finds a few bad records among a thousand in far fewer.
const MAX_SENDS: usize = 96;

/// Records that are sent until each is settled.
pub(crate) struct Batch {
    records: Vec<Record>,
    done: Vec<bool>,
    tries: Vec<u8>,
}

/// What came of one round.
pub(crate) struct Round {
    /// Records that were refused too often, by position, and why.
    pub(crate) poison: Vec<(usize, String)>,
    /// Whether any record was taken.
    pub(crate) progress: bool,
    /// Why it must be tried again, unless all is settled.
    pub(crate) trouble: Option<Trouble>,
}

impl Batch {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        let (done, tries) = (vec![false; records.len()], vec![0; records.len()]);
        Self { records, done, tries }
    }

    pub(crate) fn record(&self, at: usize) -> &Record {
        &self.records[at]
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Goes on without this record.
    pub(crate) fn give_up(&mut self, at: usize) {
        self.done[at] = true;
    }

    /// Sends what is not settled. A group that is refused as a whole is halved until the bad records stand alone;
    /// but only if the other side takes `probe`, for one that takes nothing at all is broken, not choosy.
    pub(crate) async fn round(&mut self, to: &mut Destination, probe: &Record) -> Round {
        let mut round = Round { poison: Vec::new(), progress: false, trouble: None };
        let mut groups = vec![(0..self.records.len()).filter(|at| !self.done[*at]).collect::<Vec<_>>()];
        let mut refused = Vec::new();
        let mut choosy = false;
        let mut sends = 0;
        while let Some(mut group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            sends += 1;
            if sends > MAX_SENDS {
                round.trouble = Some(Trouble::later("refuses too many records"));
                break;
            }
            let sent: Vec<&Record> = group.iter().map(|at| &self.records[*at]).collect();
            match to.send(&sent).await {
                Ok(verdicts) => {
                    for (at, verdict) in group.into_iter().zip(verdicts) {
                        match verdict {
                            Verdict::Accepted => {
                                self.done[at] = true;
                                round.progress = true;
                            }
                            Verdict::Later(reason) => round.trouble = Some(Trouble::later(reason)),
                            Verdict::Refused(reason) => refused.push((at, reason)),
                        }
                    }
                }
                Err(trouble) if trouble.what == What::Refused => {
                    if !choosy && !round.progress && !takes(to, probe).await {
                        let reason = format!("takes nothing at all: {}", trouble.reason);
                        round.trouble = Some(Trouble { reason, what: What::Later(None), ..trouble });
                        return round;
                    }
                    choosy = true;
                    if group.len() == 1 {
                        refused.push((group[0], trouble.reason));
                    } else {
                        groups.push(group.split_off(group.len() / 2));
                        groups.push(group);
                    }
                }
                Err(trouble) => {
                    round.trouble = Some(trouble);
                    break;
                }
            }
        }
        if !refused.is_empty() && !choosy && !round.progress && !takes(to, probe).await {
            round.trouble = Some(Trouble::later(format!("takes nothing at all: {}", refused[0].1)));
            return round;
        }
        for (at, reason) in refused {
            self.tries[at] += 1;
            if self.tries[at] >= POISON_TRIES {
                round.poison.push((at, reason));
            } else if round.trouble.is_none() {
                round.trouble = Some(Trouble::later(format!("a record was refused: {reason}")));
            }
        }
        round
    }
}

async fn takes(to: &mut Destination, probe: &Record) -> bool {
    matches!(to.send(&[probe]).await.as_deref(), Ok([Verdict::Accepted]))
}
