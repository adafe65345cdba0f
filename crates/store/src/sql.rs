//! Statements as constants: written once, known to the test that prepares every one of them.

/// One SQL statement with `$1` parameters, made by [`sql!`](crate::sql!).
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

inventory::collect!(Sql);

impl Sql {
    /// Used by [`sql!`](crate::sql!); write the macro instead.
    #[doc(hidden)]
    pub const fn new(name: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        Self { name, sqlite, postgres }
    }

    /// Where the statement stands, for example `fortissimo_keys::subject::INSERT`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text for SQLite, with `?1` parameters.
    pub(crate) const fn sqlite(&self) -> &'static str {
        self.sqlite
    }

    /// The text for PostgreSQL, with `$1` parameters.
    pub(crate) const fn postgres(&self) -> &'static str {
        self.postgres
    }

    /// Every statement of the running program.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }
}

/// Turns `$1` into `?1` outside of quotes. SQLite reads `$1` as a *name* and numbers names by first
/// appearance, so that `… $2 … $1` would swap its parameters. Both spellings have the same length,
/// which lets this run at compile time.
#[doc(hidden)]
pub const fn rewrite<const N: usize>(text: &str) -> [u8; N] {
    let from = text.as_bytes();
    assert!(from.len() == N, "the array is as long as the text");
    let mut to = [0; N];
    let (mut i, mut quote) = (0, 0);
    while i < N {
        let byte = from[i];
        if quote != 0 {
            if byte == quote {
                quote = 0;
            }
        } else if byte == b'\'' || byte == b'"' {
            quote = byte;
        }
        let digit_follows = i + 1 < N && from[i + 1].is_ascii_digit();
        to[i] = if quote == 0 && byte == b'$' && digit_follows { b'?' } else { byte };
        i += 1;
    }
    to
}

/// The text that [`rewrite`] made, as a string again.
#[doc(hidden)]
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("replacing ASCII by ASCII keeps UTF-8"),
    }
}

/// Declares statements as constants of type [`Sql`] and registers them for the test that prepares
/// every statement on both databases.
///
/// ```
/// store::sql! {
///     /// The names of all jobs that wait.
///     pub(crate) WAITING = "SELECT kind FROM job WHERE state = $1";
///     /// A true difference between the databases is spelled out.
///     NOW = sqlite "SELECT 1", postgres "SELECT 1::bigint";
/// }
/// # assert!(WAITING.name().ends_with("WAITING") && NOW.name().ends_with("NOW"));
/// ```
#[macro_export]
macro_rules! sql {
    () => {};
    ($(#[$doc:meta])* $vis:vis $name:ident = sqlite $sqlite:expr, postgres $postgres:expr; $($rest:tt)*) => {
        $(#[$doc])*
        $vis const $name: $crate::Sql = {
            const TEXT: &str = $sqlite;
            const BYTES: [u8; TEXT.len()] = $crate::rewrite::<{ TEXT.len() }>(TEXT);
            $crate::Sql::new(concat!(module_path!(), "::", stringify!($name)), $crate::text(&BYTES), $postgres)
        };
        $crate::inventory::submit! { $name }
        $crate::sql! { $($rest)* }
    };
    ($(#[$doc:meta])* $vis:vis $name:ident = $text:expr; $($rest:tt)*) => {
        $crate::sql! { $(#[$doc])* $vis $name = sqlite $text, postgres $text; }
        $crate::sql! { $($rest)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_rewritten_outside_of_quotes_only() {
        const TEXT: &str = "SELECT '$1', \"$2\", $12, 'it''s $3', $ FROM t WHERE a=$4";
        let bytes = rewrite::<{ TEXT.len() }>(TEXT);
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "SELECT '$1', \"$2\", ?12, 'it''s $3', $ FROM t WHERE a=?4"
        );
    }
}
