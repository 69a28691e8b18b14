//! One request: its route, who asks, what is asked, and the answer as HTTP gives it.

use super::body::{self, Form};
use super::outgoing::Outgoing;
use super::path::{self, Found};
use super::routes::Route;
use super::streaming::{self, Streamed};
use super::who::{self, Callers};
use super::{json, json_text, metrics, openapi, problem, public_keys, query, trace, vault};
use crate::asked_as::named_as;
use crate::budget::Budget;
use crate::frames::End;
use crate::listener::Server;
use crate::request;
use crate::session::Session;
use crate::wiped::Wiped;
use canis_proto::schema::arguments;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, OperationId, Result, quote};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;

/// What an answer is.
pub(crate) type Answer = Response<Outgoing>;

/// The header by which a change happens once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What is answered whoever asks, also while no credential can be checked.
const ANSWERS_STRANGERS: [OperationId; 3] =
    [OperationId::Status, OperationId::Unseal, OperationId::OperatorToken];

/// Before the name of a key whose public keys are asked for.
const JWKS: &str = "/v1/jwks/";

/// The field that counts changes, which is an entity tag here.
const REVISION: &str = "revision";

/// One connection's part in a request.
pub(crate) struct Asker {
    pub(crate) server: Arc<Server>,
    pub(crate) callers: Callers,
    pub(crate) budget: Budget,
}

