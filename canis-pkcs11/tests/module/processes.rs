//! The module as a guest in processes: forks, races, unloading, exits, a running server, silence.

use crate::harness::{Home, SO_PIN, compile, embedded_only, library, said, succeed};
use canis_core::clock::SystemClock;
use canis_core::datadir::{Config, DataDir, RootSource};
use canis_core::root::NewRoot;
use canis_core::secret::SecretBytes;
use canis_core::{default_provider, setup};
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

fn home() -> Home {
    let home = Home::with_token("guest");
    home.tool_as_user(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "key", "--id", "01"]);
    home
}

/// Compiles and runs a C program on a token with one P-256 key; it must say that it came to its end, and nothing on
/// stderr.
fn run(name: &str, arguments: &[&str]) -> Home {
    let home = home();
    let program = compile(&home, name);
    let said = succeed(home.command(program).arg(library()).args(arguments));
    assert_eq!(said, "done\n");
    home
}

/// R93: nginx, ssh-agent and others fork after C_Initialize.
#[test]
fn a_child_starts_anew_and_the_parent_goes_on() {
    let home = run("fork", &["40"]);
    let listed = home.tool_as_user(&["-O"]);
    assert!(listed.contains("Private Key Object") && !listed.contains("written"), "{listed}");
}

/// R93: of what the parent, its threads and its children were told is made, a third process sees all: children of before
/// C_Initialize, of the time when four threads are at work, and beside C_Finalize.
#[test]
fn parents_and_children_lose_nothing() {
    let home = home();
    let program = compile(&home, "lineage");
    let made: usize =
        succeed(home.command(program).arg(library()).arg("4")).trim().parse().expect("how many were made");
    let listed = home.tool_as_user(&["-O", "--type", "data"]);
    let count = |name: &str| listed.matches(&format!("'{name}-")).count();
    assert_eq!((count("parent"), count("child"), count("thread")), (4, 12, made), "{listed}");
    assert!(made > 0);
}

#[test]
fn racing_initialisations_have_one_winner() {
    run("race", &[]);
}

#[test]
fn finalize_under_fire_does_not_crash() {
    run("finalize", &[]);
}

#[test]
fn a_thread_may_end_after_dlclose() {
    run("unload", &[]);
}

/// A host that closes the library without C_Finalize finds it as it left it when it loads it again.
#[test]
fn dlclose_without_goodbye() {
    run("unload", &["without C_Finalize"]);
}

