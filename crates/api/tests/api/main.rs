//! The API as a client meets it: through the whole pipeline, on in-memory SQLite, with a clock that the test moves.

mod access_check;
mod house;
mod life;
mod operators;
mod strictness;
