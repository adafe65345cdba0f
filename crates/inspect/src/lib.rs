//! What a request contains, in canonical form.
//!
//! Pure: no sockets, no clock, no state. Everything here is parsed once at the border into a type that cannot be wrong;
//! the gateway routes by, and forwards, the canonical form only, so that it and the service behind it see the same.

mod escape;
mod headers;
mod host;
mod malformed;
mod target;

#[cfg(test)]
mod tests;

pub use headers::{HeadLimits, check_headers, strip_underscored};
pub use host::{Host, HostName};
pub use malformed::Malformed;
pub use target::{CanonicalTarget, TargetLimits};
