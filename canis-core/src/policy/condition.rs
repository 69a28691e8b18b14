//! Conditions of a rule: on the key, the request, the time and where it comes from.

use canis_proto::KeyType;
use std::fmt;
use std::net::IpAddr;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This machine: the Unix socket, or a program with the store in its own process.
    Local,
    /// This address.
    Network(IpAddr),
}

/// What must hold for a rule to apply; what is empty or `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// One of these.
    pub(super) key_types: Vec<KeyType>,
    /// The most bytes.
    pub(super) max_payload: Option<u64>,
    /// What the caller's context must be.
    pub(super) context: Option<Context>,
    /// One of these times of day.
    pub(super) hours: Vec<Hours>,
    /// One of these networks.
    pub(super) networks: Vec<Network>,
}

/// What the caller's context must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Not empty.
    Some,
    /// One of these, or something that begins so.
    OneOf(Vec<(Vec<u8>, bool)>),
}

/// From a minute of the day up to, but not at, another; UTC; around midnight if the second is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hours {
    from: u16,
    to: u16,
}

/// A network in CIDR form, or this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// See [`Source::Local`].
    Local,
    /// Addresses with these first bits.
    Cidr(IpAddr, u8),
}

/// Which key a request is about, as far as `key_types` is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfKey {
    /// About none.
    #[default]
    None,
    /// About one of this type.
    Type(KeyType),
    /// About one that is not there. It is of no type that a rule could grant anything on, and of any that a rule denies:
    /// so nobody learns by a denial whether a key is there.
    Absent,
}

/// What is known of a request; `None` where there is no such thing to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) key: OfKey,
    pub(super) payload: Option<u64>,
    pub(super) context: Option<&'a [u8]>,
    pub(super) now_micros: i64,
    pub(super) source: Source,
}

/// The condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// `key_types`.
    KeyType,
    /// `max_payload`.
    Payload,
    /// `required_context`.
    Context,
    /// `valid_hours`.
    Hours,
    /// `source_networks`.
    Network,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unmet::KeyType => "key_types",
            Unmet::Payload => "max_payload",
            Unmet::Context => "required_context",
            Unmet::Hours => "valid_hours",
            Unmet::Network => "source_networks",
        })
    }
}

impl Conditions {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        *self == Conditions::default()
    }

    /// The first one that does not hold in a rule that denies, or one that grants. What a request does not have, like the
    /// payload of a listing, is not limited.
    pub(super) fn unmet(&self, facts: &Facts<'_>, denies: bool) -> Option<Unmet> {
        let other = match facts.key {
            OfKey::None => false,
            OfKey::Type(kind) => !self.key_types.contains(&kind),
            OfKey::Absent => !denies,
        };
        if other && !self.key_types.is_empty() {
            return Some(Unmet::KeyType);
        }
        if self.max_payload.zip(facts.payload).is_some_and(|(most, len)| len > most) {
            return Some(Unmet::Payload);
        }
        if self.context.as_ref().zip(facts.context).is_some_and(|(wanted, given)| !wanted.holds(given)) {
            return Some(Unmet::Context);
        }
        if !self.hours.is_empty() && !self.hours.iter().any(|hours| hours.hold(facts.now_micros)) {
            return Some(Unmet::Hours);
        }
        if !self.networks.is_empty() && !self.networks.iter().any(|network| network.holds(facts.source)) {
            return Some(Unmet::Network);
        }
        None
    }
}

impl Context {
    fn holds(&self, given: &[u8]) -> bool {
        match self {
            Context::Some => !given.is_empty(),
            Context::OneOf(known) => known.iter().any(|(text, open)| match open {
                true => given.starts_with(text),
                false => given == text,
            }),
        }
    }
}

impl Hours {
    /// Reads `08:00-18:30`.
    pub(super) fn read(text: &str) -> Option<Hours> {
        let (from, to) = text.split_once('-')?;
        let hours = Hours { from: minute(from)?, to: minute(to)? };
        (hours.from != hours.to).then_some(hours)
    }

