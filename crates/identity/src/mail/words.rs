//! The letters' words in each language: data files (Fluent), like those of the pages.

use std::borrow::Cow;
use std::sync::LazyLock;

use base::Language;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};

static BUNDLES: LazyLock<Vec<(Language, FluentBundle<FluentResource>)>> =
    LazyLock::new(|| Language::ALL.into_iter().map(|language| (language, bundle(language))).collect());

const fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../../locales/en.ftl"),
        Language::German => include_str!("../../locales/de.ftl"),
    }
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    let id = language.code().parse().expect("our languages have codes");
    let resource =
        FluentResource::try_new(source(language).to_owned()).expect("our files of words are well-formed");
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    // The marks around what is inserted would show in the source of a mail.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).expect("no id stands twice in our files of words");
    bundle
}

/// What fills a place of a sentence. Texts of others are made one line, so that they cannot begin a paragraph.
pub(super) type Fill<'a> = (&'static str, Cow<'a, str>);

/// The words with this id; `None` if there are none, which for optional parts is an answer.
pub(super) fn find(language: Language, id: &str, fills: &[Fill<'_>]) -> Option<String> {
    let (_, own) = BUNDLES.iter().find(|(one, _)| *one == language)?;
    let mut args = FluentArgs::with_capacity(fills.len());
    for (name, value) in fills {
        let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        args.set(*name, line);
    }
    let pattern = own.get_message(id)?.value()?;
    let mut errors = Vec::new();
    let text = own.format_pattern(pattern, Some(&args), &mut errors).into_owned();
    for error in errors {
        // A test writes every letter in every language, so this is never seen by anybody.
        tracing::error!(%error, id, "a letter lacks something");
    }
    Some(text)
}

/// The words with this id.
pub(super) fn say(language: Language, id: &str, fills: &[Fill<'_>]) -> String {
    find(language, id, fills).or_else(|| find(Language::English, id, fills)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(language: Language) -> BTreeSet<&'static str> {
        let lines = source(language).lines();
        lines
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter_map(|line| Some(line.split_once('=')?.0.trim()))
            .collect()
    }

    #[test]
    fn every_language_has_every_word() {
        for language in Language::ALL {
            assert_eq!(ids(language), ids(Language::English), "{}", language.name());
        }
        assert!(ids(Language::English).len() > 80);
    }

    #[test]
    fn every_reason_of_risk_has_words_everywhere() {
        for reason in threat::login::ReasonCode::ALL {
            let id = format!("reason-{}", reason.name());
            assert_eq!(find(Language::English, &id, &[]).as_deref(), Some(reason.words()));
            assert!(find(Language::German, &id, &[]).is_some(), "{id}");
        }
    }

    #[test]
    fn texts_of_others_begin_no_paragraph() {
        let fills = [("reasons", "x\n\n\r\ny".into())];
        assert_eq!(say(Language::English, "why", &fills), "We write because it was x    y.");
    }
}
