//! Every bound of the server in one place. What a peer can make the server hold follows from these numbers alone.

use std::time::Duration;

/// Connections at a time. Further ones wait in the kernel's backlog until one ends.
pub const CONNECTIONS: usize = 10_240;
/// Files that the server opens besides connections, generously: the store, an HSM's module, what listens.
pub const OTHER_FILES: u64 = 256;
/// Requests of one connection that are worked on or whose answers are not written yet. The reader waits for a free
/// place before it reads on, so a client that sends more is slowed down by TCP.
pub const IN_FLIGHT: u32 = 64;
/// Bytes of one connection in flight: of a request until it has run, of its answer from then on.
pub const IN_FLIGHT_BYTES: u32 = 32 << 20;
/// Requests and answers above this size count against [`LARGE_BYTES`], others against [`SMALL_BYTES`].
pub const LARGE: u32 = 64 << 10;
/// Bytes of large requests and answers in flight on all connections together.
pub const LARGE_BYTES: u32 = 256 << 20;
/// Bytes of small requests and answers in flight on all connections together.
pub const SMALL_BYTES: u32 = 128 << 20;
/// What a request or answer counts at least, for what the server keeps around it.
pub const LEAST: u32 = 4 << 10;
/// One tenant's part of [`LARGE_BYTES`]: half, so that none alone leaves nothing to the others.
pub const TENANT_LARGE_BYTES: u32 = LARGE_BYTES / 2;
/// One tenant's part of [`SMALL_BYTES`].
pub const TENANT_SMALL_BYTES: u32 = SMALL_BYTES / 2;
/// One tenant's part of [`ALL_STREAMS`].
pub const TENANT_STREAMS: usize = ALL_STREAMS / 2;
/// Streams of one connection at a time; one that has failed counts until its client has ended it, too.
pub const STREAMS: u32 = 8;
/// Streams of all connections at a time. Each holds four windows at most; further ones wait.
pub const ALL_STREAMS: usize = 128;
/// Bytes that a peer may send on a stream ahead of the server's work, and that may wait to be written to it.
pub const STREAM_WINDOW: u32 = 512 << 10;
/// The largest payload of PING.
pub const PING: u32 = 64;

/// PKCS#11 applications of one credential at a time, connected or not. A host is one, and each of its forks that uses
/// keys. When there are more, those go that were left longest ago.
pub const APPLICATIONS: usize = 256;
/// The same of all credentials.
pub const ALL_APPLICATIONS: usize = 2048;
/// Bytes that the session objects of one application may take; each counts 4096 besides its attributes and its value.
pub const SESSION_OBJECTS: usize = 16 << 20;
/// The same of one credential.
pub const CREDENTIAL_SESSION_OBJECTS: usize = 64 << 20;
/// The same of all credentials.
pub const ALL_SESSION_OBJECTS: usize = 256 << 20;
/// How long an application that nobody is connected to waits for its host.
pub const APPLICATION_LINGER: Duration = Duration::from_secs(60);

/// Connections of HTTP at a time.
pub const HTTP_CONNECTIONS: usize = 2048;
/// For the head of a request of HTTP to come, the time of rest before it included.
pub const HTTP_HEAD: Duration = Duration::from_secs(60);
/// For a body to come, besides the time that [`LARGE_RATE`] gives it.
pub const HTTP_BODY: Duration = Duration::from_secs(10);
/// Octets that say to be longer are worked on as a stream: what is made of so many can be given back in one piece.
pub const HTTP_WHOLE: u64 = 8 << 20;
/// Bytes of a head of HTTP.
pub const HTTP_BUFFER: usize = 64 << 10;

/// Connections at a time of the listener for metrics alone, how long each lasts at most, and bytes of its heads.
pub const METRICS_CONNECTIONS: usize = 64;
/// See [`METRICS_CONNECTIONS`].
pub const METRICS: Duration = Duration::from_secs(600);
/// See [`METRICS_CONNECTIONS`].
pub const METRICS_BUFFER: usize = 16 << 10;

