//! HTTP/JSON: the operations of the one table as resources under `/v1/`. This door only translates: a request becomes the
//! payload that CANISP would carry, and is allowed, run, limited and logged as that would be (ADR 0031).

mod answer;
mod body;
mod health;
mod json;
mod json_text;
mod metrics;
mod openapi;
mod outgoing;
mod path;
mod problem;
mod public_keys;
mod query;
mod routes;
mod serve;
mod streaming;
mod trace;
mod vault;
mod who;

pub(crate) use serve::accept_all;
