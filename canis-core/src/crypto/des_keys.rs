//! What DES asks of the keys that are drawn for it: odd parity in every byte (FIPS 46-3), no weak key (SP 800-67 rev. 2,
//! section 3.3.2), and keys of triple DES that differ (section 3.3.1).
//!
//! Keys from outside are used as they come: parity is not looked at, and an old system may have given out what would not
//! be drawn here.

use subtle::{Choice, ConstantTimeEq};

/// The length of one key in bytes.
const ONE: usize = 8;

/// The four weak keys and the twelve semi-weak ones, with odd parity.
const WEAK: [u64; 16] = [
    0x0101_0101_0101_0101,
    0xfefe_fefe_fefe_fefe,
    0x1f1f_1f1f_0e0e_0e0e,
    0xe0e0_e0e0_f1f1_f1f1,
    0x01fe_01fe_01fe_01fe,
    0xfe01_fe01_fe01_fe01,
    0x1fe0_1fe0_0ef1_0ef1,
    0xe01f_e01f_f10e_f10e,
    0x01e0_01e0_01f1_01f1,
    0xe001_e001_f101_f101,
    0x1ffe_1ffe_0efe_0efe,
    0xfe1f_fe1f_fe0e_fe0e,
    0x011f_011f_010e_010e,
    0x1f01_1f01_0e01_0e01,
    0xe0fe_e0fe_f1fe_f1fe,
    0xfee0_fee0_fef1_fef1,
];

/// Makes the parity of every byte odd by its lowest bit.
pub(crate) fn set_parity(key: &mut [u8]) {
    for byte in key {
        *byte ^= u8::from(byte.count_ones().is_multiple_of(2));
    }
}

/// Whether a key with odd parity is, or holds, one that is not to be drawn. Every comparison is made in every case.
pub(crate) fn is_weak(key: &[u8]) -> bool {
    let parts = || key.chunks_exact(ONE);
    let known = |part: &[u8]| WEAK.iter().fold(no(), |found, weak| found | part.ct_eq(&weak.to_be_bytes()));
    let weak = parts().fold(no(), |found, part| found | known(part));
    let pairs = parts().enumerate().flat_map(|(at, one)| parts().skip(at + 1).map(move |two| (one, two)));
    bool::from(pairs.fold(weak, |found, (one, two)| found | one.ct_eq(two)))
}

fn no() -> Choice {
    Choice::from(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_is_odd_in_every_byte() {
        let mut key: Vec<u8> = (0..=255).collect();
        set_parity(&mut key);
        assert!(key.iter().all(|byte| byte.count_ones() % 2 == 1));
        assert!(key.iter().zip(0u8..=255).all(|(byte, before)| byte >> 1 == before >> 1));
    }

    #[test]
    fn weak_keys_are_known() {
        for weak in WEAK {
            let mut bytes = weak.to_be_bytes();
            set_parity(&mut bytes);
            assert_eq!(bytes, weak.to_be_bytes(), "{weak:x} stands with odd parity");
            assert!(is_weak(&bytes));
            assert!(is_weak(&[[0x13; 8], bytes, [0x15; 8]].concat()));
        }
        let [one, two, three] = [[0x13; 8], [0x15; 8], [0x16; 8]];
        assert!(!is_weak(&one) && !is_weak(&[one, two].concat()) && !is_weak(&[one, two, three].concat()));
        for same in [vec![one, one], vec![one, one, two], vec![two, one, one], vec![one, two, one]] {
            assert!(is_weak(&same.concat()));
        }
    }
}
