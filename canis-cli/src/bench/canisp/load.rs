//! The client: one thread, requests made beforehand, answers counted and timed.

use super::plan::{Ask, Load, Sample};
use super::processor;
use canis_proto::frame::{FrameType, HEADER, Header, MAX_PAYLOAD, frame};
use canis_proto::message::{ClientHello, decode_error};
use canis_proto::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

/// Bytes that are read at once.
const TOGETHER: usize = 64 << 10;
/// The largest answer by HTTP.
const MOST_HTTP: usize = 1 << 20;

/// What all connections share.
#[derive(Default)]
struct Tally {
    counting: Cell<bool>,
    over: Cell<bool>,
    /// From question to answer, in nanoseconds.
    took: RefCell<Vec<u32>>,
    /// Bytes of an answer's body, by HTTP.
    length: Cell<usize>,
}

impl Tally {
    /// An answer came.
    fn answered(&self, asked: Instant, now: Instant) {
        if self.counting.get() {
            let nanoseconds = now.duration_since(asked).as_nanos();
            self.took.borrow_mut().push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
        }
    }
}

/// Asks as the plan says.
pub(in crate::bench) fn run(plan: &Load) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    LocalSet::new().block_on(&runtime, measure(plan))
}

fn broken(error: io::Error) -> Error {
    Error::invalid(format!("the connection to the server that is measured: {error}"))
}

async fn measure(plan: &Load) -> Result<Sample> {
    let tally = Rc::<Tally>::default();
    let mut clients = tokio::task::JoinSet::new();
    match &plan.ask {
        Ask::Canisp { ca, token, payload } => {
            let connector = connector(ca, canis_proto::frame::ALPN)?;
            let request: Rc<[u8]> = frame(FrameType::Request, 0, payload).into();
            for _ in 0..plan.shape.connections {
                let stream = greet(plan, &connector, token).await.map_err(broken)?;
                clients.spawn_local(frames(stream, Rc::clone(&request), plan.shape.depth, Rc::clone(&tally)));
            }
        }
        Ask::Http { ca, request } => {
            let connector = ca.as_deref().map(|ca| connector(ca, b"http/1.1")).transpose()?;
            let request: Rc<[u8]> = request.as_slice().into();
            for _ in 0..plan.shape.connections {
                let (stream, request, tally) =
                    (dial(plan).await.map_err(broken)?, Rc::clone(&request), Rc::clone(&tally));
                match &connector {
                    None => clients.spawn_local(http(stream, request, tally)),
                    Some(connector) => {
                        let server = ServerName::from(plan.addr.ip());
                        let stream = connector.connect(server, stream).await.map_err(broken)?;
                        clients.spawn_local(http(stream, request, tally))
                    }
                };
            }
        }
    }
    let watch = tokio::task::spawn_local(watch(plan.pid, plan.warm, plan.run, Rc::clone(&tally)));
    while let Some(ended) = clients.join_next().await {
        ended.map_err(|_| Error::internal("a connection of the client ended early"))??;
    }
    let (seconds, server, client) =
        watch.await.map_err(|_| Error::internal("the client's clock stopped"))??;
    let mut took = tally.took.take();
    took.sort_unstable();
    let at = |part: usize| f64::from(took.get(took.len() * part / 100).copied().unwrap_or_default()) / 1e3;
    let length = tally.length.get();
    Ok(Sample { answers: took.len() as u64, seconds, p50: at(50), p99: at(99), server, client, length })
}

/// Counts for `run`, after `warm`; gives how long that was, and the work of server and client.
async fn watch(pid: u32, warm: Duration, run: Duration, tally: Rc<Tally>) -> Result<(f64, f64, f64)> {
    let work = || Ok::<_, Error>((processor::worked(pid)?, processor::worked(std::process::id())?));
    tokio::time::sleep(warm).await;
    let (begin, before) = (Instant::now(), work()?);
    tally.counting.set(true);
    tokio::time::sleep(run).await;
    tally.counting.set(false);
    let (seconds, after) = (begin.elapsed().as_secs_f64(), work()?);
    tally.over.set(true);
    Ok((seconds, after.0 - before.0, after.1 - before.1))
}

