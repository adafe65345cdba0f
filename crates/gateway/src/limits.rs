//! Limits of the public listener, with the numbers of the contract as defaults.

use std::time::Duration;

/// What one listener lets a client do before the request reaches the pipeline. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at once; the next ones wait in the kernel's backlog.
    pub connections: usize,
    /// Longest request head (request line and fields) of HTTP/1, and longest field list of HTTP/2.
    pub head_bytes: usize,
    /// Longest request target; longer ones are answered 414.
    pub target_bytes: usize,
    /// Fields in one head; at most 128.
    pub fields: usize,
    /// Time from the first byte of a head until its end; then 408.
    pub head_timeout: Duration,
    /// Silence between two requests of one connection; then it is closed without a word.
    pub idle_timeout: Duration,
    /// Time in which a client takes nothing of what we have to send; then the connection is cut.
    pub write_stall_timeout: Duration,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Requests in flight on one HTTP/2 connection.
    pub h2_streams: u32,
    /// Interval of HTTP/2 pings; a peer that does not answer within the same time again is gone.
    pub h2_ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 64 * 1024,
            target_bytes: 8 * 1024,
            fields: 100,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            h2_streams: 128,
            h2_ping: Duration::from_secs(20),
        }
    }
}
