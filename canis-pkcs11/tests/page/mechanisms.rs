//! Which mechanisms are there, for what, and with which keys, as C_GetMechanismInfo says.

use crate::names;
use crate::provider::{Provider, call};
use crate::table::{ABSENT, Row};
use cryptoki_sys::{CKF_DECAPSULATE, CKF_ENCAPSULATE};
use pkcs11_sys::*;
use std::collections::BTreeMap;
use std::ptr::null_mut;

const USES: &[(CK_FLAGS, &str)] = &[
    (CKF_GENERATE, "generate"),
    (CKF_GENERATE_KEY_PAIR, "generate pair"),
    (CKF_ENCRYPT, "encrypt"),
    (CKF_DECRYPT, "decrypt"),
    (CKF_DIGEST, "digest"),
    (CKF_SIGN, "sign"),
    (CKF_SIGN_RECOVER, "sign recover"),
    (CKF_VERIFY, "verify"),
    (CKF_VERIFY_RECOVER, "verify recover"),
    (CKF_WRAP, "wrap"),
    (CKF_UNWRAP, "unwrap"),
    (CKF_DERIVE, "derive"),
    (CKF_ENCAPSULATE, "encapsulate"),
    (CKF_DECAPSULATE, "decapsulate"),
    (CKF_MESSAGE_ENCRYPT, "message encrypt"),
    (CKF_MESSAGE_DECRYPT, "message decrypt"),
    (CKF_MESSAGE_SIGN, "message sign"),
    (CKF_MESSAGE_VERIFY, "message verify"),
];

/// What a token says of its mechanisms.
pub(crate) type Described = BTreeMap<CK_MECHANISM_TYPE, CK_MECHANISM_INFO>;

/// The table's rows, ordered by number. `old` is what this module says under the policy `legacy`.
pub(crate) fn rows(
    (ours, slot): (&Provider, CK_SLOT_ID),
    old: &Described,
    theirs: Option<(&Provider, CK_SLOT_ID)>,
) -> Vec<Row> {
    let ours = described(ours, slot);
    let theirs = theirs.map(|(theirs, slot)| described(theirs, slot)).unwrap_or_default();
    let mut kinds: Vec<_> = old.keys().chain(theirs.keys()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let row = |kind: &CK_MECHANISM_TYPE| Row {
        name: name(*kind),
        ours: by_policy(ours.get(kind), old.get(kind)),
        theirs: theirs.get(kind).map_or_else(|| ABSENT.to_owned(), in_words),
    };
    kinds.into_iter().map(row).collect()
}

/// What is there, and what the policy `legacy` adds.
fn by_policy(sound: Option<&CK_MECHANISM_INFO>, old: Option<&CK_MECHANISM_INFO>) -> String {
    match (sound, old) {
        (Some(sound), Some(old)) => match old.flags & !sound.flags {
            0 => in_words(sound),
            more => format!("{}; with `legacy` also {}", in_words(sound), uses(more)),
        },
        (None, Some(old)) => format!("with `legacy` {}", in_words(old)),
        (Some(_), None) => panic!("the policy takes a mechanism away"),
        (None, None) => ABSENT.to_owned(),
    }
}

fn name(kind: CK_MECHANISM_TYPE) -> String {
    let known = names::MECHANISMS.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| format!("{kind:#x}"), |(_, name)| (*name).to_owned())
}

/// Every mechanism of a token.
pub(crate) fn described(provider: &Provider, slot: CK_SLOT_ID) -> Described {
    let mut count = 0;
    assert_eq!(call!(provider, C_GetMechanismList(slot, null_mut(), &mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(provider, C_GetMechanismList(slot, kinds.as_mut_ptr(), &mut count)), CKR_OK);
    let describe = |kind| {
        let mut info = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: 0 };
        assert_eq!(call!(provider, C_GetMechanismInfo(slot, kind, &mut info)), CKR_OK);
        (kind, info)
    };
    kinds.into_iter().map(describe).collect()
}

fn in_words(info: &CK_MECHANISM_INFO) -> String {
    let sizes = match (info.ulMinKeySize, info.ulMaxKeySize) {
        (0, 0) => String::new(),
        (one, other) if one == other => format!("; {one}"),
        (least, CK_UNAVAILABLE_INFORMATION) => format!("; from {least}"),
        (least, most) => format!("; {least}–{most}"),
    };
    uses(info.flags) + &sizes
}

fn uses(flags: CK_FLAGS) -> String {
    let words: Vec<_> = USES.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect();
    words.join(", ")
}
