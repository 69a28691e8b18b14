//! Shares as root: Shamir's scheme over GF(2⁸) splits 32 random bytes, of which a key is derived that wraps the root key.
//!
//! Why this is safe here: each byte of the secret is the value at 0 of its own random polynomial of degree k − 1, so that
//! k − 1 shares fit every secret alike; the arithmetic of the crate has no tables and no branches on secrets. What is
//! split is not the root key, so that shares are dealt anew without touching it. A share names its store and its split,
//! and the slot keeps a hash of each: a foreign or damaged share is refused as it is entered, and never combined.

use super::Root;
use crate::crypto::xaes::XaesKey;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::keyring::seal::{derive_xaes, fresh_id, fresh_key, open_secret};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;
use vsss_rs::Gf256;
use zeroize::{Zeroize, Zeroizing};

pub(super) const KIND: &str = "shares";

/// The length of the secret, and so of what a share holds of it, in bytes.
const LEN: usize = 32;
/// What the text of a share begins with.
const START: &str = "canis-share:v1";
/// Bytes of the checksum in the text of a share.
const CHECKSUM: usize = 4;

/// One share of a split, for one person.
pub struct Share {
    /// The store that it helps to open.
    pub store: Id,
    /// The split that it belongs to; only shares of one split fit together.
    pub split: Id,
    /// Which one it is, from 1.
    pub index: u8,
    /// How many are needed.
    pub threshold: u8,
    value: SecretBytes,
}

/// A secret and its shares, as they were dealt.
pub struct Split {
    /// The 32 bytes that the shares come to.
    pub secret: SecretBytes,
    /// The id that all of its shares name.
    pub split: Id,
    /// How many shares are needed.
    pub threshold: u8,
    /// The hash of each share, in the order of their numbers.
    pub hashes: Vec<[u8; 32]>,
    /// The shares. They are kept nowhere else.
    pub shares: Vec<Share>,
}

impl Split {
    /// Draws a secret for `store` and deals `count` shares of it, any `threshold` of which give it back.
    ///
    /// # Errors
    /// `invalid_argument` unless 2 ≤ threshold ≤ count ≤ 255.
    pub fn deal(provider: &Provider, store: Id, threshold: u8, count: u8) -> Result<Self> {
        check_numbers(threshold.into(), count.into())?;
        let secret = fresh_key(provider)?;
        let split = fresh_id(provider)?;
        let mut dealt =
            Gf256::split_bytes(threshold.into(), count.into(), secret.expose(), UnwrapErr(SysRng))
                .map_err(|error| Error::internal(format!("the secret was not split: {error}")))?;
        let mut shares = Vec::with_capacity(dealt.len());
        for bytes in &mut dealt {
            let Some((index, value)) = bytes.split_first() else {
                return Err(Error::internal("a share has no number"));
            };
            let value = SecretBytes::copied_from(value);
            shares.push(Share { store, split, index: *index, threshold, value });
            bytes.zeroize();
        }
        let hashes = shares.iter().map(|share| share.hash(provider)).collect();
        Ok(Split { secret, split, threshold, hashes, shares })
    }
}

/// How many shares there may be and be asked for.
pub(super) fn check_numbers(threshold: usize, count: usize) -> Result<()> {
    if (2..=255).contains(&count) && (2..=count).contains(&threshold) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{threshold} of {count} shares cannot be: there are 2 to 255 shares, and at least 2 of them are needed"
    )))
}

impl Share {
    /// The share as text: `canis-share:v1:<store>:<split>:<index>/<threshold>:<value>:<checksum>`, value and checksum in
    /// hexadecimal digits, the value in eight groups.
    #[must_use]
    pub fn to_text(&self, provider: &Provider) -> SecretBytes {
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str(&format!("{START}:{}:{}:{}/{}:", self.store, self.split, self.index, self.threshold));
        for (at, group) in self.value.expose().chunks(4).enumerate() {
            if at > 0 {
                text.push('-');
            }
            text.push_str(&Zeroizing::new(base16ct::lower::encode_string(group)));
        }
        let sum = checksum(provider, text.as_bytes());
        text.push(':');
        text.push_str(&base16ct::lower::encode_string(&sum));
        SecretBytes::copied_from(text.as_bytes())
    }

