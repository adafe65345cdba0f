//! The `fortissimo` program as a library: configuration, wiring, workers, the operations listener and the commands.

pub mod config;
