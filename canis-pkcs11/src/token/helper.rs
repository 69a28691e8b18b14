//! The program that loads an HSM's library for a store that opens by one: the host's process must not load it.

use crate::ffi;
use canis_core::root::HsmHelper;
use std::path::{Path, PathBuf};

/// The name of the program.
const PROGRAM: &str = "canis";

/// Where it is looked for besides.
const ELSEWHERE: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// The helper: as the settings name it, else `canis` beside the module, in `../bin` of it, or where programs are.
pub(super) fn of(named: Option<&Path>) -> HsmHelper {
    let program = named.map_or_else(found, Path::to_owned);
    // The host's stderr is the host's.
    HsmHelper::new(program).quiet()
}

fn found() -> PathBuf {
    let beside = ffi::own_path().and_then(|library| library.parent().map(Path::to_owned));
    let near = beside.iter().flat_map(|folder| [folder.join(PROGRAM), folder.join("../bin").join(PROGRAM)]);
    let mut places = near.chain(ELSEWHERE.map(|folder| Path::new(folder).join(PROGRAM)));
    places.find(|place| place.is_file()).unwrap_or_else(|| Path::new(ELSEWHERE[0]).join(PROGRAM))
}
