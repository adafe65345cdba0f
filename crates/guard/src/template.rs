//! Path templates: `/api/tracks/{id}/**`.

/// A parsed path template. Compared with the decoded segments of a canonical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    segments: Vec<Segment>,
    rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
}

impl Template {
    /// Reads a template; the error says what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(body) = text.strip_prefix('/') else {
            return Err(format!("path {text:?} must start with '/'"));
        };
        let mut segments = Vec::new();
        let mut rest = false;
        for part in body.split('/').filter(|part| !part.is_empty()) {
            if rest {
                return Err(format!("path {text:?}: '**' stands for the rest, so it must come last"));
            }
            if part == "**" {
                rest = true;
            } else if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    return Err(format!("path {text:?}: {{name}} takes letters, digits and '_'"));
                }
                let taken = segments.iter().any(|s| matches!(s, Segment::Parameter(n) if &**n == name));
                if taken {
                    return Err(format!("path {text:?} names {{{name}}} twice"));
                }
                segments.push(Segment::Parameter(name.into()));
            } else if part.contains(['{', '}', '*', '?', '#', '%', '\\']) || part == "." || part == ".." {
                return Err(format!(
                    "path {text:?}: {part:?} is neither plain text nor {{name}} nor '**' (write it unescaped)"
                ));
            } else {
                segments.push(Segment::Literal(part.into()));
            }
        }
        Ok(Self { text: text.to_owned(), segments, rest })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The first segment if it is literal text.
    pub(crate) fn first_literal(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::Literal(text)) => Some(text),
            _ => None,
        }
    }

    /// Where `{name}` stands among the segments.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.segments.iter().position(|s| matches!(s, Segment::Parameter(n) if &**n == name))
    }

    pub(crate) fn matches<S: AsRef<str>>(&self, path: &[S]) -> bool {
        let long_enough =
            if self.rest { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        long_enough
            && self.segments.iter().zip(path).all(|(segment, given)| match segment {
                Segment::Literal(text) => **text == *given.as_ref(),
                Segment::Parameter(_) => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(template: &str, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        Template::parse(template).unwrap().matches(&segments)
    }

    #[test]
    fn templates_match_by_segment() {
        assert!(hit("/", "/"));
        assert!(!hit("/", "/a"));
        assert!(hit("/**", "/"));
        assert!(hit("/**", "/a/b"));
        assert!(hit("/a/{id}", "/a/1"));
        assert!(!hit("/a/{id}", "/a"));
        assert!(!hit("/a/{id}", "/a/1/2"));
        assert!(hit("/a/**", "/a"));
        assert!(!hit("/a/**", "/ab"));
        assert!(!hit("/a", "/A"));
    }

    #[test]
    fn wrong_templates_say_what_would_be_right() {
        for wrong in ["a", "/**/a", "/{a}/{a}", "/{}", "/a*", "/%41", "/..", "/{a b}", "/a?b"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Template::parse("/a/{x}/{y}").unwrap().position("y"), Some(2));
    }
}