/// R93: two hosts are logged in while a third process wipes the token. Both are logged in no more, see no key and use none;
/// with the new PIN both work on.
#[test]
fn a_wiped_token_is_gone_for_every_host() {
    let home = home();
    let program = compile(&home, "wiped");
    let start = || {
        let mut host = home.command(&program);
        let mut host = host.arg(library()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (told, said) = (host.stdin.take().unwrap(), host.stdout.take().unwrap());
        (host, told, BufReader::new(said).lines())
    };
    let mut hosts = [start(), start()];
    for (.., said) in &mut hosts {
        assert_eq!(said.next().unwrap().unwrap(), "logged in");
    }
    home.tool(&["--init-token", "--slot", &home.slot(0), "--label", "anew", "--so-pin", SO_PIN]);
    for (_, told, said) in &mut hosts {
        told.write_all(b"\n").unwrap();
        // CKR_KEY_HANDLE_INVALID, no private key, CKR_USER_PIN_NOT_INITIALIZED.
        assert_eq!(said.next().unwrap().unwrap(), "60 0 102");
        assert_eq!(said.next().unwrap().unwrap(), "wiped");
    }
    let so = ["--login", "--login-type", "so", "--so-pin", SO_PIN];
    home.tool(&[&["--slot", &home.slot(0), "--init-pin", "--pin", "5678"], &so[..]].concat());
    for (mut host, mut told, mut said) in hosts {
        told.write_all(b"\n").unwrap();
        assert_eq!(said.next().unwrap().unwrap(), "done");
        assert!(host.wait().unwrap().success());
    }
    let listed = home.tool(&["--login", "--pin", "5678", "-O"]);
    assert_eq!(
        (listed.matches("'after-").count(), listed.matches("Private Key").count()),
        (2, 0),
        "{listed}"
    );
}

#[test]
fn hosts_leave_without_goodbye() {
    run("leave", &[]);
    run("leave", &["with a busy thread"]);
}

/// A host waits for the token that another process makes, and C_Finalize calls it back.
#[test]
fn slot_events_are_waited_for() {
    let home = home();
    let mut host = home.command(compile(&home, "wait"));
    let mut host = host.env_remove("CANIS_TENANT").arg(library()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(host.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "waiting");
    home.tool(&["--init-token", "--slot", &home.slot(1), "--label", "second", "--so-pin", SO_PIN]);
    assert_eq!(said.next().unwrap().unwrap(), "done");
    assert!(host.wait().unwrap().success());
}

/// Nothing but the three entry points is exported, and no C_… is taken from elsewhere.
#[test]
fn the_library_exports_its_entry_points_only() {
    let defined = succeed(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let names: Vec<_> = defined.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList"]);
    let undefined = succeed(Command::new("nm").args(["-D", "--undefined-only"]).arg(library()));
    assert!(!undefined.contains(" C_") && !undefined.contains("EVP_"), "{undefined}");
    let dynamic = succeed(Command::new("readelf").args(["-d"]).arg(library()));
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    // One entry, the compiler's own: nothing runs when the host exits, not even AWS-LC (exit.ld).
    let at_exit = dynamic.lines().find(|line| line.contains("(FINI_ARRAYSZ)")).unwrap();
    assert!(at_exit.contains(" 8 (bytes)"), "{at_exit}");
}

/// While a server holds the directory there are no slots, and the log says why; afterwards they are back.
#[test]
fn a_running_server_keeps_the_slots_away() {
    if embedded_only("about a directory that is held without a server") {
        return;
    }
    let home = home();
    let lock =
        File::options().create(true).truncate(false).write(true).open(home.path("data/canis.lock")).unwrap();
    lock.try_lock().unwrap();
    let listed =
        said(&home.command("pkcs11-tool").arg("--module").arg(library()).arg("-L").output().unwrap());
    assert!(listed.contains("No slots") && !listed.contains("guest"), "{listed}");
    assert!(home.log().contains("no slots: a running canis-server holds"), "{}", home.log());
    lock.unlock().unwrap();
    assert!(home.tool(&["-L"]).contains("guest"));
}

/// Without any setting the store is in the user's data directory, and nothing is written anywhere else.
#[test]
fn no_set_up_is_needed_and_nothing_is_said() {
    if embedded_only("about the store that the module makes") {
        return;
    }
    let home = Home::new();
    let mut tool = home.command("pkcs11-tool");
    tool.env_remove("CANIS_DATA").env_remove("CANIS_PKCS11_LOG").env_remove("XDG_DATA_HOME");
    let output = tool.arg("--module").arg(library()).arg("-L").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    assert!(home.path(".local/share/canis/canis.dat").exists());
    assert!(!home.path("log").exists() && !home.path("data").exists());
}

/// The configuration file: the store, the log, and keys hidden from searches.
#[test]
fn a_configuration_file_is_obeyed() {
    let home = home();
    home.tool_as_user(&["--keypairgen", "--key-type", "EC:edwards25519", "--label", "edwards"]);
    let file = home.path("canis-pkcs11.toml");
    let (data, log) = (home.path("data"), home.path("other-log"));
    let text = format!("data = {data:?}\nlog = {log:?}\nhide_key_types = [\"ed25519\"]\n");
    std::fs::write(&file, text).unwrap();
    let with_file = |home: &Home| {
        let mut tool = home.command("pkcs11-tool");
        tool.env_remove("CANIS_DATA").env_remove("CANIS_PKCS11_LOG").env("CANIS_PKCS11_CONF", &file);
        tool.arg("--module").arg(library()).args(["--login", "--pin", "1234", "-O"]);
        tool.output().unwrap()
    };
    let listed = said(&with_file(&home));
    assert!(listed.contains("label:      key") && !listed.contains("edwards"), "{listed}");
    assert!(std::fs::read_to_string(&log).unwrap().contains("working "));
    std::fs::write(&file, "dta = 1").unwrap();
    assert!(!with_file(&home).status.success());
    assert!(home.tool_as_user(&["-O"]).contains("edwards"));
}

/// Where no store can be made there are no slots; the host goes on.
#[test]
fn no_store_and_no_place_for_one() {
    let home = Home::new();
    let mut tool = home.command("pkcs11-tool");
    let text = said(
        &tool.env("CANIS_DATA", "/dev/null/canis").arg("--module").arg(library()).arg("-L").output().unwrap(),
    );
    assert!(text.contains("No slots"), "{text}");
    assert!(home.log().contains("none can be made"), "{}", home.log());
}

/// A store with a root: `canis.toml` names its credential and the module opens it; without it there are no slots, and the
/// log says what is missing.
#[test]
fn a_store_with_a_root_is_opened_by_its_configuration() {
    if embedded_only("about the store in the host's process") {
        return;
    }
    let home = Home::new();
    let directory = DataDir::new(home.path("data"));
    std::fs::create_dir(home.path("data")).unwrap();
    std::fs::write(home.path("root.key"), [7; 32]).unwrap();
    std::fs::set_permissions(home.path("root.key"), Permissions::from_mode(0o600)).unwrap();
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&[7; 32]) };
    setup::create(&directory, root, &[], default_provider(), Arc::new(SystemClock)).unwrap();
    let source = RootSource::Keyfile { file: home.path("root.key") };
    directory.write_config(&Config { root: Some(source), ..Config::default() }).unwrap();

    let slot = home.tool(&["-L"]).matches("Slot ").count() - 1;
    let slot = slot.to_string();
    home.tool(&["--init-token", "--slot", &slot, "--label", "rooted", "--so-pin", "12345678"]);
    let so = ["--token-label", "rooted", "--login", "--login-type", "so", "--so-pin", "12345678"];
    home.tool(&[&so[..], &["--init-pin", "--pin", "1234"]].concat());
    let key = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "key"];
    home.tool_as_user(&[&["--token-label", "rooted"], &key[..]].concat());
    assert!(home.tool_as_user(&["--token-label", "rooted", "-O"]).contains("label:      key"));

    std::fs::remove_file(home.path("root.key")).unwrap();
    let text = said(&home.command("pkcs11-tool").arg("--module").arg(library()).arg("-L").output().unwrap());
    assert!(text.contains("No slots") && !text.contains("rooted"), "{text}");
    assert!(home.log().contains("is sealed: cannot read"), "{}", home.log());
}

