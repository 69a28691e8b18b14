//! What the module is told: environment variables first, then a TOML file, then defaults.

use crate::curve::PointEncoding;
use crate::log::Target;
use crate::rv::{Fail, Result};
use crate::servers::{SERVERS, Servers};
use canis_core::audit::Scope;
use canis_proto::{Error, KeyType};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// The directory of the store.
const DATA: &str = "CANIS_DATA";
/// The configuration file.
const FILE: &str = "CANIS_PKCS11_CONF";
/// The token that is shown.
const TENANT: &str = "CANIS_TENANT";
/// Where the log goes: `stderr` or a path.
const LOG: &str = "CANIS_PKCS11_LOG";

/// Where the keys are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// In the store of this directory.
    Directory(PathBuf),
    /// At servers.
    Servers,
    /// Nothing says where, and there is no home directory.
    Nowhere,
}

/// The settings in force.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where the keys are.
    pub(crate) keys: Keys,
    /// The servers, and how a server of this host is worked with.
    pub(crate) servers: Servers,
    /// The label or serial number of the one token that is shown; all of them if missing.
    pub(crate) tenant: Option<String>,
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
    /// The program that loads an HSM's library when the store opens by one; looked for if missing.
    pub(crate) hsm_helper: Option<PathBuf>,
    /// What the audit log of a directory says; `None` keeps none.
    pub(crate) audit: Option<Scope>,
}

/// The configuration file. An unknown key is an error: a misspelt one would be silently ignored otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    data: Option<PathBuf>,
    #[serde(default)]
    pub(crate) servers: Vec<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) keep_pin: Option<bool>,
    /// In seconds, as the other times.
    pub(crate) connect_timeout: Option<u64>,
    pub(crate) answer_timeout: Option<u64>,
    pub(crate) retry_for: Option<u64>,
    tenant: Option<String>,
    log: Option<String>,
    #[serde(default)]
    hide_key_types: Vec<String>,
    ec_point_encoding: Option<String>,
    audit: Option<String>,
    #[serde(default)]
    legacy: bool,
    #[serde(default)]
    strict_gcm: bool,
    hsm_helper: Option<PathBuf>,
}

