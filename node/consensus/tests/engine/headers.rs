//! What each stage rejects, and how.

use codec::Encode;
use sc_consensus::{BlockImportError, BlockImportStatus};
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::{
    traits::{Block as _, Header as _},
    DigestItem, Perbill,
};
use weir_consensus::{
    clock,
    header::{
        announced::{Announced, HeaderCheck},
        rules::{self, Vantage},
    },
    Rejection,
};
use weir_consensus_testing::{meets, mine, reclaim, seal, sign, Chain, Sealed};
use weir_primitives::consensus::{
    claims::FalseClaim, read_header, retarget::Anchor, Difficulty, DigestError, PreDigest, Seal,
};

/// A chain, an honest child of genesis, and what that claims.
fn honest() -> (Chain, Sealed, PreDigest) {
    let chain = Chain::new();
    let block = chain.block(chain.genesis(), Alice, 0);
    let claims = read_header(&block.header).unwrap().pre_digest;
    (chain, block, claims)
}

fn context_free(chain: &Chain, block: &Sealed) -> Option<Rejection> {
    rules::context_free(&block.header, (&chain.rules).into()).err()
}

/// What a header is rejected for when it is announced.
fn announced(chain: &Chain, block: &Sealed) -> Option<Rejection> {
    Announced::new(chain.client.clone(), chain.bad_blocks.clone()).check(&block.header).err()
}

/// What a block is rejected for by the verifier, before it is executed.
fn verification(chain: &Chain, block: &Sealed) -> String {
    match chain.import(block) {
        Err(BlockImportError::VerificationFailed(_, why)) => why,
        Err(other) => panic!("rejected, but not by the verifier: {other:?}"),
        Ok(_) => panic!("accepted"),
    }
}

fn with_digests(block: &Sealed, change: impl FnOnce(&mut Vec<DigestItem>)) -> Sealed {
    let mut changed = block.clone();
    change(&mut changed.header.digest_mut().logs);
    changed
}

#[test]
fn an_honest_block_passes_every_stage() {
    let (chain, block, _) = honest();
    assert_eq!(context_free(&chain, &block), None);
    assert_eq!(announced(&chain, &block), None);
    assert!(matches!(chain.import(&block), Ok(BlockImportStatus::ImportedUnknown(1, _, _))));
    assert_eq!(chain.best(), block.hash());
}

#[test]
fn malformed_digests_are_rejected_without_context_each_for_its_own_reason() {
    let (chain, block, claims) = honest();
    let seal_of = |block: &Sealed| block.header.digest().logs.last().unwrap().clone();
    let pre = claims.to_item();
    let sealed = seal_of(&block);
    let long = |bytes: Vec<u8>| [bytes, vec![0]].concat();
    let seal_bytes = read_header(&block.header).unwrap().seal.encode();
    let cases: Vec<(Vec<DigestItem>, DigestError)> = vec![
        (vec![DigestItem::PreRuntime(*b"pow_", long(claims.encode())), sealed.clone()], DigestError::BadPreDigest),
        (vec![pre.clone(), DigestItem::Seal(*b"pow_", long(seal_bytes))], DigestError::BadSeal),
        (vec![pre.clone(), pre.clone(), sealed.clone()], DigestError::TwoPreDigests),
        (vec![sealed.clone()], DigestError::NoPreDigest),
        (vec![pre.clone()], DigestError::NoSeal),
        (vec![sealed.clone(), pre.clone()], DigestError::MisplacedSeal),
        (vec![pre.clone(), sealed.clone(), sealed.clone()], DigestError::MisplacedSeal),
        (vec![DigestItem::PreRuntime(*b"aura", vec![]), sealed.clone()], DigestError::OtherEngine(*b"aura")),
        (vec![pre.clone(), DigestItem::Seal(*b"aura", vec![])], DigestError::OtherEngine(*b"aura")),
    ];
    for (logs, expected) in cases {
        let changed = with_digests(&block, |digests| *digests = logs);
        assert_eq!(context_free(&chain, &changed), Some(Rejection::Digest(expected)));
        assert_eq!(announced(&chain, &changed), Some(Rejection::Digest(expected)));
        assert_eq!(verification(&chain, &changed), expected.to_string());
    }
}

#[test]
fn too_little_work_is_rejected_without_context_and_before_the_signature() {
    let (chain, block, claims) = honest();
    let read = read_header(&block.header).unwrap();
    let nonce = (0..)
        .find(|nonce| !meets(read.pre_hash, &Seal { nonce: *nonce, ..read.seal.clone() }, &claims, chain.rules.boost));
    // The signature is wrong too, and never looked at.
    let signature = sign(read.pre_hash, Bob);
    let preimage_differs = Seal { signature, nonce: nonce.unwrap() };
    let nonce = (0..)
        .find(|nonce| {
            !meets(read.pre_hash, &Seal { nonce: *nonce, ..preimage_differs.clone() }, &claims, chain.rules.boost)
        })
        .unwrap();
    let bad = Seal { nonce, ..preimage_differs };
    let changed = with_digests(&block, |digests| *digests.last_mut().unwrap() = bad.to_item());
    assert!(matches!(context_free(&chain, &changed), Some(Rejection::Work { .. })));
    assert!(matches!(announced(&chain, &changed), Some(Rejection::Work { .. })));
    assert!(verification(&chain, &changed).contains("too little work"));
}

