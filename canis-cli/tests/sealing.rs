//! `canis seal` and `canis unseal` at a running server: who may open it, how far shares have got, and what is left.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Server, Site, SoftHsm, binary, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A server, and files of credentials beside it.
struct Desk {
    site: Site,
    server: Server,
}

impl Desk {
    fn new(site: Site) -> Self {
        for (name, bytes) in [("phrase", "a passphrase for two"), ("wrong", "another passphrase")] {
            fs::write(site.file(name), bytes).unwrap();
            fs::set_permissions(site.file(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let server = site.start().unsealed();
        Desk { site, server }
    }

    fn file(&self, name: &str) -> String {
        self.site.file(name).display().to_string()
    }

    /// `canis …` as who has the first token.
    fn canis(&self, arguments: &str) -> Finished {
        self.server.canis(&arguments.split_whitespace().collect::<Vec<_>>(), b"")
    }

    /// `canis …` as a stranger from the network, without a terminal to ask on.
    fn stranger(&self, arguments: &str) -> Finished {
        let mut canis = self.program(arguments);
        canis.env("CANIS_ADDR", self.server.addr()).env("CANIS_CACERT", self.server.ca());
        run(&mut canis, b"")
    }

    /// `canis …` on the server's own host.
    fn host(&self, arguments: &str) -> Finished {
        let mut canis = self.program(arguments);
        canis.env("CANIS_ADDR", format!("unix:{}", self.site.data().display()));
        run(&mut canis, b"")
    }

    fn program(&self, arguments: &str) -> Command {
        let mut canis = Command::new("setsid");
        canis.arg("-w").arg(binary("canis")).args(arguments.split_whitespace()).env_remove("CANIS_TOKEN");
        canis.env("CANIS_RETRY_FOR", "never").current_dir(self.site.file(""));
        canis
    }

    /// Deals shares into a folder of this name.
    fn deal(&self, folder: &str, threshold: u8, shares: u8) -> impl Fn(u8) -> PathBuf + use<> {
        let dir = self.site.file(folder);
        fs::create_dir(&dir).unwrap();
        let deal =
            format!("root add shares --shares {shares} --threshold {threshold} --out-dir {}", dir.display());
        self.canis(&deal).ok();
        move |number| dir.join(format!("share-{number}.txt"))
    }
}

trait Said {
    fn said(self, code: i32, word: &str) -> Self;
}

impl Said for Finished {
    fn said(self, code: i32, word: &str) -> Self {
        let said = format!("{}{}", self.text(), self.stderr);
        assert!(self.code == code && said.contains(word), "{} {said}, not `{word}`", self.code);
        self
    }
}

/// R91: shares come one at a time, from several people and doors; each wrong one is named as it is entered and spoils
/// nothing; with the last that is needed the store opens, and keys work as before without a restart.
#[test]
fn shares_are_brought_one_at_a_time() {
    let desk = Desk::new(Site::with_keyfile());
    desk.canis("key create k --type ed25519").ok();
    let (ours, others) = (desk.deal("ours", 3, 5), desk.deal("others", 2, 3));
    let elsewhere = Desk::new(Site::with_keyfile());
    let foreign = elsewhere.deal("theirs", 2, 2);
    let bring = |file: PathBuf| format!("unseal --share-file {}", file.display());
    desk.canis("seal").said(0, "sealed");
    for refused in ["key list", "key create l --type ed25519", "sign k", "root list", "seal", "slot list"] {
        desk.canis(refused).said(3, "(sealed)");
    }
    desk.stranger("status").said(0, "`canis seal` was asked for");
    desk.stranger("unseal --progress").said(0, "no share is there");

    desk.stranger(&bring(ours(4))).said(0, "1 of 3 shares are there");
    desk.host(&bring(ours(1))).said(0, "2 of 3 shares are there");
    desk.stranger(&bring(ours(1))).said(0, "2 of 3");
    desk.stranger(&bring(others(2))).said(3, "share 2 is of split");
    desk.stranger(&bring(foreign(1))).said(3, "share 1 belongs to store");
    let typo = fs::read_to_string(ours(2)).unwrap();
    let digit = if typo.as_bytes()[120] == b'7' { "8" } else { "7" };
    fs::write(desk.site.file("typo"), [&typo[..120], digit, &typo[121..]].concat()).unwrap();
    desk.stranger(&bring(desk.site.file("typo"))).said(3, "checksum");
    desk.stranger("unseal --progress --json").said(0, "\"given\":2");

    desk.stranger("unseal --reset").said(3, "permission_denied");
    desk.host("unseal --reset").said(0, "no share is there");
    desk.stranger(&bring(others(1))).said(0, "1 of 2");
    desk.stranger(&format!("{} --reset", bring(ours(5)))).said(0, "1 of 3");
    // One who has several brings them at once.
    let both = format!("unseal --share-file {} --share-file {}", ours(2).display(), ours(3).display());
    desk.stranger(&both).said(0, "unsealed");
    desk.canis("sign k").ok();
    desk.stranger("unseal --progress").said(0, "unsealed");
    let log = desk.server.log();
    for share in [ours(4), ours(1), ours(2)] {
        let text = fs::read_to_string(share).unwrap();
        assert!(!log.contains(text.split(':').nth(5).unwrap()), "a share in the log");
    }
    desk.server.stop();
}

/// R91: what was sealed on purpose does not open by itself; on the host it opens as configured, and by any root's
/// credential wherever one is; a wrong one opens nothing. A restart opens it, too.
#[test]
fn sealed_on_purpose_stays_sealed() {
    let desk = Desk::new(Site::with_keyfile());
    desk.canis(&format!("root add passphrase --new-passphrase-file {}", desk.file("phrase"))).ok();
    desk.canis("key create k --type ed25519").ok();
    desk.canis("seal").ok();
    std::thread::sleep(Duration::from_secs(3));
    desk.stranger("status").said(0, "true");
    desk.stranger("unseal").said(3, "no terminal");
    desk.stranger("unseal --configured").said(3, "permission_denied");
    desk.stranger(&format!("unseal --passphrase-file {}", desk.file("wrong")))
        .said(3, "root_credential_wrong");
    let module = format!("unseal --hsm-pin-file {} --module {}", desk.file("phrase"), SoftHsm::MODULE);
    desk.stranger(&module).said(3, "permission_denied");
    desk.canis("sign k").said(3, "(sealed)");
    desk.stranger(&format!("unseal --passphrase-file {}", desk.file("phrase"))).said(0, "unsealed");
    desk.canis("sign k").ok();
    desk.canis("seal --json").said(0, "\"wiped\":true");
    desk.host("unseal --configured").said(0, "unsealed");
    desk.canis("sign k").ok();
    desk.canis("seal").ok();
    let Desk { site, server } = desk;
    server.stop();
    site.start().unsealed().stop();
}

/// R61: an open store tells nobody whether a credential is right, and who may not administer does not seal it.
#[test]
fn an_open_store_is_no_oracle() {
    let desk = Desk::new(Site::with_keyfile());
    desk.canis(&format!("root add passphrase --new-passphrase-file {}", desk.file("phrase"))).ok();
    for file in ["phrase", "wrong"] {
        desk.stranger(&format!("unseal --passphrase-file {}", desk.file(file))).said(0, "unsealed");
    }
    desk.stranger("seal").said(3, "unauthenticated");
    let made = desk.canis("token create --capability sign --json").ok().text();
    let token: serde_json::Value = serde_json::from_str(&made).unwrap();
    let mut poor = desk.program("seal");
    poor.env("CANIS_ADDR", desk.server.addr()).env("CANIS_CACERT", desk.server.ca());
    run(poor.env("CANIS_TOKEN", token["token"].as_str().unwrap()), b"").said(3, "`admin`");
    desk.canis("key list").ok();
    desk.server.stop();
}

/// A token that was lost is made anew with any root's credential: in a stopped store, and with shares at a running server.
#[test]
fn a_lost_token_is_made_anew() {
    let desk = Desk::new(Site::with_keyfile());
    let shares = desk.deal("ours", 2, 3);
    let two = format!("--share-file {} --share-file {}", shares(1).display(), shares(3).display());
    let one = format!("--share-file {}", shares(2).display());
    desk.stranger(&format!("operator token {one}")).said(3, "2 shares are needed and 1 are there (2)");
    let made = desk.stranger(&format!("operator token --json {two}")).ok().text();
    let uses = |server: &Server, made: &str| {
        let made: serde_json::Value = serde_json::from_str(made).unwrap();
        let mut canis = Command::new(binary("canis"));
        canis.args(["key", "list"]).env("CANIS_ADDR", server.addr()).env("CANIS_CACERT", server.ca());
        run(canis.env("CANIS_TOKEN", made["token"].as_str().unwrap()), b"").ok();
    };
    uses(&desk.server, &made);
    desk.canis("seal").ok();
    desk.stranger(&format!("operator token {two}")).said(3, "(sealed)");
    let Desk { site, server } = desk;
    server.stop();
    let local = |credential: &str| {
        let mut canis = Command::new(binary("canis"));
        canis.args(["operator", "token", "--json", "--data"]).arg(site.data());
        run(canis.args(credential.split_whitespace()), b"")
    };
    local(&one).said(3, "2 shares are needed");
    let made = [local(&two).ok().text(), local("").ok().text()];
    let server = site.start().unsealed();
    made.iter().for_each(|made| uses(&server, made));
    server.stop();
}

/// R90: a store whose HSM goes away stays open unless it is to be sealed then; when the HSM is back it opens again.
#[test]
fn an_hsm_that_goes_away_seals_if_asked() {
    let hsm = SoftHsm::new("leaves");
    let site = Site::with_hsm(&hsm);
    let config = site.data().join("canis.toml");
    let tokens = hsm.config().parent().unwrap().join("tokens");
    let away = tokens.with_file_name("away");
    let desk = Desk::new(site);
    fs::rename(&tokens, &away).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    desk.canis("key create k --type ed25519").ok();
    fs::rename(&away, &tokens).unwrap();
    let Desk { site, server } = desk;
    server.stop();
    let kept = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("on_hsm_loss = \"1s\"\n{kept}")).unwrap();
    let server = site.start().unsealed();
    fs::rename(&tokens, &away).unwrap();
    server.wait_for("sealed: the HSM was away for ");
    assert!(server.canis(&["sign", "k"], b"").stderr.contains("(sealed)"));
    fs::rename(&away, &tokens).unwrap();
    let signs = || server.canis(&["sign", "k"], b"").code == 0;
    assert!((0..300).any(|_| signs() || {
        std::thread::sleep(Duration::from_millis(100));
        false
    }));
    server.stop();
}
