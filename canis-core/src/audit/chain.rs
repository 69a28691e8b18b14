//! How lines become a chain: each ends in a MAC over the MAC before it and itself, so that none can be changed, left out
//! or put elsewhere. Before the store is unsealed there is no key: such lines say `"unkeyed":true` and carry a hash that
//! anybody could make; the first line with a key binds them.

use super::keys::AuditKeys;
use canis_proto::{Error, ErrorCode, Result};
use sha2::{Digest, Sha256};
use std::io::Write;
use subtle::ConstantTimeEq;

/// What stands before the MAC, and after it.
const BEFORE_MAC: &[u8] = b",\"mac\":\"";
const AFTER_MAC: &[u8] = b"\"}";

/// What a line that was written before the unsealing says.
pub(super) const UNKEYED: &[u8] = b"\"unkeyed\":true,";

/// Where a chain ends: how many lines it has, and the MAC of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) seq: u64,
    pub(crate) mac: [u8; 32],
    /// Whether a line with a key was among them.
    pub(crate) keyed: bool,
}

impl Chain {
    /// Appends the line of `body` (fields of a JSON object without braces) to `out`, with its newline.
    pub(crate) fn append(&mut self, keys: Option<&AuditKeys>, body: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        // Writing to memory does not fail.
        let _ = write!(out, "{{\"seq\":{},", self.seq + 1);
        if keys.is_none() {
            out.extend_from_slice(UNKEYED);
        }
        out.extend_from_slice(body);
        self.mac = mac(keys, &self.mac, &out[start..])?;
        self.seq += 1;
        self.keyed |= keys.is_some();
        out.extend_from_slice(BEFORE_MAC);
        push_hex(out, &self.mac);
        out.extend_from_slice(AFTER_MAC);
        out.push(b'\n');
        Ok(())
    }

    /// Takes the next line, without its newline, if it is the one that comes next.
    ///
    /// # Errors
    /// `store_tampered` saying what is wrong with it.
    pub(crate) fn follow(&mut self, keys: Option<&AuditKeys>, line: &[u8]) -> Result<()> {
        let (signed, said) = split(line).ok_or_else(|| broken("it is no line of an audit log"))?;
        let rest = signed.strip_prefix(b"{\"seq\":").ok_or_else(|| broken("it has no sequence number"))?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let seq: u64 =
            std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        if seq != self.seq + 1 {
            return Err(broken(&format!(
                "line {} is missing or not where it belongs; here stands {seq}",
                self.seq + 1
            )));
        }
        let unkeyed = rest[digits..].strip_prefix(b",").is_some_and(|rest| rest.starts_with(UNKEYED));
        if unkeyed && self.keyed {
            return Err(broken("it has no key though the store was unsealed before it"));
        }
        let keys = if unkeyed { None } else { Some(keys.ok_or_else(|| broken("its key is not at hand"))?) };
        let made = mac(keys, &self.mac, signed)?;
        if !bool::from(made.ct_eq(&said)) {
            return Err(broken("its MAC does not fit: it, or a line before it, was changed or left out"));
        }
        *self = Chain { seq, mac: made, keyed: !unkeyed };
        Ok(())
    }
}

fn mac(keys: Option<&AuditKeys>, before: &[u8; 32], line: &[u8]) -> Result<[u8; 32]> {
    match keys {
        Some(keys) => keys.line_mac(before, line),
        None => Ok(Sha256::new().chain_update(before).chain_update(line).finalize().into()),
    }
}

/// A line's part under the MAC, and the MAC.
fn split(line: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let hex = line.strip_suffix(AFTER_MAC)?;
    let (rest, hex) = hex.split_at_checked(hex.len().checked_sub(64)?)?;
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(hex.as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((rest.strip_suffix(BEFORE_MAC)?, mac))
}

/// Appends bytes as hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let from = out.len();
    out.resize(from + 2 * bytes.len(), 0);
    // The room is as long as it has to be.
    let _ = base16ct::lower::encode(bytes, &mut out[from..]);
}

fn broken(why: &str) -> Error {
    Error::new(ErrorCode::StoreTampered, why)
}
