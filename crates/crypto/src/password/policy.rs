//! The rules for new passwords: length, not well known, not a pattern, not the person's own words. No
//! composition rules and no expiry, which make passwords worse (NIST SP 800-63B-4, 3.1.1.2).

use base::Secret;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::common::{self, fold};
use super::patterns::{effective_length, period};

/// Lengths are in Unicode code points after NFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Least length where the password is the only factor.
    pub min_alone: usize,
    /// Least length where a second factor is asked for.
    pub min_with_second_factor: usize,
    /// Greatest length.
    pub max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { min_alone: 15, min_with_second_factor: 8, max: 128 }
    }
}

/// Why a password was refused; `Display` is a sentence for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer code points than this.
    #[error("use at least {0} characters; four or five unrelated words do well")]
    TooShort(usize),
    /// More code points than this.
    #[error("use at most {0} characters")]
    TooLong(usize),
    /// In the list of common and breached passwords, alone or with a little added.
    #[error("this password, or most of it, is on the lists that attackers try first; choose another")]
    Common,
    /// A run along the keyboard, a repetition.
    #[error("this password is a simple pattern; choose something less regular")]
    Predictable,
    /// Little more than the person's own words.
    #[error("this password is little more than your name, your address or the name of this service")]
    Personal,
}

/// Words that stand for this product in everybody's password.
const PRODUCT_WORDS: [&str; 1] = ["fortissimo"];
/// Shorter own words occur in too many innocent passwords.
const SHORTEST_OWN_WORD: usize = 3;
/// More own words than anybody has; the rest is not looked at.
const MOST_OWN_WORDS: usize = 32;
/// What may follow a common word without making it uncommon, in effective characters.
const COMMON_TAIL: usize = 8;

impl Policy {
    /// Checks a new password and gives it back in the form to hash (NFC). `own_words` are the person's
    /// username, e-mail address and names; they are split where they hold other than letters and digits.
    ///
    /// # Errors
    /// See [`Weakness`].
    pub fn check(
        &self,
        password: &Secret<String>,
        second_factor: bool,
        own_words: &[&str],
    ) -> Result<Secret<String>, Weakness> {
        let password = self.normalise(password).ok_or(Weakness::TooLong(self.max))?;
        let min = if second_factor { self.min_with_second_factor } else { self.min_alone };
        if password.expose().chars().count() < min {
            return Err(Weakness::TooShort(min));
        }
        let folded = fold(password.expose());
        let chars: Zeroizing<Vec<char>> = Zeroizing::new(folded.chars().collect());
        // Patterns hide how little there is to guess; what is left must still be more than half a password.
        let needed = min.div_ceil(2) + 1;
        let unit = period(&chars);
        if effective_length(&chars).min(unit) < needed {
            return Err(Weakness::Predictable);
        }
        if is_personal(&folded, own_words, needed) {
            return Err(Weakness::Personal);
        }
        let unit: Zeroizing<String> = Zeroizing::new(chars[..unit].iter().collect());
        if is_common(&unit) {
            return Err(Weakness::Common);
        }
        Ok(password)
    }

    /// Brings a typed password into the form that was hashed (NFC), without judging it; `None` if it is
    /// longer than any password can be.
    pub fn normalise(&self, password: &Secret<String>) -> Option<Secret<String>> {
        let text = password.expose();
        // NFC makes at most three characters of one and may join four into one.
        if text.chars().nth(self.max.saturating_mul(4)).is_some() {
            return None;
        }
        let mut out = String::with_capacity(3 * text.len());
        out.extend(text.nfc());
        let normal = Secret::new(out);
        (normal.expose().chars().count() <= self.max).then_some(normal)
    }
}

/// Whether the folded password is listed: as it is, without spaces, or without the digits and signs that
/// people append to a listed word.
fn is_common(folded: &str) -> bool {
    let dense: Zeroizing<String> = Zeroizing::new(folded.split_whitespace().collect());
    if common::contains(folded) || common::contains(&dense) {
        return true;
    }
    let word = dense.trim_end_matches(|c: char| !c.is_alphabetic());
    let tail: Zeroizing<Vec<char>> = Zeroizing::new(dense[word.len()..].chars().collect());
    word.chars().count() >= 3 && effective_length(&tail) <= COMMON_TAIL && common::contains(word)
}

/// Whether fewer than `needed` effective characters remain without the person's words.
fn is_personal(folded: &str, own_words: &[&str], needed: usize) -> bool {
    let mut words: Vec<String> = own_words
        .iter()
        .flat_map(|word| std::iter::once(*word).chain(word.split(|c: char| !c.is_alphanumeric())))
        .filter(|word| word.chars().count() >= SHORTEST_OWN_WORD)
        .take(MOST_OWN_WORDS)
        .map(|word| fold(word).to_string())
        .chain(PRODUCT_WORDS.map(str::to_owned))
        .collect();
    // Longest first, or "ada" would break "adalovelace" apart.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = Zeroizing::new(folded.to_owned());
    for word in &words {
        if rest.contains(word.as_str()) {
            // A gap, so that the pieces on both sides do not make a new word.
            rest = Zeroizing::new(rest.replace(word.as_str(), " "));
        }
    }
    if *rest == *folded {
        return false;
    }
    let left: Zeroizing<Vec<char>> = Zeroizing::new(rest.chars().filter(|c| c.is_alphanumeric()).collect());
    effective_length(&left) < needed
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
