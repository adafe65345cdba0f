//! Finding out what was done to a list of hashes: altered, inserted, removed, cut.

use crypto::log::Hash;

use super::{Finding, Findings, Part};

/// Differences that are remembered to be recognised as an exchange at the end.
const REMEMBERED: usize = 4_096;

/// Compares what is there with what was signed, bundle by bundle, in the log's order.
#[derive(Default)]
pub(super) struct Aligner {
    /// How the entries have moved against the signed ones: +1 after an insertion, -1 after a loss.
    shift: i8,
    /// The last signed hash of the bundle before.
    carry: Option<Hash>,
    /// Single differences: index, what is there, what was signed.
    different: Vec<(u64, Hash, Hash)>,
    findings: Findings,
}

impl Aligner {
    /// One bundle that begins at `base`: the hashes of its entries against the signed ones.
    pub(super) fn bundle(&mut self, base: u64, have: &[Hash], want: &[Hash]) {
        if have == want {
            self.shift = 0;
        } else if !self.still_shifted(have, want) {
            self.shift = 0;
            self.compare(base, have, want);
        }
        self.carry = want.last().copied();
    }

    /// A bundle that is not there.
    pub(super) fn absent(&mut self, base: u64, want: u64) {
        self.shift = 0;
        self.carry = None;
        self.findings.add(Finding::Missing { from: base, to: base + want });
    }

