//! `canis generate`: manual pages and completions for who installs the program, made from the command line itself.

use crate::command_line::command_line;
use canis_proto::{Error, Result};
use clap_complete::{Shell, generate_to};
use std::fs::create_dir_all;
use std::io;
use std::path::Path;

/// Below `/usr/share`, where each shell looks.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// Writes them into `directory`, which stands for `/usr/share`.
pub(crate) fn run(directory: &Path) -> Result<()> {
    write(directory)
        .map_err(|error| Error::invalid(format!("cannot write into {}: {error}", directory.display())))
}

fn write(directory: &Path) -> io::Result<()> {
    let pages = directory.join("man/man1");
    create_dir_all(&pages)?;
    clap_mangen::generate_to(command_line(), pages)?;
    for (shell, folder) in COMPLETIONS {
        let folder = directory.join(folder);
        create_dir_all(&folder)?;
        generate_to(shell, &mut command_line(), "canis", folder)?;
    }
    Ok(())
}
