//! One lane in a 64-bit register.

use super::Kernel;
use crate::lanes::{Lanes, MOST};

/// The kernel that every processor has.
pub fn kernel() -> Kernel {
    Kernel {
        name: "scalar",
        lanes: Scalar::COUNT,
        // As with AVX2, but that a rotation is one instruction.
        instructions_per_round: 20 + 5 + 5 + 25 + 24 + 50 + 1,
        find: |prepared, bound, nonces| super::find(Scalar, prepared, bound, nonces),
        run: |prepared, first, times| super::run(Scalar, prepared, first, times),
    }
}

/// Proof of nothing.
#[derive(Clone, Copy)]
pub struct Scalar;

impl Lanes for Scalar {
    type Vector = u64;
    type Parity = u64;

    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(self, word: u64) -> u64 {
        word
    }

    #[inline(always)]
    fn counting_from(self, first: u64) -> u64 {
        first
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn xor(self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn xor3(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ b ^ c
    }

    #[inline(always)]
    fn chi(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ (!b & c)
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: u64) -> u64 {
        a.rotate_left(BITS as u32)
    }

    #[inline(always)]
    fn parity(self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn add_parity(self, a: u64, parity: u64) -> u64 {
        a ^ parity
    }

    #[inline(always)]
    fn words(self, a: u64) -> [u64; MOST] {
        [a, 0, 0, 0, 0, 0, 0, 0]
    }

    #[inline(always)]
    fn at_most(self, a: u64, bound: u64) -> u32 {
        (a.swap_bytes() <= bound).into()
    }
}
