//! Two lanes in a 128-bit register.

use super::Kernel;
use crate::{
    keccak::Prepared,
    lanes::{Lanes, MOST},
};
use core::arch::aarch64::*;
use core::ops::Range;

/// The kernel, if the processor has it.
pub fn kernel() -> Option<Kernel> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(Kernel {
        name: "NEON",
        lanes: Neon::COUNT,
        // As with AVX2.
        instructions_per_round: 20 + 3 * 5 + 5 + 25 + 3 * 24 + 50 + 1,
        // SAFETY: the processor was just asked.
        find: |prepared, bound, nonces| unsafe { find(prepared, bound, nonces) },
        // SAFETY: as above.
        run: |prepared, first, times| unsafe { run(prepared, first, times) },
    })
}

#[target_feature(enable = "neon")]
fn find(prepared: &Prepared, bound: u64, nonces: Range<u64>) -> Option<u64> {
    super::find(Neon(()), prepared, bound, nonces)
}

#[target_feature(enable = "neon")]
fn run(prepared: &Prepared, first: u64, times: u64) -> [u64; MOST] {
    super::run(Neon(()), prepared, first, times)
}

/// Made only in functions that are compiled for NEON.
#[derive(Clone, Copy)]
pub struct Neon(());

impl Lanes for Neon {
    type Vector = uint64x2_t;
    type Parity = uint64x2_t;

    const COUNT: usize = 2;

    #[inline(always)]
    fn splat(self, word: u64) -> uint64x2_t {
        // SAFETY: `self` is only made in functions that are compiled for the instruction.
        unsafe { vdupq_n_u64(word) }
    }

    #[inline(always)]
    fn counting_from(self, first: u64) -> uint64x2_t {
        // SAFETY: as above.
        unsafe { vcombine_u64(vcreate_u64(first), vcreate_u64(first.wrapping_add(1))) }
    }

    #[inline(always)]
    fn add(self, a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        // SAFETY: as above.
        unsafe { vaddq_u64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        // SAFETY: as above.
        unsafe { veorq_u64(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: uint64x2_t, b: uint64x2_t, c: uint64x2_t) -> uint64x2_t {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn chi(self, a: uint64x2_t, b: uint64x2_t, c: uint64x2_t) -> uint64x2_t {
        // SAFETY: as above.
        unsafe { veorq_u64(a, vbicq_u64(c, b)) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: uint64x2_t) -> uint64x2_t {
        // SAFETY: as above. A shift by a negative number goes to the right.
        unsafe {
            vorrq_u64(vshlq_u64(a, vdupq_n_s64(i64::from(BITS))), vshlq_u64(a, vdupq_n_s64(i64::from(BITS) - 64)))
        }
    }

    #[inline(always)]
    fn parity(self, a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        self.xor(a, b)
    }

    #[inline(always)]
    fn add_parity(self, a: uint64x2_t, parity: uint64x2_t) -> uint64x2_t {
        self.xor(a, parity)
    }

    #[inline(always)]
    fn words(self, a: uint64x2_t) -> [u64; MOST] {
        // SAFETY: as in `splat`.
        let (first, second) = unsafe { (vgetq_lane_u64::<0>(a), vgetq_lane_u64::<1>(a)) };
        [first, second, 0, 0, 0, 0, 0, 0]
    }

    #[inline(always)]
    fn at_most(self, a: uint64x2_t, bound: u64) -> u32 {
        // SAFETY: as in `splat`.
        let hits = unsafe {
            let reversed = vreinterpretq_u64_u8(vrev64q_u8(vreinterpretq_u8_u64(a)));
            vcleq_u64(reversed, vdupq_n_u64(bound))
        };
        let [first, second, ..] = self.words(hits);
        (first & 1 | second & 2) as u32
    }
}
