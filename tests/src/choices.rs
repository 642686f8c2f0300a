//! The random choices of a test run, repeatable by their seed.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The choices of one run: SplitMix64, so that a seed says it all.
#[derive(Debug, Clone)]
pub struct Choices(u64);

impl Choices {
    /// The choices of a seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The choices of the seed in an environment variable, or of a new one; which one it is, is
    /// printed, so that a run can be repeated.
    pub fn from_env_or_new(name: &str) -> Self {
        let seed = from_env(name).unwrap_or_else(|| RandomState::new().build_hasher().finish());
        eprintln!("{name}={seed}");
        Self(seed)
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, but not including, `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from `first` to `last`, both included.
    pub const fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// `true` once in `times`.
    pub const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A number from the environment.
///
/// # Panics
/// When the variable is set and holds no number.
pub fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
