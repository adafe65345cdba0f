//! Test support: the real program on a temporary folder, plain clients, outside servers.
//!
//! Nothing here imitates the product: the binary is the one that ships, mail is what it wrote, SMTP and
//! browsers are real. What a test needs from outside is named by `cargo xtask test` in the environment;
//! in CI its absence is a failure.

mod client;
mod mail;
mod outside;
mod postgres;
mod program;

pub use client::{Answer, Client, raw};
pub use mail::{code_in, wait_for_mail};
pub use outside::{Service, chromium, node, node_modules, python, test_tool};
pub use postgres::PostgresDatabase;
pub use program::{ARTIST_PASSWORD, Program, Settings, free_port};
