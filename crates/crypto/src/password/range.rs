//! The key of a password in lists of breached ones that are asked by range (Have I Been Pwned's API, version 3).

use aws_lc_rs::digest;
use base::Secret;
use zeroize::Zeroizing;

/// SHA-1 in upper-case hexadecimal, in two parts: what is told to the list's keeper, and what is compared here. Twenty
/// bits of a hash that many passwords share tell nobody which one it is. SHA-1 because that is what the lists have.
pub struct RangeKey {
    /// The first five digits.
    pub prefix: String,
    /// The other 35 digits. A secret: a password with few bits can be found from all forty.
    pub suffix: Zeroizing<String>,
}

/// The key of a password.
pub fn range_key(password: &Secret<String>) -> RangeKey {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes());
    let digits: Zeroizing<String> =
        Zeroizing::new(digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect());
    let (prefix, suffix) = digits.split_at(5);
    RangeKey { prefix: prefix.to_owned(), suffix: Zeroizing::new(suffix.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_published_lists() {
        // `printf password | sha1sum`
        let key = range_key(&Secret::new("password".to_owned()));
        assert_eq!((&*key.prefix, &**key.suffix), ("5BAA6", "1E4C9B93F3F0682250B6CF8331B7EE68FD8"));
    }
}
