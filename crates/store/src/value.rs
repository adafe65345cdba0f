//! What goes into statements and comes out of rows, in the five shapes both databases share.

use base::{Email, FullName, Id, Timestamp, Username};

use crate::DbError;

/// One parameter or column. Booleans are 0/1, times are milliseconds, identifiers are 16 bytes;
/// on PostgreSQL a value adapts to the parameter's declared type (`boolean`, `uuid`, `integer` …).
#[derive(Clone, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// An integer, a boolean or a time.
    Int(i64),
    /// A floating point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes or an identifier.
    Bytes(Vec<u8>),
}

impl Value {
    /// The shape's name, for error messages that must not show the content.
    pub(crate) const fn shape(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl std::fmt::Debug for Value {
    // Parameters may be personal data; a debug print of them must not leak it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shape())
    }
}

/// Parameters for a statement: `params![id, now, "text", None::<i64>]` in the order of `$1`, `$2` ….
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] as &[$crate::Value] };
}

macro_rules! from_integers { ($($t:ty),*) => { $(
    impl From<$t> for Value {
        fn from(value: $t) -> Self { Self::Int(i64::from(value)) }
    }
)* } }
from_integers!(i64, i32, i16, u32, u16, u8, bool);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_millis())
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}
impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        Self::Bytes(value.clone())
    }
}
impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
impl<K> From<Id<K>> for Value {
    fn from(value: Id<K>) -> Self {
        Self::Bytes(value.as_bytes().to_vec())
    }
}
impl<K> From<&Id<K>> for Value {
    fn from(value: &Id<K>) -> Self {
        Self::from(*value)
    }
}
impl From<&Email> for Value {
    fn from(value: &Email) -> Self {
        Self::from(value.as_str())
    }
}
impl From<&Username> for Value {
    fn from(value: &Username) -> Self {
        Self::from(value.as_str())
    }
}
impl From<&FullName> for Value {
    fn from(value: &FullName) -> Self {
        Self::from(value.as_str())
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// The column at `index`, counted from 0.
    ///
    /// # Errors
    /// [`DbError::Column`] if there is no such column or it has another shape, NULL included unless
    /// `T` is an `Option`.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, DbError> {
        let value = self.0.get(index).ok_or_else(|| DbError::Column {
            index,
            wanted: T::WANTED,
            found: "no such column".into(),
        })?;
        T::from_value(value).ok_or_else(|| DbError::Column {
            index,
            wanted: T::WANTED,
            found: value.shape().into(),
        })
    }

    /// How many columns the row has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the row has no column.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What is expected, for the error message.
    const WANTED: &'static str;
    /// The value, or `None` if the column has another shape.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    const WANTED: &'static str = "an integer";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }
}

macro_rules! narrower_integers { ($($t:ty),*) => { $(
    impl FromValue for $t {
        const WANTED: &'static str = concat!("an integer that fits ", stringify!($t));
        fn from_value(value: &Value) -> Option<Self> {
            i64::from_value(value)?.try_into().ok()
        }
    }
)* } }
narrower_integers!(i32, i16, u64, u32, u16, u8);

impl FromValue for bool {
    const WANTED: &'static str = "a boolean";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}
impl FromValue for f64 {
    const WANTED: &'static str = "a number";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(real) => Some(*real),
            _ => None,
        }
    }
}
impl FromValue for Timestamp {
    const WANTED: &'static str = "a time in milliseconds";
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self::from_millis)
    }
}
impl FromValue for String {
    const WANTED: &'static str = "text";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}
impl FromValue for Vec<u8> {
    const WANTED: &'static str = "bytes";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}
impl<const N: usize> FromValue for [u8; N] {
    const WANTED: &'static str = "bytes of a fixed length";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }
}
impl<K> FromValue for Id<K> {
    const WANTED: &'static str = "an identifier";
    fn from_value(value: &Value) -> Option<Self> {
        <[u8; 16]>::from_value(value).map(Self::from_bytes)
    }
}
impl<T: FromValue> FromValue for Option<T> {
    const WANTED: &'static str = T::WANTED;
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}
