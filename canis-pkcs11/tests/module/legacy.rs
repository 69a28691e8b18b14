//! Wrapping that anybody can alter, under the policy `legacy`: what it gives, and that it tells nothing to who alters it.

use crate::client::{
    Client, How, bytes, how, no, number, oaep_sha256, open_secret, plain, secret, with, yes,
};
use crate::home::Home;
use crate::parts::{cut_by_its_padding, wrong_paddings_differ};
use crate::separation::target;
use crate::wrap::rsa_wrapper;
use pkcs11_sys::*;

/// What a process is told by whom it is started for the sake of the policy.
const MARK: &str = "CANIS_TEST_LEGACY";

/// Whether the module of this process has the policy `legacy`.
pub(crate) fn is_on() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs tests of this program in a process of its own, whose module has the policy.
pub(crate) fn run_again(filter: &[&str], count: usize) {
    run_configured("legacy = true\n", MARK, filter, count);
}

/// The same with another configuration, of which `mark` in the environment tells the tests.
pub(crate) fn run_configured(configuration: &str, mark: &str, filter: &[&str], count: usize) {
    let home = Home::new();
    std::fs::write(home.path("conf"), configuration).unwrap();
    let mut again = home.command(std::env::current_exe().unwrap());
    again.env("CANIS_PKCS11_CONF", home.path("conf")).env(mark, "1");
    let said = crate::home::succeed(again.args(filter).arg("--nocapture"));
    assert!(said.contains(&format!("{count} passed")), "{said}");
}

/// Unwrapping that anybody can alter is there under `legacy` only, and then answers alike whatever is inside.
#[test]
fn malleable_wrapping_is_no_oracle() {
    run_again(&["--exact", "legacy::as_a_legacy_process"], 1);
}

/// R93: what C_GetMechanismList lists under the policy works, too.
#[test]
fn every_mechanism_that_the_policy_lists() {
    run_again(&["mechanisms::every_listed"], 3);
}

/// Runs in a process of its own, whose module has the policy `legacy`.
#[test]
fn as_a_legacy_process() {
    if !is_on() {
        return;
    }
    let client = Client::new("old");
    legacy_rsa(&client);
    legacy_cbc(&client);
    legacy_times(&client);
    legacy_private_keys(&client);
}

/// Right and wrong paddings take comparable times: in one of nine rounds, for other work of the machine disturbs them, the
/// medians of interleaved runs do not differ by half.
fn legacy_times(client: &Client) {
    let (public, private) = rsa_wrapper(client, 2048);
    let aes = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let key = client.aes(32, &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]);
    let wanted = with(secret(CKK_AES), [number(CKA_VALUE_LEN, 32)]);
    let (pkcs1, cbc) = (plain(CKM_RSA_PKCS), how(CKM_AES_CBC_PAD, [7u8; 16]));
    let by_rsa = client.wrap(&pkcs1, public, key).unwrap();
    let by_aes = client.wrap(&cbc, aes, key).unwrap();
    let ratio = |right: &[u8], at: usize, unwrap: &dyn Fn(&[u8])| {
        let mut wrong = right.to_vec();
        wrong[at] ^= 1;
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..41 {
            for (wrapped, times) in [right, &wrong].into_iter().zip(&mut times) {
                let start = std::time::Instant::now();
                unwrap(wrapped);
                times.push(start.elapsed());
            }
        }
        let [right, wrong] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2].as_secs_f64()
        });
        right / wrong
    };
    let alike = |right: &[u8], at, unwrap: &dyn Fn(&[u8])| {
        let mut ratios = Vec::new();
        let alike = (0..9).any(|_| {
            let ratio = ratio(right, at, unwrap);
            ratios.push(ratio);
            (0.67..1.5).contains(&ratio)
        });
        assert!(alike, "{ratios:?}");
    };
    alike(&by_rsa, 250, &|wrapped| _ = client.unwrap(&pkcs1, private, wrapped, &wanted).unwrap());
    alike(&by_aes, 31, &|wrapped| _ = client.unwrap(&cbc, aes, wrapped, &wanted).unwrap());
}

/// A private key that is refused is refused alike, and at the same cost, for its padding, for its structure and for its
/// numbers; of each kind of key that takes long to check.
fn legacy_private_keys(client: &Client) {
    let aes = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let cbc = how(CKM_AES_CBC_PAD, [7u8; 16]);
    let leaves = [yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)];
    let pairs = [
        (CKM_EC_KEY_PAIR_GEN, CKK_EC, bytes(CKA_EC_PARAMS, crate::keys::P256.0), 21),
        (CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, number(CKA_MODULUS_BITS, 2048), 5),
    ];
    for (generate, kind, public, rounds) in pairs {
        let (_, private) = client.pair(generate, &[public], &leaves);
        let wrapped = client.wrap(&cbc, aes, private).unwrap();
        let template = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, kind)];
        let wrong_iv = how(CKM_AES_CBC_PAD, [8u8; 16]);
        let bent = |at: usize| {
            let mut bent = wrapped.clone();
            bent[at] ^= 1;
            bent
        };
        // The structure (by the IV, which is XORed to the header), a number in the middle, one beside the end, and the
        // padding with it.
        let wrong = [
            (&wrong_iv, wrapped.clone()),
            (&cbc, bent(wrapped.len() / 2)),
            (&cbc, bent(wrapped.len() - 32)),
            (&cbc, bent(wrapped.len() - 17)),
        ];
        let unwrap = |(how, wrapped): &(&How<[u8; 16]>, Vec<u8>)| {
            let start = std::time::Instant::now();
            assert_eq!(client.unwrap(how, aes, wrapped, &template), Err(CKR_WRAPPED_KEY_INVALID));
            start.elapsed().as_secs_f64()
        };
        wrong.iter().for_each(|wrong| _ = unwrap(wrong)); // What is made at first use is there.
        let alike = |_| {
            let mut times = wrong.each_ref().map(|_| Vec::new());
            for _ in 0..rounds {
                wrong.iter().zip(&mut times).for_each(|(wrong, times)| times.push(unwrap(wrong)));
            }
            let medians = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            });
            let (least, most) =
                medians.iter().fold((f64::MAX, 0.0), |(a, b): (f64, f64), m| (a.min(*m), b.max(*m)));
            (most / least < 2.5, medians)
        };
        let mut tries = Vec::new();
        let alike = (0..9).any(|round| {
            let (alike, medians) = alike(round);
            tries.push(medians);
            alike
        });
        assert!(alike, "{kind:x} {tries:?}");
        client.unwrap(&cbc, aes, &wrapped, &template).unwrap();
    }
}

