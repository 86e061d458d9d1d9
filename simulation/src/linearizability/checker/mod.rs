//! The search.

use std::collections::BTreeSet;
use std::fmt::Debug;

/// What operations do, said as plainly as can be.
pub trait Model {
    /// What there is.
    type State: Clone + Ord;
    /// What is asked.
    type Operation: Clone + Debug;
    /// What is answered.
    type Answer: Clone + Debug + PartialEq;

    /// Returns what there is at first.
    fn first() -> Self::State;
    /// Does an operation: what there is afterwards, and what is answered.
    fn run(state: &Self::State, operation: &Self::Operation) -> (Self::State, Self::Answer);
}

/// One operation of a history. Times are any numbers that grow.
#[derive(Clone, Debug)]
pub struct Entry<M: Model> {
    /// When it was called.
    pub called: u64,
    /// When it returned, and what; none if nobody knows.
    pub returned: Option<(u64, M::Answer)>,
    /// What it was.
    pub operation: M::Operation,
}

/// No order explains the history.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "no order explains this history; the longest that fits has {fits} of {of} operations:\n{story}"
)]
pub struct NotLinearizable {
    /// How many operations the longest order holds that fits.
    pub fits: usize,
    /// How many there are.
    pub of: usize,
    /// The history, a line each, with the place in that order.
    pub story: String,
}

/// What was taken, as bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Taken(Vec<u64>);

impl Taken {
    fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    fn set(&mut self, index: usize, taken: bool) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word = if taken { *word | 1 << (index % 64) } else { *word & !(1 << (index % 64)) };
        }
    }
}

/// Checks a history of one thing.
///
/// # Errors
/// [`NotLinearizable`].
pub fn check<M: Model>(history: &[Entry<M>]) -> Result<(), NotLinearizable> {
    let mut entries: Vec<&Entry<M>> = history.iter().collect();
    entries.sort_by_key(|entry| entry.called);
    let mut search = Search {
        left: entries.iter().filter(|entry| entry.returned.is_some()).count(),
        taken: Taken(vec![0; entries.len().div_ceil(64)]),
        entries,
        tried: BTreeSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    if search.run() { Ok(()) } else { Err(search.story()) }
}

struct Search<'a, M: Model> {
    /// By their call.
    entries: Vec<&'a Entry<M>>,
    taken: Taken,
    /// Known operations that are not taken yet.
    left: usize,
    /// What was taken and what there was then: it leads nowhere.
    tried: BTreeSet<(Taken, M::State)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

/// A place in the search: what there is, and which entry is tried next.
struct Place<S> {
    state: S,
    next: usize,
}

impl<M: Model> Search<'_, M> {
    /// Goes as deep as it can, and back; without recursion, for histories are long.
    fn run(&mut self) -> bool {
        let mut path = vec![Place { state: M::first(), next: 0 }];
        while let Some(place) = path.last_mut() {
            if self.left == 0 {
                return true;
            }
            let Some((index, state)) = self.step(place) else {
                path.pop();
                if let Some(last) = self.order.pop() {
                    self.taken.set(last, false);
                    self.left += usize::from(self.is_known(last));
                }
                continue;
            };
            self.order.push(index);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            path.push(Place { state, next: 0 });
        }
        false
    }

    fn is_known(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| entry.returned.is_some())
    }

    /// Takes the next entry that may come first among the rest, and was not tried here.
    fn step(&mut self, place: &mut Place<M::State>) -> Option<(usize, M::State)> {
        let rest = (0..self.entries.len()).filter(|index| !self.taken.has(*index));
        let returns = rest.filter_map(|index| self.entries.get(index)?.returned.as_ref());
        // Whatever was called after one of the rest had returned comes after it.
        let bound = returns.map(|(at, _)| *at).min().unwrap_or(u64::MAX);
        while let Some(entry) = self.entries.get(place.next) {
            let index = place.next;
            if entry.called > bound {
                return None;
            }
            place.next += 1;
            if self.taken.has(index) {
                continue;
            }
            let (state, answer) = M::run(&place.state, &entry.operation);
            let known = match &entry.returned {
                Some((_, returned)) if *returned != answer => continue,
                Some(_) => true,
                // Nobody saw it: if it changes nothing either, it may as well not have been.
                None if state == place.state => continue,
                None => false,
            };
            self.taken.set(index, true);
            if self.tried.insert((self.taken.clone(), state.clone())) {
                self.left -= usize::from(known);
                return Some((index, state));
            }
            self.taken.set(index, false);
        }
        None
    }

    fn story(&self) -> NotLinearizable {
        let mut lines = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let place = self.longest.iter().position(|taken| *taken == index);
            let place = place.map_or_else(|| "-".to_owned(), |place| (place + 1).to_string());
            let returned = entry
                .returned
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), |(at, answer)| format!("{answer:?} at {at}"));
            lines
                .push(format!("{place:>4}  {}: {:?} -> {returned}", entry.called, entry.operation));
        }
        NotLinearizable {
            fits: self.longest.len(),
            of: self.entries.len(),
            story: lines.join("\n"),
        }
    }
}

#[cfg(test)]
mod tests;
