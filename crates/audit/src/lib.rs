//! The audit trail: event catalogue, outbox, search.