    fn hold(self, now_micros: i64) -> bool {
        const DAY: i64 = 24 * 60;
        let now = now_micros.div_euclid(60_000_000).rem_euclid(DAY);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to { (from..to).contains(&now) } else { now >= from || now < to }
    }
}

/// The minute of the day of `hh:mm`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| {
        let right = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if right { digits.parse::<u16>().ok() } else { None }
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let right = hour < 24 && minute < 60 || (hour, minute) == (24, 0);
    right.then_some(hour * 60 + minute)
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, one address, or `local`.
    pub(super) fn read(text: &str) -> Option<Network> {
        if text == "local" {
            return Some(Network::Local);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        // Peers are looked at as IPv4 where they are, so that such a network would hold nobody.
        if matches!(address, IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some()) {
            return None;
        }
        // Bits behind the prefix are a mistake: somebody meant another network.
        (number(address) & !mask(address, bits) == 0).then_some(Network::Cidr(address, bits))
    }

    fn holds(self, source: Source) -> bool {
        match (self, source) {
            (Network::Local, Source::Local) => true,
            (Network::Cidr(network, bits), Source::Network(address)) => {
                // A dual-stack listener shows IPv4 peers as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2).
                let address = address.to_canonical();
                network.is_ipv4() == address.is_ipv4()
                    && number(address) & mask(network, bits) == number(network)
            }
            _ => false,
        }
    }
}

/// Whether it is a network as policies write them.
pub(crate) fn is_network(text: &str) -> bool {
    Network::read(text).is_some()
}

/// Whether a network, as policies write them, holds the source.
pub(crate) fn network_holds(text: &str, source: Source) -> bool {
    Network::read(text).is_some_and(|network| network.holds(source))
}

/// An address as a number, its first bit the highest of 128.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(address: IpAddr, bits: u8) -> u128 {
    let all = if address.is_ipv4() { u128::MAX << 96 } else { u128::MAX };
    all & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64, minute: i64) -> i64 {
        ((20_000 * 24 + hour) * 60 + minute) * 60_000_000
    }

    #[test]
    fn hours_hold_from_the_first_minute_to_before_the_last() {
        let day = Hours::read("08:00-18:30").unwrap();
        assert!(day.hold(at(8, 0)) && day.hold(at(18, 29)) && !day.hold(at(18, 30)) && !day.hold(at(7, 59)));
        let night = Hours::read("22:00-06:00").unwrap();
        assert!(night.hold(at(23, 0)) && night.hold(at(5, 59)) && !night.hold(at(6, 0)));
        assert!(Hours::read("00:00-24:00").unwrap().hold(at(23, 59)));
        for wrong in ["8:00-18:00", "08:00", "08:00-08:00", "08:60-09:00", "24:01-25:00", "+8:00-09:00", ""] {
            assert_eq!(Hours::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_in_both_forms() {
        let v4 = Network::read("10.0.0.0/8").unwrap();
        let from = |text: &str| Source::Network(text.parse().unwrap());
        assert!(v4.holds(from("10.255.0.1")) && v4.holds(from("::ffff:10.1.2.3")));
        assert!(!v4.holds(from("11.0.0.1")) && !v4.holds(from("::a00:1")) && !v4.holds(Source::Local));
        let v6 = Network::read("2001:db8::/32").unwrap();
        assert!(
            v6.holds(from("2001:db8:1::1")) && !v6.holds(from("2001:db9::1")) && !v6.holds(from("1.2.3.4"))
        );
        assert!(Network::read("0.0.0.0/0").unwrap().holds(from("8.8.8.8")));
        assert!(!Network::read("::/0").unwrap().holds(from("8.8.8.8")));
        assert!(Network::read("local").unwrap().holds(Source::Local));
        for wrong in
            ["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "::/129", "here", "10.0.0.0/", "::ffff:10.0.0.0/104"]
        {
            assert_eq!(Network::read(wrong), None, "{wrong}");
        }
    }
}