    /// Something else that was found on the way, in its place in the list.
    pub(super) fn note(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    /// Ends at a tree of `size` entries.
    pub(super) fn finish(mut self, size: u64) -> Findings {
        if let Some(Finding::Missing { from, to }) = self.findings.listed.last()
            && *to == size
            && *from < size
        {
            let from = *from;
            self.findings.listed.pop();
            self.findings.add(Finding::Truncated { from, size });
        }
        let mut different = std::mem::take(&mut self.different);
        while let Some((index, have, want)) = different.pop() {
            let partner = different
                .iter()
                .position(|(_, other_have, other_want)| *other_have == want && *other_want == have);
            match partner {
                Some(at) => {
                    let (first, ..) = different.remove(at);
                    self.findings.add(Finding::Swapped { index: first, with: index });
                }
                None => self.findings.add(Finding::Altered { index, part: Part::Leaf }),
            }
        }
        self.findings.listed.sort_by_key(|finding| match finding {
            Finding::Altered { index, .. } | Finding::Swapped { index, .. } | Finding::Inserted { index } => {
                *index
            }
            Finding::Missing { from, .. }
            | Finding::Truncated { from, .. }
            | Finding::Unproven { from, .. } => *from,
            _ => u64::MAX,
        });
        self.findings
    }

    /// Whether this bundle only goes on with a shift that was reported where it began.
    fn still_shifted(&self, have: &[Hash], want: &[Hash]) -> bool {
        match self.shift {
            1 => have.split_first().is_some_and(|(first, rest)| {
                Some(*first) == self.carry
                    && (rest == want || want.split_last().is_some_and(|(_, most)| rest == most))
            }),
            -1 => want.split_first().is_some_and(|(_, later)| {
                have == later || have.split_last().is_some_and(|(_, most)| most == later)
            }),
            _ => false,
        }
    }

    fn compare(&mut self, base: u64, have: &[Hash], want: &[Hash]) {
        let same = have.iter().zip(want).take_while(|(h, w)| h == w).count();
        let (have_rest, want_rest) = (&have[same..], &want[same..]);
        let at = base + same as u64;
        let begins =
            |long: &[Hash], short: &[Hash]| long.len() >= short.len() && long[..short.len()] == *short;
        match (have_rest.split_first(), want_rest.split_first()) {
            (None, Some(_)) => self.findings.add(Finding::Missing { from: at, to: base + want.len() as u64 }),
            (Some(_), None) => {
                for extra in 0..have_rest.len() as u64 {
                    self.findings.add(Finding::Inserted { index: at + extra });
                }
            }
            // An entry too many: what follows is the signed list from here, as far as it goes.
            (Some((_, later)), _)
                if !later.is_empty() && begins(want_rest, later) && later.len() + 1 >= want_rest.len() =>
            {
                self.shift = 1;
                self.findings.add(Finding::Inserted { index: at });
            }
            (Some((_, later)), _) if later == want_rest => {
                self.shift = 1;
                self.findings.add(Finding::Inserted { index: at });
            }
            // An entry too few: here stands what was signed as the next one.
            (Some(_), Some((_, later))) if !later.is_empty() && begins(have_rest, later) => {
                self.shift = -1;
                self.findings.add(Finding::Missing { from: at, to: at + 1 });
            }
            (Some(_), Some(_)) if have.len() == want.len() => {
                for (index, (have, want)) in (base..).zip(have.iter().zip(want)).filter(|(_, (h, w))| h != w)
                {
                    if self.different.len() < REMEMBERED {
                        self.different.push((index, *have, *want));
                    } else {
                        self.findings.add(Finding::Altered { index, part: Part::Leaf });
                    }
                }
            }
            // More than one thing was done to this bundle.
            _ => self.by_content(base, have, want),
        }
    }

    /// For a bundle of another length with several changes: what is there and was not signed, and the reverse.
    fn by_content(&mut self, base: u64, have: &[Hash], want: &[Hash]) {
        for (index, hash) in (base..).zip(want) {
            if !have.contains(hash) {
                self.findings.add(Finding::Missing { from: index, to: index + 1 });
            }
        }
        for (index, hash) in (base..).zip(have) {
            if !want.contains(hash) {
                self.findings.add(Finding::Inserted { index });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(names: &str) -> Vec<Hash> {
        names.bytes().map(|name| [name; 32]).collect()
    }

    /// Bundles of eight for readability; the aligner does not know how long they are.
    fn found(bundles: &[(&str, &str)]) -> Vec<Finding> {
        let (mut aligner, mut base) = (Aligner::default(), 0);
        for (have, want) in bundles {
            if have.is_empty() {
                aligner.absent(base, want.len() as u64);
            } else {
                aligner.bundle(base, &hashes(have), &hashes(want));
            }
            base += want.len() as u64;
        }
        aligner.finish(base).listed
    }

    /// Bundles: what is there, what was signed.
    type Case<'a> = (&'a [(&'a str, &'a str)], Vec<Finding>);

    fn altered(index: u64) -> Finding {
        Finding::Altered { index, part: Part::Leaf }
    }

    #[test]
    fn what_was_done_to_entries_is_named() {
        let cases: &[Case<'_>] = &[
            (&[("abcdefgh", "abcdefgh")], vec![]),
            (&[("abXdefgh", "abcdefgh")], vec![altered(2)]),
            (&[("Xbcdefgh", "abcdefgh")], vec![altered(0)]),
            (&[("abcdefgX", "abcdefgh")], vec![altered(7)]),
            (&[("aXcdefYh", "abcdefgh")], vec![altered(1), altered(6)]),
            (&[("abfdecgh", "abcdefgh")], vec![Finding::Swapped { index: 2, with: 5 }]),
            (&[("abcdefgi", "abcdefgh"), ("hjkl", "ijkl")], vec![Finding::Swapped { index: 7, with: 8 }]),
            (&[("abXcdefgh", "abcdefgh")], vec![Finding::Inserted { index: 2 }]),
            (&[("abcdefghX", "abcdefgh")], vec![Finding::Inserted { index: 8 }]),
            (&[("abXcdefg", "abcdefgh"), ("hijkl", "ijkl")], vec![Finding::Inserted { index: 2 }]),
            (&[("abXcdefg", "abcdefgh"), ("hijk", "ijkl")], vec![Finding::Inserted { index: 2 }]),
            (&[("abdefgh", "abcdefgh")], vec![Finding::Missing { from: 2, to: 3 }]),
            (&[("abdefghi", "abcdefgh"), ("jkl", "ijkl")], vec![Finding::Missing { from: 2, to: 3 }]),
            (&[("abcdefgh", "abcdefgh"), ("ij", "ijkl")], vec![Finding::Truncated { from: 10, size: 12 }]),
            (&[("abcdefgh", "abcdefgh"), ("", "ijkl")], vec![Finding::Truncated { from: 8, size: 12 }]),
            (&[("", "abcdefgh"), ("ijkl", "ijkl")], vec![Finding::Missing { from: 0, to: 8 }]),
            (
                &[("aXdefghYZ", "abcdefgh")],
                vec![
                    Finding::Missing { from: 1, to: 3 },
                    Finding::Inserted { index: 1 },
                    Finding::Inserted { index: 7 },
                    Finding::Inserted { index: 8 },
                ],
            ),
        ];
        for (bundles, expected) in cases {
            let mut found = found(bundles);
            let mut expected = expected.clone();
            let order = |finding: &Finding| format!("{finding:?}");
            found.sort_by_key(order);
            expected.sort_by_key(order);
            assert_eq!(found, expected, "{bundles:?}");
        }
    }
}
