//! From a request of Vault's surface to its answer: who asks, which row of the table, and Vault's envelope around what is
//! answered.

use super::ask::Ask;
use super::params::Params;
use super::routes::{self, Does, Route};
use super::{crypt, digest, keys, sign, sys, token, transfer};
use crate::frames::End;
use crate::http::answer::{Answer, Asker, document, empty};
use crate::http::{body, health, path, who};
use crate::wiped::Wiped;
use canis_proto::{Error, ErrorCode, Result, quote};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use tokio::time::Instant;

/// What a row of the table gives.
pub(super) enum Given {
    /// What stands in `data`.
    Data(Json),
    /// What stands in `auth`.
    Auth(Json),
    /// All of the answer, and its status.
    Bare(u16, Json),
    /// Nothing but that it was done.
    Nothing,
}

/// What all paths of this surface start with.
const PLACES: [&str; 8] = [
    "/v1/transit/",
    "/v1/auth/token/",
    "/v1/sys/health",
    "/v1/sys/seal-status",
    "/v1/sys/init",
    "/v1/sys/leader",
    "/v1/sys/mounts",
    "/v1/sys/internal/ui/mounts",
];

/// What this surface has no way to do, and must not seem to have done.
const UNKNOWN_HEADERS: [(&str, &str); 3] = [
    ("x-vault-namespace", "a token belongs to one tenant, and there are no namespaces"),
    ("x-vault-wrap-ttl", "answers are not wrapped"),
    ("x-vault-mfa", "there are no second factors"),
];

/// The path as it is meant here: programs of Vault put their paths together with one slash too many.
fn tidied(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    Cow::Owned(format!("/{}", words.join("/")))
}

/// Whether a path belongs to this surface.
pub(crate) fn is_here(path: &str) -> bool {
    let path = tidied(path);
    PLACES.iter().any(|place| match place.strip_suffix('/') {
        Some(_) => path.starts_with(place),
        None => path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    })
}

/// Answers a request of this surface.
pub(crate) async fn answer(asker: &Asker, head: &Parts, incoming: &mut Incoming) -> Answer {
    match try_answer(asker, head, incoming).await {
        Ok(answer) => answer,
        Err(error) => refusal(head.method.as_str(), &error),
    }
}

async fn try_answer(asker: &Asker, head: &Parts, incoming: &mut Incoming) -> Result<Answer> {
    for (name, why) in UNKNOWN_HEADERS {
        if head.headers.get(name).is_some_and(|value| !value.is_empty()) {
            return Err(Error::invalid(format!("`{name}` is not supported: {why}")));
        }
    }
    let (method, path) = (asked_method(head), tidied(head.uri.path()));
    let (route, argument) = match routes::find(method, &path)? {
        path::Found::Route(route, argument) => (route, argument.map(|(_, value)| value).unwrap_or_default()),
        path::Found::OtherMethods(methods) => return Ok(other_methods(&methods)),
        path::Found::Nothing => {
            let why = format!("unsupported path {}; docs/vault.md lists what there is", quote(&path));
            return Err(Error::new(ErrorCode::UnknownOperation, why));
        }
    };
    // A key that is taken out for nobody to see may have used up what others have approved.
    let takes = matches!(route.does, Does::TakeEncryptionKey | Does::TakeSigningKey | Does::TakeHmacKey);
    if takes && head.method == Method::HEAD {
        return Ok(other_methods(&["GET"]));
    }
    if route.does == Does::Health {
        return Ok(health::answer(&asker.server, head.uri.query()));
    }
    let shown = shown_token(&head.headers)?;
    let session = asker.callers.of(shown);
    if !matches!(route.does, Does::SealStatus | Does::Initialised | Does::Leader) {
        who::known(&asker.server, &session).await?;
        if !session.is_authenticated() {
            return Err(Error::new(
                ErrorCode::Unauthenticated,
                "missing client token; send it in X-Vault-Token",
            ));
        }
    }
    let length = body::announced(&head.headers, incoming)?;
    let closed = |_: End| Error::new(ErrorCode::Unavailable, "the server is stopping");
    let paid = asker.budget.pay_for(&session, length).await.map_err(closed)?;
    let arrived = Instant::now();
    let bytes = body::read(Wiped::default(), incoming, length).await?;
    let mut params = match head.method.as_str() {
        "POST" | "PUT" => Params::of_body(&bytes)?,
        _ => Params::of_query(head.uri.query())?,
    };
    drop(bytes);
    let ask = Ask::new(asker, session, route, shown, arrived);
    let given = run(&ask, route, argument, &mut params).await?;
    let answer = rendered(given, ask.partial_failure(), params);
    let size = hyper::body::Body::size_hint(answer.body()).lower() as usize;
    let _permits = asker.budget.pay_for_answer(&ask.session, paid, size).await.map_err(closed)?;
    Ok(answer)
}

