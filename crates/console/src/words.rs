//! The pages' words in several languages: data files (Fluent), one language chosen per request.
//!
//! What is said to people is here; which languages there are, and which one a browser wants, is `base::Language`'s.
//! A person's choice (a cookie) comes before what their browser asks for (`Accept-Language`), and that before English.
//! A sentence that another crate made in English is looked up by its English text; one that nobody translated stays.

use std::collections::HashMap;
use std::sync::LazyLock;

use fluent_bundle::FluentResource;
use fluent_bundle::concurrent::FluentBundle;

/// The words of each language; the first one is complete, and what the others lack.
const fn source(language: base::Language) -> &'static str {
    match language {
        base::Language::English => include_str!("../locales/en.ftl"),
        base::Language::German => include_str!("../locales/de.ftl"),
    }
}

static LANGUAGES: LazyLock<Vec<Loaded>> =
    LazyLock::new(|| base::Language::ALL.into_iter().map(Loaded::read).collect());
/// From an English sentence to its id.
static BY_SENTENCE: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    LANGUAGES[0].words.iter().map(|(id, sentence)| (sentence.as_str(), id.as_str())).collect()
});

struct Loaded {
    words: HashMap<String, String>,
}

impl Loaded {
    fn read(language: base::Language) -> Self {
        let id = language.code().parse().expect("our languages have codes");
        let resource =
            FluentResource::try_new(source(language).to_owned()).expect("our files of words are well-formed");
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
        Self { words }
    }
}

/// One of our languages, with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language(base::Language);

impl Language {
    /// English.
    pub(crate) const FIRST: Self = Self(base::Language::English);

    /// The language with this code, if we have it.
    pub(crate) fn of(code: &str) -> Option<Self> {
        base::Language::of(code).map(Self)
    }

    /// As identity knows it.
    pub(crate) const fn plain(self) -> base::Language {
        self.0
    }

    /// BCP 47.
    pub(crate) fn code(self) -> &'static str {
        self.0.code()
    }

    /// All of them, as they call themselves.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        base::Language::ALL.into_iter().map(|language| (language.code(), language.name()))
    }

    fn own(self) -> &'static Loaded {
        &LANGUAGES[base::Language::ALL.iter().position(|one| *one == self.0).unwrap_or(0)]
    }

    /// The words with this id.
    pub(crate) fn t(self, id: &str) -> &'static str {
        let found = self.own().words.get(id).or_else(|| LANGUAGES[0].words.get(id));
        found.map_or("?", String::as_str)
    }

    /// The words with this id, if it is one.
    pub(crate) fn find(self, id: &str) -> Option<&'static str> {
        LANGUAGES[0].words.contains_key(id).then(|| self.t(id))
    }

    /// One or two sentences that were made in English, as a notice has them: what happened, and what to do.
    pub(crate) fn tell(self, text: &str) -> String {
        if let Some(id) = BY_SENTENCE.get(text) {
            return self.t(id).to_owned();
        }
        match text.split_once(". ") {
            Some((first, rest)) => format!("{} {}", self.say(&format!("{first}.")), self.say(rest)),
            None => self.say(text).to_owned(),
        }
    }

    /// A sentence that was made in English.
    pub(crate) fn say(self, sentence: &str) -> &str {
        if let Some(id) = BY_SENTENCE.get(sentence) {
            return self.t(id);
        }
        // Headings are the same sentences without their end.
        match BY_SENTENCE.get(&*format!("{sentence}.")) {
            Some(id) => self.t(id).trim_end_matches('.'),
            None => sentence,
        }
    }
}

impl From<base::Language> for Language {
    fn from(language: base::Language) -> Self {
        Self(language)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_language_has_every_word() {
        let ids = |language: &Loaded| language.words.keys().cloned().collect::<BTreeSet<_>>();
        for (language, loaded) in base::Language::ALL.iter().zip(LANGUAGES.iter()) {
            assert_eq!(ids(loaded), ids(&LANGUAGES[0]), "{}", language.name());
            let whole = loaded.words.values().all(|text| !text.is_empty() && !text.contains('{'));
            assert!(whole, "{}", language.name());
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
