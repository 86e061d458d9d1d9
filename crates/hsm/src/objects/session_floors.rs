//! The lowest valid generation of session objects that were changed or destroyed: their older forms are void.
//!
//! A session object lives in the client, sealed; somebody may have kept an older form with more rights, or one of an object that was
//! destroyed. What is kept here against that ends with the log-in, and is bounded: a log-in has a last moment, that of its longest
//! ticket ([`crate::limits::REVOCATION_MS`] behind its last change, moved on when a ticket is renewed), and of one log-in only
//! the newest [`crate::limits::SESSION_FLOORS_MAX`] are kept. If there are too many of all
//! ([`crate::limits::SESSION_FLOORS_TOTAL_MAX`]), the log-in that has most loses its oldest: who floods pays himself.

use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{Generation, LogInId, ObjectId};
use immutable_chunkmap::map::MapM;
use immutable_chunkmap::set::SetM;

use crate::entropy::Time;
use crate::limits;

#[derive(Clone, Copy)]
struct Floor {
    generation: Generation,
    /// Its place among all that were raised.
    order: u64,
}

#[derive(Clone, Copy)]
struct LogInFloors {
    count: u64,
    until: Time,
}

/// The floors of all log-ins.
#[derive(Clone, Default)]
pub(crate) struct SessionFloors {
    floors: MapM<(LogInId, ObjectId), Floor>,
    by_order: SetM<(LogInId, u64, ObjectId)>,
    log_ins: MapM<LogInId, LogInFloors>,
    by_count: SetM<(u64, LogInId)>,
    ends: SetM<(Time, LogInId)>,
    last_order: u64,
}

/// Floors that one command may forget: none waits long because a log-in ended that had many.
const FORGOTTEN_AT_ONCE: usize = 64;

impl SessionFloors {
    /// Returns the lowest generation of an object that is still valid.
    pub(crate) fn of(&self, log_in: LogInId, object: ObjectId) -> Generation {
        self.floors
            .get(&(log_in, object))
            .map_or_else(Generation::default, |floor| floor.generation)
    }

    /// Raises it. `until` is the last moment of any ticket of the log-in.
    pub(crate) fn raise(
        &mut self,
        (log_in, object): (LogInId, ObjectId),
        floor: Generation,
        until: Time,
    ) {
        let generation = floor.max(self.of(log_in, object));
        self.last_order = self.last_order.saturating_add(1);
        self.put((log_in, object), Floor { generation, order: self.last_order });
        self.keep_until(log_in, until);
        let count = self.log_ins.get(&log_in).map_or(0, |kept| kept.count);
        if count > limits::SESSION_FLOORS_MAX {
            self.forget_oldest(log_in);
        }
        self.keep_within(limits::SESSION_FLOORS_TOTAL_MAX);
    }

    fn keep_within(&mut self, total: usize) {
        if self.floors.len() <= total {
            return;
        }
        let most = self.by_count.into_iter().next_back().copied();
        if let Some((_, log_in)) = most {
            self.forget_oldest(log_in);
        }
    }

    fn put(&mut self, (log_in, object): (LogInId, ObjectId), floor: Floor) {
        self.by_order.insert_cow((log_in, floor.order, object));
        let before = self.floors.insert_cow((log_in, object), floor);
        if let Some(before) = before {
            self.by_order.remove_cow(&(log_in, before.order, object));
            return;
        }
        let kept = self.log_ins.get(&log_in).copied();
        let kept = kept.unwrap_or(LogInFloors { count: 0, until: Time(0) });
        if kept.count == 0 {
            self.ends.insert_cow((kept.until, log_in));
        }
        self.count(log_in, kept, kept.count.saturating_add(1));
    }