fn other_methods(methods: &[&str]) -> Answer {
    let mut answer = failure(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation");
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

/// The method as the table has it.
fn asked_method(head: &Parts) -> &str {
    let listing = || {
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .any(|(name, value)| name == "list" && value == "true")
    };
    match head.method.as_str() {
        "PUT" => "POST",
        "HEAD" => "GET",
        "GET" if listing() => "LIST",
        method => method,
    }
}

/// Does what a row says.
async fn run(ask: &Ask<'_>, route: &Route, argument: String, params: &mut Params) -> Result<Given> {
    let name = argument.as_str();
    match route.does {
        Does::ListOfKeys => keys::list(ask, params).await,
        Does::ReadKey => keys::read(ask, name).await,
        Does::MakeKey => keys::make(ask, name, params).await,
        Does::DeleteKey => keys::delete(ask, name).await,
        Does::ConfigureKey => keys::configure(ask, name, params).await,
        Does::NextVersion => keys::rotate(ask, name).await,
        Does::BringKey => transfer::bring(ask, name, params).await,
        Does::BringVersion => transfer::bring_version(ask, name, params).await,
        Does::KeyToWrapBy => transfer::wrapping_key(ask).await,
        Does::TakeEncryptionKey => transfer::take(ask, name, transfer::Wanted::Encryption).await,
        Does::TakeSigningKey => transfer::take(ask, name, transfer::Wanted::Signing).await,
        Does::TakeHmacKey => transfer::take(ask, name, transfer::Wanted::Hmac).await,
        Does::TakePublicKey => transfer::take(ask, name, transfer::Wanted::Public).await,
        Does::Encryption => crypt::encrypt(ask, name, params).await,
        Does::Decryption => crypt::decrypt(ask, name, params).await,
        Does::Rewrapping => crypt::rewrap(ask, name, params).await,
        Does::DataKey => crypt::data_key(ask, name, params, true).await,
        Does::WrappedDataKey => crypt::data_key(ask, name, params, false).await,
        Does::Signature => sign::sign(ask, name, params).await,
        Does::Verification => sign::verify(ask, name, params).await,
        Does::KeyedHash => sign::hmac(ask, name, params).await,
        Does::Hash | Does::HashBy => digest::hash(ask, name, params).await,
        Does::RandomBytes | Does::SoManyRandomBytes => digest::random(ask, name, params).await,
        Does::LookUpSelf => token::look_up(ask, "").await,
        Does::RenewSelf => token::renew(ask, "").await,
        Does::RevokeSelf => token::revoke(ask, "").await,
        Does::MakeToken => token::make(ask, params).await,
        Does::LookUpAccessor => token::look_up(ask, &params.required("accessor")?).await,
        Does::RenewAccessor => token::renew(ask, &params.required("accessor")?).await,
        Does::RevokeAccessor => token::revoke(ask, &params.required("accessor")?).await,
        Does::Health => Ok(Given::Nothing),
        Does::SealStatus => sys::seal_status(ask).await,
        Does::Initialised => Ok(Given::Bare(200, json!({"initialized": true}))),
        Does::Leader => Ok(sys::leader()),
        Does::Mounts => Ok(sys::mounts()),
        Does::MountsOfUi => Ok(sys::mounts_of_ui()),
        Does::MountOfUi => sys::mount_of_ui(name),
    }
}

/// Vault's envelope; what was sent and not taken is named in it.
fn rendered(given: Given, partial_failure: Option<u16>, params: Params) -> Answer {
    let ignored = params.rest();
    let warnings = match ignored.is_empty() {
        true => Json::Null,
        false => json!([format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" "))]),
    };
    let (data, auth) = match given {
        Given::Nothing => return empty(StatusCode::NO_CONTENT),
        Given::Bare(status, json) => return document(StatusCode::from_u16(status).unwrap_or_default(), json),
        Given::Data(data) => (data, Json::Null),
        Given::Auth(auth) => (Json::Null, auth),
    };
    let status = partial_failure.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or_default();
    let envelope = json!({"request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": warnings, "auth": auth});
    document(status, envelope)
}

/// An error as Vault tells it.
fn refusal(method: &str, error: &Error) -> Answer {
    let mut answer = failure(status(method, error.code), &error.message);
    if let Some(millis) = error.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    }
    answer
}

fn failure(status: StatusCode, why: &str) -> Answer {
    document(status, json!({"errors": [why]}))
}

/// The one table of Vault's statuses: 403 for who may not, 404 for what is looked for and is not there, 400 for what else
/// cannot be right.
fn status(method: &str, code: ErrorCode) -> StatusCode {
    use ErrorCode as E;
    match code {
        E::Unauthenticated | E::PermissionDenied | E::ApprovalRequired => StatusCode::FORBIDDEN,
        E::KeyNotFound | E::KeyDestroyed | E::VersionNotFound | E::ObjectNotFound if method == "GET" => {
            StatusCode::NOT_FOUND
        }
        E::UnknownOperation => StatusCode::NOT_FOUND,
        E::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        code => match crate::http::problem::status(code) {
            own if own.is_server_error() || own == StatusCode::TOO_MANY_REQUESTS => own,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}

/// The token that a program of Vault shows, in Vault's header or as HTTP has it.
fn shown_token(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    let mut all = headers.get_all("x-vault-token").iter().map(HeaderValue::as_bytes);
    match (all.next().filter(|token| !token.is_empty()), all.next(), who::bearer(headers)?) {
        (Some(token), None, bearer) if bearer.is_none_or(|bearer| bearer == token) => Ok(Some(token)),
        (None, None, bearer) => Ok(bearer),
        _ => Err(Error::new(ErrorCode::Unauthenticated, "send one token, once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_here() {
        for path in [
            "/v1/transit/keys",
            "//v1//transit//keys/",
            "/v1/sys/health",
            "/v1/sys/mounts/",
            "/v1/auth/token/create",
        ] {
            assert!(is_here(path), "{path}");
        }
        for path in [
            "/v1/transit",
            "/v1/kms/keys",
            "/v1/sys/healthy",
            "/v1/sys/seal",
            "/v1/auth/userpass/x",
            "/v2/transit/a",
        ] {
            assert!(!is_here(path), "{path}");
        }
    }
}