fn legacy_rsa(client: &Client) {
    let (public, private) = rsa_wrapper(client, 2048);
    let key = client.aes(32, &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]);
    let pkcs1 = plain(CKM_RSA_PKCS);
    let wrapped = client.wrap(&pkcs1, public, key).unwrap();
    let wanted = with(secret(CKK_AES), [number(CKA_VALUE_LEN, 32)]);
    let back = client.unwrap(&pkcs1, private, &wrapped, &wanted).unwrap();
    let ecb = plain(CKM_AES_ECB);
    let sealed = client.encrypt(&ecb, key, &[3; 16]).unwrap();
    assert_eq!(client.decrypt(&ecb, back, &sealed).unwrap(), [3; 16]);
    assert!(!client.is(back, CKA_DERIVE) && !client.is(back, CKA_EXTRACTABLE));
    assert_eq!(client.unwrap(&pkcs1, private, &wrapped, &secret(CKK_AES)), Err(CKR_TEMPLATE_INCOMPLETE));
    let open = with(open_secret(CKK_AES), [number(CKA_VALUE_LEN, 32)]);
    assert_eq!(client.unwrap(&pkcs1, private, &wrapped, &open), Err(CKR_TEMPLATE_INCONSISTENT));
    // Bleichenbacher: whatever the padding says there is a key, the same each time, and it is not the right one.
    for bit in [0usize, 7, 128, 250, 255] {
        let mut bent = wrapped.clone();
        bent[bit] ^= 1;
        let Ok(one) = client.unwrap(&pkcs1, private, &bent, &wanted) else {
            assert_eq!(bit, 0, "only a number above the modulus may be refused");
            continue;
        };
        let two = client.unwrap(&pkcs1, private, &bent, &wanted).unwrap();
        let by = |key| client.encrypt(&ecb, key, &[3; 16]).unwrap();
        assert_eq!(by(one), by(two));
        assert_ne!(by(one), sealed);
    }
    // A right padding around a key of another length looks the same.
    let short = client.aes(16, &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]);
    let wrapped = client.wrap(&pkcs1, public, short).unwrap();
    client.unwrap(&pkcs1, private, &wrapped, &wanted).unwrap();
    // The policy also lets RSA-2048 carry AES-256.
    let target = target(client, 32);
    client.wrap(&how(CKM_RSA_PKCS_OAEP, oaep_sha256()), public, target).unwrap();
}

fn legacy_cbc(client: &Client) {
    let aes = client.aes(32, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]);
    let key = client.aes(32, &[yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)]);
    let cbc = how(CKM_AES_CBC_PAD, [7u8; 16]);
    let wrapped = client.wrap(&cbc, aes, key).unwrap();
    assert_eq!(wrapped.len(), 48);
    let wanted = with(secret(CKK_AES), [number(CKA_VALUE_LEN, 32)]);
    let back = client.unwrap(&cbc, aes, &wrapped, &wanted).unwrap();
    let ecb = plain(CKM_AES_ECB);
    let sealed = client.encrypt(&ecb, key, &[3; 16]).unwrap();
    assert_eq!(client.decrypt(&ecb, back, &sealed).unwrap(), [3; 16]);
    // Vaudenay: every last byte of the block before the padding is answered by a key.
    for guess in 0..=255u8 {
        let mut bent = wrapped.clone();
        bent[31] = guess;
        client.unwrap(&cbc, aes, &bent, &wanted).unwrap();
    }
    // What it does not do it is not told to do later, nor is a copy of it.
    for usage in [CKA_DERIVE, CKA_WRAP, CKA_UNWRAP] {
        assert_eq!(client.set(back, &[yes(usage)]), Err(CKR_ACTION_PROHIBITED));
    }
    assert_eq!(client.copy(back, &[yes(CKA_MODIFIABLE)]), Err(CKR_ACTION_PROHIBITED));
    cut_by_its_padding(client, aes);
    wrong_paddings_differ(client, aes);
    // Private keys cannot be made up; what is wrong with one is not told.
    let leaves = [yes(CKA_EXTRACTABLE), no(CKA_SENSITIVE)];
    let (_, private) =
        client.pair(CKM_EC_KEY_PAIR_GEN, &[bytes(CKA_EC_PARAMS, crate::keys::P256.0)], &leaves);
    let wrapped = client.wrap(&cbc, aes, private).unwrap();
    let template = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, CKK_EC)];
    client.unwrap(&cbc, aes, &wrapped, &template).unwrap();
    for at in [0, 5, wrapped.len() / 2, wrapped.len() - 17, wrapped.len() - 1] {
        let mut bent = wrapped.clone();
        bent[at] ^= 1;
        assert_eq!(client.unwrap(&cbc, aes, &bent, &template), Err(CKR_WRAPPED_KEY_INVALID), "{at}");
    }
}
