//! The rules that a header is checked against, as pure functions, in the order in which they are applied.

use crate::{
    header::error::Rejection,
    sync::{
        parallel::Strategy,
        sr25519_batch::{self, Signed},
    },
};
use codec::Encode;
use sp_core::{crypto::Pair, sr25519};
use sp_runtime::{
    traits::{Block as BlockT, Hash, HashingFor, Header, UniqueSaturatedInto},
    StateVersion,
};
use weir_primitives::{
    consensus::{
        author_payload,
        dates::Dates,
        pre_digest_of, read_header,
        retarget::{retarget, Anchor},
        seal_payload, Difficulty, PreDigest, SealedHeader, Work,
    },
    parameters::Consensus,
    BlockNumber, UnixMilliseconds,
};

/// How much easier than our own chain would be at its height and date an orphan may be: forks differ, but not by this much.
const PLAUSIBLE_FACTOR: u32 = 16;

/// The rules that a header alone is checked by. Those of its parent's state are its own; where that is not there yet, those
/// of our best block stand in for them, and a result is used only if the two turn out to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRules {
    /// The least base difficulty.
    pub floor: Difficulty,
    /// How much easier a block gets by one whole credit.
    pub boost: u32,
}

impl HeaderRules {
    /// What a header is held to at least, whatever an upgrade may have made of these rules: a sixteenth of the floor, and eight
    /// times the boost.
    pub fn lenient(self) -> Self {
        let floor = Difficulty(self.floor.0.checked_div(16.into()).unwrap_or_default()).max(Difficulty::MIN);
        Self { floor, boost: self.boost.saturating_mul(8) }
    }
}

impl From<&Consensus> for HeaderRules {
    fn from(rules: &Consensus) -> Self {
        Self { floor: rules.floor_difficulty, boost: rules.boost }
    }
}

/// Decoding, work and signature of a header against what it claims. Work, and that there had to be some, is checked before
/// the costly signature.
///
/// # Errors
///
/// [`Rejection::Digest`], [`Rejection::BelowFloor`], [`Rejection::Work`] or [`Rejection::Signature`].
pub fn context_free<H: Header>(header: &H, rules: HeaderRules) -> Result<SealedHeader<H>, Rejection> {
    let sealed = worked(header, rules)?;
    signed(&sealed)?;
    Ok(sealed)
}

/// The same of many headers at once, with the same verdicts, in the order of the headers. The signatures of a piece are
/// checked together, which takes about half as long; a wrong one is found by bisection.
pub fn context_free_all<H: Header, S: Strategy>(
    strategy: &S,
    headers: &[H],
    rules: HeaderRules,
) -> Vec<Result<SealedHeader<H>, Rejection>> {
    strategy.map(headers, |headers| {
        let mut results: Vec<_> = headers.iter().map(|header| worked(header, rules)).collect();
        let are_signed = all_signed(results.iter().flatten());
        for (result, is_signed) in results.iter_mut().filter(|result| result.is_ok()).zip(are_signed) {
            if !is_signed {
                *result = Err(Rejection::Signature);
            }
        }
        results
    })
}

/// Decoding and work of a header against what it claims.
fn worked<H: Header>(header: &H, rules: HeaderRules) -> Result<SealedHeader<H>, Rejection> {
    let sealed = read_header(header).map_err(Rejection::Digest)?;
    let base = Difficulty(sealed.pre_digest.base);
    if base < rules.floor {
        return Err(Rejection::BelowFloor { got: base.0, floor: rules.floor.0 });
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

/// What an orphan, a header whose parent is not known, is judged by: our own chain.
#[derive(Clone, Copy, Debug)]
pub struct Vantage {
    /// Our best block, as the anchor of the schedule.
    pub best: Anchor,
    /// The height of the last final block.
    pub finalized: BlockNumber,
    /// What our clock shows.
    pub now: UnixMilliseconds,
}

/// The claimed base of an orphan, against what the retarget rule would make of our best block at its date, and at its height or
/// our next one, whichever is greater: a height that our chain has passed is no excuse for an easy block.
///
/// # Errors
///
/// [`Rejection::BelowFinality`], [`Rejection::NotDue`] or [`Rejection::Implausible`]. None is its sender's fault: forks differ.
pub fn orphan(claims: &PreDigest, number: BlockNumber, from: Vantage, rules: &Consensus) -> Result<(), Rejection> {
    if number <= from.finalized {
        return Err(Rejection::BelowFinality { finalized: from.finalized });
    }
    if !rules.dates().is_worth_waiting_for(claims.timestamp, from.now) {
        return Err(Rejection::NotDue { date: claims.timestamp, now: from.now });
    }
    plausible(claims, number, from.best, rules)
}

/// The claimed base of a header, against what the retarget rule would make of our best block at its date, and at its height or
/// our next one.
///
/// # Errors
///
/// [`Rejection::Implausible`] if it is less than a sixteenth of that.
pub fn plausible(claims: &PreDigest, number: BlockNumber, best: Anchor, rules: &Consensus) -> Result<(), Rejection> {
    let parent = number.saturating_sub(1).max(best.number);
    let (expected, _) = retarget(rules.schedule(), best, parent, claims.timestamp);
    let least = expected.0.checked_div(PLAUSIBLE_FACTOR.into()).unwrap_or_default();
    if claims.base < least {
        return Err(Rejection::Implausible { got: claims.base, least });
    }
    Ok(())
}

/// The date of a header against our clock.
///
/// # Errors
///
/// [`Rejection::NotDue`].
pub fn due(claims: &PreDigest, dates: Dates, now: UnixMilliseconds) -> Result<(), Rejection> {
    if !dates.is_due(claims.timestamp, now) {
        return Err(Rejection::NotDue { date: claims.timestamp, now });
    }
    Ok(())
}

/// The height of a header.
pub fn height<H: Header>(header: &H) -> BlockNumber {
    (*header.number()).unique_saturated_into()
}

/// What the header of a block that is in our chain claims; none for genesis.
pub fn claims_of<H: Header>(header: &H) -> Option<PreDigest> {
    let mut digest = header.digest().clone();
    digest.pop();
    pre_digest_of(&digest).ok()
}
