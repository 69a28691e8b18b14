//! The strict reader: one encoding of each value, nothing claimed that the bytes do not pay for.

use super::{MAX_DEPTH, MAX_ITEMS, Map, Value, broken, order};
use crate::Result;
use std::borrow::Cow;

/// What is left of a message.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    /// Values that were read so far.
    pub(super) items: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn value(&mut self, depth: usize) -> Result<Value<'a>> {
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(broken("more than 65536 values in one message"));
        }
        let (major, argument) = self.head()?;
        match major {
            0 => Ok(Value::Integer(i128::from(argument))),
            1 => match i64::try_from(argument) {
                Ok(v) => Ok(Value::Integer(-1 - i128::from(v))),
                Err(_) => Err(broken("an integer below -2^63")),
            },
            2 => Ok(Value::Bytes(Cow::Borrowed(self.take(argument)?))),
            3 => Ok(Value::Text(Cow::Borrowed(self.text(argument)?))),
            4 => self.array(argument, depth),
            5 => self.map(argument, depth),
            7 => match argument {
                20 => Ok(Value::Bool(false)),
                21 => Ok(Value::Bool(true)),
                22 => Ok(Value::Null),
                _ => Err(broken("a simple value or float that CANISP does not know")),
            },
            _ => Err(broken("a tag")),
        }
    }

    fn array(&mut self, count: u64, depth: usize) -> Result<Value<'a>> {
        let count = self.nested(count, 1, depth)?;
        let mut items = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<Value<'a>> {
        let count = self.nested(count, 2, depth)?;
        let mut entries: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let (3, length) = self.head()? else { return Err(broken("a map key that is no text")) };
            let key = self.text(length)?;
            if entries.last().is_some_and(|(last, _)| order(last, key) != std::cmp::Ordering::Less) {
                return Err(broken("map keys that are doubled or not in order"));
            }
            let value = self.value(depth + 1)?;
            entries.push((Cow::Borrowed(key), value));
        }
        Ok(Value::Map(Map(entries)))
    }

    /// Checks a claimed number of items against the depth and against the bytes that are left.
    fn nested(&self, count: u64, bytes_each: usize, depth: usize) -> Result<usize> {
        if depth >= MAX_DEPTH {
            return Err(broken("nesting deeper than 16"));
        }
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / bytes_each => Ok(count),
            _ => Err(broken("an array or map that claims more items than the message holds")),
        }
    }

    /// Major type and argument; only the shortest form passes (RFC 8949, section 4.2.1).
    fn head(&mut self) -> Result<(u8, u64)> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                let argument = bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
                let least = [24, 1 << 8, 1 << 16, 1 << 32][usize::from(info - 24)];
                if argument < least || major == 7 {
                    return Err(broken("a number that is not in its shortest form, or a float"));
                }
                argument
            }
            _ => return Err(broken("an indefinite length")),
        };
        Ok((major, argument))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| broken("the message ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self, count: u64) -> Result<&'a str> {
        std::str::from_utf8(self.take(count)?).map_err(|_| broken("text that is not UTF-8"))
    }
}
