//! What a header claims, against what its parent's state allows: one function for the node that verifies a header and the
//! runtime that executes its block, so that the two cannot drift apart.

use super::{Difficulty, PreDigest};
use crate::UnixMilliseconds;
use sp_arithmetic::Perbill;
use sp_core::U256;

/// What an author may claim in a child of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The base difficulty, which is not the author's to choose.
    pub base: Difficulty,
    /// The earliest date.
    pub earliest: UnixMilliseconds,
    /// The most credit.
    pub spendable: Perbill,
}

/// A claim that the parent's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FalseClaim {
    /// The base difficulty is not that of this height and fork.
    Base {
        /// What the header claims.
        got: U256,
        /// What the retarget rule says.
        expected: U256,
    },
    /// The author does not have that much credit.
    Credit {
        /// What the header claims.
        got: Perbill,
        /// What the author may spend.
        most: Perbill,
    },
    /// The date is too close to the parent's.
    TooEarly {
        /// What the header claims.
        got: UnixMilliseconds,
        /// The earliest that is allowed.
        earliest: UnixMilliseconds,
    },
}

impl Allowed {
    /// Checks what a header claims.
    ///
    /// # Errors
    ///
    /// The first claim that is not allowed.
    pub fn check(&self, claims: &PreDigest) -> Result<(), FalseClaim> {
        if claims.base != self.base.0 {
            return Err(FalseClaim::Base { got: claims.base, expected: self.base.0 });
        }
        if claims.credit > self.spendable {
            return Err(FalseClaim::Credit { got: claims.credit, most: self.spendable });
        }
        if claims.timestamp < self.earliest {
            return Err(FalseClaim::TooEarly { got: claims.timestamp, earliest: self.earliest });
        }
        Ok(())
    }
}
