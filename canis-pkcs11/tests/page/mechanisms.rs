//! Which mechanisms are there, for what, and with which keys, as C_GetMechanismInfo says.

use crate::names;
use crate::provider::{Provider, call};
use crate::table::{ABSENT, Row};
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
    (CKF_MESSAGE_ENCRYPT, "message encrypt"),
    (CKF_MESSAGE_DECRYPT, "message decrypt"),
    (CKF_MESSAGE_SIGN, "message sign"),
    (CKF_MESSAGE_VERIFY, "message verify"),
];

/// The table's rows, ordered by number.
pub(crate) fn rows(ours: (&Provider, CK_SLOT_ID), theirs: Option<(&Provider, CK_SLOT_ID)>) -> Vec<Row> {
    let ours = described(ours);
    let theirs = theirs.map(described).unwrap_or_default();
    let mut kinds: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let cell = |from: &BTreeMap<_, String>, kind| from.get(kind).map_or(ABSENT, String::as_str).to_owned();
    kinds
        .iter()
        .map(|kind| Row { name: name(**kind), ours: cell(&ours, kind), theirs: cell(&theirs, kind) })
        .collect()
}

fn name(kind: CK_MECHANISM_TYPE) -> String {
    let known = names::MECHANISMS.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| format!("{kind:#x}"), |(_, name)| (*name).to_owned())
}

/// Every mechanism of a token, in words.
fn described((provider, slot): (&Provider, CK_SLOT_ID)) -> BTreeMap<CK_MECHANISM_TYPE, String> {
    let mut count = 0;
    assert_eq!(call!(provider, C_GetMechanismList(slot, null_mut(), &mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(provider, C_GetMechanismList(slot, kinds.as_mut_ptr(), &mut count)), CKR_OK);
    let describe = |kind| {
        let mut info = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: 0 };
        assert_eq!(call!(provider, C_GetMechanismInfo(slot, kind, &mut info)), CKR_OK);
        (kind, in_words(&info))
    };
    kinds.into_iter().map(describe).collect()
}

fn in_words(info: &CK_MECHANISM_INFO) -> String {
    let uses: Vec<_> =
        USES.iter().filter(|(flag, _)| info.flags & flag != 0).map(|(_, word)| *word).collect();
    let sizes = match (info.ulMinKeySize, info.ulMaxKeySize) {
        (0, 0) => String::new(),
        (one, other) if one == other => format!("; {one}"),
        (least, CK_UNAVAILABLE_INFORMATION) => format!("; from {least}"),
        (least, most) => format!("; {least}–{most}"),
    };
    uses.join(", ") + &sizes
}
