//! What the permutation needs of a processor: some 64-bit words, side by side, and a few operations on all of them.
//!
//! Each implementation is a token that can only be had where the processor has the instructions. That is what makes its
//! operations safe to call: whoever holds a token has proof.

/// The most lanes that any implementation has.
pub const MOST: usize = 8;

/// Several 64-bit words, side by side. Every operation works lane by lane.
pub trait Lanes: Copy {
    /// The words, in a register.
    type Vector: Copy;
    /// What theta adds to a column, in the form that is cheapest to add.
    type Parity: Copy;

    /// How many there are, at most [`MOST`].
    const COUNT: usize;

    /// The same word in every lane.
    fn splat(self, word: u64) -> Self::Vector;
    /// `first`, and one more in each next lane, modulo 2^64.
    fn counting_from(self, first: u64) -> Self::Vector;
    /// The sum modulo 2^64.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a ⊕ b
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a ⊕ b ⊕ c
    fn xor3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a ⊕ (¬b ∧ c)
    fn chi(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Rotates to the left by a number of bits between 1 and 63.
    fn rotate<const BITS: i32>(self, a: Self::Vector) -> Self::Vector;
    /// a ⊕ b, to be added to a column.
    fn parity(self, a: Self::Vector, b: Self::Vector) -> Self::Parity;
    /// Adds to a lane of the column.
    fn add_parity(self, a: Self::Vector, parity: Self::Parity) -> Self::Vector;
    /// The words, first lane first; behind them zeros.
    fn words(self, a: Self::Vector) -> [u64; MOST];
    /// Which lanes, with their bytes in reverse order, are at most `bound`: a bit each, the first lane's the lowest.
    fn at_most(self, a: Self::Vector, bound: u64) -> u32;
}
