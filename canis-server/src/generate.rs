//! `canis-server generate DIR`: its manual page and completions for who installs the program, made from the command line itself.

use crate::args::Options;
use canis_proto::{Error, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use std::ffi::OsString;
use std::fs::{File, create_dir_all};
use std::io;
use std::path::Path;

/// Below `/usr/share`, where each shell looks.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// The directory that stands for `/usr/share`, if that is what the arguments after the program's name ask for.
#[must_use]
pub fn asked(arguments: &[OsString]) -> Option<&Path> {
    match arguments {
        [word, directory] if word == "generate" => Some(Path::new(directory)),
        _ => None,
    }
}

/// Writes them.
///
/// # Errors
/// `invalid_argument` for a directory that cannot be written into.
pub fn generate(directory: &Path) -> Result<()> {
    write(directory)
        .map_err(|error| Error::invalid(format!("cannot write into {}: {error}", directory.display())))
}

fn write(directory: &Path) -> io::Result<()> {
    let pages = directory.join("man/man8");
    create_dir_all(&pages)?;
    Man::new(Options::command()).section("8").render(&mut File::create(pages.join("canis-server.8"))?)?;
    for (shell, folder) in COMPLETIONS {
        let folder = directory.join(folder);
        create_dir_all(&folder)?;
        generate_to(shell, &mut Options::command(), "canis-server", folder)?;
    }
    Ok(())
}
