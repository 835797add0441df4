//! The rules that a header is checked against, as pure functions, in the order in which they are applied.

use crate::sync::{
    parallel::Strategy,
    sr25519_batch::{self, Signed},
};
use codec::Encode;
use sp_core::{crypto::Pair, sr25519, U256};
use sp_runtime::{
    traits::{Block as BlockT, Hash, HashingFor, Header, UniqueSaturatedInto},
    Perbill, StateVersion,
};
use weir_primitives::{
    consensus::{
        asert::{retarget, Anchor, Schedule},
        author_payload, read_header, seal_payload, Difficulty, DigestError, PreDigest, SealedHeader, Work,
    },
    parameters::{Consensus, MAX_TIMESTAMP_AHEAD},
    runtime_api::NextBlock,
    BlockNumber, Milliseconds,
};

/// How much easier than our own chain would be at its height and time a header without a known parent may be: forks differ,
/// but not by this much.
const PLAUSIBLE_FACTOR: u32 = 16;

/// Why a block is not accepted.
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
    /// The base difficulty is not that of this height and fork.
    #[error("wrong base difficulty: got {got}, expected {expected}")]
    Base {
        /// What the header claims.
        got: U256,
        /// What the retarget rule says.
        expected: U256,
    },
    /// The base difficulty is below the floor of the chain.
    #[error("the base difficulty {got} is below the floor of {floor}")]
    BelowFloor {
        /// What the header claims.
        got: U256,
        /// The floor.
        floor: U256,
    },
    /// The base difficulty is far below what it could be at this height and time.
    #[error("implausible base difficulty: got {got}, expected at least {least}")]
    ImplausibleBase {
        /// What the header claims.
        got: U256,
        /// The least that is plausible.
        least: U256,
    },
    /// The body is missing, or is not the one that the header commits to.
    #[error("the body is not that of the header")]
    Body,
    /// Executing the block failed, or came to another state than the header's.
    #[error("execution: {0}")]
    Execution(String),
    /// The author does not have that much credit.
    #[error("too much credit: got {got:?}, the author has {most:?}")]
    Credit {
        /// What the header claims.
        got: Perbill,
        /// What the author may spend.
        most: Perbill,
    },
    /// The timestamp is too close to the parent's.
    #[error("the timestamp {got} is too early: the earliest is {earliest}")]
    TooEarly {
        /// What the header claims.
        got: Milliseconds,
        /// The earliest that is allowed.
        earliest: Milliseconds,
    },
    /// The timestamp is too far ahead of our clock. It may be right later.
    #[error("the timestamp {got} is too far ahead of the clock, which shows {now}")]
    TooFarAhead {
        /// What the header claims.
        got: Milliseconds,
        /// What our clock shows.
        now: Milliseconds,
    },
}

impl Rejection {
    /// A short name, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Digest(_) => "digest",
            Self::Work { .. } => "work",
            Self::Signature => "signature",
            Self::Base { .. } => "base",
            Self::BelowFloor { .. } => "below_floor",
            Self::ImplausibleBase { .. } => "implausible_base",
            Self::Body => "body",
            Self::Execution(_) => "execution",
            Self::Credit { .. } => "credit",
            Self::TooEarly { .. } => "too_early",
            Self::TooFarAhead { .. } => "too_far_ahead",
        }
    }
}

/// Decoding, work and signature of a header against what it claims. Work, and that there had to be some, is checked before
/// the costly signature.
///
/// # Errors
///
/// [`Rejection::Digest`], [`Rejection::BelowFloor`], [`Rejection::Work`] or [`Rejection::Signature`].
pub fn context_free<H: Header>(header: &H, rules: &Consensus) -> Result<SealedHeader<H>, Rejection> {
    let sealed = worked(header, rules)?;
    signed(&sealed)?;
    Ok(sealed)
}

/// The same of many headers at once, with the same verdicts, in the order of the headers. The signatures of a piece are
/// checked together, which takes about half as long; a wrong one is found by bisection.
pub fn context_free_all<H: Header, S: Strategy>(
    strategy: &S,
    headers: &[H],
    rules: &Consensus,
) -> Vec<Result<SealedHeader<H>, Rejection>> {
    strategy.map(headers, |headers| {
        let mut verdicts: Vec<_> = headers.iter().map(|header| worked(header, rules)).collect();
        let are_signed = all_signed(verdicts.iter().flatten());
        for (verdict, is_signed) in verdicts.iter_mut().filter(|verdict| verdict.is_ok()).zip(are_signed) {
            if !is_signed {
                *verdict = Err(Rejection::Signature);
            }
        }
        verdicts
    })
}