impl Settings {
    /// Settings for a host that runs with more rights than its user (set-user-id): its environment is not to be
    /// trusted, so there are no keys and no log.
    pub(crate) fn of_a_privileged_host() -> Self {
        Settings {
            keys: Keys::Nowhere,
            servers: Servers::default(),
            tenant: None,
            log: None,
            hidden: Vec::new(),
            strict_gcm: false,
            points: PointEncoding::Der,
            legacy: false,
            hsm_helper: None,
            audit: Some(Scope::Changes),
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
        let audit = match file.audit.as_deref() {
            None | Some("changes") => Some(Scope::Changes),
            Some("all") => Some(Scope::All),
            Some("off") => None,
            Some(other) => {
                return Err(refuse(format!("audit: `{other}` is none of `changes`, `all` and `off`")));
            }
        };
        let (keys, servers) = keys(&set, &file).map_err(refuse)?;
        Ok(Settings {
            keys,
            servers,
            tenant: set(TENANT).map(|value| value.to_string_lossy().into_owned()).or(file.tenant),
            log: log.clone().or(file.log.as_deref().map(Target::from)),
            hidden,
            strict_gcm: file.strict_gcm,
            points,
            legacy: file.legacy,
            hsm_helper: file.hsm_helper,
            audit,
        })
    }
}

/// Where the keys are: as the environment says, else as the file does, else in the user's data directory.
fn keys(
    set: &impl Fn(&str) -> Option<OsString>,
    file: &File,
) -> std::result::Result<(Keys, Servers), String> {
    let (in_environment, directory) = (set(SERVERS).is_some(), set(DATA).map(PathBuf::from));
    if in_environment && directory.is_some() {
        return Err(format!("{SERVERS} and {DATA} are both set: the keys are at servers or in a directory"));
    }
    let servers = Servers::read(set, file, in_environment)?;
    let at_servers = !servers.addresses.is_empty();
    if !in_environment && at_servers && file.data.is_some() {
        return Err("the file names both `servers` and `data`; name one".to_owned());
    }
    let keys = match directory {
        Some(directory) => Keys::Directory(directory),
        None if at_servers => Keys::Servers,
        None => file.data.clone().or_else(|| default_directory(set)).map_or(Keys::Nowhere, Keys::Directory),
    };
    Ok((keys, servers))
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

    fn directory(path: &str) -> Keys {
        Keys::Directory(path.into())
    }

    #[test]
    fn defaults_are_the_users_data_directory() {
        assert_eq!(read(&[("HOME", "/h")]).unwrap().keys, directory("/h/.local/share/canis"));
        let both = [("HOME", "/h"), ("XDG_DATA_HOME", "/x")];
        assert_eq!(read(&both).unwrap().keys, directory("/x/canis"));
        let relative = [("HOME", "/h"), ("XDG_DATA_HOME", "x")];
        assert_eq!(read(&relative).unwrap().keys, directory("/h/.local/share/canis"));
        assert_eq!(read(&[]).unwrap(), Settings::of_a_privileged_host());
    }

    #[test]
    fn the_file_is_read_and_the_environment_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p11.toml");
        std::fs::write(
            &path,
            "data = \"/f\"\nlog = \"stderr\"\nhide_key_types = [\"ed25519\"]\nec_point_encoding = \"raw\"\nlegacy = true\nstrict_gcm = true\nhsm_helper = \"/b/canis\"",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let settings = read(&[(FILE, path)]).unwrap();
        assert_eq!(settings.keys, directory("/f"));
        assert_eq!(settings.log, Some(Target::Stderr));
        assert_eq!((settings.hidden, settings.points), (vec![KeyType::Ed25519], PointEncoding::Raw));
        assert!(settings.legacy && settings.strict_gcm);
        assert_eq!(settings.hsm_helper, Some("/b/canis".into()));
        let settings = read(&[(FILE, path), (DATA, "/e"), (LOG, "/l")]).unwrap();
        assert_eq!((settings.keys, settings.log), (directory("/e"), Some(Target::File("/l".into()))));
    }

    #[test]
    fn servers_are_named_in_the_file_or_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p11.toml");
        let text =
            "servers = [\"a:1\", \"b\"]\nca = \"/ca\"\nkeep_pin = true\nretry_for = 3\ntenant = \"web\"";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let settings = read(&[(FILE, path), ("HOME", "/h")]).unwrap();
        assert_eq!((settings.keys, settings.tenant.as_deref()), (Keys::Servers, Some("web")));
        assert_eq!(settings.servers.addresses, ["a:1", "b"]);
        assert!(settings.servers.keep_pin);
        let settings = read(&[(FILE, path), (SERVERS, "c:2, d"), ("CANIS_KEEP_PIN", "false")]).unwrap();
        assert_eq!(settings.servers.addresses, ["c:2", "d"]);
        assert!(!settings.servers.keep_pin);
        // A directory in the environment wins over servers in the file.
        let settings = read(&[(FILE, path), (DATA, "/e"), (TENANT, "mail")]).unwrap();
        assert_eq!((settings.keys, settings.tenant.as_deref()), (directory("/e"), Some("mail")));
        assert_eq!(settings.servers.at_socket("/e".as_ref()).addresses, ["unix:/e"]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |pairs: &[(&str, &str)]| {
            let (_, fail) = read(pairs).unwrap_err();
            fail.cause.unwrap().message
        };
        assert!(refused(&[(SERVERS, "a"), (DATA, "/e")]).contains("both set"));
        assert!(refused(&[(SERVERS, "a")]).contains("`ca`"));
        assert!(refused(&[(SERVERS, "a,")]).contains("empty"));
        assert!(refused(&[(SERVERS, "unix:/s"), ("CANIS_CLIENT_CERT", "/c")]).contains("private key"));
        assert!(refused(&[("HOME", "/h"), ("CANIS_KEEP_PIN", "yes")]).contains("`true` or `false`"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p11.toml");
        std::fs::write(&path, "servers = [\"unix:/s\"]\ndata = \"/d\"").unwrap();
        assert!(refused(&[(FILE, path.to_str().unwrap())]).contains("name one"));
        std::fs::write(&path, "answer_timeout = 0").unwrap();
        assert!(refused(&[(FILE, path.to_str().unwrap())]).contains("1 second"));
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
