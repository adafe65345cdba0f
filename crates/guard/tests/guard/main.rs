//! The pipeline, driven as a listener would drive it.

mod fixture;
mod identity;
mod origin;
mod output;
mod records;
mod refusals;
mod routes;
mod throttle;
