//! From a TCP connection to a TLS one.

use crate::frames::FrameReader;
use crate::limits;
use crate::tls::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// The TLS handshake, within its time.
///
/// # Errors
/// Why there was none, for the log.
pub(crate) async fn handshake(acceptor: &Acceptor, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let shake = async {
        let mut first = [0];
        if tcp.peek(&mut first).await.is_ok_and(|n| n == 1) && first[0].is_ascii_uppercase() {
            return Err(refuse_plaintext(tcp).await);
        }
        acceptor.tls.accept(tcp).await.map_err(|error| error.to_string())
    };
    timeout(limits::HANDSHAKE, shake).await.map_err(|_| "not finished in time".to_owned())?
}

/// A TLS record starts with a small number, every HTTP method with a capital letter.
async fn refuse_plaintext(mut tcp: TcpStream) -> String {
    const ANSWER: &[u8] =
        b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
        This port speaks CANISP over TLS 1.3, not plaintext.\n";
    // Whether the answer arrives is the peer's business.
    let _ = tcp.write_all(ANSWER).await;
    let _ = tcp.shutdown().await;
    let _ = timeout(limits::LINGER, FrameReader::new(tcp).discard_all()).await;
    "plaintext on the TLS port".to_owned()
}
