//! Clients that know two servers of one store, one of which is killed: they go on at the other one by themselves.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{AsyncPool, Config, Pool, Shared};
use canis_proto::message::{Encrypt, RotateKey};
use canis_tests::{Postgres, Server, Site, binary};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// It takes a tenth of that; a busy machine may take longer.
const BOUND: Duration = Duration::from_secs(10);

/// Two servers on one store, and a client's configuration that names the first of them first.
struct Two {
    _postgres: Postgres,
    sites: [Site; 2],
    first: Option<Server>,
    second: Server,
    config: Config,
}

fn two() -> Two {
    let postgres = Postgres::start();
    let site = Site::in_database(&postgres);
    let sites = [site.beside(), site];
    let [first, second] = sites.each_ref().map(|site| site.start().unsealed());
    let ca = std::fs::read(first.ca()).unwrap();
    let mut config = Config::new(first.addr(), ca, "ca.pem");
    config.others = vec![second.addr().to_owned()];
    config.token = Some(Zeroizing::new(sites[0].token.clone()));
    config.retry_for = BOUND;
    second.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    Two { _postgres: postgres, sites, first: Some(first), second, config }
}

impl Two {
    /// Kills the first server; how long `ask` then takes.
    fn after_kill(&mut self, who: &str, ask: impl FnOnce()) {
        self.first.take().unwrap().kill();
        let begun = Instant::now();
        ask();
        let took = begun.elapsed();
        println!("{who} goes on at the other server after {took:?}");
        assert!(took < BOUND, "{took:?}");
    }
}

fn rotate() -> RotateKey<'static> {
    RotateKey { name: "k".into(), preview: false }
}

/// A connection that threads share: a use, and a change, which happens once.
#[test]
fn a_shared_connection() {
    let mut two = two();
    let canis = Shared::new(&two.config).unwrap();
    canis.call(&Encrypt::new("k", vec![1])).unwrap();
    assert_eq!(canis.call(&rotate()).unwrap().version, 2);
    two.after_kill("a shared connection", || assert_eq!(canis.call(&rotate()).unwrap().version, 3));
    canis.call(&Encrypt::new("k", vec![1])).unwrap();
}

/// A pool of blocking connections.
#[test]
fn a_pool() {
    let mut two = two();
    let pool = Pool::new(&two.config, 2).unwrap();
    pool.call(&Encrypt::new("k", vec![1])).unwrap();
    two.after_kill("a pool", || drop(pool.call(&Encrypt::new("k", vec![1])).unwrap()));
}

/// A pool of the async client.
#[test]
fn an_async_pool() {
    let mut two = two();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = AsyncPool::new(&two.config, 2).unwrap();
    let encrypt = || runtime.block_on(pool.call(&Encrypt::new("k", vec![1]))).map(drop).unwrap();
    encrypt();
    two.after_kill("an async pool", encrypt);
}

/// The Python client.
#[test]
fn python() {
    const SCRIPT: &str = "import sys\nfrom canis import Client\nwith Client.from_environment() as c:\n  \
        for line in sys.stdin:\n    print(c.rotate_key('k'), flush=True)\n";
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../canis-client/python");
    let mut two = two();
    let addresses = format!("{},{}", two.config.addr, two.second.addr());
    let interpreter = binary("canis").ancestors().nth(2).unwrap().join("python/bin/python");
    let mut command = Command::new(interpreter);
    command.args(["-B", "-c", SCRIPT]).env("PYTHONPATH", package).env("CANIS_ADDR", addresses);
    command.env("CANIS_CACERT", two.second.ca()).env("CANIS_TOKEN", &two.sites[0].token);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let mut next = || {
        writeln!(input, "again").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(next(), "2");
    two.after_kill("the Python client", || assert_eq!(next(), "3"));
    drop(input);
    assert!(child.wait().unwrap().success());
}
