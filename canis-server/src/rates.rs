//! How much one may ask for, and how often one may be wrong: requests of an identity by a pace, wrong credentials of an
//! address by a lock-out that grows. Neither looks at anybody else's.

use crate::limits;
use canis_core::pace::{Pace, Taken};
use canis_core::policy::Source;
use canis_proto::{Error, Id, Result};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The requests of one identity, or of all of one tenant.
pub(crate) struct Bucket {
    pace: Pace,
    /// Whose they are, for people.
    whose: &'static str,
    taken: Mutex<Taken>,
    since: Instant,
}

impl Bucket {
    fn now(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request.
    ///
    /// # Errors
    /// `rate_limited`; nothing was taken.
    pub(crate) fn take(&self) -> Result<()> {
        let taken = self.pace.take(&mut self.taken(), self.now());
        taken.map_err(|wait| {
            Error::rate_limited(&format!("as many requests were asked for as {} may", self.whose), wait)
        })
    }

    /// Takes what a request asks for beyond itself; those that come after wait for it.
    pub(crate) fn take_more(&self, count: usize) {
        self.pace.take_more(&mut self.taken(), count, self.now());
    }

    /// Gives one back that was taken and not used.
    pub(crate) fn give_back(&self) {
        self.pace.give_back(&mut self.taken());
    }

    fn is_empty(&self) -> bool {
        self.pace.is_empty(&self.taken(), self.now())
    }
}

/// The requests of every identity, where they are bounded.
pub(crate) struct Rates {
    pace: Option<Pace>,
    buckets: Mutex<HashMap<Id, Arc<Bucket>>>,
    tenants: Mutex<HashMap<Id, Arc<Bucket>>>,
    strangers: Mutex<HashMap<Id, Arc<Bucket>>>,
}

impl Rates {
    /// So many requests a second for each identity; `None` for no bound.
    pub(crate) fn new(requests_per_second: Option<u32>) -> Self {
        Rates {
            pace: requests_per_second.map(Pace::per_second),
            buckets: Mutex::default(),
            tenants: Mutex::default(),
            strangers: Mutex::default(),
        }
    }

    /// An identity's bucket: one for all its connections, and kept while anything in it counts.
    pub(crate) fn of(&self, identity: Id) -> Option<Arc<Bucket>> {
        let pace = self.pace?;
        Some(found(&self.buckets, identity, pace, "this identity"))
    }

    /// The bucket of all who come from an address and are nobody here: how often they are refused with a line of the audit
    /// log each.
    pub(crate) fn of_strangers(&self, source: Source) -> Arc<Bucket> {
        let address = address(source).map_or(Ipv6Addr::UNSPECIFIED, |address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        });
        let pace = Pace::per_second(limits::STRANGERS);
        found(&self.strangers, Id(address.octets()), pace, "those who are nobody here")
    }

    /// The bucket of all callers of a tenant that may ask so much; another one when that changes.
    pub(crate) fn of_tenant(&self, tenant: Id, requests_per_second: u32) -> Arc<Bucket> {
        found(
            &self.tenants,
            tenant,
            Pace::per_second(requests_per_second),
            "all callers of this tenant together",
        )
    }
}

fn found(
    buckets: &Mutex<HashMap<Id, Arc<Bucket>>>,
    whose: Id,
    pace: Pace,
    called: &'static str,
) -> Arc<Bucket> {
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bucket) = buckets.get(&whose).filter(|bucket| bucket.pace == pace) {
        return Arc::clone(bucket);
    }
    if buckets.len() >= limits::IDENTITIES {
        buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_empty());
    }
    let bucket = Arc::new(Bucket { pace, whose: called, taken: Mutex::default(), since: Instant::now() });
    buckets.insert(whose, Arc::clone(&bucket));
    bucket
}

/// Addresses that showed wrong credentials.
#[derive(Default)]
pub(crate) struct Lockout {
    sources: Mutex<HashMap<IpAddr, Wrong>>,
}

struct Wrong {
    times: u32,
    last: Instant,
    until: Instant,
}

