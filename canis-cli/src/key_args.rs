//! The command line of `canis key`: what keys are made of and what becomes of them.

use canis_proto::{Interval, KeyType, Usage};
use clap::{ArgAction, Args};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct CreateKey {
    /// The new key's name: segments of A-Z a-z 0-9 . _ - joined by /.
    pub(crate) name: String,
    #[arg(long = "type", value_name = "TYPE", help = types())]
    pub(crate) kind: String,
    /// What it is for, such as `encrypt,decrypt`; everything its type is made for if missing.
    #[arg(long, value_name = "LIST", value_parser = usage)]
    pub(crate) usage: Option<Usage>,
    /// The length of a generic secret in bytes, 1 to 4096; 32 if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) length: u32,
    /// Whether it can be used at once; `canis key activate` makes it usable later.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) activate: bool,
    /// Whether it may be destroyed.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) deletion_allowed: bool,
    /// The key may leave, wrapped by another.
    #[arg(long)]
    pub(crate) exportable: bool,
    /// The key may leave in plain too.
    #[arg(long, requires = "exportable")]
    pub(crate) allow_plaintext_backup: bool,
    #[command(flatten)]
    pub(crate) rotation: Rotation,
}

/// When a key rotates by itself, and what a rotation keeps.
#[derive(Args)]
pub(crate) struct Rotation {
    /// Rotate by itself, such as every `30d` or `12h`; an hour at least, or `never`.
    #[arg(long, value_name = "SPAN")]
    pub(crate) rotate_every: Option<Interval>,
    /// Keep so many versions at a rotation and destroy the material of older ones; 0 keeps all.
    #[arg(long, value_name = "N")]
    pub(crate) retain_versions: Option<u32>,
}

#[derive(Args)]
pub(crate) struct UpdateKey {
    /// The key's name.
    pub(crate) name: String,
    /// The oldest version that may decrypt and verify.
    #[arg(long, value_name = "N")]
    pub(crate) min_decryption_version: Option<u32>,
    /// The oldest version that may encrypt and sign; 0 is only the current one.
    #[arg(long, value_name = "N")]
    pub(crate) min_encryption_version: Option<u32>,
    /// Whether it may be destroyed.
    #[arg(long, value_name = "BOOL")]
    pub(crate) deletion_allowed: Option<bool>,
    /// Whether it may leave; can only be switched off.
    #[arg(long, value_name = "BOOL")]
    pub(crate) exportable: Option<bool>,
    /// Whether it may leave in plain; can only be switched off.
    #[arg(long, value_name = "BOOL")]
    pub(crate) allow_plaintext_backup: Option<bool>,
    /// How many others have to approve its export and destruction; to ask for fewer takes as many as there were.
    #[arg(long, value_name = "N")]
    pub(crate) approvals: Option<u32>,
    #[command(flatten)]
    pub(crate) rotation: Rotation,
}

#[derive(Args)]
pub(crate) struct ListKeys {
    /// Only names that start with this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
    /// What is left of destroyed keys, too; they are called `~<name>~<id>`.
    #[arg(long)]
    pub(crate) include_deleted: bool,
}

#[derive(Args)]
pub(crate) struct DestroyKey {
    /// The key's name.
    pub(crate) name: String,
    /// Not now but after this time, such as `7d`; `canis key cancel-destroy` takes it back.
    #[arg(long = "in", value_name = "SPAN")]
    pub(crate) delay: Option<Interval>,
}

#[derive(Args)]
pub(crate) struct RotateKey {
    /// The key's name.
    pub(crate) name: String,
    /// Only tell what would happen.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct ApplyKeys {
    /// The file; `-` is stdin. One key, or a list of them under `keys`.
    #[arg(short, long, value_name = "F")]
    pub(crate) file: PathBuf,
    /// Only tell what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What there is to choose from, as the one table of key types has it.
fn types() -> String {
    let names: Vec<_> =
        KeyType::ALL.iter().filter(|kind| !kind.is_legacy()).map(|kind| kind.name()).collect();
    format!("Its type: {}; generic is a secret for HMAC and HKDF", names.join(", "))
}

/// A list of usages.
pub(crate) fn usage(list: &str) -> Result<Usage, String> {
    list.split(',').try_fold(Usage::NONE, |usage, name| match Usage::from_name(name.trim()) {
        Some(one) => Ok(usage.with(one)),
        None => Err(format!(
            "`{name}` is no usage; they are {}",
            Usage::ALL.names().collect::<Vec<_>>().join(", ")
        )),
    })
}
