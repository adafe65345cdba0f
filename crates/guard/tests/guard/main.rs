//! The pipeline, driven as a listener would drive it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;
mod identity;
mod origin;
mod output;
mod recall;
mod records;
mod refusals;
mod routes;
mod standing;
mod throttle;
mod vouched;
