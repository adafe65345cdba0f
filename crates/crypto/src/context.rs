//! What a ciphertext belongs to, as bytes that every encryption and decryption agrees on.

/// Where a sealed value lives and whose it is. Built from stored identity facts only: nothing that changes
/// (times, tiers, names), nothing secret. The same context must be given to open what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// The deployment's own random id.
    pub deployment: &'a [u8; 16],
    /// What kind of thing is sealed.
    pub kind: ContextKind,
    /// The table, bucket or file family.
    pub table: &'a str,
    /// The column or part.
    pub column: &'a str,
    /// The row's or object's id.
    pub row: &'a [u8],
    /// The person or project whose key seals it; empty for system values.
    pub subject: &'a [u8],
}

/// What is sealed; values of one kind never open as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextKind {
    /// A column's value.
    Field,
    /// A stored file.
    Object,
    /// A backup.
    Backup,
    /// A token or cookie.
    Token,
    /// A wrapped key.
    Key,
}

impl ContextKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Object => "object",
            Self::Backup => "backup",
            Self::Token => "token",
            Self::Key => "key",
        }
    }
}

impl Context<'_> {
    /// The domain-separated, length-prefixed list in the fixed order product/version, deployment, kind,
    /// table, column, row, subject. No two different contexts give the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            7 * 4 + 32 + self.table.len() + self.column.len() + self.row.len() + self.subject.len(),
        );
        self.encode_into(&mut out);
        out
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let parts: [&[u8]; 7] = [
            b"fortissimo/v1",
            self.deployment,
            self.kind.name().as_bytes(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row,
            self.subject,
        ];
        for part in parts {
            push_part(out, part);
        }
    }
}

/// Appends `part` with its length as four big-endian bytes before it.
pub(crate) fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("names and ids of ours are far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part);
}

/// Names the key that made a record, so that a reader knows which to fetch; an opaque random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_parts_changes_the_encoding() {
        let context = |table, column| Context {
            deployment: &[7; 16],
            kind: ContextKind::Field,
            table,
            column,
            row: b"r",
            subject: b"",
        };
        assert_ne!(context("ab", "c").encode(), context("a", "bc").encode());
        assert_ne!(context("", "ab").encode(), context("ab", "").encode());
    }

    #[test]
    fn the_encoding_is_pinned() {
        let context = Context {
            deployment: &[1; 16],
            kind: ContextKind::Key,
            table: "t",
            column: "c",
            row: &[2],
            subject: &[3, 4],
        };
        assert_eq!(
            hex::encode(context.encode()),
            "0000000d666f7274697373696d6f2f763100000010010101010101010101010101010101010000000\
             36b65790000000174000000016300000001020000000203 04"
                .replace(' ', "")
        );
    }
}
