//! The pages' words in several languages: data files (Fluent), one language chosen per request.
//!
//! A person's choice (a cookie) comes before what their browser asks for (`Accept-Language`), and that before English.
//! A sentence that another crate made in English is looked up by its English text; one that nobody translated stays.

use std::collections::HashMap;
use std::sync::LazyLock;

use fluent_bundle::FluentResource;
use fluent_bundle::concurrent::FluentBundle;

/// The cookie with a person's choice.
pub(crate) const LANGUAGE_COOKIE: &str = "__Host-fortissimo-language";

/// Code, name and words; the first one is complete, and what the others lack.
const SOURCES: [(&str, &str, &str); 2] = [
    ("en", "English", include_str!("../locales/en.ftl")),
    ("de", "Deutsch", include_str!("../locales/de.ftl")),
];

static LANGUAGES: LazyLock<Vec<Loaded>> = LazyLock::new(|| SOURCES.iter().map(Loaded::read).collect());
/// From an English sentence to its id.
static BY_SENTENCE: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    LANGUAGES[0].words.iter().map(|(id, sentence)| (sentence.as_str(), id.as_str())).collect()
});

struct Loaded {
    code: &'static str,
    name: &'static str,
    words: HashMap<String, String>,
}

impl Loaded {
    fn read((code, name, source): &(&'static str, &'static str, &'static str)) -> Self {
        let id = code.parse().expect("our languages have codes");
        let resource =
            FluentResource::try_new((*source).to_owned()).expect("our files of words are well-formed");
        let ids: Vec<String> = resource
            .entries()
            .filter_map(|entry| match entry {
                fluent_syntax::ast::Entry::Message(message) => Some(message.id.name.to_owned()),
                _ => None,
            })
            .collect();
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        bundle.set_use_isolating(false);
        bundle.add_resource(resource).expect("no id stands twice in our files of words");
        let words = ids
            .into_iter()
            .filter_map(|id| {
                let pattern = bundle.get_message(&id)?.value()?;
                let text = bundle.format_pattern(pattern, None, &mut Vec::new()).into_owned();
                Some((id, text))
            })
            .collect();
        Self { code, name, words }
    }
}

/// One of our languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language(usize);

impl Language {
    /// English.
    pub(crate) const FIRST: Self = Self(0);

    /// The language with this code, if we have it.
    pub(crate) fn of(code: &str) -> Option<Self> {
        SOURCES.iter().position(|(known, ..)| known.eq_ignore_ascii_case(code)).map(Self)
    }

    /// The best of ours for an `Accept-Language` (RFC 9110 §12.5.4).
    pub(crate) fn accepted(header: &str) -> Self {
        let mut best = (0.0_f32, Self::FIRST);
        for wish in header.split(',').take(32) {
            let (range, weight) = wish.split_once(';').unwrap_or((wish, ""));
            let weight = match weight.trim() {
                "" => 1.0,
                text => text.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).unwrap_or(0.0),
            };
            let primary = range.trim().split('-').next().unwrap_or("");
            if let Some(language) = Self::of(primary)
                && weight > best.0
                && weight <= 1.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    /// BCP 47.
    pub(crate) fn code(self) -> &'static str {
        SOURCES[self.0].0
    }

    /// All of them, as they call themselves.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        LANGUAGES.iter().map(|language| (language.code, language.name))
    }

    /// The words with this id.
    pub(crate) fn t(self, id: &str) -> &'static str {
        let found = LANGUAGES[self.0].words.get(id).or_else(|| LANGUAGES[0].words.get(id));
        found.map_or("?", String::as_str)
    }

    /// The words with this id, if it is one.
    pub(crate) fn find(self, id: &str) -> Option<&'static str> {
        LANGUAGES[0].words.contains_key(id).then(|| self.t(id))
    }

    /// A sentence that was made in English.
    pub(crate) fn say(self, sentence: &str) -> &str {
        BY_SENTENCE.get(sentence).map_or(sentence, |id| self.t(id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_language_has_every_word() {
        let ids = |language: &Loaded| language.words.keys().cloned().collect::<BTreeSet<_>>();
        for language in LANGUAGES.iter() {
            assert_eq!(ids(language), ids(&LANGUAGES[0]), "{}", language.name);
            assert!(
                language.words.values().all(|text| !text.is_empty() && !text.contains('{')),
                "{}",
                language.name
            );
        }
    }

    #[test]
    fn every_id_that_a_page_names_exists() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut named = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap();
            for part in source.split("frame.t(\"").skip(1) {
                let id = part.split('"').next().unwrap();
                assert!(LANGUAGES[0].words.contains_key(id), "{id} in {}", path.display());
                named += 1;
            }
        }
        assert!(named > 50, "{named}");
    }

    #[test]
    fn the_browsers_wish_is_read_with_its_weights() {
        for (header, code) in [
            ("", "en"),
            ("de", "de"),
            ("de-AT, en;q=0.5", "de"),
            ("fr, de;q=0.2, en;q=0.8", "en"),
            ("fr-FR, *;q=0.1", "en"),
            ("en;q=0, de;q=0.1", "de"),
            ("de;q=7, en;q=x", "en"),
            (&",".repeat(10_000), "en"),
        ] {
            assert_eq!(Language::accepted(header).code(), code, "{header:.30}");
        }
        assert_eq!(Language::of("DE"), Language::of("de"));
        assert!(Language::of("../de").is_none());
    }

    #[test]
    fn sentences_of_others_are_found_by_their_english() {
        let german = Language::of("de").unwrap();
        assert_ne!(german.say("The name or the password is wrong."), "The name or the password is wrong.");
        assert_eq!(german.say("Nobody translated this."), "Nobody translated this.");
        for kind in base::ProblemKind::ALL {
            // What a sign-in can meet.
            if matches!(kind.status(), 401 | 429) {
                assert!(BY_SENTENCE.contains_key(&*format!("{}.", kind.title())), "{}", kind.title());
            }
        }
    }
}