#[test]
fn a_signature_that_is_not_the_authors_is_rejected_without_context() {
    let (chain, block, claims) = honest();
    let mut changed = block.clone();
    changed.header.digest_mut().pop();
    let forged = mine(&changed.header, &claims, sign(changed.header.hash(), Bob), chain.rules.boost);
    changed.header.digest_mut().push(forged.to_item());
    assert_eq!(context_free(&chain, &changed), Some(Rejection::Signature));
    assert_eq!(announced(&chain, &changed), Some(Rejection::Signature));
    assert_eq!(verification(&chain, &changed), Rejection::Signature.to_string());
}

#[test]
fn another_signature_over_the_same_header_needs_other_work() {
    let (chain, block, claims) = honest();
    let read = read_header(&block.header).unwrap();
    // Schnorr signatures are randomized: signing again gives another one, as valid as the first. With 64 of them at a
    // difficulty of 64, the chance that the same nonce fits all is below 64^-64.
    let still_valid = (0..64)
        .map(|_| sign(read.pre_hash, Alice))
        .filter(|signature| *signature != read.seal.signature)
        .filter(|signature| {
            let seal = Seal { signature: *signature, nonce: read.seal.nonce };
            meets(read.pre_hash, &seal, &claims, chain.rules.boost)
        })
        .count();
    assert!(still_valid < 16, "{still_valid}");
}

#[test]
fn a_wrong_base_is_rejected_against_the_parent() {
    let (chain, block, claims) = honest();
    for base in [claims.base - 1, claims.base + 1] {
        let changed = reclaim(&block, &PreDigest { base, ..claims.clone() }, Alice, chain.rules.boost);
        let expected = Rejection::Claim(FalseClaim::Base { got: base, expected: claims.base });
        assert_eq!(context_free(&chain, &changed), None);
        assert_eq!(announced(&chain, &changed), Some(expected.clone()));
        assert_eq!(verification(&chain, &changed), expected.to_string());
    }
}

#[test]
fn more_credit_than_there_is_is_rejected_against_the_parent() {
    let (chain, block, claims) = honest();
    let credit = Perbill::from_parts(1);
    let changed = reclaim(&block, &PreDigest { credit, ..claims }, Alice, chain.rules.boost);
    let expected = Rejection::Claim(FalseClaim::Credit { got: credit, most: Perbill::zero() });
    assert_eq!(context_free(&chain, &changed), None);
    assert_eq!(announced(&chain, &changed), Some(expected.clone()));
    assert_eq!(verification(&chain, &changed), expected.to_string());
}

#[test]
fn a_timestamp_too_close_to_the_parent_is_rejected_against_it() {
    let (chain, first, _) = honest();
    chain.import(&first).unwrap();
    let block = chain.block(first.hash(), Alice, 1_000);
    let claims = read_header(&block.header).unwrap().pre_digest;
    let earliest = claims.timestamp - 1_000 + chain.rules.least_block_interval;
    let changed = reclaim(&block, &PreDigest { timestamp: earliest - 1, ..claims.clone() }, Alice, chain.rules.boost);
    let expected = Rejection::Claim(FalseClaim::TooEarly { got: earliest - 1, earliest });
    assert_eq!(announced(&chain, &changed), Some(expected.clone()));
    assert_eq!(verification(&chain, &changed), expected.to_string());
    // At the earliest it is right.
    assert!(chain.import(&chain.block(first.hash(), Alice, chain.rules.least_block_interval)).is_ok());
}

#[test]
fn a_date_too_far_ahead_delays_the_block_and_punishes_nobody() {
    let chain = Chain::new();
    let dated = |ahead: u64| {
        let mut claims = chain.claims(chain.genesis(), Alice, 0);
        claims.timestamp = clock::now() + ahead;
        let mut block = chain.build(chain.genesis(), &claims, vec![]);
        seal(&mut block.header, &claims, Alice, chain.rules.boost);
        block
    };
    let limit = chain.rules.furthest_ahead;
    // Worth fetching up to twice the limit, and not imported before it is due.
    let early = dated(2 * limit - 1_000);
    assert_eq!(announced(&chain, &early), None);
    // Neither a failed verification nor a bad block, which would cost the sender, nor an error, which would restart sync.
    assert!(matches!(chain.import(&early), Err(BlockImportError::MissingState)));
    assert_eq!(chain.best_number(), 0);
    let farther = announced(&chain, &dated(2 * limit + 1_000)).unwrap();
    assert!(matches!(farther, Rejection::NotDue { .. }) && !farther.is_fault_of_sender());
    assert!(chain.import(&dated(limit - 1_000)).is_ok());
}

