//! The run: every shape of every operation in rounds, in which the servers take turns.

use super::peers::{Canis, OpenBao, Peer};
use super::plan::{Ask, Load, Sample};
use super::report::{self, Row};
use super::{Asked, Shape, provider};
use crate::bench::args::{Canisp, Http};
use crate::bench::plan::Plan;
use crate::bench::worker::progress;
use crate::bench::workplace::Workplace;
use crate::show;
use canis_proto::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Not counted at the beginning of a slice.
const WARM: Duration = Duration::from_millis(100);

/// Measures over CANISP and prints.
pub(in crate::bench) fn run(args: &Canisp, json: bool) -> Result<()> {
    let settings = Settings {
        server: program(args.server.as_deref(), "canis-server")?,
        hello: None,
        openbao: args.openbao.as_deref(),
        unaudited: args.unaudited,
        only: &args.only,
        shapes: args.shapes.clone(),
        rounds: args.rounds,
        slice: Duration::from_millis(args.slice),
    };
    measure(&settings, json)
}

/// Measures over HTTP and prints.
pub(in crate::bench) fn run_http(args: &Http, json: bool) -> Result<()> {
    let settings = Settings {
        server: program(args.server.as_deref(), "canis-server")?,
        hello: Some(program(args.hello.as_deref(), "examples/hello_http")?),
        openbao: args.openbao.as_deref(),
        unaudited: args.unaudited,
        only: &args.only,
        shapes: args
            .connections
            .iter()
            .map(|connections| Shape { connections: *connections, depth: 1 })
            .collect(),
        rounds: args.rounds,
        slice: Duration::from_millis(args.slice),
    };
    measure(&settings, json)
}

/// What is measured, and for how long.
struct Settings<'a> {
    server: PathBuf,
    /// The ceiling of HTTP, where that is what is measured.
    hello: Option<PathBuf>,
    openbao: Option<&'a Path>,
    unaudited: bool,
    only: &'a [Asked],
    shapes: Vec<Shape>,
    rounds: usize,
    slice: Duration,
}

fn measure(settings: &Settings<'_>, json: bool) -> Result<()> {
    let place = tempfile::tempdir().map_err(|e| Error::invalid(format!("no temporary directory: {e}")))?;
    let start =
        |name, audit| Canis::start(&settings.server, place.path(), name, audit, settings.hello.is_some());
    let canis = start("canis", "all")?;
    let unaudited = settings.unaudited.then(|| start("unaudited", "off")).transpose()?;
    let bao = settings.openbao.map(|program| OpenBao::start(program, place.path())).transpose()?;
    let bench = Bench { canis, unaudited, bao, place: Workplace::found(), settings };
    let mut rows = Vec::new();
    for asked in settings.only {
        rows.extend(bench.operation(*asked)?);
    }
    progress("");
    match json {
        true => show::json(&serde_json::json!({ "rows": rows })),
        false => {
            print!("{}", report::table(&rows));
            Ok(())
        }
    }
}

/// What lies beside this program, unless another one is named.
fn program(named: Option<&Path>, beside: &str) -> Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let this = std::env::current_exe().map_err(|e| Error::invalid(format!("where is this program: {e}")))?;
    Ok(this.with_file_name(beside))
}

struct Bench<'a> {
    canis: Canis,
    /// Another one, which keeps no audit log.
    unaudited: Option<Canis>,
    bao: Option<OpenBao>,
    place: Workplace,
    settings: &'a Settings<'a>,
}

/// What the rounds of one row gave.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) ceiling: Vec<Sample>,
    pub(super) canis: Vec<Sample>,
    pub(super) unaudited: Vec<Sample>,
    pub(super) openbao: Vec<Sample>,
    /// Of the provider, on one processor.
    pub(super) provider: Vec<f64>,
}

impl Bench<'_> {
    fn operation(&self, asked: Asked) -> Result<Vec<Row>> {
        let (ask, answer) = self.canis.ask(asked)?;
        let ceiling = match &self.settings.hello {
            None => self.canis.ceiling(answer)?,
            Some(hello) => {
                let one = Shape { connections: 1, depth: 1 };
                let answered = self.sample(&self.canis.peer, &ask, one)?;
                self.canis.hello(hello, answered.length)?
            }
        };
        let mut rows = Vec::new();
        for shape in &self.settings.shapes {
            progress(&format!("{}, {shape}", asked.title()));
            let mut samples = Samples::default();
            for _ in 0..self.settings.rounds.max(1) {
                samples.ceiling.push(self.sample(&ceiling, &ask, *shape)?);
                samples.canis.push(self.sample(&self.canis.peer, &ask, *shape)?);
                if let Some(unaudited) = &self.unaudited {
                    let (ask, _) = unaudited.ask(asked)?;
                    samples.unaudited.push(self.sample(&unaudited.peer, &ask, *shape)?);
                }
                if let Some(bao) = &self.bao {
                    let shape = Shape { depth: 1, ..*shape };
                    samples.openbao.push(self.sample(&bao.peer, &bao.ask(asked), shape)?);
                }
                if let Some(kind) = asked.signs_with() {
                    samples.provider.push(provider::signatures(kind, WARM)?);
                }
            }
            rows.push(Row::of(asked, *shape, &samples));
        }
        Ok(rows)
    }

    fn sample(&self, peer: &Peer, ask: &Ask, shape: Shape) -> Result<Sample> {
        let run = self.settings.slice;
        let load = Load {
            addr: peer.http.unwrap_or(peer.addr),
            pid: peer.pid(),
            ask: ask.clone(),
            shape,
            warm: WARM,
            run,
        };
        self.place.child(&Plan::Load(load))
    }
}
