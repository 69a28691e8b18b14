//! The paths of Vault's transit engine, so that programs written for it work unchanged: `/v1/transit/…`, and what of
//! `/v1/auth/token/…` and `/v1/sys/…` such programs ask besides. A translation, as all of HTTP is: each request becomes
//! one or several operations of the one table, which are allowed, limited and logged as those are (ADR 0034).
//!
//! `routes` is the table to begin with.

mod answer;
mod ask;
mod crypt;
mod digest;
mod keys;
mod kinds;
mod params;
mod routes;
mod sign;
mod sys;
mod text;
mod token;
mod transfer;

pub(crate) use answer::{answer, is_here};
