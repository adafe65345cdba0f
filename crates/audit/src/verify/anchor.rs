//! Comparing a tree with the newest checkpoint of a second place.

use super::{Finding, Findings, Tree, Trust, signature};

/// What the checkpoint in the second place says about this tree, which was read with its size among the
/// `earlier` ones. The second place's checkpoint must be signed as the log's own; one that is not proves nothing.
pub fn anchored(tree: &Tree, anchor: Option<&str>, trust: &Trust) -> Findings {
    let mut findings = Findings::default();
    let Some(note) = anchor else {
        // A log without events has no checkpoint either.
        if tree.head.as_ref().is_some_and(|head| head.size > 0) {
            findings.add(Finding::AnchorMissing);
        }
        return findings;
    };
    let checked = signature::check(note, trust);
    if let Some(finding) = checked.finding {
        findings.add(Finding::AnchorInvalid { why: finding.to_string() });
        return findings;
    }
    let Some(newest) = checked.head else { return findings };
    let Some(head) = &tree.head else {
        findings.add(Finding::Replayed { size: 0, newest: newest.size });
        return findings;
    };
    if newest.size > head.size {
        findings.add(Finding::Replayed { size: head.size, newest: newest.size });
    } else if newest.size == head.size {
        if newest.root != head.root {
            findings.add(Finding::Forked { at: newest.size });
        }
    } else if let Some((_, root)) = tree.earlier.iter().find(|(size, _)| *size == newest.size)
        && *root != newest.root
    {
        findings.add(Finding::Forked { at: newest.size });
    }
    findings
}
