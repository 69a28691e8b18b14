//! The way in for `fuzz/`: requests and connections without sockets and TLS. Compiled for it (`--cfg fuzzing`) and for
//! tests only.

use crate::dispatch;
use crate::listener::Server;
use crate::session::{Credential, Peer, Session};
use crate::tls::Tls;
use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::policy::Source;
use canis_core::root::Credential as Root;
use canis_core::secret::SecretBytes;
use canis_core::store::at_hand::AtHand;
use canis_core::{Core, Origin, default_provider};
use canis_proto::credential::CreateCredential;
use canis_proto::frame::{FrameType, frame};
use canis_proto::message::{ClientHello, CreateKey, decode_request};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, KeyType, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// A server without a door to the network, and a bearer who may use its keys.
pub struct Door {
    pub(crate) server: Arc<Server>,
    pub(crate) token: Zeroizing<String>,
    _drain: watch::Sender<bool>,
}

/// Whoever has this credential, come by the network.
pub(crate) fn peer(credential: Credential) -> Peer {
    let source = Source::Network(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Peer { credential, origin: Origin { door: canis_core::Door::Canisp, source, user: None } }
}

/// What the bearer may not: make keys or let any in, which takes seconds for some types, and write the store.
const USER: [Capability; 7] = [
    Capability::Read,
    Capability::List,
    Capability::Encrypt,
    Capability::Decrypt,
    Capability::Sign,
    Capability::Verify,
    Capability::Export,
];

impl Door {
    /// Opens the data directory, which a key file with `root` in it unseals, and makes the keys `a`, `b`, `c` and `d`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn new(dir: &Path, root: &[u8]) -> Result<Self> {
        let dir = DataDir::new(dir);
        let core =
            Core::open(Arc::new(AtHand(dir.open_store()?)), default_provider(), Arc::new(SystemClock))?;
        core.unseal(&Root::Keyfile(SecretBytes::copied_from(root)))?;
        let administrator = core.administrator()?;
        let kinds = [KeyType::Aes256, KeyType::Ed25519, KeyType::EcdsaP256, KeyType::Generic];
        for (name, kind) in ["a", "b", "c", "d"].into_iter().zip(kinds) {
            core.call(&administrator, CreateKey::new(name, kind))?;
        }
        let capabilities = USER.into_iter().fold(Capabilities::NONE, Capabilities::with);
        let made = core.call(&administrator, CreateCredential::new(capabilities))?;
        let token = made.token.clone().ok_or_else(|| Error::internal("a bearer without a token"))?;
        let (drain, drained) = watch::channel(false);
        let server = Arc::new(Server::new(Arc::new(core), Tls::new(dir, None)?, None, drained));
        Ok(Door { server, token: Zeroizing::new(token), _drain: drain })
    }

    /// A whole frame: the HELLO of the bearer.
    #[must_use]
    pub fn hello(&self) -> Vec<u8> {
        let hello = ClientHello { token: Some(self.token.as_str().into()), ..ClientHello::default() };
        frame(FrameType::Hello, 0, &hello.encode())
    }

    /// Answers the payload of a REQUEST to a stranger and to the bearer.
    ///
    /// # Panics
    /// If the answer to either is an error of the server itself.
    pub fn request(&self, payload: &[u8]) {
        let token = SecretBytes::copied_from(self.token.as_bytes());
        for credential in [Credential::None, Credential::Token(token, None)] {
            let session = Session::new(peer(credential));
            let answer = decode_request(payload)
                .and_then(|asked| dispatch::answer(&self.server.core, &session, asked));
            assert!(answer.map_or_else(|error| error.code != ErrorCode::Internal, |_| true));
        }
    }

    /// Serves a connection until it ends.
    pub fn converse<S>(&self, stream: S) -> impl Future<Output = String> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        crate::connection::converse(Arc::clone(&self.server), stream, peer(Credential::None), None)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use canis_core::root::NewRoot;
    use canis_core::setup;
    use canis_proto::frame::{HEADER, Header, MAX_PAYLOAD};
    use rcgen::{CertificateParams, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The frames of docs/canisp.md.
    const FRAMES: &str = include_str!("../../tests/vectors/canisp.json");

    /// One over a store that it makes.
    pub(crate) fn door(path: &Path) -> Door {
        let dir = DataDir::new(path);
        let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&[9; 32]) };
        setup::create(&dir, root, &[], default_provider(), Arc::new(SystemClock)).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key);
        std::fs::write(dir.cert_path(), certificate.unwrap().pem()).unwrap();
        std::fs::write(dir.key_path(), key.serialize_pem()).unwrap();
        Door::new(path, &[9; 32]).unwrap()
    }

    fn frames() -> Vec<Vec<u8>> {
        let hex = FRAMES.lines().filter(|line| !line.contains("\"s1")).filter_map(|line| {
            line.split_once("\"frame\": \"").and_then(|(_, rest)| rest.split_once('"')).map(|(hex, _)| hex)
        });
        let bytes = |hex: &str| {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        hex.map(bytes).collect()
    }

    /// R81: each frame of the document alone, behind a HELLO, and cut in its middle: the connection comes to an end, and
    /// all that the server says is frames. What the fuzz targets start from.
    #[tokio::test(start_paused = true)]
    async fn every_example_is_served_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let door = door(folder.path());
        let frames = frames();
        assert!(frames.len() > 80, "{} frames", frames.len());
        for frame in &frames {
            door.request(&frame[HEADER.min(frame.len())..]);
            let cut = &frame[..frame.len() - frame.len() / 3];
            for sent in
                [frame.clone(), [&door.hello()[..], frame].concat(), [&door.hello()[..], cut].concat()]
            {
                let (mut peer, ours) = tokio::io::duplex(1 << 16);
                let serving = tokio::spawn(door.converse(ours));
                peer.write_all(&sent).await.unwrap();
                peer.shutdown().await.unwrap();
                let mut said = Vec::new();
                peer.read_to_end(&mut said).await.unwrap();
                serving.await.unwrap();
                let mut rest = said.as_slice();
                while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
                    let header = Header::decode(header, MAX_PAYLOAD).unwrap();
                    rest = &behind[header.length as usize..];
                }
                assert!(rest.is_empty(), "half a frame came");
            }
        }
    }
}