    fn count(&mut self, log_in: LogInId, kept: LogInFloors, count: u64) {
        self.by_count.remove_cow(&(kept.count, log_in));
        if count == 0 {
            self.log_ins.remove_cow(&log_in);
            self.ends.remove_cow(&(kept.until, log_in));
        } else {
            self.log_ins.insert_cow(log_in, LogInFloors { count, ..kept });
            self.by_count.insert_cow((count, log_in));
        }
    }

    /// Whether there are any of a log-in.
    pub(crate) fn has(&self, log_in: LogInId) -> bool {
        self.log_ins.get(&log_in).is_some()
    }

    /// Moves the end of a log-in on, if there are floors of it.
    pub(crate) fn keep_until(&mut self, log_in: LogInId, until: Time) {
        let Some(kept) = self.log_ins.get(&log_in).copied() else { return };
        if until > kept.until {
            self.set_end(log_in, kept, until);
        }
    }

    /// A log-in ended: its floors go, a few with each command.
    pub(crate) fn log_in_ended(&mut self, log_in: LogInId) {
        if let Some(kept) = self.log_ins.get(&log_in).copied() {
            self.set_end(log_in, kept, Time(0));
        }
    }

    fn set_end(&mut self, log_in: LogInId, kept: LogInFloors, until: Time) {
        self.ends.remove_cow(&(kept.until, log_in));
        self.ends.insert_cow((until, log_in));
        self.log_ins.insert_cow(log_in, LogInFloors { until, ..kept });
    }

