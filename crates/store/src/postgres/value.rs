//! Values on their way to and from PostgreSQL's binary format.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::{DbError, Row, Value};

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    // The same value fits several declared types; the statement's own declaration decides.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(int), ty) if *ty == Type::INT8 => int.to_sql(ty, out),
            (Self::Int(int), ty) if *ty == Type::INT4 => i32::try_from(*int)?.to_sql(ty, out),
            (Self::Int(int), ty) if *ty == Type::INT2 => i16::try_from(*int)?.to_sql(ty, out),
            (Self::Int(int @ (0 | 1)), ty) if *ty == Type::BOOL => (*int == 1).to_sql(ty, out),
            (Self::Real(real), ty) if *ty == Type::FLOAT8 => real.to_sql(ty, out),
            (Self::Text(text), ty) if <&str as ToSql>::accepts(ty) => text.as_str().to_sql(ty, out),
            (Self::Bytes(bytes), ty) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            (Self::Bytes(bytes), ty) if *ty == Type::UUID && bytes.len() == 16 => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            (value, ty) => Err(format!("{} does not fit a parameter of type {ty}", value.shape()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(if *ty == Type::INT8 {
            Self::Int(i64::from_sql(ty, raw)?)
        } else if *ty == Type::INT4 {
            Self::Int(i32::from_sql(ty, raw)?.into())
        } else if *ty == Type::INT2 {
            Self::Int(i16::from_sql(ty, raw)?.into())
        } else if *ty == Type::BOOL {
            Self::Int(bool::from_sql(ty, raw)?.into())
        } else if *ty == Type::BYTEA || *ty == Type::UUID {
            Self::Bytes(raw.to_vec())
        } else if *ty == Type::FLOAT8 {
            Self::Real(f64::from_sql(ty, raw)?)
        } else if *ty == Type::FLOAT4 {
            Self::Real(f32::from_sql(ty, raw)?.into())
        } else {
            Self::Text(<&str>::from_sql(ty, raw)?.to_owned())
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::BYTEA, Type::UUID, Type::FLOAT8, Type::FLOAT4]
            .contains(ty)
            || <&str as FromSql>::accepts(ty)
    }
}

/// Reads a row. A column type that the store does not know is an error that names it.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, DbError> {
    let read = |index: usize| {
        row.try_get(index).map_err(|_| DbError::Column {
            index,
            wanted: "integer, boolean, text, bytea, uuid or float8 (CAST it)",
            found: format!("of type {}", row.columns()[index].type_()),
        })
    };
    (0..row.len()).map(read).collect::<Result<_, _>>().map(Row)
}
