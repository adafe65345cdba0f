//! How much of a password is pattern: runs along the alphabet or the keyboard, and repetition.

/// Rows and columns of the keyboards in use; runs go along them in either direction.
const TRACKS: [&str; 19] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "!@#$%^&*()",
];

/// The length of `chars` (folded) if every run of three or more along one track, or of one repeated
/// character, counts as two: its start and its length.
pub(super) fn effective_length(chars: &[char]) -> usize {
    let mut effective = 0;
    let mut at = 0;
    while at < chars.len() {
        let run = run_length(&chars[at..]);
        if run >= 3 {
            effective += 2;
            at += run;
        } else {
            effective += 1;
            at += 1;
        }
    }
    effective
}

fn run_length(chars: &[char]) -> usize {
    let repeated = chars.iter().take_while(|c| **c == chars[0]).count();
    let walked = TRACKS.iter().map(|track| {
        let forward = walk(chars, || track.chars());
        forward.max(walk(chars, || track.chars().rev()))
    });
    walked.max().unwrap_or(0).max(repeated)
}

/// How many of `chars` follow the track from where their first stands.
fn walk<I: Iterator<Item = char>>(chars: &[char], track: impl Fn() -> I) -> usize {
    let rest = track().skip_while(|c| *c != chars[0]);
    rest.zip(chars).take_while(|(a, b)| a == *b).count()
}

/// The length of the shortest unit whose repetition gives `chars`; their whole length if there is none.
pub(super) fn period(chars: &[char]) -> usize {
    (1..=chars.len() / 2).find(|p| chars.iter().zip(&chars[*p..]).all(|(a, b)| a == b)).unwrap_or(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn runs_count_as_two() {
        for (text, expected) in [
            ("", 0),
            ("aaaaaaaaaaaaaaa", 2),
            ("abcdefghijklmno", 2),
            ("987654321", 2),
            ("678901", 3),
            ("qwertyuiopasdfghjkl", 4),
            ("lkjhgfdsa", 2),
            ("1qaz2wsx3edc", 6),
            ("correcthorse", 12),
            ("ab", 2),
        ] {
            assert_eq!(effective_length(&chars(text)), expected, "{text}");
        }
    }

    #[test]
    fn periods_are_found_with_a_cut_last_repetition() {
        assert_eq!(period(&chars("abcabcab")), 3);
        assert_eq!(period(&chars("aaaa")), 1);
        assert_eq!(period(&chars("passwordpassword")), 8);
        assert_eq!(period(&chars("abcdefgh")), 8);
        assert_eq!(period(&[]), 0);
    }
}
