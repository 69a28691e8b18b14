//! The ways by which connections come in, and who stands at the other end of each before he has said a word.

use crate::connection::converse;
use crate::handshake::handshake;
use crate::listener::Server;
use crate::local;
use crate::session::{Credential, Peer};
use canis_core::policy::Source;
use canis_core::{Door, Origin};
use canis_proto::frame::ALPN;
use canis_proto::{Error, ErrorCode};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::{TcpStream, UnixStream};

/// A connection that was accepted.
pub(crate) enum Link {
    /// By TCP, from this address; it is to speak TLS.
    Tcp(TcpStream, IpAddr),
    /// By the Unix socket of the data directory.
    Local(UnixStream),
    /// By the one for every user of the host.
    Peer(UnixStream),
}

impl Link {
    /// The door by which it came.
    pub(crate) fn door(&self) -> Door {
        match self {
            Link::Tcp(..) => Door::Canisp,
            Link::Local(_) | Link::Peer(_) => Door::Socket,
        }
    }
}

/// Serves one accepted connection until it ends; says why it ended.
pub(crate) async fn serve(server: Arc<Server>, link: Link) -> String {
    let refused = |code, why| Some(Error::new(code, why));
    match link {
        Link::Local(stream) => {
            let peer = local::peer(&stream).ok().filter(local::administers);
            let why = "the server's socket is for its own user and root; connect by TLS with a token";
            let refusal = if peer.is_some() { None } else { refused(ErrorCode::Unauthenticated, why) };
            let user = peer.map(|peer| peer.uid);
            let origin = Origin { door: Door::Socket, source: Source::Local, user };
            converse(server, stream, Peer { credential: Credential::Administrator, origin }, refusal).await
        }
        Link::Peer(stream) => {
            let peer = local::peer(&stream);
            let refusal = peer.as_ref().err().and_then(|why| refused(ErrorCode::Unauthenticated, why));
            let user = peer.as_ref().ok().map(|peer| peer.uid);
            let origin = Origin { door: Door::Socket, source: Source::Local, user };
            let credential = peer.map_or(Credential::None, Credential::Peer);
            converse(server, stream, Peer { credential, origin }, refusal).await
        }
        Link::Tcp(tcp, address) => {
            let acceptor = server.tls.acceptor();
            let tls = match handshake(&acceptor, tcp).await {
                Ok(tls) => tls,
                Err(why) => return format!("no handshake: {why}"),
            };
            let (credential, refusal) = match acceptor.shown(tls.get_ref().1) {
                Ok(shown) => (shown.map_or(Credential::None, Credential::Certificate), None),
                Err(error) => (Credential::None, Some(error)),
            };
            let speaks_canisp = tls.get_ref().1.alpn_protocol() == Some(ALPN);
            let why = "the client did not offer ALPN `canisp/1`";
            let refusal = if speaks_canisp { refusal } else { refused(ErrorCode::ProtocolError, why) };
            let source = Source::Network(address.to_canonical());
            let origin = Origin { door: Door::Canisp, source, user: None };
            converse(server, tls, Peer { credential, origin }, refusal).await
        }
    }
}
