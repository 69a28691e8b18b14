//! What the module is told: environment variables first, then a TOML file, then defaults.

use crate::curve::PointEncoding;
use crate::log::Target;
use crate::rv::{Fail, Result};
use canis_proto::{Error, KeyType};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// The directory of the store.
const DATA: &str = "CANIS_DATA";
/// The configuration file.
const FILE: &str = "CANIS_PKCS11_CONF";
/// Where the log goes: `stderr` or a path.
const LOG: &str = "CANIS_PKCS11_LOG";

/// The settings in force.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The directory of the store; `None` when nothing says where it is and there is no home directory.
    pub(crate) data: Option<PathBuf>,
    /// Where the log goes.
    pub(crate) log: Option<Target>,
    /// Types of keys that searches do not show, for hosts that stumble over them.
    pub(crate) hidden: Vec<KeyType>,
    /// Whether AES-GCM encrypts with IVs that the module makes only.
    pub(crate) strict_gcm: bool,
    /// How points of Ed25519 and X25519 keys are given out.
    pub(crate) points: PointEncoding,
    /// Whether what is old and weak is there: DES, MD5, and wrapping by CKM_AES_CBC_PAD, CKM_RSA_PKCS and RSA keys of any
    /// size.
    pub(crate) legacy: bool,
}

/// The configuration file. An unknown key is an error: a misspelt one would be silently ignored otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    log: Option<String>,
    #[serde(default)]
    hide_key_types: Vec<String>,
    ec_point_encoding: Option<String>,
    #[serde(default)]
    legacy: bool,
    #[serde(default)]
    strict_gcm: bool,
}

impl Settings {
    /// Settings for a host that runs with more rights than its user (set-user-id): its environment is not to be
    /// trusted, so there is no store and no log.
    pub(crate) fn of_a_privileged_host() -> Self {
        Settings {
            data: None,
            log: None,
            hidden: Vec::new(),
            strict_gcm: false,
            points: PointEncoding::Der,
            legacy: false,
        }
    }

    /// Reads the environment and the file it names.
    ///
    /// # Errors
    /// A file that cannot be read or understood; the log named in the environment is given with it.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, (Option<Target>, Fail)> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let log = set(LOG).map(|value| Target::from(value.to_string_lossy().as_ref()));
        let refuse = |error: String| (log.clone(), Fail::from(Error::internal(error)));
        let file: File = match set(FILE).map(PathBuf::from) {
            None => File::default(),
            Some(path) => std::fs::read_to_string(&path)
                .map_err(|e| refuse(format!("{FILE}={}: {e}", path.display())))
                .and_then(|text| {
                    toml::from_str(&text).map_err(|e| refuse(format!("{}: {e}", path.display())))
                })?,
        };
        let hidden = file
            .hide_key_types
            .iter()
            .map(|name| name.parse::<KeyType>().map_err(|e| refuse(format!("hide_key_types: {e}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let points = match file.ec_point_encoding.as_deref() {
            None | Some("der") => PointEncoding::Der,
            Some("raw") => PointEncoding::Raw,
            Some(other) => {
                return Err(refuse(format!("ec_point_encoding: `{other}` is neither `der` nor `raw`")));
            }
        };
        Ok(Settings {
            data: set(DATA).map(PathBuf::from).or(file.data).or_else(|| default_directory(&set)),
            log: log.clone().or(file.log.as_deref().map(Target::from)),
            hidden,
            strict_gcm: file.strict_gcm,
            points,
            legacy: file.legacy,
        })
    }
}

/// The user's data directory (XDG Base Directory Specification 0.8); a relative XDG_DATA_HOME is to be ignored.
fn default_directory(set: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .map(|base| base.join("canis"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, (Option<Target>, Fail)> {
        Settings::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into()))
    }

    #[test]
    fn defaults_are_the_users_data_directory() {
        assert_eq!(read(&[("HOME", "/h")]).unwrap().data, Some("/h/.local/share/canis".into()));
        let both = [("HOME", "/h"), ("XDG_DATA_HOME", "/x")];
        assert_eq!(read(&both).unwrap().data, Some("/x/canis".into()));
        let relative = [("HOME", "/h"), ("XDG_DATA_HOME", "x")];
        assert_eq!(read(&relative).unwrap().data, Some("/h/.local/share/canis".into()));
        assert_eq!(read(&[]).unwrap(), Settings::of_a_privileged_host());
    }

    #[test]
    fn the_file_is_read_and_the_environment_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p11.toml");
        std::fs::write(
            &path,
            "data = \"/f\"\nlog = \"stderr\"\nhide_key_types = [\"ed25519\"]\nec_point_encoding = \"raw\"\nlegacy = true\nstrict_gcm = true",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let settings = read(&[(FILE, path)]).unwrap();
        assert_eq!(settings.data, Some("/f".into()));
        assert_eq!(settings.log, Some(Target::Stderr));
        assert_eq!((settings.hidden, settings.points), (vec![KeyType::Ed25519], PointEncoding::Raw));
        assert!(settings.legacy && settings.strict_gcm);
        let settings = read(&[(FILE, path), (DATA, "/e"), (LOG, "/l")]).unwrap();
        assert_eq!((settings.data, settings.log), (Some("/e".into()), Some(Target::File("/l".into()))));
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_and_the_log_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p11.toml");
        for text in
            ["dta = \"/f\"", "hide_key_types = [\"ed25518\"]", "data = ", "ec_point_encoding = \"DER\""]
        {
            std::fs::write(&path, text).unwrap();
            let (log, fail) = read(&[(FILE, path.to_str().unwrap()), (LOG, "stderr")]).unwrap_err();
            assert_eq!(log, Some(Target::Stderr));
            assert!(fail.cause.is_some());
        }
        assert!(read(&[(FILE, "/nowhere/p11.toml")]).is_err());
    }
}
