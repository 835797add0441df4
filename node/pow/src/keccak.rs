//! Keccak-f\[1600\] (FIPS 202) over the one block that a search hashes: 32 bytes that stay, 8 that change.
//!
//! Lanes are numbered x + 5·y. The 40 bytes are lanes 0 to 4, with the nonce in lane 4; the domain bits and the first bit
//! of the padding are in lane 5, its last bit in lane 16; all others are zero. From this follow two savings:
//!
//! - Theta, rho and pi are linear, so what they make of everything but the nonce is the same for all nonces, and the nonce
//!   reaches only 11 of the 25 lanes ([`Prepared`]).
//! - Whether a hash can be at most the target is told by its first word, which needs only three lanes of the last round
//!   ([`first_word`]).

use crate::{lanes::Lanes, Preimage};

/// Added to the first lane by iota, in each round.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Rho's rotation to the left of each lane.
const ROTATIONS: [u32; 25] =
    [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// What is the same for all nonces of a preimage: the lanes before chi of the first round, for the nonce 0.
#[derive(Clone, Copy)]
pub struct Prepared([u64; 25]);

impl Prepared {
    /// For a preimage.
    pub fn new(preimage: &Preimage) -> Self {
        let mut lanes = [0u64; 25];
        for (lane, bytes) in lanes.iter_mut().zip(preimage.chunks_exact(8)) {
            *lane = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        lanes[5] = 0x06;
        lanes[16] = 1 << 63;

        let column = |x: usize| (0..5).fold(0, |sum, y| sum ^ lanes[x % 5 + 5 * y]);
        let mut moved = [0u64; 25];
        for y in 0..5 {
            for x in 0..5 {
                let mixed = lanes[x + 5 * y] ^ column(x + 4) ^ column(x + 1).rotate_left(1);
                moved[y + 5 * ((2 * x + 3 * y) % 5)] = mixed.rotate_left(ROTATIONS[x + 5 * y]);
            }
        }
        Self(moved)
    }
}

impl Prepared {
    /// The same in every lane of the vectors.
    #[inline(always)]
    pub fn splat<L: Lanes>(&self, lanes: L) -> [L::Vector; 25] {
        self.0.map(|word| lanes.splat(word))
    }
}

/// The words of the permutation's result that begin the hashes of a preimage with the given nonces.
///
/// A word has the first byte of the hash lowest.
#[inline(always)]
pub fn first_words<L: Lanes>(lanes: L, prepared: &[L::Vector; 25], nonces: L::Vector) -> L::Vector {
    let mut state = first_round(lanes, prepared, nonces);
    for constant in &ROUND_CONSTANTS[1..23] {
        state = round(lanes, &state, *constant);
    }
    last_round(lanes, &state)
}

/// The first round. Theta carries the nonce of lane 4 to column 0, and rotated by 1 to column 3.
#[inline(always)]
fn first_round<L: Lanes>(l: L, prepared: &[L::Vector; 25], nonce: L::Vector) -> [L::Vector; 25] {
    let mut p = *prepared;
    p[0] = l.xor(p[0], nonce);
    p[16] = l.xor(p[16], l.rotate::<36>(nonce));
    p[7] = l.xor(p[7], l.rotate::<3>(nonce));
    p[23] = l.xor(p[23], l.rotate::<41>(nonce));
    p[14] = l.xor(p[14], l.rotate::<18>(nonce));
    p[5] = l.xor(p[5], l.rotate::<29>(nonce));
    p[21] = l.xor(p[21], l.rotate::<56>(nonce));
    p[12] = l.xor(p[12], l.rotate::<26>(nonce));
    p[3] = l.xor(p[3], l.rotate::<22>(nonce));
    p[19] = l.xor(p[19], l.rotate::<57>(nonce));
    p[15] = l.xor(p[15], l.rotate::<27>(nonce));
    let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20, p21, p22, p23, p24] =
        p;
    chi(
        l,
        ROUND_CONSTANTS[0],
        [
            [p0, p1, p2, p3, p4],
            [p5, p6, p7, p8, p9],
            [p10, p11, p12, p13, p14],
            [p15, p16, p17, p18, p19],
            [p20, p21, p22, p23, p24],
        ],
    )
}

/// Any round.
#[inline(always)]
fn round<L: Lanes>(l: L, a: &[L::Vector; 25], constant: u64) -> [L::Vector; 25] {
    let [p0, p1, p2, p3, p4] = parities(l, a);
    let rows = [
        [
            l.add_parity(a[0], p0),
            l.rotate::<44>(l.add_parity(a[6], p1)),
            l.rotate::<43>(l.add_parity(a[12], p2)),
            l.rotate::<21>(l.add_parity(a[18], p3)),
            l.rotate::<14>(l.add_parity(a[24], p4)),
        ],
        [
            l.rotate::<28>(l.add_parity(a[3], p3)),
            l.rotate::<20>(l.add_parity(a[9], p4)),
            l.rotate::<3>(l.add_parity(a[10], p0)),
            l.rotate::<45>(l.add_parity(a[16], p1)),
            l.rotate::<61>(l.add_parity(a[22], p2)),
        ],
        [
            l.rotate::<1>(l.add_parity(a[1], p1)),
            l.rotate::<6>(l.add_parity(a[7], p2)),
            l.rotate::<25>(l.add_parity(a[13], p3)),
            l.rotate::<8>(l.add_parity(a[19], p4)),
            l.rotate::<18>(l.add_parity(a[20], p0)),
        ],
        [
            l.rotate::<27>(l.add_parity(a[4], p4)),
            l.rotate::<36>(l.add_parity(a[5], p0)),
            l.rotate::<10>(l.add_parity(a[11], p1)),
            l.rotate::<15>(l.add_parity(a[17], p2)),
            l.rotate::<56>(l.add_parity(a[23], p3)),
        ],
        [
            l.rotate::<62>(l.add_parity(a[2], p2)),
            l.rotate::<55>(l.add_parity(a[8], p3)),
            l.rotate::<39>(l.add_parity(a[14], p4)),
            l.rotate::<41>(l.add_parity(a[15], p0)),
            l.rotate::<2>(l.add_parity(a[21], p1)),
        ],
    ];
    chi(l, constant, rows)
}

/// The last round, as far as the first word goes.
#[inline(always)]
fn last_round<L: Lanes>(l: L, a: &[L::Vector; 25]) -> L::Vector {
    let [p0, p1, p2, ..] = parities(l, a);
    let word =
        l.chi(l.add_parity(a[0], p0), l.rotate::<44>(l.add_parity(a[6], p1)), l.rotate::<43>(l.add_parity(a[12], p2)));
    l.xor(word, l.splat(ROUND_CONSTANTS[23]))
}

/// What theta adds to each column.
#[inline(always)]
fn parities<L: Lanes>(l: L, a: &[L::Vector; 25]) -> [L::Parity; 5] {
    let c0 = l.xor3(a[0], a[5], l.xor3(a[10], a[15], a[20]));
    let c1 = l.xor3(a[1], a[6], l.xor3(a[11], a[16], a[21]));
    let c2 = l.xor3(a[2], a[7], l.xor3(a[12], a[17], a[22]));
    let c3 = l.xor3(a[3], a[8], l.xor3(a[13], a[18], a[23]));
    let c4 = l.xor3(a[4], a[9], l.xor3(a[14], a[19], a[24]));
    [
        l.parity(c4, l.rotate::<1>(c1)),
        l.parity(c0, l.rotate::<1>(c2)),
        l.parity(c1, l.rotate::<1>(c3)),
        l.parity(c2, l.rotate::<1>(c4)),
        l.parity(c3, l.rotate::<1>(c0)),
    ]
}

/// Chi, row by row, and iota.
#[inline(always)]
fn chi<L: Lanes>(l: L, constant: u64, rows: [[L::Vector; 5]; 5]) -> [L::Vector; 25] {
    let [[a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4], [c0, c1, c2, c3, c4], [d0, d1, d2, d3, d4], [e0, e1, e2, e3, e4]] =
        rows;
    [
        l.xor(l.chi(a0, a1, a2), l.splat(constant)),
        l.chi(a1, a2, a3),
        l.chi(a2, a3, a4),
        l.chi(a3, a4, a0),
        l.chi(a4, a0, a1),
        l.chi(b0, b1, b2),
        l.chi(b1, b2, b3),
        l.chi(b2, b3, b4),
        l.chi(b3, b4, b0),
        l.chi(b4, b0, b1),
        l.chi(c0, c1, c2),
        l.chi(c1, c2, c3),
        l.chi(c2, c3, c4),
        l.chi(c3, c4, c0),
        l.chi(c4, c0, c1),
        l.chi(d0, d1, d2),
        l.chi(d1, d2, d3),
        l.chi(d2, d3, d4),
        l.chi(d3, d4, d0),
        l.chi(d4, d0, d1),
        l.chi(e0, e1, e2),
        l.chi(e1, e2, e3),
        l.chi(e2, e3, e4),
        l.chi(e3, e4, e0),
        l.chi(e4, e0, e1),
    ]
}