fn connector(ca: &Path, alpn: &[u8]) -> Result<TlsConnector> {
    let failed = |why: &dyn std::fmt::Display| Error::invalid(format!("the client's TLS: {why}"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| failed(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn dial(plan: &Load) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(plan.addr).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// A connection on which HELLO was said.
async fn greet(
    plan: &Load,
    connector: &TlsConnector,
    token: &str,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut stream = connector.connect(ServerName::from(plan.addr.ip()), dial(plan).await?).await?;
    let hello = ClientHello {
        client: Cow::Borrowed("canis-bench"),
        token: Some(Cow::Borrowed(token)),
        application: None,
    };
    stream.write_all(&frame(FrameType::Hello, 0, &hello.encode())).await?;
    stream.flush().await?;
    let mut head = [0; HEADER];
    stream.read_exact(&mut head).await?;
    let header = Header::decode(&head, MAX_PAYLOAD).map_err(io::Error::other)?;
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload).await?;
    match header.kind {
        FrameType::Hello => Ok(stream),
        _ => Err(io::Error::other(decode_error(&payload))),
    }
}

/// Keeps `depth` requests in flight; those that may follow what came at once go out together.
async fn frames<S>(mut stream: S, request: Rc<[u8]>, depth: u32, tally: Rc<Tally>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut asked = vec![Instant::now(); depth as usize + 1];
    let (mut input, mut output) = (Vec::with_capacity(TOGETHER), Vec::with_capacity(TOGETHER));
    (1..=depth).for_each(|id| ask(&request, id, &mut output));
    loop {
        stream.write_all(&output).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        output.clear();
        if stream.read_buf(&mut input).await.map_err(broken)? == 0 {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        if tally.over.get() {
            return Ok(());
        }
        let (now, mut taken) = (Instant::now(), 0);
        while let Some((header, payload)) = whole(&input[taken..])? {
            if header.kind != FrameType::Response {
                return Err(decode_error(payload));
            }
            taken += HEADER + payload.len();
            if let Some(asked) = asked.get_mut(header.request as usize) {
                tally.answered(*asked, now);
                *asked = now;
            }
            ask(&request, header.request, &mut output);
        }
        input.drain(..taken);
    }
}

/// Appends the request under an id of its own, which stands behind the first four bytes.
fn ask(request: &[u8], id: u32, output: &mut Vec<u8>) {
    let (before, after) = request.split_at(4);
    output.extend_from_slice(before);
    output.extend_from_slice(&id.to_be_bytes());
    output.extend_from_slice(&after[4..]);
}

fn whole(input: &[u8]) -> Result<Option<(Header, &[u8])>> {
    let Some((head, rest)) = input.split_first_chunk::<HEADER>() else { return Ok(None) };
    let header = Header::decode(head, MAX_PAYLOAD)?;
    Ok(rest.get(..header.length as usize).map(|payload| (header, payload)))
}

/// One request after the other.
async fn http<S>(mut stream: S, request: Rc<[u8]>, tally: Rc<Tally>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Vec::with_capacity(TOGETHER);
    while !tally.over.get() {
        let asked = Instant::now();
        stream.write_all(&request).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        input.clear();
        let length = loop {
            if let Some(length) = whole_body(&input)? {
                break length;
            }
            if input.len() > MOST_HTTP || stream.read_buf(&mut input).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
        };
        tally.length.set(length);
        tally.answered(asked, Instant::now());
    }
    Ok(())
}

/// The length of an answer's body if it has come to its end, which `Content-Length` tells, or the last chunk (RFC 9112,
/// sections 6.2 and 7.1).
fn whole_body(input: &[u8]) -> Result<Option<usize>> {
    let Some(head) = input.windows(4).position(|part| part == b"\r\n\r\n") else { return Ok(None) };
    let (text, body) = (String::from_utf8_lossy(&input[..head]), &input[head + 4..]);
    if !text.starts_with("HTTP/1.1 200") {
        return Err(Error::invalid(format!("the server answered {}", String::from_utf8_lossy(input))));
    }
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    if field("transfer-encoding").is_some() {
        return Ok(body.ends_with(b"\r\n0\r\n\r\n").then_some(body.len()));
    }
    let length = field("content-length").and_then(|length| length.parse().ok());
    let length = length.ok_or_else(|| Error::invalid("the server does not say how long its answer is"))?;
    Ok((body.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_get_their_ids() {
        let mut output = Vec::new();
        ask(&frame(FrameType::Request, 0, b"xyz"), 7, &mut output);
        assert_eq!(output, frame(FrameType::Request, 7, b"xyz"));
        let (header, payload) = whole(&output).unwrap().unwrap();
        assert_eq!((header.request, payload), (7, &b"xyz"[..]));
        assert!(whole(&output[..14]).unwrap().is_none());
    }

    #[test]
    fn answers_by_http_end() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-LENGTH: 3\r\n\r\nxyz";
        assert_eq!(whole_body(answer).unwrap(), Some(3));
        (0..answer.len()).for_each(|len| assert_eq!(whole_body(&answer[..len]).unwrap(), None));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n";
        assert!(whole_body(chunks).unwrap().is_some());
        assert_eq!(whole_body(&chunks[..chunks.len() - 1]).unwrap(), None);
        assert!(whole_body(b"HTTP/1.1 403 Forbidden\r\n\r\n").is_err());
    }
}