/// A store that is no store is refused with a reason, and left as it is.
#[test]
fn a_file_that_is_no_store_is_left_alone() {
    if embedded_only("about the store in the host's process") {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path("data")).unwrap();
    std::fs::write(home.path("data/canis.dat"), b"precious notes").unwrap();
    let output = home.command("pkcs11-tool").arg("--module").arg(library()).arg("-L").output().unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    assert!(home.log().contains("C_Initialize"), "{}", home.log());
    assert_eq!(std::fs::read(home.path("data/canis.dat")).unwrap(), b"precious notes");
}

/// Eight programs log in at the same moment, as the workers of a server do, and write to one store.
#[test]
fn processes_share_a_store() {
    let home = home();
    let start = |label: &str| {
        let mut tool = home.command("pkcs11-tool");
        tool.arg("--module").arg(library()).args(["--login", "--pin", "1234", "--keypairgen"]);
        tool.args(["--key-type", "EC:secp384r1", "--label", label]);
        tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let labels: Vec<_> = (0..8).map(|n| format!("made-{n}")).collect();
    for child in labels.iter().map(|label| start(label)).collect::<Vec<_>>() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let listed = home.tool_as_user(&["-O"]);
    assert!(labels.iter().all(|label| listed.contains(label.as_str())), "{listed}");
}

/// R93: no thread, no signal; the application's mutexes are accepted; a child draws numbers of its own.
#[test]
fn the_module_is_a_quiet_guest() {
    run("guest", &[]);
}