impl Lockout {
    /// Refuses an address that was wrong too often to be asked again now.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn admit(&self, source: Source) -> Result<()> {
        let Some(address) = address(source) else { return Ok(()) };
        let wait = self
            .sources()
            .get(&address)
            .map_or(Duration::ZERO, |wrong| wrong.until.saturating_duration_since(Instant::now()));
        match i64::try_from(wait.as_micros()) {
            Ok(0) => Ok(()),
            wait => Err(Error::rate_limited(
                "too many wrong credentials came from this address",
                wait.unwrap_or(i64::MAX),
            )),
        }
    }

    /// Notes a wrong credential.
    pub(crate) fn wrong(&self, source: Source) {
        let Some(address) = address(source) else { return };
        let now = Instant::now();
        let mut sources = self.sources();
        if sources.len() >= limits::SOURCES && !sources.contains_key(&address) {
            make_room(&mut sources, now);
        }
        let wrong = sources.entry(address).or_insert(Wrong { times: 0, last: now, until: now });
        if now.saturating_duration_since(wrong.last) > limits::WRONG_FORGOTTEN {
            wrong.times = 0;
        }
        // Those that were under way when it was locked out are one mistake with the one that did it.
        if wrong.until > now {
            return;
        }
        wrong.times = wrong.times.saturating_add(1);
        wrong.last = now;
        if let Some(late) = wrong.times.checked_sub(limits::WRONG_FREE) {
            wrong.until = now + (limits::WRONG_FIRST * (1 << late.min(16))).min(limits::WRONG_LONGEST);
        }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, Wrong>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address; none for this machine's own programs. Whoever has an IPv6 address has all of its /64.
fn address(source: Source) -> Option<IpAddr> {
    let Source::Network(address) = source else { return None };
    Some(match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    })
}

/// Forgets those whose time is over, and if that is not enough the half that was wrong longest ago.
fn make_room(sources: &mut HashMap<IpAddr, Wrong>, now: Instant) {
    sources.retain(|_, wrong| now.saturating_duration_since(wrong.last) <= limits::WRONG_FORGOTTEN);
    if sources.len() < limits::SOURCES {
        return;
    }
    let mut times: Vec<Instant> = sources.values().map(|wrong| wrong.last).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    sources.retain(|_, wrong| wrong.last > median);
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::ErrorCode;

    fn from(text: &str) -> Source {
        Source::Network(text.parse().unwrap())
    }

    /// A few mistakes are free; then each one costs longer, and only its own address.
    #[test]
    fn lock_outs_grow() {
        let lockout = Lockout::default();
        let (one, other) = (from("192.0.2.1"), from("192.0.2.2"));
        for _ in 1..limits::WRONG_FREE {
            lockout.wrong(one);
            assert_eq!(lockout.admit(one), Ok(()));
        }
        let (mut before, address) = (0, address(one).unwrap());
        for _ in 0..20 {
            lockout.wrong(one);
            lockout.wrong(one);
            let refused = lockout.admit(one).unwrap_err();
            let wait = u128::from(refused.retry_after.unwrap());
            assert_eq!(refused.code, ErrorCode::RateLimited);
            assert!(wait >= before && wait <= limits::WRONG_LONGEST.as_millis(), "{wait} after {before}");
            // Some of it may have passed when it was looked at.
            before = wait.saturating_sub(500);
            // As if it had been waited for.
            lockout.sources().get_mut(&address).unwrap().until = Instant::now();
        }
        assert!(before + 1000 > limits::WRONG_LONGEST.as_millis(), "{before}");
        assert_eq!((lockout.admit(other), lockout.admit(Source::Local)), (Ok(()), Ok(())));
    }

    /// Addresses of one network of IPv6 count as one, and an IPv4 address in IPv6's clothes as itself.
    #[test]
    fn addresses_of_one_owner() {
        assert_eq!(address(from("2001:db8::1")), address(from("2001:db8::ffff:1")));
        assert_ne!(address(from("2001:db8::1")), address(from("2001:db8:0:1::1")));
        assert_eq!(address(from("::ffff:192.0.2.1")), address(from("192.0.2.1")));
    }

    /// A flood from everywhere takes no more memory than is meant for it, and who is wrong now stays known.
    #[test]
    fn memory_is_bounded() {
        let lockout = Lockout::default();
        for number in 0..3 * limits::SOURCES as u32 {
            let attacker = Source::Network(IpAddr::V4(number.into()));
            (0..limits::WRONG_FREE).for_each(|_| lockout.wrong(attacker));
            assert!(lockout.admit(attacker).is_err());
            assert!(lockout.sources().len() <= limits::SOURCES);
        }
        let rates = Rates::new(Some(1));
        for number in 0..3 * limits::IDENTITIES {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            drop(rates.of(Id(id)));
        }
        assert!(rates.buckets.lock().unwrap().len() <= limits::IDENTITIES);
        assert!(Rates::new(None).of(Id::STORE).is_none());
    }

    /// A batch counts as its operations; what it takes beyond the pace is waited for.
    #[test]
    fn batches_count() {
        let rates = Rates::new(Some(10));
        let bucket = rates.of(Id::STORE).unwrap();
        bucket.take().unwrap();
        bucket.take_more(99);
        let wait = rates.of(Id::STORE).unwrap().take().unwrap_err().retry_after.unwrap();
        assert!((9_000..=9_200).contains(&wait), "{wait}");
        let other = rates.of(Id([1; 16])).unwrap();
        for _ in 0..10 {
            other.take().unwrap();
        }
        assert!(other.take().is_err());
        other.give_back();
        other.take().unwrap();
    }
}
