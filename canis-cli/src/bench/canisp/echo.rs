//! The ceiling: a server that answers frames of CANISP over TLS 1.3 and does nothing for it. It has the runtime, the TLS
//! library and the configuration of a real one, takes as many frames as have come, and answers them with one write.

use super::plan::Echo;
use canis_proto::frame::{ALPN, FrameType, HEADER, Header, MAX_PAYLOAD, frame};
use canis_proto::message::ServerHello;
use canis_proto::{Error, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Bytes that are read at once.
const TOGETHER: usize = 64 << 10;

/// Says on stdout where it listens, and serves until it is killed.
pub(in crate::bench) fn run(plan: &Echo) -> Result<()> {
    let failed = |error: io::Error| Error::invalid(format!("the ceiling cannot be served: {error}"));
    let acceptor = acceptor(plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build().map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        println!("listening on {}", listener.local_addr().map_err(failed)?);
        let answer: Arc<[u8]> = vec![0; plan.answer].into();
        loop {
            let (tcp, _) = listener.accept().await.map_err(failed)?;
            // A client that goes away ends its own connection only.
            tokio::spawn(serve(acceptor.clone(), tcp, Arc::clone(&answer)));
        }
    })
}

fn acceptor(plan: &Echo) -> Result<TlsAcceptor> {
    let failed = |why: &dyn std::fmt::Display| Error::invalid(format!("the ceiling's TLS: {why}"));
    let chain = CertificateDer::pem_file_iter(&plan.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| failed(&e))?;
    let key = PrivateKeyDer::from_pem_file(&plan.key).map_err(|e| failed(&e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| failed(&e))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream, answer: Arc<[u8]>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = acceptor.accept(tcp).await?;
    let (mut input, mut output) = (Vec::with_capacity(TOGETHER), Vec::with_capacity(TOGETHER));
    while stream.read_buf(&mut input).await? > 0 {
        let taken = answer_all(&input, &answer, &mut output).map_err(io::Error::other)?;
        input.drain(..taken);
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
    }
    Ok(())
}

/// Answers the frames that are whole; says how many bytes they are.
fn answer_all(input: &[u8], answer: &[u8], output: &mut Vec<u8>) -> Result<usize> {
    let mut taken = 0;
    while let Some(head) = input[taken..].first_chunk::<HEADER>() {
        let Header { kind, request, length } = Header::decode(head, MAX_PAYLOAD)?;
        let whole = HEADER + length as usize;
        if input.len() - taken < whole {
            break;
        }
        taken += whole;
        match kind {
            FrameType::Hello => output.extend_from_slice(&hello()),
            _ => {
                let length = answer.len() as u32;
                output.extend_from_slice(&Header { kind: FrameType::Response, request, length }.encode());
                output.extend_from_slice(answer);
            }
        }
    }
    Ok(taken)
}

fn hello() -> Vec<u8> {
    let server = "ceiling".to_owned();
    let hello =
        ServerHello { server, max_payload: MAX_PAYLOAD, max_in_flight: 64, max_streams: 0, resumed: None };
    frame(FrameType::Hello, 0, &hello.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_are_answered() {
        let mut input = frame(FrameType::Hello, 0, b"");
        input.extend_from_slice(&frame(FrameType::Request, 7, b"anything"));
        let whole = input.len();
        input.extend_from_slice(&frame(FrameType::Request, 8, b"half")[..13]);
        let mut output = Vec::new();
        assert_eq!(answer_all(&input, b"xyz", &mut output).unwrap(), whole);
        assert_eq!(output, [hello(), frame(FrameType::Response, 7, b"xyz")].concat());
        assert!(answer_all(&[0; 12], b"", &mut output).is_err());
    }
}
