//! Relations over both databases.

mod at_once;
mod bad_input;
mod house;
mod lists;
mod shares;
mod things;
mod tokens;
