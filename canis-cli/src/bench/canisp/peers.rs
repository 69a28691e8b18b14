//! The servers: each a child of this process, on a port that the kernel chose, killed in the end.

use super::plan::{Ask, Echo};
use super::requests::{self, Asked, Made, http_request};
use crate::bench::plan::Plan;
use crate::bench::workplace::WORKER;
use canis_client::Config;
use canis_core::datadir::DataDir;
use canis_proto::{Error, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that listens; killed when dropped.
pub(super) struct Peer {
    child: Child,
    pub(super) addr: SocketAddr,
    /// Where it is asked by HTTP, if it is.
    pub(super) http: Option<SocketAddr>,
}

impl Peer {
    /// Starts a program that says `listening on ADDRESS` on its stdout, and then perhaps more up to `last`.
    fn start(command: &mut Command, input: &[u8], last: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| failed(&format!("{}: {e}", command.get_program().display())))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut peer = Peer { child, addr: SocketAddr::from(([0; 4], 0)), http: None };
        stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)).map_err(|e| failed(&e))?;
        let lines = BufReader::new(stdout.ok_or_else(|| failed(&"no stdout"))?).lines();
        for line in lines.map_while(std::result::Result::ok) {
            if let Some(addr) = line.strip_prefix("listening on ") {
                peer.addr = addr.parse().map_err(|e| failed(&e))?;
            }
            if let Some(addr) = line.strip_prefix("listening for HTTP on ") {
                peer.http = Some(addr.parse().map_err(|e| failed(&e))?);
            }
            if line.starts_with(last) {
                return Ok(peer);
            }
        }
        Err(failed(&"it ended before it was ready"))
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("a server to be measured did not start: {why}"))
}

/// A server of ours with a store of its own.
pub(super) struct Canis {
    pub(super) peer: Peer,
    dir: DataDir,
    config: Config,
    token: Zeroizing<String>,
}

impl Canis {
    /// Makes a store in the folder `name` of `place`, and keys in it. `audit` is what the server's audit log says, and it
    /// is asked by HTTP if `http`.
    pub(super) fn start(program: &Path, place: &Path, name: &str, audit: &str, http: bool) -> Result<Self> {
        let dir = DataDir::new(place.join(name));
        let mut init = Command::new(std::env::current_exe().map_err(|e| failed(&e))?);
        init.args(["init", "--json", "--root", "keyfile", "--keyfile"])
            .arg(place.join(format!("{name}.key")));
        let made = init.arg("--data").arg(dir.path()).output().map_err(|e| failed(&e))?;
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).map_err(|e| failed(&e))?;
        let token = Zeroizing::new(made["token"].as_str().unwrap_or_default().to_owned());
        let mut server = Command::new(program);
        server.arg("--data").arg(dir.path()).args(["--listen", "127.0.0.1:0", "--log", "warn"]);
        server.args(["--audit", audit]);
        if http {
            server.args(["--http", "127.0.0.1:0"]);
        }
        let peer = Peer::start(&mut server, b"", "unsealed")?;
        let ca = std::fs::read(dir.ca_path()).map_err(|e| failed(&e))?;
        let mut config = Config::new(peer.addr.to_string(), ca, dir.ca_path().display().to_string());
        config.token = Some(token.clone());
        requests::make_keys(&config)?;
        Ok(Canis { peer, dir, config, token })
    }

    /// How it is asked, and how many bytes it answers, which for HTTP shows when it is asked.
    pub(super) fn ask(&self, asked: Asked) -> Result<(Ask, usize)> {
        match self.peer.http {
            None => asked.by_canisp(&self.config, &self.dir.ca_path(), &self.token),
            Some(addr) => {
                let ask = asked.by_https(&self.config, self.dir.ca_path(), addr, &self.token)?;
                Ok((ask, 0))
            }
        }
    }

    /// The ceiling of HTTP for answers of this length, with the same certificate.
    pub(super) fn hello(&self, program: &Path, answer: usize) -> Result<Peer> {
        let mut command = Command::new(program);
        command.arg(self.dir.cert_path()).arg(self.dir.key_path()).arg(answer.to_string());
        Peer::start(&mut command, b"", "listening")
    }

    /// The ceiling for answers of this length, with the same certificate.
    pub(super) fn ceiling(&self, answer: usize) -> Result<Peer> {
        let echo = Echo { certificate: self.dir.cert_path(), key: self.dir.key_path(), answer };
        let plan = serde_json::to_vec(&Plan::Echo(echo)).map_err(|e| failed(&e))?;
        let mut command = Command::new(std::env::current_exe().map_err(|e| failed(&e))?);
        Peer::start(command.args(WORKER), &plan, "listening")
    }
}

/// OpenBao in its developer's mode: everything in memory, no audit, no TLS.
pub(super) struct OpenBao {
    pub(super) peer: Peer,
    token: Zeroizing<String>,
    /// A ciphertext and a signature that it made.
    made: Made,
}

impl OpenBao {
    /// Starts it with `place` as its home, and makes keys.
    pub(super) fn start(program: &Path, place: &Path) -> Result<Self> {
        let addr = free_port()?;
        let token = Zeroizing::new(random_text()?);
        let home: PathBuf = place.join("openbao");
        std::fs::create_dir(&home).map_err(|e| failed(&e))?;
        let child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", "-log-level=error"])
            .arg(format!("-dev-listen-address={addr}"))
            .env("HOME", &home)
            .env("BAO_DEV_ROOT_TOKEN_ID", token.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| failed(&format!("{}: {e}", program.display())))?;
        let mut bao = OpenBao { peer: Peer { child, addr, http: None }, token, made: Made::default() };
        let begin = Instant::now();
        while let Err(error) = bao.call("sys/mounts/transit", "{\"type\":\"transit\"}") {
            if begin.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        requests::keys_by_http().try_for_each(|(path, body)| bao.call(&path, &body).map(drop))?;
        let [ciphertext, signature] = requests::made_by_http(|path, body| bao.call(path, body))?;
        bao.made = Made { ciphertext, signature };
        Ok(bao)
    }

    /// How it is asked.
    pub(super) fn ask(&self, asked: Asked) -> Ask {
        asked.by_http(&self.peer.addr.to_string(), &self.token, &self.made)
    }

    /// Asks once, and gives what was answered, head and body.
    fn call(&self, path: &str, body: &str) -> Result<String> {
        let host = self.peer.addr.to_string();
        let token = format!("X-Vault-Token: {}\r\nConnection: close", self.token.as_str());
        let request = http_request("POST", path, &host, &token, body);
        let mut answer = String::new();
        let mut exchange = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect_timeout(&self.peer.addr, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&request)?;
            stream.read_to_string(&mut answer).map(drop)
        };
        exchange().map_err(|e| failed(&e))?;
        if answer.starts_with("HTTP/1.1 2") { Ok(answer) } else { Err(failed(&answer)) }
    }
}

/// A port that was free a moment ago: OpenBao does not say which one it was given.
fn free_port() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(|e| failed(&e))
}

fn random_text() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| failed(&e))?;
    Ok(base16ct::lower::encode_string(&random))
}
