//! Delivery by the job worker.

/// Why a message was not delivered. Texts hold no personal data.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Try again later: the job worker's backoff decides when.
    #[error("delivery failed for now: {0}")]
    Later(String),
    /// It will never work; the message is marked as failed and the job is done.
    #[error("delivery is impossible: {0}")]
    Never(String),
}
