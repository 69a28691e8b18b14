//! `canis bench crypto`: the layers below the module.

use super::args::Crypto;
use super::operation::Op;
use super::plan::{Effort, Measured, Plan};
use super::workplace::Workplace;
use super::{direct, openssl, table};
use crate::{files, show};
use canis_core::crypto::{Provider, providers};
use canis_proto::Result;
use serde_json::json;

/// Runs the command.
pub(super) fn run(args: &Crypto, as_json: bool) -> Result<()> {
    let effort = args.pace.effort(direct::OPS);
    let module = match &args.module {
        Some(module) => {
            let place = Workplace::new()?;
            let target = place.make_token(module, "bench", 0)?;
            let effort = effort.clone();
            Some(place.child::<Measured>(&Plan::Direct { target, effort })?)
        }
        None => None,
    };
    let fillings = fillings(&effort)?;
    let openssl = openssl_numbers(&effort)?;
    if as_json {
        let numbers = openssl.iter().map(|(op, speed)| json!({"operation": op.name(), "ops": speed}));
        let openssl = json!({"version": openssl::version()?, "rows": numbers.collect::<Vec<_>>()});
        return show::json(&json!({"module": module, "providers": fillings, "openssl": openssl}));
    }
    files::print(text(module.as_ref(), &fillings, &openssl)?.as_bytes())
}

/// Each further provider against the default one.
fn fillings(effort: &Effort) -> Result<Vec<Measured>> {
    let built: Vec<&'static Provider> = providers();
    let [first, others @ ..] = &built[..] else { return Ok(Vec::new()) };
    others.iter().map(|other| direct::providers(first, other, effort)).collect()
}

fn openssl_numbers(effort: &Effort) -> Result<Vec<(Op, Option<f64>)>> {
    effort.ops.iter().map(|op| openssl::speed(*op, effort.time).map(|speed| (*op, speed))).collect()
}

fn text(module: Option<&Measured>, fillings: &[Measured], openssl: &[(Op, Option<f64>)]) -> Result<String> {
    let mut text = String::new();
    if let Some(module) = module {
        table::line(&mut text, format_args!("The module against the provider called directly\n"));
        text += &table::rows(&module.names, &module.rows);
    }
    for measured in fillings {
        table::line(&mut text, format_args!("\nProvider against provider\n"));
        text += &table::rows(&measured.names, &measured.rows);
    }
    table::line(
        &mut text,
        format_args!("\n{}, one thread, not in turns with the others\n", openssl::version()?),
    );
    let ours = |op: Op| {
        let rows = fillings.iter().flat_map(|measured| &measured.rows);
        rows.filter(|row| row.operation == op && row.threads == 1).find_map(|row| row.a)
    };
    table::line(&mut text, format_args!("{:26} {:>12}   A/openssl", "operation", "ops/s"));
    for (op, speed) in openssl {
        let ratio = match (ours(*op), speed) {
            (Some(ours), Some(speed)) => format!("{:.2}", ours / speed),
            _ => "–".to_owned(),
        };
        table::line(&mut text, format_args!("{:26} {:>12}   {ratio}", op.title(), table::rate(*speed)));
    }
    Ok(text)
}
