//! Chance that is the same for the same seed.

/// A small generator (`SplitMix64`, public domain, Sebastiano Vigna).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// What follows from this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    ///
    /// # Panics
    /// If there is none, for 0.
    pub const fn roll(&mut self, sides: u64) -> u64 {
        self.number() % sides
    }

    /// An index below this length.
    ///
    /// # Panics
    /// If there is none, for 0.
    #[expect(clippy::cast_possible_truncation, reason = "what is below a usize is one")]
    pub const fn below(&mut self, len: usize) -> usize {
        self.roll(len as u64) as usize
    }

    /// Some bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number().to_le_bytes()[0]).collect()
    }
}
