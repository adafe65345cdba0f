//! Finds where in the file's text a setting stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::Place;

/// The place of a byte offset in `text`.
pub(super) fn place_of(file: &str, text: &str, offset: usize) -> Place {
    // An error at the end of the file may point one byte behind it.
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place::File {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The place of a setting such as `["route", "0", "path"]` and `true`, or of the innermost part of it that is
/// written down and `false`; `None` if none of it is.
pub(super) fn find(file: &str, text: &str, path: &[&str]) -> Option<(Place, bool)> {
    let root = DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let value = root.get_ref().get(*first)?;
    let (span, whole) = innermost(value, rest);
    Some((place_of(file, text, span.start), whole))
}

fn innermost(value: &Spanned<DeValue<'_>>, path: &[&str]) -> (Range<usize>, bool) {
    let Some((first, rest)) = path.split_first() else { return (value.span(), true) };
    let inner = match value.get_ref() {
        DeValue::Table(table) => table.get(*first),
        DeValue::Array(array) => first.parse::<usize>().ok().and_then(|index| array.get(index)),
        _ => None,
    };
    inner.map_or_else(|| (value.span(), false), |inner| innermost(inner, rest))
}
