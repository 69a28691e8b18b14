//! How often something may happen: so many times at once, and one more each so often. A bucket is one number, the time at
//! which it would be empty again (the generic cell rate algorithm, ITU-T I.371, in its virtual scheduling form).

/// A pace, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many may come at once; at least one.
    pub burst: u32,
    /// After how many microseconds one more may come; at least one.
    pub every: i64,
}

/// What was taken at some pace; nothing at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken(i64);

impl Pace {
    /// So many a second, and as many at once.
    #[must_use]
    pub const fn per_second(rate: u32) -> Self {
        let rate = if rate == 0 { 1 } else { rate };
        Pace { burst: rate, every: 1_000_000 / rate as i64 }
    }

    /// Takes one at `now`, in microseconds of a clock that is never put back.
    ///
    /// # Errors
    /// After how many microseconds there will be one; nothing was taken.
    pub fn take(self, taken: &mut Taken, now: i64) -> Result<(), i64> {
        let every = self.every.max(1);
        let span = every.saturating_mul(i64::from(self.burst.max(1)));
        let wait = taken.0.max(now).saturating_add(every).saturating_sub(now).saturating_sub(span);
        if wait > 0 {
            return Err(wait);
        }
        self.take_more(taken, 1, now);
        Ok(())
    }

    /// Takes `count` whether they are there or not; who comes after waits for what is missing.
    pub fn take_more(self, taken: &mut Taken, count: usize, now: i64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        taken.0 = taken.0.max(now).saturating_add(self.every.max(1).saturating_mul(count));
    }

    /// Takes one back.
    pub fn give_back(self, taken: &mut Taken) {
        taken.0 = taken.0.saturating_sub(self.every.max(1));
    }

    /// Whether nothing of what was taken counts any more, so that it may be forgotten.
    #[must_use]
    pub fn is_empty(self, taken: &Taken, now: i64) -> bool {
        taken.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst, then one each time that one has passed, and the wait that is told is exact.
    #[test]
    fn a_burst_and_then_the_pace() {
        let pace = Pace { burst: 3, every: 100 };
        let mut taken = Taken::default();
        let mut now = 1_000;
        for _ in 0..3 {
            assert_eq!(pace.take(&mut taken, now), Ok(()));
        }
        assert_eq!(pace.take(&mut taken, now), Err(100));
        now += 99;
        assert_eq!(pace.take(&mut taken, now), Err(1));
        now += 1;
        assert_eq!(pace.take(&mut taken, now), Ok(()));
        assert_eq!(pace.take(&mut taken, now), Err(100));
        assert!(!pace.is_empty(&taken, now));
        now += 300;
        assert!(pace.is_empty(&taken, now));
        for _ in 0..3 {
            assert_eq!(pace.take(&mut taken, now), Ok(()));
        }
        assert!(pace.take(&mut taken, now).is_err());
    }

    /// What is taken beyond is waited for.
    #[test]
    fn many_at_once() {
        let pace = Pace { burst: 3, every: 100 };
        let mut taken = Taken::default();
        pace.take_more(&mut taken, 10, 0);
        assert_eq!(pace.take(&mut taken, 0), Err(800));
        pace.give_back(&mut taken);
        assert_eq!(pace.take(&mut taken, 0), Err(700));
        assert_eq!(pace.take(&mut taken, 700), Ok(()));
    }

    /// Numbers that make no sense divide by nothing and overflow nowhere.
    #[test]
    fn odd_numbers() {
        assert_eq!(Pace::per_second(0), Pace::per_second(1));
        let none = Pace { burst: 0, every: 0 };
        let mut taken = Taken::default();
        none.take_more(&mut taken, usize::MAX, i64::MAX - 1);
        assert!(none.take(&mut taken, 0).is_err());
    }
}
