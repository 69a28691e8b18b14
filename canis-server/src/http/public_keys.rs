//! `/v1/jwks/<name>`: the public keys of a key's versions as a JWK Set (RFC 7517, section 5), for those who verify.

use super::answer::{Answer, Asker, document};
use crate::session::Session;
use canis_core::format::public;
use canis_proto::answer::{KeyInfo, PublicKeyInfo};
use canis_proto::message::decode_answer;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, OperationId, Result};
use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tokio::time::Instant;

/// The set of one key: every version whose signatures are still accepted.
pub(crate) async fn answer(asker: &Asker, session: &Arc<Session>, name: &str) -> Result<Answer> {
    let name = percent_decode_str(name).decode_utf8().map_err(|_| Error::invalid("the path is not UTF-8"))?;
    let args = || Map::new().with("name", Value::Text(name.to_string().into()));
    let shown = asker.ask(session, OperationId::ShowKey, &args(), None, Instant::now()).await?;
    let key: KeyInfo = decode_answer(&shown)?;
    let mut keys = Vec::new();
    let least = key.min_decryption_version.max(key.oldest_version);
    for version in key.versions.iter().map(|info| info.version).filter(|version| *version >= least) {
        let args = args().with("version", version);
        let public = asker.ask(session, OperationId::PublicKey, &args, None, Instant::now()).await?;
        let public: PublicKeyInfo = decode_answer(&public)?;
        let text = public::to_jwk(&public.spki, &format!("{}:{version}", public.name))?;
        let jwk: Json = serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))?;
        keys.push(jwk);
    }
    Ok(document(StatusCode::OK, json!({"keys": keys})))
}
