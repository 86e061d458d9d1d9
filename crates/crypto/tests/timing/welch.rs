//! Does the time of an operation tell two classes of input apart? Welch's t-test over interleaved measurements.
//!
//! After Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?" (2017): the order of the classes is random, so that
//! whatever else the machine does falls on both alike; slow measurements are cropped at several percentiles, because what the
//! scheduler adds hides a small difference; the largest |t| counts. Noise cannot make a leak, but by luck a single run
//! may pass the threshold: so a leak is what [`RUNS`] fresh runs in a row all show, in the same direction. A real one
//! does so every time, for |t| grows with the measurements while luck does not repeat itself.

use std::hint::black_box;
use std::time::Instant;

/// The |t| from which a single run speaks of a difference; by luck less than once in 100,000.
const THRESHOLD: f64 = 4.5;
/// Runs that must all agree.
pub(crate) const RUNS: usize = 3;
/// The first ones fill the caches, and do not count.
const WARM_UP: usize = 20;
/// Which share of the measurements is kept, fastest first.
const KEPT: [f64; 5] = [0.5, 0.75, 0.9, 0.98, 1.0];

/// What the measurements say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// A run found no difference; its largest |t|.
    None(f64),
    /// Every run found the same difference; the smallest of their largest |t|.
    Leak(f64),
}

/// Measures `operation` on inputs of two classes, which `prepare` makes by class and number, so many times a run. The
/// inputs must not differ in where they lie: `prepare` makes each anew.
pub(crate) fn compare<I, T>(
    measurements: usize,
    mut prepare: impl FnMut(bool, usize) -> I,
    mut operation: impl FnMut(I) -> T,
) -> Verdict {
    let mut random = u128::from(std::process::id()) << 1 | 1;
    let mut least = f64::INFINITY;
    let mut direction = 0.0;
    for run in 0..RUNS {
        let t = one_run(measurements, &mut random, &mut prepare, &mut operation);
        let same = run == 0 || t.signum() == direction;
        if t.abs() < THRESHOLD || !same {
            return Verdict::None(t.abs());
        }
        (least, direction) = (least.min(t.abs()), t.signum());
    }
    Verdict::Leak(least)
}

fn one_run<I, T>(
    measurements: usize,
    random: &mut u128,
    prepare: &mut impl FnMut(bool, usize) -> I,
    operation: &mut impl FnMut(I) -> T,
) -> f64 {
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for round in 0..measurements + WARM_UP {
        // A generator that need not be good, only independent of what is measured (Lehmer's).
        *random = (*random & 0xffff_ffff_ffff_ffff) * 0xda94_2042_e4dd_58b5;
        let class = (*random >> 63) & 1 == 1;
        let input = black_box(prepare(class, round));
        let before = Instant::now();
        let result = black_box(operation(input));
        let took = before.elapsed().as_secs_f64();
        // What it made is not measured: to wipe it takes as long as it is.
        drop(result);
        if round >= WARM_UP {
            times[usize::from(class)].push(took);
        }
    }
    assert!(times.iter().all(|class| class.len() > 100), "too few measurements to say anything");
    let mut pooled: Vec<f64> = times.iter().flatten().copied().collect();
    pooled.sort_by(f64::total_cmp);
    let mut largest = 0.0_f64;
    for kept in KEPT {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index below the length"
        )]
        let last = ((pooled.len() as f64 * kept) as usize).saturating_sub(1);
        let limit = pooled.get(last).copied().unwrap_or(f64::INFINITY);
        let t = welch(&times.each_ref().map(|class| crop(class, limit)));
        if t.abs() > largest.abs() {
            largest = t;
        }
    }
    largest
}

fn crop(times: &[f64], limit: f64) -> Vec<f64> {
    times.iter().copied().filter(|time| *time <= limit).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn moments(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

fn welch([one, two]: &[Vec<f64>; 2]) -> f64 {
    // Where one class is so much faster that it is alone among the fastest, the wider crops tell them apart.
    if one.len() < 20 || two.len() < 20 {
        return 0.0;
    }
    let ((one, one_variance), (two, two_variance)) = (moments(one), moments(two));
    let deviation = (one_variance + two_variance).sqrt();
    if deviation == 0.0 { 0.0 } else { (one - two) / deviation }
}