/// For the TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the handshake to a complete HELLO.
pub const HELLO: Duration = Duration::from_secs(10);
/// For a header, and again for its payload up to [`LARGE`] bytes, once the first byte has come.
pub const FRAME: Duration = Duration::from_secs(60);
/// For the payload of a large request to begin, and the bytes a second that must follow: until it is whole it keeps
/// others from [`LARGE_BYTES`]. The largest one takes 69 s at this rate.
pub const LARGE_START: Duration = Duration::from_secs(5);
/// See [`LARGE_START`].
pub const LARGE_RATE: u32 = 256 << 10;
/// For the requests of one connection that have come together and are answered at once, before others are looked at.
pub const TURN: Duration = Duration::from_millis(1);
/// Without a frame and with nothing in flight.
pub const IDLE: Duration = Duration::from_secs(600);
/// A stream that waits for its peer.
pub const STREAM_IDLE: Duration = Duration::from_secs(600);
/// The whole life of a connection whose token is not known to be right, so that nobody can fill the server with
/// strangers: none was given, or the store is sealed and none can be checked.
pub const STRANGER: Duration = Duration::from_secs(30);
/// For the peer to take one frame of ours.
pub const WRITE: Duration = Duration::from_secs(60);
/// From SIGTERM to the end, whatever is still in flight then.
pub const DRAIN: Duration = Duration::from_secs(10);
/// And from then on for an HSM that is being asked.
pub const ROOT_END: Duration = Duration::from_secs(5);
/// And for calls of the store that are under way.
pub const CLOSE: Duration = Duration::from_secs(5);
/// How long a refused peer is still listened to, so that our last frame reaches it before the connection is reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a credential that was right is taken as right while no credential is changed: when one is over by its own
/// time, open connections learn it so much later at most.
pub const RECHECK: Duration = Duration::from_secs(60);
/// How long a wrong token waits for its refusal.
pub const WRONG_TOKEN: Duration = Duration::from_millis(250);
/// Wrong credentials of one address that cost no waiting.
pub const WRONG_FREE: u32 = 10;
/// How long the next one locks its address out; each further one twice as long.
pub const WRONG_FIRST: Duration = Duration::from_secs(1);
/// The longest lock-out.
pub const WRONG_LONGEST: Duration = Duration::from_secs(300);
/// After so long without another one, wrong credentials are forgotten.
pub const WRONG_FORGOTTEN: Duration = Duration::from_secs(3600);
/// Addresses whose wrong credentials are remembered; those that were wrong longest ago go first.
pub const SOURCES: usize = 16_384;
/// How many refusals a second of those who are nobody here, from one address, are written into the audit log.
pub const STRANGERS: u32 = 50;
/// Identities whose requests are counted, as far as they are idle.
pub const IDENTITIES: usize = 4096;
/// For the operations of one batch: what has not begun by then is not begun.
pub const BATCH: Duration = Duration::from_secs(10);
/// How long an answer waits for its line in the audit log, and the end of the server for the last lines.
pub const AUDIT: Duration = Duration::from_secs(5);
/// Between two looks for keys whose rotation or destruction is due.
pub const DUE: Duration = Duration::from_secs(1);
/// From the server's start to the first comparison of all rows with their accumulators, and between two of them unless canis.toml says
/// otherwise.
pub const ROWS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(6 * 60 * 60));
/// Between two writings of the counts of uses.
pub const USES: Duration = Duration::from_secs(5);
/// Between two looks for the HSM of an open store that is to be sealed when it is gone, at most.
pub const ROOT_CHECK: Duration = Duration::from_secs(60);
/// Between two looks whether the HSM is to take note of the store's commits.
pub const ANCHOR: Duration = Duration::from_secs(1);
/// And before it is asked again when it did not.
pub const ANCHOR_RETRY: Duration = Duration::from_secs(60);
/// Between two tries to reach an absent root: the first, and the longest.
pub const UNSEAL_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
