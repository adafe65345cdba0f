//! Constructions over aws-lc-rs: sealed envelopes, blind indexes, password hashes, tokens. Pure.
