//! The promises of identity, on every database that is at hand.

mod at_rest;
mod house;
mod mail;
mod operators;
mod passwords;
mod refresh;
mod registration;
mod sessions;
mod setup;
mod sign_in;
mod tokens;