/// Decoding and work of a header against what it claims.
fn worked<H: Header>(header: &H, rules: &Consensus) -> Result<SealedHeader<H>, Rejection> {
    let sealed = read_header(header).map_err(Rejection::Digest)?;
    let base = Difficulty(sealed.pre_digest.base);
    if base < rules.floor_difficulty {
        return Err(Rejection::BelowFloor { got: base.0, floor: rules.floor_difficulty.0 });
    }
    let required = base.required(sealed.pre_digest.credit, rules.boost);
    let preimage = weir_pow::preimage(&seal_payload(sealed.pre_hash.as_ref(), &sealed.seal.signature));
    let work = Work::from_hash(weir_pow::work(&preimage, sealed.seal.nonce));
    if !required.is_met_by(work) {
        return Err(Rejection::Work { required: required.0 });
    }
    Ok(sealed)
}

/// The signature of a header.
fn signed<H: Header>(sealed: &SealedHeader<H>) -> Result<(), Rejection> {
    if !sr25519::Pair::verify(&sealed.seal.signature, author_payload(sealed.pre_hash.as_ref()), &author(sealed)) {
        return Err(Rejection::Signature);
    }
    Ok(())
}

/// Whether the signature of each of these headers is its author's, checked together.
fn all_signed<'a, H: Header>(sealed: impl Iterator<Item = &'a SealedHeader<H>>) -> Vec<bool> {
    let claims: Vec<_> = sealed
        .map(|sealed| (author_payload(sealed.pre_hash.as_ref()), &sealed.seal.signature, author(sealed)))
        .collect();
    let signed: Vec<_> =
        claims.iter().map(|(message, signature, signer)| Signed { message, signature, signer }).collect();
    sr25519_batch::verify_each(&signed)
}

/// The key of a header's author.
fn author<H: Header>(sealed: &SealedHeader<H>) -> sr25519::Public {
    sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&sealed.pre_digest.author))
}

/// The claims of a header against the state of its parent.
///
/// # Errors
///
/// [`Rejection::Base`], [`Rejection::Credit`] or [`Rejection::TooEarly`].
pub fn contextual(claims: &PreDigest, next: NextBlock, spendable: Perbill) -> Result<(), Rejection> {
    if claims.base != next.base.0 {
        return Err(Rejection::Base { got: claims.base, expected: next.base.0 });
    }
    if claims.credit > spendable {
        return Err(Rejection::Credit { got: claims.credit, most: spendable });
    }
    if claims.timestamp < next.earliest {
        return Err(Rejection::TooEarly { got: claims.timestamp, earliest: next.earliest });
    }
    Ok(())
}

/// The body of a block against its header, as the runtime with this version of state hashes it.
///
/// # Errors
///
/// [`Rejection::Body`].
pub fn body<Block: BlockT>(
    header: &Block::Header,
    body: &[Block::Extrinsic],
    version: StateVersion,
) -> Result<(), Rejection> {
    let extrinsics = body.iter().map(Encode::encode).collect();
    if *header.extrinsics_root() != HashingFor::<Block>::ordered_trie_root(extrinsics, version) {
        return Err(Rejection::Body);
    }
    Ok(())
}

/// The claimed base of a header whose parent is unknown, against what the retarget rule could have made of ours.
///
/// A time that our clock has not reached does not count, and a height that our own chain has passed says nothing.
///
/// # Errors
///
/// [`Rejection::ImplausibleBase`].
pub fn plausible(
    claims: &PreDigest,
    number: BlockNumber,
    schedule: Schedule,
    best: Anchor,
    now: Milliseconds,
) -> Result<(), Rejection> {
    if number <= best.number {
        return Ok(());
    }
    let timestamp = claims.timestamp.min(now.saturating_add(MAX_TIMESTAMP_AHEAD));
    let (expected, _) = retarget(schedule, best, number.saturating_sub(1), timestamp);
    let least = expected.0.checked_div(PLAUSIBLE_FACTOR.into()).unwrap_or_default();
    if claims.base < least {
        return Err(Rejection::ImplausibleBase { got: claims.base, least });
    }
    Ok(())
}

/// The timestamp of a header against our clock.
///
/// # Errors
///
/// [`Rejection::TooFarAhead`].
pub fn not_ahead(claims: &PreDigest, now: Milliseconds) -> Result<(), Rejection> {
    if claims.timestamp > now.saturating_add(MAX_TIMESTAMP_AHEAD) {
        return Err(Rejection::TooFarAhead { got: claims.timestamp, now });
    }
    Ok(())
}

/// The height of a header.
pub fn height<H: Header>(header: &H) -> BlockNumber {
    (*header.number()).unique_saturated_into()
}
