//! Turns what the parser says into what a person can act on.

use super::document;

/// A sentence for a deserialisation error: names the nearest known name and what would be right.
pub(super) fn explain(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field ") {
        let unknown = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        return format!("unknown key `{unknown}`{}", suggestion(unknown, &known, true));
    }
    if message.starts_with("unknown variant ") {
        let unknown = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        return format!("unknown value `{unknown}`{}", suggestion(unknown, &known, false));
    }
    if message.starts_with("missing field ") {
        return format!("`{}` is missing", quoted.next().unwrap_or_default());
    }
    message
}

fn suggestion(unknown: &str, known: &[&str], is_key: bool) -> String {
    if let Some(near) = nearest(unknown, known) {
        return format!("; did you mean `{near}`?");
    }
    if is_key {
        let homes = document::sections_with(unknown);
        if !homes.is_empty() {
            return format!("; it belongs to {}", homes.join(" or "));
        }
    }
    format!("; known here: {}", known.join(", "))
}

/// The known name that was probably meant: few letters differ, or one contains the other.
pub(crate) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let unknown = unknown.to_ascii_lowercase();
    let allowed = (unknown.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&unknown, &name.to_ascii_lowercase()), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
        .or_else(|| {
            let part =
                |name: &&&str| unknown.len() >= 3 && (name.contains(&unknown) || unknown.contains(**name));
            known.iter().find(part).copied()
        })
}
