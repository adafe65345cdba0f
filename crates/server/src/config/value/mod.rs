//! Values that the configuration file writes as text and that parse into types which cannot be wrong.

mod database_url;
mod host;
mod network;
mod origin;
mod period;
mod secret_ref;
mod size;
mod vkey;

pub use database_url::DatabaseUrl;
pub use host::HostPattern;
pub use network::Network;
pub use origin::HttpOrigin;
pub use period::Period;
pub use secret_ref::SecretRef;
pub use size::Size;
pub use vkey::Vkey;

/// Gives a `FromStr<Err = String>` + `Display` type its serde and schema form: a string. The error text of
/// `FromStr` says what would be right and never repeats the value, which may be a secret in the wrong place.
macro_rules! text_value {
    ($name:ty, $schema_name:literal, $about:literal) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($about)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema_name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    };
}
use text_value;

#[cfg(test)]
mod tests;
