//! A seed is one history: played twice, its logs are equal to the byte.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use casemate_simulation::seed::play;

mod labels;

use labels::LabelService;

#[test]
fn a_seed_replays_to_the_byte() {
    for seed in 1..=3 {
        let first = play(seed, Arc::new(LabelService));
        println!("{first}");
        let again = play(seed, Arc::new(LabelService));
        for (number, (one, other)) in first.log.lines().zip(again.log.lines()).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {number}");
        }
        assert_eq!(first.log, again.log);
    }
}

#[test]
fn seeds_hold() {
    let from = std::env::var("SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let seeds = std::env::var("SEEDS").ok().map_or(5, |seeds| seeds.parse().unwrap());
    for seed in from..from + seeds {
        let report = play(seed, Arc::new(LabelService));
        println!("{report}");
        if report.violation.is_some() || std::env::var("LOG").is_ok() {
            println!("{}", report.log);
        }
        assert!(report.counts());
        assert_eq!(report.violation, None);
    }
}
