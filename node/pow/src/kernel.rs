//! Which instructions a search uses, chosen at run time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use crate::{
    keccak::{first_words, Prepared},
    lanes::{Lanes, MOST},
};
use core::{fmt, ops::Range};

/// A way to hash several nonces at once, which this processor has.
#[derive(Clone, Copy)]
pub struct Kernel {
    name: &'static str,
    lanes: usize,
    instructions_per_round: u32,
    find: fn(&Prepared, u64, Range<u64>) -> Option<u64>,
    run: fn(&Prepared, u64, u64) -> [u64; MOST],
}

impl Kernel {
    /// All that this processor has, the slowest first. The one of a single lane is always there.
    pub fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [avx2::kernel(), avx512::kernel()];
        #[cfg(target_arch = "aarch64")]
        let wide = [neon::kernel()];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let wide = [];
        [Some(scalar::kernel())].into_iter().chain(wide).flatten().collect()
    }

    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::all().pop().unwrap_or_else(scalar::kernel)
    }

    /// What its instructions are called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many nonces it hashes at once.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// The fewest of its instructions, loads and stores aside, in which a whole round of Keccak-f can be written.
    pub fn instructions_per_round(&self) -> u32 {
        self.instructions_per_round
    }

    /// The first nonce of a range for which the first word of the hash, read as a big-endian number, is at most `bound`.
    pub(crate) fn find(&self, prepared: &Prepared, bound: u64, nonces: Range<u64>) -> Option<u64> {
        (self.find)(prepared, bound, nonces)
    }

    /// Hashes `times` batches of consecutive nonces, one in each lane, and returns the sum modulo 2 of the first words, lane
    /// by lane: the bare kernel, which compares nothing.
    pub(crate) fn run(&self, prepared: &Prepared, first: u64, times: u64) -> [u64; MOST] {
        (self.run)(prepared, first, times)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lanes {
            1 => formatter.write_str(self.name),
            lanes => write!(formatter, "{} ×{lanes}", self.name),
        }
    }
}

#[inline(always)]
fn find<L: Lanes>(lanes: L, prepared: &Prepared, bound: u64, nonces: Range<u64>) -> Option<u64> {
    let prepared = prepared.splat(lanes);
    let step = lanes.splat(L::COUNT as u64);
    let mut batch = lanes.counting_from(nonces.start);
    let mut first = nonces.start;
    while first < nonces.end {
        let hits = lanes.at_most(first_words(lanes, &prepared, batch), bound);
        if hits != 0 {
            // The last batch may reach past the end.
            let hit = first.wrapping_add(hits.trailing_zeros().into());
            return (first <= hit && hit < nonces.end).then_some(hit);
        }
        batch = lanes.add(batch, step);
        first = first.saturating_add(L::COUNT as u64);
    }
    None
}

#[inline(always)]
fn run<L: Lanes>(lanes: L, prepared: &Prepared, first: u64, times: u64) -> [u64; MOST] {
    let prepared = prepared.splat(lanes);
    let step = lanes.splat(L::COUNT as u64);
    let mut batch = lanes.counting_from(first);
    let mut sum = lanes.splat(0);
    for _ in 0..times {
        sum = lanes.xor(sum, first_words(lanes, &prepared, batch));
        batch = lanes.add(batch, step);
    }
    lanes.words(sum)
}
