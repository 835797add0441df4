//! Four lanes in a 256-bit register.

use super::Kernel;
use crate::{
    keccak::Prepared,
    lanes::{Lanes, MOST},
};
use core::arch::x86_64::*;
use core::ops::Range;

/// The kernel, if the processor has it.
pub fn kernel() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then_some(Kernel {
        name: "AVX2",
        lanes: Avx2::COUNT,
        // Theta: 20 sums for the parities of the columns, five rotations, which are three instructions each, 5 + 25 sums.
        // Rho: 24 rotations. Chi: 50. Iota: one.
        instructions_per_round: 20 + 3 * 5 + 5 + 25 + 3 * 24 + 50 + 1,
        // SAFETY: the processor was just asked.
        find: |prepared, bound, nonces| unsafe { find(prepared, bound, nonces) },
        // SAFETY: as above.
        run: |prepared, first, times| unsafe { run(prepared, first, times) },
    })
}

#[target_feature(enable = "avx2")]
fn find(prepared: &Prepared, bound: u64, nonces: Range<u64>) -> Option<u64> {
    super::find(Avx2(()), prepared, bound, nonces)
}

#[target_feature(enable = "avx2")]
fn run(prepared: &Prepared, first: u64, times: u64) -> [u64; MOST] {
    super::run(Avx2(()), prepared, first, times)
}

/// Made only in functions that are compiled for AVX2.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Lanes for Avx2 {
    type Vector = __m256i;
    type Parity = __m256i;

    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(self, word: u64) -> __m256i {
        // SAFETY: `self` is only made in functions that are compiled for the instruction.
        unsafe { _mm256_set1_epi64x(word as i64) }
    }

    #[inline(always)]
    fn counting_from(self, first: u64) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi64(_mm256_set1_epi64x(first as i64), _mm256_set_epi64x(3, 2, 1, 0)) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn chi(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_xor_si256(a, _mm256_andnot_si256(b, c)) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: __m256i) -> __m256i {
        // SAFETY: as above. Counts that are no constants of Rust still become constants, since all of this is inlined.
        unsafe {
            _mm256_or_si256(
                _mm256_sllv_epi64(a, _mm256_set1_epi64x(i64::from(BITS))),
                _mm256_srlv_epi64(a, _mm256_set1_epi64x(i64::from(64 - BITS))),
            )
        }
    }

    #[inline(always)]
    fn parity(self, a: __m256i, b: __m256i) -> __m256i {
        self.xor(a, b)
    }

    #[inline(always)]
    fn add_parity(self, a: __m256i, parity: __m256i) -> __m256i {
        self.xor(a, parity)
    }

    #[inline(always)]
    fn words(self, a: __m256i) -> [u64; MOST] {
        // SAFETY: both are 32 bytes, and every pattern of bits is a value of either.
        let [w, x, y, z]: [u64; 4] = unsafe { core::mem::transmute(a) };
        [w, x, y, z, 0, 0, 0, 0]
    }

    #[inline(always)]
    fn at_most(self, a: __m256i, bound: u64) -> u32 {
        // SAFETY: as in `splat`.
        let above = unsafe {
            let swap = _mm256_set_epi64x(
                0x08_09_0a_0b_0c_0d_0e_0f,
                0x00_01_02_03_04_05_06_07,
                0x08_09_0a_0b_0c_0d_0e_0f,
                0x00_01_02_03_04_05_06_07,
            );
            // The comparison is of signed numbers: with the highest bit turned over, it orders unsigned ones.
            let sign = self.splat(1 << 63);
            let reversed = _mm256_xor_si256(_mm256_shuffle_epi8(a, swap), sign);
            _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(reversed, self.splat(bound ^ (1 << 63)))))
        };
        !above as u32 & 0xf
    }
}
