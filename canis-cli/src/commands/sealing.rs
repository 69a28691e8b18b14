//! `canis unseal`, `canis seal`, `canis operator token`.

use super::token::show_made;
use crate::args::Connection;
use crate::door::Door;
use crate::root_credential::{self, Carried};
use crate::seal_args::{OperatorCommand, OperatorToken, Unseal};
use crate::{connect, files, local, show};
use canis_core::datadir::DataDir;
use canis_core::secret::SecretBytes;
use canis_proto::sealing::{self, SealStore, UnsealState};
use canis_proto::{Error, ErrorCode, Result};
use serde_json::json;

/// Brings what the flags name, or what is typed: one share, or all of another credential.
pub(crate) fn unseal(connection: &Connection, args: &Unseal, json: bool) -> Result<()> {
    let nothing = |kind| Carried { kind, secret: SecretBytes::zeroed(0), module: String::new() };
    let mut given = match (args.progress, args.configured, args.credential.is_none()) {
        (true, ..) => vec![nothing("")],
        (_, true, _) => vec![nothing("configured")],
        // Resetting is all that was asked for.
        (.., true) if args.reset => vec![nothing("")],
        (.., true) => vec![root_credential::typed()?],
        _ => root_credential::carried_one_by_one(&args.credential)?,
    };
    let mut client = connect::open(connection)?;
    let mut reset = args.reset;
    let mut state = None;
    for one in given.drain(..) {
        let asked = sealing::Unseal {
            kind: one.kind.into(),
            secret: one.secret.expose().into(),
            module: one.module.as_str().into(),
            reset: std::mem::take(&mut reset),
        };
        state = Some(client.call(&asked)?);
    }
    let state = state.ok_or_else(|| Error::internal("nothing was brought"))?;
    show_state(&state, json)
}

fn show_state(state: &UnsealState, json: bool) -> Result<()> {
    if json {
        return show::json(&json!({
            "sealed": state.sealed,
            "given": state.given,
            "threshold": state.threshold,
            "split": state.split,
            "expires_at": state.expires_at,
        }));
    }
    let text = match (state.sealed, state.given) {
        (false, _) => "unsealed\n".to_owned(),
        (true, 0) => "sealed; no share is there\n".to_owned(),
        (true, given) => format!(
            "sealed; {given} of {} shares are there (split {}), until {}\n",
            state.threshold,
            state.split,
            state.expires_at.map_or_else(String::new, show::time)
        ),
    };
    files::print(text.as_bytes())
}

/// Seals the server's store.
pub(crate) fn seal(connection: &Connection, json: bool) -> Result<()> {
    let sealed = connect::open(connection)?.call(&SealStore)?;
    if json {
        return show::json(&json!({"sealed": true, "wiped": sealed.wiped}));
    }
    if !sealed.wiped {
        eprintln!("canis: some work that had begun before still goes on; its keys go with it");
    }
    files::print(b"sealed\n")
}

pub(crate) fn operator(connection: &Connection, command: &OperatorCommand, json: bool) -> Result<()> {
    let OperatorCommand::Token(args) = command;
    let mut door = Door::open_sealed(connection, args.data.data.as_ref())?;
    let shown = match &mut door {
        Door::Server(_) if args.credential.is_none() => root_credential::typed_whole()?,
        Door::Server(_) => root_credential::carried(&args.credential)?,
        Door::Store { core, operator, .. } => {
            core.unseal(&own_credential(args)?)?;
            *operator = core.operator();
            Carried { kind: "", secret: SecretBytes::zeroed(0), module: String::new() }
        }
    };
    let made = door.call(sealing::OperatorToken {
        kind: shown.kind.into(),
        secret: shown.secret.expose().into(),
        module: shown.module.as_str().into(),
    })?;
    eprintln!("canis: `canis token list` shows the lost one, and `canis token revoke` takes it away");
    show_made(&made, json)
}

/// What opens a store that no server is running on: what the flags name, else what `canis.toml` does.
fn own_credential(args: &OperatorToken) -> Result<canis_core::root::Credential> {
    let none = || Error::new(ErrorCode::Sealed, "no data directory is named; give --data");
    let dir = DataDir::new(args.data.data.as_ref().ok_or_else(none)?);
    local::credential(&dir, &args.credential.to_root_file())
}
