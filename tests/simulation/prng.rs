//! Randomness that comes from the seed alone: SplitMix64, the same on each machine.

/// A stream of numbers that its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number in `0..end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number in `first..=last`.
    pub(crate) const fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in so many times.
    pub(crate) const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    /// A wait whose logarithm is spread evenly: short ones and long ones are equally likely.
    pub(crate) fn wait(&mut self, shortest: u64, longest: u64) -> u64 {
        let octaves = (longest / shortest.max(1)).max(1).ilog2();
        let scale = shortest << self.below(u64::from(octaves) + 1);
        self.between(scale, scale * 2).min(longest)
    }
}

#[test]
fn a_seed_determines_every_number() {
    let numbers = |seed| {
        let mut random = Random::new(seed);
        [random.next(), random.below(10), random.between(3, 4), random.wait(1_000, 60_000)]
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
}
