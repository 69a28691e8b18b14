//! PINs that wear out, and tokens that are wiped: seen by programs that share a store.

use crate::harness::{Home, PIN, SO_PIN, library, said};
use canis_core::clock::Clock;
use canis_core::datadir::DataDir;
use canis_core::root::HsmHelper;
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::message::UpdateKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that runs an hour at each look, and began in 1970: what must be waited for by it is long over.
#[derive(Default)]
struct Hours(AtomicI64);

impl Clock for Hours {
    fn now_micros(&self) -> i64 {
        self.0.fetch_add(3_600_000_000, Ordering::Relaxed)
    }
}

/// Another program on the home's store, looking at its last token.
fn neighbour(home: &Home) -> (Core, Caller) {
    let store = DataDir::new(home.path("data")).open_store().unwrap();
    let core = Core::open(Arc::new(store), default_provider(), Arc::new(Hours::default())).unwrap();
    if core.has_root() {
        let source = DataDir::new(home.path("data")).read_config().unwrap().root.unwrap();
        core.unseal(&source.credential(&HsmHelper::new("canis")).unwrap()).unwrap();
    }
    let application = core.application();
    let token = core.call(&Caller::pkcs11_slots(&application), ListTokens).unwrap().last().unwrap().id;
    let caller = Caller::pkcs11(&application, token);
    (core, caller)
}

fn wear(home: &Home, role: Role, tries: u32) {
    let (core, caller) = neighbour(home);
    for _ in 0..tries {
        core.call(&caller, Login { role, pin: SecretBytes::copied_from(b"wrong").into() }).unwrap_err();
    }
}

/// The flags of the token as C_GetTokenInfo tells them to a new process.
fn flags(home: &Home) -> String {
    let listed = home.tool(&["-L"]);
    listed.lines().find(|line| line.contains("token flags")).unwrap().to_owned()
}

/// Runs pkcs11-tool, which must be refused with this code.
#[track_caller]
fn refused(home: &Home, arguments: &[&str], code: &str) {
    let output = home.command("pkcs11-tool").arg("--module").arg(library()).args(arguments).output().unwrap();
    let text = said(&output);
    assert!(!output.status.success() && text.contains(code), "{text}");
}

/// The flags count the user's tries down; the tenth wrong PIN locks the right one out of every process, and the
/// security officer lets the user in again.
#[test]
fn the_user_pin_wears_out_and_is_given_anew() {
    let home = Home::with_token("worn");
    home.tool_as_user(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "kept"]);
    let wrong = ["--login", "--pin", "0000", "-O"];
    assert!(!flags(&home).contains("count low"), "{}", flags(&home));
    refused(&home, &wrong, "CKR_PIN_INCORRECT");
    assert!(
        flags(&home).contains("user PIN count low") && !flags(&home).contains("final"),
        "{}",
        flags(&home)
    );
    wear(&home, Role::User, 8);
    assert!(flags(&home).contains("final user PIN try"), "{}", flags(&home));
    refused(&home, &wrong, "CKR_PIN_INCORRECT");
    assert!(flags(&home).contains("user PIN locked") && !flags(&home).contains("SO PIN"), "{}", flags(&home));
    refused(&home, &["--login", "--pin", PIN, "-O"], "CKR_PIN_LOCKED");

    let so = ["--login", "--login-type", "so", "--so-pin", SO_PIN, "--init-pin", "--pin", "new-pin"];
    home.tool(&so);
    assert!(!flags(&home).contains("locked") && !flags(&home).contains("count low"), "{}", flags(&home));
    refused(&home, &["--login", "--pin", PIN, "-O"], "CKR_PIN_INCORRECT");
    assert!(home.tool(&["--login", "--pin", "new-pin", "-O"]).contains("kept"));
}

/// Wrong SO PINs at C_InitToken are counted, and lock it; the token and its user go on.
#[test]
fn the_so_pin_wears_out_at_c_init_token() {
    let home = Home::with_token("worn");
    home.tool_as_user(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "kept"]);
    let slot = home.slot(0);
    let init = |so_pin| ["--init-token", "--slot", &slot, "--label", "anew", "--so-pin", so_pin];
    refused(&home, &init("87654321"), "CKR_PIN_INCORRECT");
    assert!(flags(&home).contains("SO PIN count low") && !flags(&home).contains("final"), "{}", flags(&home));
    wear(&home, Role::So, 8);
    assert!(flags(&home).contains("final SO PIN try"), "{}", flags(&home));
    refused(&home, &init("87654321"), "CKR_PIN_INCORRECT");
    assert!(
        flags(&home).contains("SO PIN locked") && !flags(&home).contains("user PIN l"),
        "{}",
        flags(&home)
    );
    refused(&home, &init(SO_PIN), "CKR_PIN_LOCKED");
    assert!(home.tool_as_user(&["-O"]).contains("kept"));
}

/// A token with a key that must not be deleted is not initialised anew, and nothing on it is touched.
#[test]
fn a_key_that_must_stay_keeps_its_token() {
    let home = Home::with_token("kept");
    home.tool_as_user(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "forever"]);
    let allow = |allowed| {
        let (core, caller) = neighbour(&home);
        let pin = SecretBytes::copied_from(PIN.as_bytes());
        core.call(&caller, Login { role: Role::User, pin: (&pin).into() }).unwrap();
        let change = UpdateKey { deletion_allowed: Some(allowed), ..UpdateKey::new("forever") };
        core.call(&caller, change).unwrap();
    };
    let init = ["--init-token", "--slot", &home.slot(0), "--label", "anew", "--so-pin", SO_PIN];
    allow(false);
    refused(&home, &init, "0x1b"); // CKR_ACTION_PROHIBITED, newer than the program
    assert!(home.tool_as_user(&["-O"]).contains("Private Key Object") && home.tool(&["-L"]).contains("kept"));
    assert!(!flags(&home).contains("count low"), "the PIN was right");
    allow(true);
    home.tool(&init);
    assert!(home.tool(&["-L"]).contains("anew") && !flags(&home).contains("PIN initialized"));
    assert!(!home.tool(&["-O"]).contains("forever"));
}
