//! The rules that a header is checked against, as pure functions, in the order in which they are applied.

use crate::{header::error::Rejection, sync::parallel::Strategy};
use codec::Encode;
use sp_core::{crypto::Pair, sr25519};
use sp_runtime::{
    traits::{Block as BlockT, Hash, HashingFor, Header, UniqueSaturatedInto},
    StateVersion,
};
use weir_primitives::{
    consensus::{
        asert::{retarget, Anchor},
        author_payload,
        dates::Dates,
        pre_digest_of, read_header, seal_payload, Difficulty, PreDigest, SealedHeader, Work,
    },
    parameters::Consensus,
    BlockNumber, UnixMilliseconds,
};

/// The context that `sp_core` signs in.
const SIGNING_CONTEXT: &[u8] = b"substrate";

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
/// checked together, which takes about half as long; one by one only if one of them is wrong.
pub fn context_free_all<H: Header, S: Strategy>(
    strategy: &S,
    headers: &[H],
    rules: HeaderRules,
) -> Vec<Result<SealedHeader<H>, Rejection>> {
    strategy.map(headers, |headers| {
        let mut verdicts: Vec<_> = headers.iter().map(|header| worked(header, rules)).collect();
        if !all_signed(verdicts.iter().flatten()) {
            for verdict in &mut verdicts {
                if let Some(rejection) = verdict.as_ref().ok().and_then(|sealed| signed(sealed).err()) {
                    *verdict = Err(rejection);
                }
            }
        }
        verdicts
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
    let author = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&sealed.pre_digest.author));
    if !sr25519::Pair::verify(&sealed.seal.signature, author_payload(sealed.pre_hash.as_ref()), &author) {
        return Err(Rejection::Signature);
    }
    Ok(())
}

/// Whether the signatures of all these headers are their authors', checked together.
///
/// Ristretto has no cofactor, so that this is true exactly when each one is, but for a chance of 2^-128.
fn all_signed<'a, H: Header>(sealed: impl Iterator<Item = &'a SealedHeader<H>>) -> bool {
    let context = schnorrkel::signing_context(SIGNING_CONTEXT);
    let (mut payloads, mut signatures, mut authors) = (Vec::new(), Vec::new(), Vec::new());
    for sealed in sealed {
        let signature: &[u8] = sealed.seal.signature.as_ref();
        let author: &[u8] = sealed.pre_digest.author.as_ref();
        let (Ok(signature), Ok(author)) =
            (schnorrkel::Signature::from_bytes(signature), schnorrkel::PublicKey::from_bytes(author))
        else {
            return false;
        };
        payloads.push(context.bytes(&author_payload(sealed.pre_hash.as_ref())));
        signatures.push(signature);
        authors.push(author);
    }
    // Few authors make many blocks.
    signatures.is_empty() || schnorrkel::verify_batch(payloads, &signatures, &authors, true).is_ok()
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
    due(claims, rules.dates(), from.now)?;
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
