//! Why a header or a block is not accepted, and what that costs its sender.

use sp_core::U256;
use weir_primitives::{
    consensus::{claims::FalseClaim, DigestError},
    BlockNumber, UnixMilliseconds,
};

/// Why a header or a block is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The digests of the header are malformed.
    #[error("{0}")]
    Digest(DigestError),
    /// The hash is above the target.
    #[error("too little work for the claimed difficulty of {required}")]
    Work {
        /// What it must reach.
        required: U256,
    },
    /// The signature is not the author's.
    #[error("the signature is not the author's")]
    Signature,
    /// The base difficulty is below the floor of the chain.
    #[error("the base difficulty {got} is below the floor of {floor}")]
    BelowFloor {
        /// What the header claims.
        got: U256,
        /// The floor.
        floor: U256,
    },
    /// The header claims what its parent's state does not allow.
    #[error("false claim: {0:?}")]
    Claim(FalseClaim),
    /// The body is missing, or is not the one that the header commits to.
    #[error("the body is not that of the header")]
    Body,
    /// The runtime refuses the block.
    #[error("execution: {0}")]
    Execution(String),
    /// The base difficulty of an orphan is far below what it could be at this height and date.
    #[error("implausible base difficulty: got {got}, expected at least {least}")]
    Implausible {
        /// What the header claims.
        got: U256,
        /// The least that is plausible.
        least: U256,
    },
    /// The date is too far ahead of our clock. It will be right later.
    #[error("dated {date}, which is too far ahead of our clock at {now}")]
    NotDue {
        /// The date of the block.
        date: UnixMilliseconds,
        /// What our clock shows.
        now: UnixMilliseconds,
    },
    /// The block is at or below the height of the last final one, or on a branch that leaves the final chain below it.
    #[error("it leaves the chain at or below the final block {finalized}")]
    BelowFinality {
        /// The height of the last final block.
        finalized: BlockNumber,
    },
    /// The block, or one that it descends from, failed before.
    #[error("it is a bad block, or built on one")]
    BadBlock,
    /// The fetch of this orphan was tried often enough, or its announcer has no more fetches for now.
    #[error("the budget for fetching orphans is used up")]
    Budget,
}

impl Rejection {
    /// Whether no honest peer can have sent it, whatever its clock, its branch or its moment. Then its sender is banned; else
    /// nobody is.
    pub fn is_fault_of_sender(&self) -> bool {
        match self {
            Self::Digest(_)
            | Self::Work { .. }
            | Self::Signature
            | Self::BelowFloor { .. }
            | Self::Claim(_)
            | Self::Body
            | Self::Execution(_) => true,
            Self::Implausible { .. }
            | Self::NotDue { .. }
            | Self::BelowFinality { .. }
            | Self::BadBlock
            | Self::Budget => false,
        }
    }

    /// A short name, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Digest(_) => "digest",
            Self::Work { .. } => "work",
            Self::Signature => "signature",
            Self::BelowFloor { .. } => "below_floor",
            Self::Claim(FalseClaim::Base { .. }) => "base",
            Self::Claim(FalseClaim::Credit { .. }) => "credit",
            Self::Claim(FalseClaim::TooEarly { .. }) => "too_early",
            Self::Body => "body",
            Self::Execution(_) => "execution",
            Self::Implausible { .. } => "implausible",
            Self::NotDue { .. } => "not_due",
            Self::BelowFinality { .. } => "below_finality",
            Self::BadBlock => "bad_block",
            Self::Budget => "budget",
        }
    }
}