#[test]
fn a_timestamp_in_the_digest_other_than_the_blocks_is_refused_by_the_runtime() {
    let (chain, block, claims) = honest();
    let changed = reclaim(&block, &PreDigest { timestamp: claims.timestamp + 1, ..claims }, Alice, chain.rules.boost);
    assert_eq!(context_free(&chain, &changed), None);
    assert!(chain.import(&changed).is_err());
    assert_eq!(chain.best_number(), 0);
}

/// What an orphan that claims this base at this height and date is rejected for, as seen from a best block of height 100 and
/// difficulty 64.
fn orphan(chain: &Chain, base: u64, number: u32, after: u64) -> Option<Rejection> {
    let now = 1_000_000_000;
    let best = Anchor { number: 100, timestamp: now, difficulty: Difficulty::from(64) };
    let claims =
        PreDigest { author: Alice.to_account_id(), base: base.into(), credit: Perbill::zero(), timestamp: now + after };
    rules::orphan(&claims, number, Vantage { best, finalized: 96, now }, &chain.rules).err()
}

#[test]
fn an_orphan_must_claim_a_sixteenth_of_what_our_chain_would_have_at_its_height_or_our_next_and_at_its_date() {
    let chain = Chain::new();
    assert_eq!(orphan(&chain, 4, 101, 0), None);
    assert!(matches!(orphan(&chain, 3, 101, 0), Some(Rejection::Implausible { .. })));
    // A height that our chain has passed is no excuse for an easy block.
    for number in 97..=101 {
        assert!(matches!(orphan(&chain, 3, number, 0), Some(Rejection::Implausible { .. })), "{number}");
        assert_eq!(orphan(&chain, 4, number, 0), None);
    }
    // One that is far above ours at our date must be harder: the chain to there was much too fast.
    assert_eq!(orphan(&chain, 8, 161, 0), None);
    assert!(matches!(orphan(&chain, 7, 161, 0), Some(Rejection::Implausible { .. })));
    assert!(matches!(orphan(&chain, u64::MAX, 1_000_000, 0), Some(Rejection::Implausible { .. })));
    // A date ahead makes it easier, but no date is farther ahead than what is worth waiting for: 2^(-1/2) of 64, and a sixteenth
    // of that.
    assert_eq!(orphan(&chain, 2, 101, 30_000), None);
    assert!(matches!(orphan(&chain, 1, 101, 30_000), Some(Rejection::Implausible { .. })));
    assert!(matches!(orphan(&chain, 64, 101, 30_001), Some(Rejection::NotDue { .. })));
}

#[test]
fn an_orphan_at_or_below_the_final_height_is_ignored_whatever_its_work() {
    let chain = Chain::new();
    for number in [0, 1, 95, 96] {
        assert_eq!(orphan(&chain, u64::MAX, number, 0), Some(Rejection::BelowFinality { finalized: 96 }));
    }
}

#[test]
fn no_orphan_is_its_senders_fault_for_its_place_or_its_base() {
    let chain = Chain::new();
    for (base, number, after) in [(1, 101, 0), (64, 90, 0), (64, 101, 60_000)] {
        assert!(!orphan(&chain, base, number, after).unwrap().is_fault_of_sender());
    }
}

#[test]
fn a_base_below_the_floor_is_rejected_before_anything_costly() {
    let (chain, block, claims) = honest();
    // Signed by somebody else, which is never looked at.
    for base in [0u64, 1, 7] {
        let changed = reclaim(&block, &PreDigest { base: base.into(), ..claims.clone() }, Bob, chain.rules.boost);
        let expected = Rejection::BelowFloor { got: base.into(), floor: 8.into() };
        assert_eq!(context_free(&chain, &changed), Some(expected.clone()));
        assert_eq!(announced(&chain, &changed), Some(expected.clone()));
        assert_eq!(verification(&chain, &changed), expected.to_string());
    }
}

#[test]
fn the_runtime_refuses_what_the_verifier_refuses() {
    use sp_api::{Core, ProvideRuntimeApi};
    let (chain, block, claims) = honest();
    for wrong in [
        PreDigest { base: claims.base + 1, ..claims.clone() },
        PreDigest { credit: Perbill::one(), ..claims.clone() },
        PreDigest { timestamp: claims.timestamp + 1, ..claims.clone() },
    ] {
        let mut header = block.header.clone();
        header.digest_mut().logs = vec![wrong.to_item()];
        let block = weir_runtime::opaque::Block::new(header, block.body.clone());
        assert!(chain.client.runtime_api().execute_block(chain.genesis(), block.into()).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_same_block_twice_changes_nothing() {
    let (chain, block, _) = honest();
    chain.import(&block).unwrap();
    let weight = chain.weight(chain.best());
    assert!(matches!(chain.import(&block), Ok(BlockImportStatus::ImportedKnown(1, _))));
    assert_eq!(chain.weight(chain.best()), weight);
}
