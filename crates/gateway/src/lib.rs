//! Listeners, TLS, upstream pool, proxying, WebSocket.
//!
//! Two halves around the pipeline of `guard`. [`Listener`] is in front: it turns what comes from the network into
//! requests, and answers by itself what is not a request. [`Forward`] is behind: it carries a request that
//! passed every stage to its upstream, and the response back. Both stream; neither holds a body.
//!
//! ```no_run
//! use gateway::{Forward, Guarded, ListenConfig, Listener, Shutdown, UpstreamConfig};
//! # async fn example(guard: guard::Guard, clock: base::Clock, entropy: base::Entropy) -> Result<(), Box<dyn std::error::Error>> {
//! let shutdown = Shutdown::new();
//! let service = Forward::new(guard.routes(), &UpstreamConfig::default(), &shutdown)?;
//! let listener = Listener::bind(ListenConfig::plain("127.0.0.1:8080".parse()?)).await?;
//! tokio::spawn(listener.serve(Guarded { guard, service }, clock, entropy, shutdown.clone()));
//! // … until the end:
//! shutdown.drain(std::time::Duration::from_secs(30)).await;
//! # Ok(()) }
//! ```
//!
//! This crate decides nothing about who may do what, keeps no state about clients, and reads neither files (but
//! certificates) nor the environment.

mod answer;
mod busy_poll;
mod connection;
pub mod example;
mod fields;
mod handler;
mod lanes;
mod limits;
mod listen;
mod patience;
mod round_trip;
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