    /// Reads the text of a share; spaces around it are passed over, and capital letters taken as small ones.
    ///
    /// # Errors
    /// `invalid_argument` that says which part is wrong, and nothing of the value.
    pub fn parse(provider: &Provider, text: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("this is no share of CANIS: {what}"));
        let text = Zeroizing::new(
            std::str::from_utf8(text).map_err(|_| wrong("it is not text"))?.trim().to_ascii_lowercase(),
        );
        let rest = text.strip_prefix(START).and_then(|rest| rest.strip_prefix(':'));
        let rest = rest.ok_or_else(|| wrong("it does not begin with `canis-share:v1:`"))?;
        let parts: Vec<&str> = rest.split(':').collect();
        let [store, split, numbers, value, sum] = parts[..] else {
            return Err(wrong("it has not five parts after its beginning; is it whole?"));
        };
        let written = text.len() - sum.len() - 1;
        if unhex(sum).is_none_or(|sum| sum[..] != checksum(provider, &text.as_bytes()[..written])) {
            return Err(wrong("its checksum does not fit; look for a mistake in typing"));
        }
        let id = |text: &str| Id::parse(text).ok_or_else(|| wrong("an id in it is damaged"));
        let (index, threshold) = numbers.split_once('/').ok_or_else(|| wrong("its number is missing"))?;
        let number = |text: &str| text.parse::<u8>().map_err(|_| wrong("its number is damaged"));
        let plain = Zeroizing::new(value.replace('-', ""));
        let value = unhex(&plain).filter(|value| value.len() == LEN);
        Ok(Share {
            store: id(store)?,
            split: id(split)?,
            index: number(index)?,
            threshold: number(threshold)?,
            value: SecretBytes::copied_from(&value.ok_or_else(|| wrong("its value is damaged"))?),
        })
    }

    /// What the slot knows it by. A share has 256 random bits, so that its hash gives nothing away.
    fn hash(&self, provider: &Provider) -> [u8; 32] {
        let mut hasher = provider.digest.start(Hash::Sha256);
        for part in [b"canis/v1/share", &self.store.0[..], &self.split.0, &[self.index, self.threshold]] {
            hasher.update(part);
        }
        hasher.update(self.value.expose());
        let mut out = Zeroizing::new([0; MAX_DIGEST]);
        hasher.finish(&mut out);
        std::array::from_fn(|at| out[at])
    }
}

/// What a slot knows of its split.
pub(super) struct SplitFacts<'a> {
    pub(super) split: Id,
    pub(super) threshold: u8,
    pub(super) hashes: &'a [[u8; 32]],
}

impl SplitFacts<'_> {
    /// Refuses a share that does not belong here or was altered, naming it.
    pub(super) fn check(&self, provider: &Provider, store: Id, share: &Share) -> Result<()> {
        let wrong = |why: String| Err(Error::new(ErrorCode::RootCredentialWrong, why));
        let index = share.index;
        if share.store != store {
            return wrong(format!(
                "share {index} belongs to store {}, not to this one, {store}",
                share.store
            ));
        }
        if share.split != self.split {
            return wrong(format!(
                "share {index} is of split {}, not of {}; shares of two splits do not fit together",
                share.split, self.split
            ));
        }
        let known = usize::from(index).checked_sub(1).and_then(|at| self.hashes.get(at));
        if known.is_some_and(|known| known.ct_eq(&share.hash(provider)).into()) {
            return Ok(());
        }
        wrong(format!(
            "share {index} is not the one that was dealt; it was altered or is of no split of ours"
        ))
    }
}

/// The secret that shares give back, which were all checked before.
pub(super) fn combine(threshold: u8, shares: &[Share]) -> Result<SecretBytes> {
    // One person may have entered a share twice.
    let distinct: BTreeMap<u8, &Share> = shares.iter().map(|share| (share.index, share)).collect();
    if distinct.len() < usize::from(threshold) {
        let given: Vec<String> = distinct.keys().map(u8::to_string).collect();
        return Err(Error::new(
            ErrorCode::RootCredentialWrong,
            format!(
                "{threshold} shares are needed and {} are there ({})",
                distinct.len(),
                quote(&given.join(", "))
            ),
        ));
    }
    let taken = distinct.values().take(threshold.into());
    let points = Zeroizing::new(
        taken.map(|share| [&[share.index], share.value.expose()].concat()).collect::<Vec<Vec<u8>>>(),
    );
    Gf256::combine_bytes(&points[..])
        .map(SecretBytes::taken_from)
        .map_err(|error| Error::internal(format!("the shares do not combine: {error}")))
}

pub(super) struct SharesRoot {
    key: XaesKey,
}

impl SharesRoot {
    pub(super) fn new(provider: &'static Provider, secret: &SecretBytes) -> Result<Self> {
        if secret.len() != LEN {
            return Err(Error::invalid(format!(
                "the secret behind shares has {LEN} bytes, not {}",
                secret.len()
            )));
        }
        Ok(SharesRoot { key: derive_xaes(provider, secret, "canis/v1/shares-root")? })
    }
}

