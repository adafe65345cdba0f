//! The languages that people are spoken to in, on pages and in mails.

/// One of our languages. The words themselves lie with whoever speaks: the pages, the mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English: complete, and what the others lack.
    #[default]
    English,
    /// German.
    German,
}

/// Wishes of an `Accept-Language` that are looked at.
const MAX_WISHES: usize = 32;

impl Language {
    /// All of them, the complete one first.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// BCP 47, as in cookies, the database and `lang` attributes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// What it calls itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// The language with this code, if we have it.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// The best of ours for an `Accept-Language` (RFC 9110 §12.5.4); `None` if it asks for none of them.
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for wish in header.split(',').take(MAX_WISHES) {
            let (range, weight) = wish.split_once(';').unwrap_or((wish, ""));
            let weight = match weight.trim() {
                "" => 1.0,
                text => text.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).unwrap_or(0.0),
            };
            let primary = range.trim().split('-').next().unwrap_or("");
            if let Some(language) = Self::of(primary)
                && weight > best.map_or(0.0, |(weight, _)| weight)
                && weight <= 1.0
            {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_wish_is_read_with_its_weights() {
        for (header, code) in [
            ("", None),
            ("de", Some("de")),
            ("de-AT, en;q=0.5", Some("de")),
            ("fr, de;q=0.2, en;q=0.8", Some("en")),
            ("fr-FR, *;q=0.1", None),
            ("en;q=0, de;q=0.1", Some("de")),
            ("de;q=7, en;q=x", None),
            ("de;q=NaN", None),
            (&",".repeat(10_000), None),
        ] {
            assert_eq!(Language::accepted(header).map(Language::code), code, "{header:.30}");
        }
        assert_eq!(Language::of("DE"), Some(Language::German));
        assert!(Language::of("../de").is_none());
    }
}