impl Asker {
    /// Answers a request, whatever it is. What of its body was not read is read away, so that a client that sends first
    /// and reads then gets its answer.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let id = trace::id();
        let span = trace::span(&id, &head.headers);
        let named = trace::named(&id, &head.headers);
        let outcome = named_as(named, self.try_answer(&head, &mut body).instrument(span)).await;
        let mut answer = outcome.unwrap_or_else(|error| refusal(problem::status(error.code), &error));
        answer.headers_mut().extend(trace::header(&id).map(|id| (trace::REQUEST_ID, id)));
        self.server.metrics.answered(answer.status().as_u16());
        if head.method == Method::HEAD {
            // It has the head of the answer and nothing else (RFC 9110, section 9.3.2); hyper leaves that out for HTTP/2.
            *answer.body_mut() = Outgoing::default();
        }
        if let Some(body) = body {
            body::discard(body).await;
        }
        answer
    }

    /// Takes the body where it is a stream, which may be read when the answer has begun.
    async fn try_answer(&self, request: &Parts, body: &mut Option<Incoming>) -> Result<Answer> {
        let (method, path) = (request.method.as_str(), request.uri.path());
        if vault::is_here(path)
            && let Some(body) = body
        {
            return Ok(vault::answer(self, request, body).await);
        }
        let fixed = ["/v1/openapi.json", "/metrics"].contains(&path) || path.starts_with(JWKS);
        match (method, path) {
            (method, _) if fixed && !["GET", "HEAD"].contains(&method) => {
                return Ok(other_methods(path, &["GET", "HEAD"]));
            }
            (_, "/v1/openapi.json") => return Ok(document(StatusCode::OK, openapi::document())),
            _ => {}
        }
        if path == "/metrics" {
            return metrics::answer(self, request).await;
        }
        let session = self.callers.session(&request.headers)?;
        if let Some(name) = path.strip_prefix(JWKS) {
            who::known(&self.server, &session).await?;
            return public_keys::answer(self, &session, name).await;
        }
        match path::find(method, path)? {
            Found::Route(route, argument) => {
                if !ANSWERS_STRANGERS.contains(&route.operation) {
                    who::known(&self.server, &session).await?;
                }
                self.operation(route, argument, session, request, body).await
            }
            Found::OtherMethods(methods) => Ok(other_methods(path, &methods)),
            Found::Nothing => Err(Error::new(
                ErrorCode::UnknownOperation,
                format!("there is nothing at {}; /v1/openapi.json lists what there is", quote(path)),
            )),
        }
    }

    async fn operation(
        &self,
        route: &Route,
        argument: Option<(&'static str, String)>,
        session: Arc<Session>,
        head: &Parts,
        body: &mut Option<Incoming>,
    ) -> Result<Answer> {
        let Some(form) = body::form(&head.headers, route.operation) else {
            let taken =
                if body::raw(route.operation).is_some() { " or application/octet-stream" } else { "" };
            let error = Error::new(ErrorCode::UnsupportedFormat, format!("send {}{taken}", body::JSON));
            return Ok(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error));
        };
        let mut begun = Wiped::default();
        if let (Form::Octets(_), Some(incoming)) = (form, body.as_mut()) {
            let is_stream;
            (is_stream, begun) =
                streaming::is_stream(self, &session, route.operation, head, incoming).await?;
            if is_stream {
                let args = asked(route, argument, form, head.uri.query(), None)?;
                return self.stream(route, args, &session, head, (begun, body)).await;
            }
        }
        let Some(incoming) = body else { return Err(gone()) };
        let length = body::announced(&head.headers, incoming)?;
        let closed = |_: End| Error::new(ErrorCode::Unavailable, "the server is stopping");
        let paid = self.budget.pay_for(&session, length).await.map_err(closed)?;
        let arrived = Instant::now();
        let bytes = body::read(begun, incoming, length).await?;
        let args = asked(route, argument, form, head.uri.query(), Some(&bytes))?;
        drop(bytes);
        let (args, conditional) = precondition(route, args, &head.headers)?;
        let key = head.headers.get(IDEMPOTENCY_KEY).map(|key| Value::from(key.as_bytes().to_vec()));
        let answer = match self.ask(&session, route.operation, &args, key, arrived).await {
            Err(error) if conditional && error.code == ErrorCode::Conflict => {
                return Ok(refusal(StatusCode::PRECONDITION_FAILED, &error));
            }
            answer => answer?,
        };
        // The answer's own copies are few and short-lived: it is written as soon as the peer takes it.
        let _permits = self.budget.pay_for_answer(&session, paid, answer.len()).await.map_err(closed)?;
        rendered(route, &args, &answer, body::wants_raw(&head.headers))
    }

    /// The same of data that are a stream.
    async fn stream(
        &self,
        route: &Route,
        args: Map<'static>,
        session: &Arc<Session>,
        head: &Parts,
        (begun, body): (Wiped, &mut Option<Incoming>),
    ) -> Result<Answer> {
        let (args, _) = precondition(route, args, &head.headers)?;
        if head.headers.contains_key(IDEMPOTENCY_KEY) {
            return Err(Error::invalid("Idempotency-Key is taken by changes of keys and entries"));
        }
        let Some(incoming) = body.take() else { return Err(gone()) };
        let asked = (route.operation, args.clone());
        match streaming::answer(self, session, asked, head.version, &begun, incoming).await? {
            Streamed::Data(answer) => Ok(answer),
            Streamed::Payload(answer) => rendered(route, &args, &answer, body::wants_raw(&head.headers)),
        }
    }

    /// Asks for an operation as CANISP would, and gives its answer's payload.
    pub(crate) async fn ask(
        &self,
        session: &Arc<Session>,
        operation: OperationId,
        args: &Map<'static>,
        idempotency_key: Option<Value<'static>>,
        arrived: Instant,
    ) -> Result<Wiped> {
        let asked = Map::new().with("op", operation.row().name).with("args", Value::Map(args.clone()));
        let payload = zeroize::Zeroizing::new(asked.with_some("idempotency_key", idempotency_key).encode());
        self.ask_in(session, Wiped::from(payload), arrived).await
    }

    /// The same by a payload that is written already.
    pub(crate) async fn ask_in(
        &self,
        session: &Arc<Session>,
        payload: Wiped,
        arrived: Instant,
    ) -> Result<Wiped> {
        if let Some(done) = request::run_at_once(&self.server, session, &payload) {
            return self.server.gate.pass(done).await;
        }
        // Dropped with this future, when the client has gone: what has not begun is not begun.
        let (_here, cancelled) = oneshot::channel();
        let done = request::run(&self.server, Arc::clone(session), payload, arrived, cancelled).await;
        self.server.gate.pass(done).await
    }
}

fn gone() -> Error {
    Error::internal("the body was taken before")
}

