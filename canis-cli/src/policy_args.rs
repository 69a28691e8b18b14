//! `canis policy …` on the command line: on files, and on the policies of a store.

use canis_proto::KeyType;
use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Lay out policy files as all are laid out.
    Fmt(FormatPolicies),
    /// Say what policy files would decide: prints the rule that counts (exit 0 allowed, 1 denied).
    Test(TestPolicies),
    /// Write a policy into the store: what it says holds from then on, on open connections too.
    Put(PutPolicyArgs),
    /// Print a policy of the store.
    Get(NamedPolicy),
    /// List the policies of the store.
    List(ListPoliciesArgs),
    /// Delete a policy of the store that no credential names.
    Delete(DeletePolicyArgs),
    /// Say what the policies of the store decide, and by which rule and line (exit 0 allowed, 1 denied).
    Explain(ExplainPolicyArgs),
}

#[derive(Args)]
pub(crate) struct PutPolicyArgs {
    /// Its name.
    pub(crate) name: String,
    /// The file with its text; `-` reads it from stdin.
    #[arg(value_name = "F")]
    pub(crate) file: PathBuf,
    /// Only in place of this revision; 0 only if there is none of the name.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
    /// Even if no credential can change policies any more.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct NamedPolicy {
    /// Its name.
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct ListPoliciesArgs {
    /// How the names begin.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
}

#[derive(Args)]
pub(crate) struct DeletePolicyArgs {
    /// Its name.
    pub(crate) name: String,
    /// Only this revision.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
    /// Even if credentials name it; they are forbidden everything then, until it is there again.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct ExplainPolicyArgs {
    /// The credential, by the id that `canis token list` shows; `role:NAME` for whoever comes in by this role, several with commas
    /// between; the caller's own if it is not given.
    #[arg(long, value_name = "WHO", default_value = "")]
    pub(crate) who: String,
    /// What is to be done: a capability, or the name of an operation.
    #[arg(long, value_name = "C")]
    pub(crate) op: String,
    /// With this key.
    #[arg(long, value_name = "NAME", conflicts_with = "path", required_unless_present = "path")]
    pub(crate) key: Option<String>,
    /// With what has this path: kms/keys/NAME, kms/kv/ID, sys.
    #[arg(long, value_name = "P")]
    pub(crate) path: Option<String>,
    /// A key of this type; that of the key if it is not given.
    #[arg(long, value_name = "T")]
    pub(crate) key_type: Option<KeyType>,
    /// The length of the data in bytes.
    #[arg(long, value_name = "N")]
    pub(crate) payload: Option<u64>,
    /// The caller's context.
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// The address it comes from, or `local`; that of this request if it is not given.
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub(crate) source: String,
}

#[derive(Args)]
pub(crate) struct FormatPolicies {
    /// The files.
    #[arg(required = true, value_name = "F")]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; exit 1 if a file is laid out otherwise.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args)]
pub(crate) struct TestPolicies {
    /// The files; each policy is called as its file is, without the ending.
    #[arg(required = true, value_name = "F")]
    pub(crate) files: Vec<PathBuf>,
    /// What is to be done: encrypt, sign, read …
    #[arg(long, value_name = "C")]
    pub(crate) capability: String,
    /// To what: kms/keys/NAME, kms/kv/ID, sys.
    #[arg(long, value_name = "P")]
    pub(crate) path: String,
    /// The key's type.
    #[arg(long, value_name = "T")]
    pub(crate) key_type: Option<KeyType>,
    /// The length of the data in bytes.
    #[arg(long, value_name = "N")]
    pub(crate) payload: Option<u64>,
    /// The caller's context.
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// The time of day, UTC; now if it is not given.
    #[arg(long, value_name = "HH:MM")]
    pub(crate) time: Option<String>,
    /// The address it comes from; this machine if it is not given.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,
}
