//! Templates that no honest client sends, and templates inside templates, as a C program passes them.

use crate::harness::user_session;
use crate::raw::{attribute, call, mechanism};
use pkcs11_sys::*;
use std::ptr::null_mut;

/// An attribute whose value is an array of attributes.
fn nested(kind: CK_ATTRIBUTE_TYPE, inner: &mut [CK_ATTRIBUTE]) -> CK_ATTRIBUTE {
    let len = size_of_val(inner) as CK_ULONG;
    CK_ATTRIBUTE { type_: kind, pValue: inner.as_mut_ptr().cast(), ulValueLen: len }
}

fn generate(session: CK_SESSION_HANDLE, template: &mut [CK_ATTRIBUTE]) -> (CK_RV, CK_OBJECT_HANDLE) {
    let (mut mechanism, mut key) = (mechanism(CKM_AES_KEY_GEN), 0);
    let (at, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
    (call!(C_GenerateKey(session, &mut mechanism, at, count, &mut key)), key)
}

/// Templates for wrapping, unwrapping and deriving are kept as given and come back by the standard's three calls.
#[test]
fn templates_inside_templates_are_kept() {
    let session = user_session("nested");
    let handle = session.handle();
    let (mut len, mut yes, mut kind, mut label) = (32 as CK_ULONG, CK_TRUE, CKK_AES, *b"inside");
    let mut unwrap = [
        attribute(CKA_SENSITIVE, &mut yes),
        attribute(CKA_KEY_TYPE, &mut kind),
        attribute(CKA_LABEL, &mut label),
    ];
    let mut token = CK_TRUE;
    let mut template = [
        attribute(CKA_VALUE_LEN, &mut len),
        attribute(CKA_TOKEN, &mut token),
        nested(CKA_UNWRAP_TEMPLATE, &mut unwrap),
        nested(CKA_WRAP_TEMPLATE, &mut []),
    ];
    let (rv, key) = generate(handle, &mut template);
    assert_eq!(rv, CKR_OK);

    let size = size_of::<CK_ATTRIBUTE>() as CK_ULONG;
    let blank = |kind| CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 0 };
    let mut asked = [blank(CKA_UNWRAP_TEMPLATE), blank(CKA_WRAP_TEMPLATE), blank(CKA_DERIVE_TEMPLATE)];
    assert_eq!(call!(C_GetAttributeValue(handle, key, asked.as_mut_ptr(), 3)), CKR_OK);
    assert_eq!(asked.map(|a| a.ulValueLen), [3 * size, 0, 0]);

    let mut inner = [blank(0); 3];
    let mut whole = nested(CKA_UNWRAP_TEMPLATE, &mut inner);
    assert_eq!(call!(C_GetAttributeValue(handle, key, &mut whole, 1)), CKR_OK);
    assert_eq!(inner.map(|a| a.type_), [CKA_SENSITIVE, CKA_KEY_TYPE, CKA_LABEL]);
    assert_eq!(inner.map(|a| a.ulValueLen), [1, size_of::<CK_ULONG>() as CK_ULONG, 6]);

    let (mut flag, mut number, mut text) = (0u8, 0 as CK_ULONG, [0u8; 6]);
    inner[0].pValue = (&raw mut flag).cast();
    inner[1].pValue = (&raw mut number).cast();
    inner[2].pValue = (&raw mut text).cast();
    assert_eq!(call!(C_GetAttributeValue(handle, key, &mut whole, 1)), CKR_OK);
    assert_eq!((flag, number, &text), (CK_TRUE, CKK_AES, b"inside"));

    // One value too small says so for itself.
    inner[2].ulValueLen = 5;
    text = [0; 6];
    assert_eq!(call!(C_GetAttributeValue(handle, key, &mut whole, 1)), CKR_BUFFER_TOO_SMALL);
    assert_eq!((inner[2].ulValueLen, text), (CK_UNAVAILABLE_INFORMATION, [0; 6]));
    assert_eq!(inner[1].ulValueLen, size_of::<CK_ULONG>() as CK_ULONG);
    // So does an array that is too short; none of it is touched.
    let mut short = nested(CKA_UNWRAP_TEMPLATE, &mut inner[..2]);
    assert_eq!(call!(C_GetAttributeValue(handle, key, &mut short, 1)), CKR_BUFFER_TOO_SMALL);

    // It is found by its template, never changed, and copied with it.
    let mut wanted = nested(CKA_UNWRAP_TEMPLATE, &mut unwrap);
    assert_eq!(call!(C_FindObjectsInit(handle, &mut wanted, 1)), CKR_OK);
    let (mut found, mut count) = ([0; 2], 0);
    assert_eq!(call!(C_FindObjects(handle, found.as_mut_ptr(), 2, &mut count)), CKR_OK);
    assert_eq!((count, found[0], call!(C_FindObjectsFinal(handle))), (1, key, CKR_OK));
    let mut weaker = nested(CKA_UNWRAP_TEMPLATE, &mut []);
    assert_eq!(call!(C_SetAttributeValue(handle, key, &mut weaker, 1)), CKR_ATTRIBUTE_READ_ONLY);
    let mut copy = 0;
    assert_eq!(call!(C_CopyObject(handle, key, &mut weaker, 1, &mut copy)), CKR_ATTRIBUTE_READ_ONLY);
    assert_eq!(call!(C_CopyObject(handle, key, null_mut(), 0, &mut copy)), CKR_OK);
    let mut asked = blank(CKA_UNWRAP_TEMPLATE);
    assert_eq!(call!(C_GetAttributeValue(handle, copy, &mut asked, 1)), CKR_OK);
    assert_eq!(asked.ulValueLen, 3 * size);
}

