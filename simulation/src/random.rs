//! Random numbers by a seed: the same ones on every machine, for ever.
//!
//! SplitMix64, because a stream can be split off by one draw: what one part of the simulation draws does not move what another gets.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins the stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Returns the next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Splits off another stream.
    #[must_use]
    pub const fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// Returns a number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Returns a number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least).saturating_add(1))
    }

    /// Returns true so many times of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// Returns an index of a list of so many; 0 if it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(length)).unwrap_or(0)
    }

    /// Picks one of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.index(list.len());
        list.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_for_ever() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1_000)).collect();
        assert_eq!(drawn, [756, 986, 889, 902], "a seed of yesterday must replay tomorrow");
    }

    #[test]
    fn what_is_split_off_does_not_move_the_rest() {
        let (mut one, mut other) = (Random::new(7), Random::new(7));
        let (mut busy, _idle) = (one.split(), other.split());
        for _ in 0..100 {
            busy.next();
        }
        assert_eq!(one.next(), other.next());
    }

    #[test]
    fn every_number_of_a_range_comes() {
        let mut random = Random::new(3);
        let mut seen = [0; 5];
        for _ in 0..1_000 {
            seen[usize::try_from(random.between(2, 6) - 2).unwrap()] += 1;
        }
        assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
        assert_eq!((random.below(0), random.below(1), random.index(0)), (0, 0, 0));
    }
}
