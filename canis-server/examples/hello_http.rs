//! The ceiling of `scripts/bench http`: HTTPS by the same libraries as the server's, in the same runtime, that reads each body and
//! answers the same bytes. No framework: axum would stand on hyper, too, and only cost more.
//!
//!   hello_http CERTIFICATE KEY LENGTH      says where it listens, and serves until it is killed

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [certificate, key, length] = &arguments[..] else { return Err("CERTIFICATE KEY LENGTH".into()) };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (acceptor, answer) = (TlsAcceptor::from(Arc::new(config)), Bytes::from(vec![b' '; length.parse()?]));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (tcp, _) = listener.accept().await?;
            // A client that goes away ends its own connection only.
            tokio::spawn(serve(acceptor.clone(), tcp, answer.clone()));
        }
    })
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream, answer: Bytes) -> Result<(), Failure> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.accept(tcp).await?;
    let hello = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            request.into_body().collect().await?;
            let mut response = Response::new(Full::new(answer));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok::<_, hyper::Error>(response)
        }
    });
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), hello).await
}