    /// Forgets floors of log-ins that ended before `now`; a few at a time.
    pub(crate) fn forget(&mut self, now: Time) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let first = self.ends.into_iter().next().copied();
            let Some((_, log_in)) = first.filter(|(until, _)| *until < now) else { break };
            self.forget_oldest(log_in);
        }
    }

    fn forget_oldest(&mut self, log_in: LogInId) {
        let all = (log_in, 0, ObjectId::from_bytes([0; 16]))
            ..=(log_in, u64::MAX, ObjectId::from_bytes([255; 16]));
        let oldest = self.by_order.range(all).next().copied();
        let Some((log_in, order, object)) = oldest else { return };
        self.by_order.remove_cow(&(log_in, order, object));
        self.floors.remove_cow(&(log_in, object));
        let Some(kept) = self.log_ins.get(&log_in).copied() else { return };
        self.count(log_in, kept, kept.count.saturating_sub(1));
    }

    /// Writes them.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        writer.u64(self.last_order).u64(count(self.log_ins.len()));
        for (log_in, kept) in &self.log_ins {
            writer.fixed(log_in.as_bytes()).u64(kept.until.0);
        }
        writer.u64(count(self.floors.len()));
        for ((log_in, object), floor) in &self.floors {
            writer.fixed(log_in.as_bytes()).fixed(object.as_bytes());
            writer.u64(floor.generation.0).u64(floor.order);
        }
    }

    /// Reads what [`SessionFloors::encode`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut floors = Self { last_order: reader.u64()?, ..Self::default() };
        let log_ins = (0..reader.u64()?)
            .map(|_| Ok((LogInId::from_bytes(reader.fixed()?), Time(reader.u64()?))))
            .collect::<Result<Vec<_>, CanonicalError>>()?;
        for _ in 0..reader.u64()? {
            let log_in = LogInId::from_bytes(reader.fixed()?);
            let object = ObjectId::from_bytes(reader.fixed()?);
            let generation = Generation(reader.u64()?);
            floors.put((log_in, object), Floor { generation, order: reader.u64()? });
        }
        for (log_in, until) in log_ins {
            floors.keep_until(log_in, until);
        }
        Ok(floors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG_IN: LogInId = LogInId::from_bytes([1; 16]);
    const OTHER: LogInId = LogInId::from_bytes([2; 16]);

    fn object(number: u64) -> ObjectId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn written(floors: &SessionFloors) -> Vec<u8> {
        let mut writer = Writer::new("test");
        floors.encode(&mut writer);
        writer.finish()
    }

    #[test]
    fn floors_only_rise_and_end_with_their_log_in() {
        let mut floors = SessionFloors::default();
        floors.raise((LOG_IN, object(1)), Generation(5), Time(100));
        floors.raise((LOG_IN, object(1)), Generation(3), Time(90));
        floors.raise((OTHER, object(1)), Generation(9), Time(200));
        assert_eq!(floors.of(LOG_IN, object(1)), Generation(5));
        floors.forget(Time(100));
        assert!(floors.has(LOG_IN));
        floors.forget(Time(101));
        assert!(!floors.has(LOG_IN) && floors.has(OTHER));
        // A ticket that was renewed keeps them.
        floors.keep_until(OTHER, Time(300));
        floors.forget(Time(250));
        assert_eq!(floors.of(OTHER, object(1)), Generation(9));
        floors.log_in_ended(OTHER);
        floors.forget(Time(250));
        assert_eq!(
            written(&floors),
            written(&SessionFloors { last_order: 3, ..Default::default() })
        );
    }

    #[test]
    fn a_log_in_with_many_is_forgotten_a_few_at_a_time() {
        let mut floors = SessionFloors::default();
        for number in 0..200 {
            floors.raise((LOG_IN, object(number)), Generation(1), Time(100));
        }
        floors.log_in_ended(LOG_IN);
        let mut rounds = 0;
        while floors.has(LOG_IN) {
            floors.forget(Time(1));
            rounds += 1;
        }
        assert_eq!(rounds, 200_usize.div_ceil(FORGOTTEN_AT_ONCE));
    }

    #[test]
    fn of_one_log_in_only_the_newest_are_kept() {
        let mut floors = SessionFloors::default();
        for number in 0..=limits::SESSION_FLOORS_MAX {
            floors.raise((LOG_IN, object(number)), Generation(1), Time(100));
        }
        assert_eq!(floors.of(LOG_IN, object(0)), Generation::default());
        assert_eq!(floors.of(LOG_IN, object(1)), Generation(1));
        assert_eq!(floors.floors.len() as u64, limits::SESSION_FLOORS_MAX);
    }

    #[test]
    fn of_all_log_ins_the_one_that_has_most_loses_its_oldest() {
        let mut floors = SessionFloors::default();
        for number in 0..10 {
            floors.raise((OTHER, object(number)), Generation(1), Time(100));
            floors.keep_within(6);
        }
        floors.raise((LOG_IN, object(1)), Generation(1), Time(100));
        floors.keep_within(6);
        floors.raise((LOG_IN, object(2)), Generation(1), Time(100));
        floors.keep_within(6);
        assert_eq!(floors.floors.len(), 6);
        for kept in [(LOG_IN, 1), (LOG_IN, 2), (OTHER, 6), (OTHER, 9)] {
            assert_eq!(floors.of(kept.0, object(kept.1)), Generation(1), "{}", kept.1);
        }
        assert_eq!(floors.of(OTHER, object(5)), Generation::default());
        let counts: Vec<_> = floors.by_count.into_iter().copied().collect();
        assert_eq!(counts, [(2, LOG_IN), (4, OTHER)]);
    }

    #[test]
    fn what_was_written_reads_back() {
        let mut floors = SessionFloors::default();
        for number in 0..10 {
            floors.raise((LOG_IN, object(number % 4)), Generation(number), Time(100 + number));
            floors.raise((OTHER, object(number)), Generation(1), Time(50));
        }
        floors.forget(Time(60));
        let bytes = written(&floors);
        let mut reader = Reader::new(&bytes, "test").unwrap();
        let read = SessionFloors::decode(&mut reader).unwrap();
        reader.finish().unwrap();
        assert_eq!(written(&read), bytes);
        let state = |floors: &SessionFloors| {
            let mut floors = floors.clone();
            floors.raise((LOG_IN, object(77)), Generation(2), Time(500));
            floors.forget(Time(400));
            written(&floors)
        };
        assert_eq!(state(&read), state(&floors));
    }
}
