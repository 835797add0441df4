//! Eight lanes in a 512-bit register. Rotation and every three-operand Boolean function are one instruction each.

use super::Kernel;
use crate::{
    keccak::Prepared,
    lanes::{Lanes, MOST},
};
use core::arch::x86_64::*;
use core::ops::Range;

/// The kernel, if the processor has it.
pub fn kernel() -> Option<Kernel> {
    (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Kernel {
        name: "AVX-512",
        lanes: Avx512::COUNT,
        // Theta: ten sums of three for the parities of the columns, five rotations, 25 sums of three. Rho: 24 rotations. Chi:
        // 25. Iota: one.
        instructions_per_round: 10 + 5 + 25 + 24 + 25 + 1,
        // SAFETY: the processor was just asked.
        find: |prepared, bound, nonces| unsafe { find(prepared, bound, nonces) },
        // SAFETY: as above.
        run: |prepared, first, times| unsafe { run(prepared, first, times) },
    })
}

#[target_feature(enable = "avx512f,avx512bw")]
fn find(prepared: &Prepared, bound: u64, nonces: Range<u64>) -> Option<u64> {
    super::find(Avx512(()), prepared, bound, nonces)
}

#[target_feature(enable = "avx512f,avx512bw")]
fn run(prepared: &Prepared, first: u64, times: u64) -> [u64; MOST] {
    super::run(Avx512(()), prepared, first, times)
}

/// Made only in functions that are compiled for AVX-512 F and BW.
#[derive(Clone, Copy)]
pub struct Avx512(());

/// The truth table of a ⊕ b ⊕ c.
const XOR3: i32 = 0x96;
/// The truth table of a ⊕ (¬b ∧ c).
const CHI: i32 = 0xd2;

impl Lanes for Avx512 {
    type Vector = __m512i;
    /// Not added up: `xor3` adds both in one instruction.
    type Parity = (__m512i, __m512i);

    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        // SAFETY: `self` is only made in functions that are compiled for the instruction.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    fn counting_from(self, first: u64) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_add_epi64(_mm512_set1_epi64(first as i64), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_ternarylogic_epi64::<XOR3>(a, b, c) }
    }

    #[inline(always)]
    fn chi(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_ternarylogic_epi64::<CHI>(a, b, c) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_rol_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn parity(self, a: __m512i, b: __m512i) -> Self::Parity {
        (a, b)
    }

    #[inline(always)]
    fn add_parity(self, a: __m512i, (b, c): Self::Parity) -> __m512i {
        self.xor3(a, b, c)
    }

    #[inline(always)]
    fn words(self, a: __m512i) -> [u64; MOST] {
        // SAFETY: both are 64 bytes, and every pattern of bits is a value of either.
        unsafe { core::mem::transmute(a) }
    }

    #[inline(always)]
    fn at_most(self, a: __m512i, bound: u64) -> u32 {
        // SAFETY: as in `splat`, and AVX-512 BW for the shuffle.
        let hits = unsafe {
            let swap = _mm512_set4_epi32(0x08_09_0a_0b, 0x0c_0d_0e_0f, 0x00_01_02_03, 0x04_05_06_07);
            _mm512_cmple_epu64_mask(_mm512_shuffle_epi8(a, swap), self.splat(bound))
        };
        hits.into()
    }
}