/// Attacks: templates inside that are cut, endless, contradictory, of unknown attributes or nested again.
#[test]
fn wrong_templates_inside_are_refused() {
    let session = user_session("wrongly nested");
    let handle = session.handle();
    let make = |inside: CK_ATTRIBUTE| {
        let mut len = 32 as CK_ULONG;
        generate(handle, &mut [attribute(CKA_VALUE_LEN, &mut len), inside]).0
    };
    let (mut yes, mut no, mut two) = (CK_TRUE, CK_FALSE, 2u8);
    let mut whole = [attribute(CKA_SENSITIVE, &mut yes)];
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut whole)), CKR_OK);
    let mut cut = nested(CKA_UNWRAP_TEMPLATE, &mut whole);
    cut.ulValueLen -= 1;
    assert_eq!(make(cut), CKR_ATTRIBUTE_VALUE_INVALID);
    cut.ulValueLen = CK_ULONG::MAX;
    assert_eq!(make(cut), CKR_ATTRIBUTE_VALUE_INVALID);
    cut.ulValueLen = CK_ULONG::MAX / 24 * 24;
    assert_eq!(make(cut), CKR_ARGUMENTS_BAD);
    let nowhere = CK_ATTRIBUTE { pValue: null_mut(), ..nested(CKA_UNWRAP_TEMPLATE, &mut whole) };
    assert_eq!(make(nowhere), CKR_ARGUMENTS_BAD);
    let mut endless = [attribute(CKA_LABEL, &mut yes)];
    endless[0].ulValueLen = CK_ULONG::MAX;
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut endless)), CKR_ARGUMENTS_BAD);
    let mut wrong = [attribute(CKA_SENSITIVE, &mut two)];
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut wrong)), CKR_ATTRIBUTE_VALUE_INVALID);
    let mut torn = [attribute(CKA_SENSITIVE, &mut yes), attribute(CKA_SENSITIVE, &mut no)];
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut torn)), CKR_TEMPLATE_INCONSISTENT);
    let mut unknown = [attribute(CKA_VENDOR_DEFINED | 7, &mut yes)];
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut unknown)), CKR_ATTRIBUTE_TYPE_INVALID);
    let mut again = [nested(CKA_UNWRAP_TEMPLATE, &mut whole)];
    assert_eq!(make(nested(CKA_UNWRAP_TEMPLATE, &mut again)), CKR_ATTRIBUTE_VALUE_INVALID);
    let itself = &raw mut again;
    again[0].pValue = itself.cast();
    again[0].ulValueLen = size_of::<CK_ATTRIBUTE>() as CK_ULONG;
    assert_eq!(make(again[0]), CKR_ATTRIBUTE_VALUE_INVALID);
}

