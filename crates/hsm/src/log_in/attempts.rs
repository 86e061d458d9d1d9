//! Wrong passwords: delays and limits, counted before a password is checked.
//!
//! An attempt is reserved before it is checked: of one user from one source no more are checked at once than may still be wrong
//! without a delay, so guesses in parallel do not outrun the counter, and programs that start together with the right
//! password take turns. Delays count per user and source, so nobody can lock others out from
//! afar. Unknown users are counted like known ones. This is per HSM: the bound on guesses in a
//! cluster is the number of HSMs times the bound of one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use casemate_protocol::{Error, Role};

use crate::entropy::Time;
use crate::limits;
use crate::reader::Reader;

/// Whose wrong passwords are counted together: a user's name, as given, from one source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) prefix: Prefix,
}

/// A client certificate, or an address prefix: IPv4 whole, IPv6 its first 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prefix {
    Certificate([u8; 32]),
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Prefix {
    pub(crate) const fn new(address: IpAddr, certificate: Option<[u8; 32]>) -> Self {
        match (certificate, address) {
            (Some(sha256), _) => Self::Certificate(sha256),
            (None, IpAddr::V4(address)) => Self::V4(address.octets()),
            (None, IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Count {
    wrong: u32,
    in_flight: u32,
    next: Time,
    last: Time,
}

#[derive(Default)]
struct Counts {
    sources: BTreeMap<Source, Count>,
    /// Attempts that are being checked, by where they come from.
    in_flight: BTreeMap<Prefix, usize>,
}

/// An attempt that was reserved. Dropping it without a word, as a pool that is full does, ends it as wrong.
pub(crate) struct Reservation {
    reader: Reader,
    source: Source,
    ended: bool,
}

impl Reservation {
    /// Reserves an attempt: it counts as wrong until [`Reservation::right`] says otherwise.
    ///
    /// # Errors
    /// As [`Attempts::reserve`].
    pub(crate) fn new(reader: Reader, source: Source, now: Time) -> Result<Self, Error> {
        reader.attempts().reserve(&source, now)?;
        Ok(Self { reader, source, ended: false })
    }

    /// Ends it as right.
    pub(crate) fn right(mut self) {
        self.ended = true;
        self.reader.attempts().end(&self.source, true);
    }

    /// Ends it as wrong; returns whether so many wrong ones came from one registered certificate that the user is to be locked.
    pub(crate) fn wrong(mut self) -> bool {
        self.ended = true;
        let wrong = self.reader.attempts().end(&self.source, false);
        let registered = matches!(self.source.prefix, Prefix::Certificate(_));
        registered && wrong >= limits::LOCK_AFTER_FAILURES
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.ended {
            self.reader.attempts().end(&self.source, false);
        }
    }
}

/// The attempts on this HSM.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Counts>);

impl Attempts {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        // A panic elsewhere leaves plain counters behind: they are still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves an attempt.
    ///
    /// # Errors
    /// [`Error::LogInDelayed`] with the time to wait, or [`Error::Busy`].
    fn reserve(&self, source: &Source, now: Time) -> Result<(), Error> {
        let mut counts = self.lock();
        let from_here = counts.in_flight.get(&source.prefix).copied().unwrap_or_default();
        if from_here >= limits::LOG_INS_IN_FLIGHT_PER_SOURCE_MAX
            || counts.in_flight.values().sum::<usize>() >= limits::LOG_INS_IN_FLIGHT_MAX
        {
            return Err(Error::Busy(limits::BUSY_MS));
        }
        let mut count = counts.sources.get(source).copied().unwrap_or_default();
        if now < count.next {
            return Err(Error::LogInDelayed(count.next.ms_since(now)));
        }
        if count.in_flight >= limits::FREE_ATTEMPTS.saturating_sub(count.wrong).max(1) {
            return Err(Error::Busy(limits::BUSY_MS));
        }
        count.in_flight = count.in_flight.saturating_add(1);
        count.last = now;
        if counts.sources.len() >= limits::ATTEMPT_SOURCES_MAX
            && !counts.sources.contains_key(source)
        {
            forget_oldest(&mut counts.sources);
        }
        counts.sources.insert(source.clone(), count);
        counts.in_flight.insert(source.prefix, from_here.saturating_add(1));
        Ok(())
    }

    /// Ends an attempt; returns how many wrong ones came in a row.
    fn end(&self, source: &Source, right: bool) -> u32 {
        let mut counts = self.lock();
        match counts.in_flight.remove(&source.prefix) {
            None | Some(0 | 1) => {}
            Some(more) => {
                counts.in_flight.insert(source.prefix, more.saturating_sub(1));
            }
        }
        let Some(count) = counts.sources.get_mut(source) else { return 0 };
        count.in_flight = count.in_flight.saturating_sub(1);
        if right {
            (count.wrong, count.next) = (0, Time(0));
        } else {
            count.wrong = count.wrong.saturating_add(1);
            count.next = count.last.after_ms(delay_ms(count.wrong));
        }
        let wrong = count.wrong;
        if wrong == 0 && count.in_flight == 0 {
            counts.sources.remove(source);
        }
        wrong
    }
}

/// The first few wrong passwords are free; then the delay doubles from a second to a minute.
fn delay_ms(wrong: u32) -> u64 {
    match wrong.checked_sub(limits::FREE_ATTEMPTS) {
        None => 0,
        Some(beyond) => {
            1_000_u64.saturating_mul(1 << beyond.min(10)).min(limits::ATTEMPT_DELAY_MS_MAX)
        }
    }
}

fn forget_oldest(sources: &mut BTreeMap<Source, Count>) {
    let oldest =
        sources.iter().min_by_key(|(_, count)| count.last).map(|(source, _)| source.clone());
    if let Some(oldest) = oldest {
        sources.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        let prefix = Prefix::new(IpAddr::from([127, 0, 0, last]), None);
        Source { user: "app".to_owned(), role: Role::CryptoUser, prefix }
    }

    #[test]
    fn wrong_passwords_are_delayed_from_their_source_only() {
        let attempts = Attempts::default();
        let now = Time(1_000_000);
        for _ in 0..limits::FREE_ATTEMPTS {
            attempts.reserve(&source(1), now).unwrap();
            attempts.end(&source(1), false);
        }
        assert_eq!(attempts.reserve(&source(1), now), Err(Error::LogInDelayed(1_000)));
        assert_eq!(attempts.reserve(&source(1), now.after_ms(999)), Err(Error::LogInDelayed(1)));
        assert_eq!(attempts.reserve(&source(1), now.after_ms(1_000)), Ok(()));
        assert_eq!(attempts.reserve(&source(2), now), Ok(()));
    }

    #[test]
    fn a_right_password_clears_the_count() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            attempts.reserve(&source(1), Time(5)).unwrap();
            attempts.end(&source(1), true);
        }
    }

    #[test]
    fn attempts_in_flight_and_sources_are_bounded() {
        let attempts = Attempts::default();
        for last in 0..8 {
            attempts.reserve(&source(last), Time(5)).unwrap();
        }
        assert_eq!(attempts.reserve(&source(9), Time(5)), Err(Error::Busy(limits::BUSY_MS)));
        for last in 0..8 {
            attempts.end(&source(last), false);
        }
        for user in 0..limits::ATTEMPT_SOURCES_MAX + 10 {
            let source = Source { user: user.to_string(), ..source(1) };
            attempts.reserve(&source, Time(6)).unwrap();
            attempts.end(&source, false);
        }
        assert!(attempts.lock().sources.len() <= limits::ATTEMPT_SOURCES_MAX);
    }

    #[test]
    fn one_source_does_not_take_all_attempts() {
        let attempts = Attempts::default();
        let named = |user: usize| Source { user: user.to_string(), ..source(1) };
        for user in 0..limits::LOG_INS_IN_FLIGHT_PER_SOURCE_MAX {
            attempts.reserve(&named(user), Time(5)).unwrap();
        }
        assert_eq!(attempts.reserve(&named(99), Time(5)), Err(Error::Busy(limits::BUSY_MS)));
        assert_eq!(attempts.reserve(&source(2), Time(5)), Ok(()));
        attempts.end(&named(0), false);
        assert_eq!(attempts.reserve(&named(99), Time(5)), Ok(()));
    }

    #[test]
    fn delays_double_to_a_minute() {
        assert_eq!(delay_ms(2), 0);
        assert_eq!(delay_ms(3), 1_000);
        assert_eq!(delay_ms(4), 2_000);
        assert_eq!(delay_ms(30), 60_000);
    }
}
