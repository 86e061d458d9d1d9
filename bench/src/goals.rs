//! The goals: what the figures must reach, as ratios within one run.
//!
//! The unit U is the CPU time of one raw P-256 signature at the thread count of the goals, so that
//! both sides of a ratio saw the same cores equally busy. A ratio holds on another machine; a
//! microsecond does not.

use crate::operation::Operation;
use crate::results::Results;
use crate::systems::Name;

/// Threads at which the goals are judged.
pub(crate) const GOAL_THREADS: usize = 32;

/// Above this U (in microseconds) a machine is slow, and process switches weigh less against the
/// signature: the rate is compared less strictly.
const SLOW_UNIT: f64 = 20.0;

/// One goal and what was reached.
pub(crate) struct Goal {
    /// What is compared.
    pub(crate) text: String,
    /// The bound, as people read it.
    pub(crate) bound: String,
    /// What was reached, as people read it; empty if it was not measured.
    pub(crate) reached: String,
    /// Whether it was met; `None` if it was not measured.
    pub(crate) met: Option<bool>,
}

impl Goal {
    /// A goal that a figure stays at or below a bound.
    pub(crate) fn at_most(text: &str, value: Option<f64>, bound: f64, unit: &str) -> Self {
        Self::new(text, "≤", value, bound, unit, value.map(|value| value <= bound))
    }

    /// A goal that a figure reaches a bound.
    pub(crate) fn at_least(text: &str, value: Option<f64>, bound: f64, unit: &str) -> Self {
        Self::new(text, "≥", value, bound, unit, value.map(|value| value >= bound))
    }

    fn new(
        text: &str,
        sign: &str,
        value: Option<f64>,
        bound: f64,
        unit: &str,
        met: Option<bool>,
    ) -> Self {
        let reached = value.map_or_else(String::new, |value| format!("{value:.2}{unit}"));
        Self { text: text.to_owned(), bound: format!("{sign} {bound}{unit}"), reached, met }
    }

    /// Returns the verdict as people read it.
    pub(crate) const fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        }
    }
}

/// Returns U at this number of threads, in microseconds.
pub(crate) fn unit(results: &Results, threads: usize) -> Option<f64> {
    Some(results.get(Operation::SignP256, threads, Name::Limit)?.client_cpu)
}

/// Judges the goals that follow from the table alone.
pub(crate) fn judge(results: &Results) -> Vec<Goal> {
    let ours = |operation| results.get(operation, GOAL_THREADS, Name::Casemate);
    let unit = unit(results, GOAL_THREADS);
    let in_units = |microseconds: Option<f64>| Some(microseconds? / unit?);
    let whole = |operation| in_units(ours(operation).map(|cell| cell.client_cpu + cell.server_cpu));
    let rate = |operation| ours(operation).map(|cell| cell.rate);
    let against_best =
        |operation, other: Name| Some(rate(operation)? / results.best_rate(operation, other)?);
    let p11kit = results.get(Operation::SignP256, GOAL_THREADS, Name::P11kit);
    let sign = ours(Operation::SignP256);
    let factor = if unit.is_some_and(|unit| unit > SLOW_UNIT) { 1.1 } else { 1.2 };
    vec![
        Goal::at_most("empty call, CPU of both sides", whole(Operation::Empty), 1.4, " U"),
        Goal::at_most(
            "P-256 sign, CPU of the daemon (raw + 0.35 U)",
            in_units(sign.map(|cell| cell.server_cpu)),
            1.35,
            " U",
        ),
        Goal::at_most(
            "P-256 sign, CPU of the client",
            in_units(sign.map(|cell| cell.client_cpu)),
            0.95,
            " U",
        ),
        Goal::at_least(
            "P-256 sign, rate against SoftHSM2 in process at its best",
            against_best(Operation::SignP256, Name::Softhsm),
            factor,
            " ×",
        ),
        Goal::at_least(
            "P-256 sign, rate against SoftHSM2 behind p11-kit",
            rate(Operation::SignP256).zip(p11kit).map(|(ours, theirs)| ours / theirs.rate),
            10.0,
            " ×",
        ),
        Goal::at_least(
            "P-384 sign, rate against SoftHSM2 in process at its best",
            against_best(Operation::SignP384, Name::Softhsm),
            5.0,
            " ×",
        ),
        Goal::at_least(
            "RSA-2048 sign, rate against raw AWS-LC at its best",
            against_best(Operation::SignRsa2048, Name::Limit),
            0.88,
            " ×",
        ),
        Goal::at_least(
            "RSA-2048 sign, rate against SoftHSM2 in process at its best",
            against_best(Operation::SignRsa2048, Name::Softhsm),
            1.8,
            " ×",
        ),
        Goal::at_most("AES-GCM 16 KiB, CPU of both sides", whole(Operation::Gcm16K), 3.4, " U"),
    ]
}
