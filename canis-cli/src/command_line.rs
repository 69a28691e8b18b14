//! The command line as a whole: what goes for every command, and how a wrong usage ends.

use crate::args::Cli;
use clap::CommandFactory;

/// The command line as it is parsed.
pub(crate) fn command_line() -> clap::Command {
    with_both_pin_files(Cli::command())
}

/// The file of an HSM's PIN is `--hsm-pin-file` where a command also takes PINs of tokens, or opens one root to add another, and
/// `--pin-file` elsewhere. Where it can mean one file only, either name is understood.
fn with_both_pin_files(command: clap::Command) -> clap::Command {
    let has = |name: &str| command.get_arguments().any(|argument| argument.get_long() == Some(name));
    let (plain, hsm) = (has("pin-file") || has("new-pin-file"), has("hsm-pin-file"));
    let command = command.mut_args(|argument| match argument.get_long() {
        Some("hsm-pin-file") if !plain => argument.alias("pin-file"),
        Some("pin-file") if !hsm => argument.alias("hsm-pin-file"),
        Some("new-pin-file") => argument.alias("new-hsm-pin-file"),
        _ => argument,
    });
    command.mut_subcommands(with_both_pin_files)
}

/// Ends the program as every wrong usage does: message, usage, exit code 2.
pub(crate) fn wrong_usage(message: &str) -> ! {
    use clap::error::ErrorKind;
    command_line().error(ErrorKind::MissingRequiredArgument, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    fn understood(line: &str) -> bool {
        let matches = command_line().try_get_matches_from(line.split(' '));
        matches.and_then(|matches| Cli::from_arg_matches(&matches)).is_ok()
    }

    /// What one command calls the file of an HSM's PIN the others understand as well, but where it would be another PIN's.
    #[test]
    fn an_hsms_pin_has_one_more_name() {
        for name in ["pin-file", "hsm-pin-file"] {
            for line in [
                "canis init --data d --root hsm --module m --token-label t",
                "canis root probe --module m --token-label t",
                "canis root test --data d --module m",
                "canis unseal --module m",
                "canis operator token --data d --module m",
                "canis store verify --data d",
                "canis backup create --data d --to f --slot s",
                "canis root remove hsm --data d",
            ] {
                assert!(understood(&format!("{line} --{name} f")), "{line} --{name}");
            }
        }
        for name in ["new-pin-file", "new-hsm-pin-file"] {
            assert!(
                understood(&format!("canis root add hsm --new-module m --token-label t --{name} f")),
                "{name}"
            );
        }
        assert!(!understood("canis root add hsm --new-module m --token-label t --data d --pin-file f"));
        assert!(understood("canis slot set-pin --data d --token t --pin-file f --hsm-pin-file g"));
    }

    /// `create` and `update` take a truth in the same forms; the help of `create` has every type there is.
    #[test]
    fn keys_are_made_and_changed_by_the_same_words() {
        for flag in ["--deletion-allowed false", "--deletion-allowed=true"] {
            assert!(understood(&format!("canis key create k --type aes256-gcm {flag}")), "{flag}");
            assert!(understood(&format!("canis key update k {flag}")), "{flag}");
        }
        assert!(understood("canis key create k --type aes256-gcm --activate false"));
        let Err(help) = command_line().try_get_matches_from(["canis", "key", "create", "--help"]) else {
            panic!("no help")
        };
        let help = help.to_string();
        for kind in canis_proto::KeyType::ALL.iter().filter(|kind| !kind.is_legacy()) {
            assert!(help.contains(kind.name()), "{kind}");
        }
    }

    /// No flag takes a credential itself, and `--help` does not show what CANIS_TOKEN holds.
    #[test]
    fn no_credential_in_arguments() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let flag = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
                // The label of a PKCS#11 token is no secret, and says that it is a label.
                let label = arg.get_value_names().is_some_and(|values| values == ["LABEL"]);
                let last = flag.rsplit(['-', '_']).next().unwrap_or_default();
                let credential = ["token", "pin", "passphrase", "password"].contains(&last);
                assert!(!credential || label, "--{flag}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&command_line());
    }
}
