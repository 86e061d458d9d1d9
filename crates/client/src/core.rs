//! What to do after an attempt: the decisions of the client, without I/O and without a clock of its own.

use std::time::{Duration, Instant};

use casemate_protocol::Retry;

use crate::error::AttemptError;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait so long, then try again with the same request id.
    Again(Duration),
    /// Log in by ticket again, then try again.
    LogIn,
    /// The cause is final.
    GiveUp,
    /// There is no time left.
    TooLate,
}

/// The attempts of one call.
pub(crate) struct Attempts {
    deadline: Instant,
    failed: u32,
    logged_in_again: bool,
    /// The cause of the last attempt that had one: that there was no time left for another is none.
    cause: Option<AttemptError>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Attempts {
    pub(crate) const fn new(deadline: Instant) -> Self {
        Self { deadline, failed: 0, logged_in_again: false, cause: None }
    }

    /// Returns the deadline of the call.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether an attempt was made before, so that the HSM may know the request.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.failed > 0
    }

    /// Decides after a failed attempt. `logged_in` says whether there is a ticket.
    pub(crate) fn after(&mut self, error: &AttemptError, logged_in: bool, now: Instant) -> Next {
        self.failed = self.failed.saturating_add(1);
        if self.cause.is_none() || !matches!(error, AttemptError::Late { .. }) {
            self.cause = Some(error.clone());
        }
        let pause = match error {
            AttemptError::Untrusted { .. } => return Next::GiveUp,
            AttemptError::Late { .. } => return Next::TooLate,
            AttemptError::Unreachable { .. } => self.pause(),
            AttemptError::Refused(refused) => match refused.retry() {
                Retry::Never => return Next::GiveUp,
                Retry::AfterLogIn if logged_in && !self.logged_in_again => {
                    self.logged_in_again = true;
                    return Next::LogIn;
                }
                Retry::AfterLogIn => return Next::GiveUp,
                Retry::SameId => Duration::ZERO,
                Retry::Elsewhere => self.pause(),
                Retry::AfterMs(ms) => Duration::from_millis(ms),
            },
        };
        if now + pause >= self.deadline { Next::TooLate } else { Next::Again(pause) }
    }

    /// Returns why there is no answer yet: an HSM that refused an attempt, and did not answer the last one in what time was left,
    /// still refuses.
    pub(crate) fn cause(&self) -> String {
        self.cause.as_ref().map_or_else(String::new, ToString::to_string)
    }

    /// Doubles from 5 ms to 250 ms.
    fn pause(&self) -> Duration {
        let doublings = self.failed.saturating_sub(1).min(8);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::Error;

    fn unreachable() -> AttemptError {
        AttemptError::Unreachable { address: "a".to_owned(), cause: "b".to_owned() }
    }

    #[test]
    fn pauses_grow_and_end_with_the_deadline() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now + Duration::from_secs(1));
        assert_eq!(
            attempts.after(&unreachable(), false, now),
            Next::Again(Duration::from_millis(5))
        );
        assert_eq!(
            attempts.after(&unreachable(), false, now),
            Next::Again(Duration::from_millis(10))
        );
        let late = now + Duration::from_millis(999);
        assert_eq!(attempts.after(&unreachable(), false, late), Next::TooLate);
        assert!(attempts.is_repeated());
    }

    #[test]
    fn the_cause_is_the_last_one_that_was_told() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now + Duration::from_secs(1));
        let late = || AttemptError::Late { address: "a".to_owned() };
        attempts.after(&AttemptError::Refused(Error::WritesRefusedDiskFailed), true, now);
        assert_eq!(attempts.after(&late(), true, now), Next::TooLate);
        assert_eq!(attempts.cause(), Error::WritesRefusedDiskFailed.to_string());
        let mut attempts = Attempts::new(now + Duration::from_secs(1));
        attempts.after(&late(), true, now);
        assert_eq!(attempts.cause(), late().to_string());
    }

    #[test]
    fn refusals_are_repeated_by_their_class() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now + Duration::from_secs(1));
        let mut after =
            |error, logged_in| attempts.after(&AttemptError::Refused(error), logged_in, now);
        assert_eq!(after(Error::SignatureInvalid, true), Next::GiveUp);
        assert_eq!(after(Error::Busy(30), true), Next::Again(Duration::from_millis(30)));
        assert_eq!(after(Error::Busy(3_000), true), Next::TooLate);
        assert_eq!(after(Error::TicketInvalid, false), Next::GiveUp);
        assert_eq!(after(Error::TicketInvalid, true), Next::LogIn);
        assert_eq!(after(Error::TicketInvalid, true), Next::GiveUp);
        assert!(matches!(after(Error::ShuttingDown, true), Next::Again(_)));
    }
}
