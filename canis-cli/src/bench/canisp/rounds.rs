//! The run: every shape of every operation in rounds, in which the servers take turns.

use super::peers::{Canis, OpenBao, Peer};
use super::plan::{Ask, Load, Sample};
use super::report::{self, Row};
use super::{Asked, Shape, provider};
use crate::bench::args::Canisp;
use crate::bench::plan::Plan;
use crate::bench::worker::progress;
use crate::bench::workplace::Workplace;
use crate::show;
use canis_proto::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Not counted at the beginning of a slice.
const WARM: Duration = Duration::from_millis(100);

/// Measures and prints.
pub(in crate::bench) fn run(args: &Canisp, json: bool) -> Result<()> {
    let place = tempfile::tempdir().map_err(|e| Error::invalid(format!("no temporary directory: {e}")))?;
    let server = program(args.server.as_deref())?;
    let canis = Canis::start(&server, place.path(), "canis", "all")?;
    let unaudited =
        args.unaudited.then(|| Canis::start(&server, place.path(), "unaudited", "off")).transpose()?;
    let bao = args.openbao.as_deref().map(|program| OpenBao::start(program, place.path())).transpose()?;
    let bench = Bench { canis, unaudited, bao, place: Workplace::found(), args };
    let mut rows = Vec::new();
    for asked in &args.only {
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

/// The server that lies beside this program, unless another one is named.
fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let this = std::env::current_exe().map_err(|e| Error::invalid(format!("where is this program: {e}")))?;
    Ok(this.with_file_name("canis-server"))
}

struct Bench<'a> {
    canis: Canis,
    /// Another one, which keeps no audit log.
    unaudited: Option<Canis>,
    bao: Option<OpenBao>,
    place: Workplace,
    args: &'a Canisp,
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
        let ceiling = self.canis.ceiling(answer)?;
        let mut rows = Vec::new();
        for shape in &self.args.shapes {
            progress(&format!("{}, {shape}", asked.title()));
            let mut samples = Samples::default();
            for _ in 0..self.args.rounds.max(1) {
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
        let run = Duration::from_millis(self.args.slice);
        let load = Load { addr: peer.addr, pid: peer.pid(), ask: ask.clone(), shape, warm: WARM, run };
        self.place.child(&Plan::Load(load))
    }
}
