//! What a request contains, in canonical form.
//!
//! Pure: no sockets, no clock, no state. Everything here is parsed once at the border into a type that cannot be wrong;
//! the gateway routes by, and forwards, the canonical form only, so that it and the service behind it see the same.
//!
//! What this crate refuses to do: it repairs nothing that two programs could read differently, and it judges no content.
//!
//! ```
//! use inspect::{CanonicalTarget, Host, Malformed, TargetLimits};
//! let target = CanonicalTarget::parse("/tracks/./%7e/caf%c3%a9?q=1", &TargetLimits::default()).unwrap();
//! assert_eq!(target.path(), "/tracks/~/caf%C3%A9");
//! assert_eq!(target.segments(), ["tracks", "~", "café"]);
//! let climbs = CanonicalTarget::parse("/tracks/%2e%2e/%2e%2e/etc", &TargetLimits::default());
//! assert_eq!(climbs, Err(Malformed::Climbs));
//! assert_eq!(Host::parse("Music.Example.:8443").unwrap().to_string(), "music.example:8443");
//! ```

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
