//! The rules for new passwords.

use base::Secret;

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
    #[error("use at least {0} characters; a few random words do well")]
    TooShort(usize),
    /// More code points than this.
    #[error("use at most {0} characters")]
    TooLong(usize),
    /// In the list of common and breached passwords.
    #[error("this password is well known to attackers; choose another")]
    Common,
    /// One pattern.
    #[error("this password is one simple pattern; choose something less regular")]
    Predictable,
    /// Little more than the person's own words.
    #[error("this password is little more than your own name, address or this product's name")]
    Personal,
}

impl Policy {
    /// Checks a new password and gives it back in NFC.
    ///
    /// # Errors
    /// See [`Weakness`].
    pub fn check(
        &self,
        password: &Secret<String>,
        second_factor: bool,
        own_words: &[&str],
    ) -> Result<Secret<String>, Weakness> {
        let _ = (password, second_factor, own_words);
        unimplemented!()
    }

    /// Brings a typed password into the form in which it was hashed (NFC); `None` if it is longer than
    /// any password can be.
    pub fn normalise(&self, password: &Secret<String>) -> Option<Secret<String>> {
        let _ = password;
        unimplemented!()
    }
}