/// Attacks: a template for C_CreateObject with lengths, pointers and values that lie.
#[test]
fn templates_that_lie_make_nothing() {
    let session = user_session("lies");
    let handle = session.handle();
    let (mut class, mut kind, mut value, mut yes, mut no) =
        (CKO_SECRET_KEY, CKK_AES, [7u8; 32], CK_TRUE, CK_FALSE);
    let honest = [
        attribute(CKA_CLASS, &mut class),
        attribute(CKA_KEY_TYPE, &mut kind),
        attribute(CKA_VALUE, &mut value),
    ];
    let create = |more: &[CK_ATTRIBUTE]| {
        let (mut template, mut object) = ([&honest[..], more].concat(), 0);
        let (at, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let rv = call!(C_CreateObject(handle, at, count, &mut object));
        assert_eq!(rv == CKR_OK, object != 0);
        rv
    };
    assert_eq!(create(&[]), CKR_OK);
    let with = |at: CK_ATTRIBUTE, change: fn(&mut CK_ATTRIBUTE)| {
        let mut attribute = at;
        change(&mut attribute);
        attribute
    };
    let label = attribute(CKA_LABEL, &mut value);
    assert_eq!(create(&[with(label, |a| a.ulValueLen = CK_ULONG::MAX)]), CKR_ARGUMENTS_BAD);
    assert_eq!(create(&[with(label, |a| a.ulValueLen = CK_ULONG::MAX / 2 + 1)]), CKR_ARGUMENTS_BAD);
    assert_eq!(create(&[with(label, |a| a.pValue = null_mut())]), CKR_ARGUMENTS_BAD);
    let empty = with(label, |a| (a.pValue, a.ulValueLen) = (null_mut(), 0));
    assert_eq!(create(&[empty]), CKR_OK);
    for (torn, rv) in [
        ([attribute(CKA_SIGN, &mut yes), attribute(CKA_SIGN, &mut no)], CKR_TEMPLATE_INCONSISTENT),
        ([attribute(CKA_LOCAL, &mut yes), attribute(CKA_LOCAL, &mut yes)], CKR_ATTRIBUTE_READ_ONLY),
        ([label, attribute(CKA_VENDOR_DEFINED | 7, &mut value)], CKR_ATTRIBUTE_TYPE_INVALID),
        ([label, attribute(CKA_SENSITIVE, &mut value)], CKR_ATTRIBUTE_VALUE_INVALID),
        (
            [label, with(attribute(CKA_SENSITIVE, &mut yes), |a| a.ulValueLen = 0)],
            CKR_ATTRIBUTE_VALUE_INVALID,
        ),
        ([label, attribute(CKA_START_DATE, &mut value)], CKR_ATTRIBUTE_VALUE_INVALID),
        (
            [label, with(attribute(CKA_ALLOWED_MECHANISMS, &mut value), |a| a.ulValueLen = 9)],
            CKR_ATTRIBUTE_VALUE_INVALID,
        ),
        ([label, with(attribute(CKA_KEY_TYPE, &mut value), |a| a.ulValueLen = 4)], CKR_TEMPLATE_INCONSISTENT),
    ] {
        assert_eq!(create(&torn), rv);
    }
    let many = vec![empty; 1100];
    assert_eq!(create(&many), CKR_ARGUMENTS_BAD);
    let mut object = 0;
    assert_eq!(call!(C_CreateObject(handle, null_mut(), CK_ULONG::MAX, &mut object)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_CreateObject(handle, null_mut(), 0, &mut object)), CKR_TEMPLATE_INCOMPLETE);
    assert_eq!(call!(C_CreateObject(handle, null_mut(), 0, null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(C_CopyObject(handle, 0, null_mut(), 0, &mut object)), CKR_OBJECT_HANDLE_INVALID);
    assert_eq!(call!(C_CopyObject(handle, 1, null_mut(), 0, null_mut())), CKR_ARGUMENTS_BAD);
}