impl Root for SharesRoot {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        self.key.seal_to_vec(context, key.expose())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        open_secret(&self.key, context, sealed).map_err(|_| {
            Error::new(ErrorCode::RootCredentialWrong, "the shares do not open this slot; was it edited?")
        })
    }
}

fn checksum(provider: &Provider, text: &[u8]) -> [u8; CHECKSUM] {
    let mut out = [0; MAX_DIGEST];
    provider.digest.hash(Hash::Sha256, text, &mut out);
    std::array::from_fn(|at| out[at])
}

fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    base16ct::lower::decode_vec(text).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RUST;
    use proptest::prelude::*;

    fn some(shares: &[Share], chosen: impl IntoIterator<Item = usize>) -> Vec<Share> {
        let copy = |at: usize| Share::parse(&RUST, shares[at].to_text(&RUST).expose()).ok();
        chosen.into_iter().filter_map(copy).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// R91: any k of n shares give the secret back, whatever their order; k − 1 do not, not even with one twice.
        #[test]
        fn any_k_of_n(k in 2..9u8, more in 0..6u8, order in Just((0..14usize).collect::<Vec<_>>()).prop_shuffle()) {
            let split = Split::deal(&RUST, Id([1; 16]), k, k + more).unwrap();
            let chosen: Vec<usize> = order.into_iter().filter(|at| *at < split.shares.len()).take(k.into()).collect();
            let all = some(&split.shares, chosen.iter().copied());
            prop_assert!(combine(k, &all).unwrap().equals(split.secret.expose()));
            let fewer = some(&split.shares, chosen[1..].iter().copied().chain([chosen[1]]));
            prop_assert_eq!(fewer.len(), usize::from(k));
            prop_assert!(combine(k, &fewer).is_err());
            // Told that fewer were enough, they would give another secret.
            if k > 2 {
                prop_assert!(!combine(k - 1, &fewer).unwrap().equals(split.secret.expose()));
            }
        }

        /// R91: one character of a share's text changed is a mistake that is named, or the same share.
        #[test]
        fn a_mistyped_share_is_refused(at in 0..180usize, with in "[0-9a-f:/-]") {
            let split = Split::deal(&RUST, Id([1; 16]), 2, 3).unwrap();
            let text = split.shares[2].to_text(&RUST);
            let mut typed = String::from_utf8(text.expose().to_vec()).unwrap();
            let at = at % typed.len();
            let same = typed[at..=at] == with;
            typed.replace_range(at..=at, &with);
            prop_assert_eq!(Share::parse(&RUST, typed.as_bytes()).is_ok(), same);
        }

        #[test]
        fn total(text in "\\PC{0,200}", tail in "[0-9a-f:/-]{0,200}") {
            let _ = Share::parse(&RUST, text.as_bytes());
            let _ = Share::parse(&RUST, format!("{START}:{tail}").as_bytes());
        }
    }

    /// R91: shares of another store, of another split, altered or with another number are refused by name.
    #[test]
    fn foreign_and_altered_shares_are_named() {
        let store = Id([1; 16]);
        let split = Split::deal(&RUST, store, 2, 3).unwrap();
        let facts = SplitFacts { split: split.split, threshold: 2, hashes: &split.hashes };
        for share in &split.shares {
            facts.check(&RUST, store, share).unwrap();
        }
        let why = |share: &Share| facts.check(&RUST, store, share).unwrap_err();
        let foreign = Split::deal(&RUST, Id([2; 16]), 2, 3).unwrap();
        assert!(why(&foreign.shares[0]).message.contains("belongs to store"));
        let other = Split::deal(&RUST, store, 2, 3).unwrap();
        assert!(why(&other.shares[1]).message.contains("share 2 is of split"));
        for bit in 0..8 * LEN {
            let mut flipped = some(&split.shares, [0]).remove(0);
            flipped.value.expose_mut()[bit / 8] ^= 1 << (bit % 8);
            assert!(why(&flipped).message.contains("share 1"), "bit {bit}");
        }
        for index in [0, 2, 4, 255] {
            let renumbered = Share { index, ..some(&split.shares, [0]).remove(0) };
            assert_eq!(why(&renumbered).code, ErrorCode::RootCredentialWrong);
        }
    }

    #[test]
    fn numbers_in_range() {
        for (threshold, count) in [(0, 3), (1, 3), (4, 3), (2, 1), (1, 1)] {
            assert!(Split::deal(&RUST, Id([1; 16]), threshold, count).is_err(), "{threshold} of {count}");
        }
        assert_eq!(Split::deal(&RUST, Id([1; 16]), 255, 255).unwrap().shares.len(), 255);
    }
}
