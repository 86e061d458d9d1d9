//! All cells of a run, and the median over its rounds.

use std::collections::BTreeMap;

use crate::load::Figures;
use crate::operation::Operation;
use crate::systems::Name;
use crate::worker::Cell;

/// Names a cell: operation (by its place in [`Operation::ALL`]), threads, system.
type Key = (usize, usize, Name);

/// What a run measured.
#[derive(Default)]
pub(crate) struct Results {
    measured: BTreeMap<Key, Vec<Figures>>,
    failed: BTreeMap<Key, String>,
}

impl Results {
    /// Adds one round's outcome of a cell.
    pub(crate) fn add(&mut self, operation: Operation, threads: usize, name: Name, cell: Cell) {
        let key = (place(operation), threads, name);
        match cell {
            Cell::Measured(figures) => self.measured.entry(key).or_default().push(figures),
            Cell::NotOffered => {}
            Cell::Failed(cause) => drop(self.failed.insert(key, cause)),
        }
    }

    /// Returns whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.measured.is_empty()
    }

    /// Returns the medians of a cell, figure by figure, if it was measured and never failed.
    pub(crate) fn get(&self, operation: Operation, threads: usize, name: Name) -> Option<Figures> {
        let key = (place(operation), threads, name);
        if self.failed.contains_key(&key) {
            return None;
        }
        let rounds = self.measured.get(&key)?;
        let pick = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        Some(Figures {
            operations: rounds.iter().map(|round| round.operations).sum(),
            rate: pick(|round| round.rate),
            p50: pick(|round| round.p50),
            p99: pick(|round| round.p99),
            client_cpu: pick(|round| round.client_cpu),
            server_cpu: pick(|round| round.server_cpu),
        })
    }

    /// Returns the rate at the thread count where it is best.
    pub(crate) fn best_rate(&self, operation: Operation, name: Name) -> Option<f64> {
        let place = place(operation);
        let of_it = self.measured.keys().filter(|key| key.0 == place && key.2 == name);
        let rates = of_it.filter_map(|key| Some(self.get(operation, key.1, name)?.rate));
        rates.max_by(f64::total_cmp)
    }

    /// Returns the cells that failed, with the cause.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Operation, usize, Name, &str)> {
        self.failed.iter().filter_map(|(&(place, threads, name), cause)| {
            Some((*Operation::ALL.get(place)?, threads, name, cause.as_str()))
        })
    }
}

fn place(operation: Operation) -> usize {
    Operation::ALL.iter().position(|&other| other == operation).unwrap_or(usize::MAX)
}

/// Returns the median; of an even count the lower one, so that it is a figure that was measured.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: f64) -> Cell {
        let zero = 0.0;
        Cell::Measured(Figures {
            operations: 1,
            rate,
            p50: zero,
            p99: zero,
            client_cpu: zero,
            server_cpu: zero,
        })
    }

    #[test]
    fn a_cell_is_the_median_of_its_rounds() {
        let mut results = Results::default();
        for rate in [5.0, 1.0, 9.0] {
            results.add(Operation::SignP256, 2, Name::Limit, round(rate));
        }
        results.add(Operation::SignP256, 8, Name::Limit, round(7.0));
        assert_eq!(results.get(Operation::SignP256, 2, Name::Limit).unwrap().rate, 5.0);
        assert_eq!(results.best_rate(Operation::SignP256, Name::Limit), Some(7.0));
        assert!(results.get(Operation::SignP384, 2, Name::Limit).is_none());
    }

    #[test]
    fn one_failed_round_voids_the_cell() {
        let mut results = Results::default();
        results.add(Operation::Empty, 1, Name::P11kit, round(5.0));
        results.add(Operation::Empty, 1, Name::P11kit, Cell::Failed("lost".to_owned()));
        assert!(results.get(Operation::Empty, 1, Name::P11kit).is_none());
        assert_eq!(results.failures().count(), 1);
    }
}