/// The arguments of a request: one in the path, the others in the query or the body, which is none of them where it is a
/// stream.
fn asked(
    route: &Route,
    argument: Option<(&'static str, String)>,
    form: Form,
    query: Option<&str>,
    bytes: Option<&Wiped>,
) -> Result<Map<'static>> {
    let fields = arguments(route.operation);
    let given = match form {
        _ if route.takes_query() => query::arguments(fields, query)?,
        Form::Octets(_) => query::arguments(fields, query)?,
        Form::Json if query.is_some_and(|query| !query.is_empty()) => {
            return Err(Error::invalid("arguments stand in the body here, not in the query"));
        }
        Form::Json => json_text::object(bytes.map_or(&[], |bytes| bytes))?,
    };
    let mut map = json::taken(fields, given)?;
    if let (Form::Octets(raw), Some(bytes)) = (form, bytes) {
        let value = match raw.text {
            true => Value::Text(text(bytes)?.into()),
            false => Value::from(bytes.to_vec()),
        };
        map = added(map, raw.argument, value, "is the body")?;
    } else if route.takes_query() && bytes.is_some_and(|bytes| !bytes.is_empty()) {
        return Err(Error::invalid(format!("{} takes no body; arguments stand in the query", route.method)));
    }
    match argument {
        Some((name, value)) => added(map, name, Value::Text(value.into()), "stands in the path"),
        None => Ok(map),
    }
}

/// `If-Match` (RFC 9110, section 13.1.1) is the revision that is to be changed.
fn precondition(route: &Route, args: Map<'static>, headers: &HeaderMap) -> Result<(Map<'static>, bool)> {
    let Some(tag) = headers.get(IF_MATCH) else { return Ok((args, false)) };
    let revision =
        tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse::<u64>().ok());
    match revision {
        Some(revision) if arguments(route.operation).iter().any(|field| field.name == REVISION) => {
            Ok((added(args, REVISION, Value::from(revision), "is what If-Match says")?, true))
        }
        Some(_) => {
            Err(Error::invalid("If-Match is taken by changes of a key's configuration and of entries"))
        }
        None => Err(Error::invalid("If-Match takes one entity tag, as an ETag of this server")),
    }
}

fn added(
    mut map: Map<'static>,
    name: &'static str,
    value: Value<'static>,
    place: &str,
) -> Result<Map<'static>> {
    if map.take(name).is_some() {
        return Err(Error::invalid(format!("`{name}` {place} and must not stand elsewhere")));
    }
    Ok(map.with(name, value))
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map(|text| text.trim_end().to_owned());
    text.map_err(|_| Error::invalid("the body is not a ciphertext in its text form"))
}

/// An answer as it was asked for: in JSON, or its one field in octets.
fn rendered(route: &Route, args: &Map<'_>, answer: &[u8], in_octets: bool) -> Result<Answer> {
    let answer = Map::decode(answer)?;
    let status = StatusCode::from_u16(route.success()).unwrap_or_default();
    let field = in_octets.then(|| body::raw(route.operation)?.field).flatten();
    let found = field.and_then(|field| answer.iter().find(|(name, _)| *name == field));
    let octets = match found {
        Some((_, Value::Bytes(bytes))) => bytes.to_vec(),
        Some((_, Value::Text(text))) => text.as_bytes().to_vec(),
        _ => {
            let mut shown = document(status, json::given(route.operation, args, &answer));
            if let Some((_, Value::Integer(revision))) = answer.iter().find(|(name, _)| *name == REVISION)
                && let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\""))
            {
                shown.headers_mut().insert(ETAG, tag);
            }
            return Ok(shown);
        }
    };
    Ok(response(status, body::OCTETS, octets))
}

/// There is something, but it does not take this method.
fn other_methods(path: &str, methods: &[&str]) -> Answer {
    let methods = methods.join(", ");
    let error = Error::invalid(format!("{} takes {methods}", quote(path)));
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, &error);
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

/// An error that has this status.
pub(crate) fn refusal(status: StatusCode, error: &Error) -> Answer {
    let document = problem::document(status, error).to_string().into_bytes();
    let mut answer = response(status, problem::MEDIA_TYPE, document);
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(millis) = error.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    }
    answer
}

/// JSON.
pub(crate) fn document(status: StatusCode, json: Json) -> Answer {
    response(status, body::JSON, json.to_string().into_bytes())
}

/// Nothing but a status.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Outgoing::default());
    *answer.status_mut() = status;
    answer
}

/// Answers may hold secrets: nobody on the way is to keep them (RFC 9111, section 5.2.2.5).
pub(crate) fn response(status: StatusCode, media_type: &'static str, body: impl Into<Outgoing>) -> Answer {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
