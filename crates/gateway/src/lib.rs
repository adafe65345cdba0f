//! Listeners, TLS, upstream pool, proxying, WebSocket.
//!
//! Two halves around the pipeline of `guard`. [`Listener`] is in front: it turns what comes from the network into
//! requests, and answers by itself what is not a request. [`Forward`] is behind: it carries a request that
//! passed every stage to its upstream, and the response back. Both stream; neither holds a body.
//!
//! This crate decides nothing about who may do what, keeps no state about clients, and reads neither files (but
//! certificates) nor the environment.

mod answer;
mod connection;
pub mod example;
mod fields;
mod handler;
mod limits;
mod listen;
mod shutdown;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;

pub use handler::{Guarded, Handler};
pub use limits::Limits;
pub use listen::{ListenConfig, ListenError, Listener};
pub use shutdown::{Drained, Shutdown};
pub use tls::{Tls, TlsError, TlsFiles};
pub use upstream::{Forward, HostField, UpstreamConfig, UpstreamTlsError};
