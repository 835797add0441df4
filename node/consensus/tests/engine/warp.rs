//! Proofs by which a node starts: what of them is refused although the votes in them are right, and what an import that is not executed can do.

use parking_lot::Mutex;
use sc_consensus::{BlockImportError, IncomingBlock};
use sc_network_sync::strategy::warp::{EncodedProof, VerificationResult, Verifier, WarpSyncProvider};
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::Justifications;
use std::sync::Arc;
use weir_consensus::{
    clock,
    header::rules::HeaderRules,
    sync::warp::{CheckedProofs, Demands, Refused},
};
use weir_consensus_testing::{Chain, Options, Sealed};
use weir_primitives::Hash;
use weir_runtime::opaque::{Block, Header};

const ON_TIME: u64 = 1_000;
const OLDEST_CHECKPOINT_MS: u64 = 30_000;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Takes the votes of any proof for right. A proof is one byte: which of these it is.
struct Credulous {
    proofs: Vec<(Vec<Header>, bool)>,
    /// How many verifiers were made.
    begun: Mutex<u32>,
}

struct CredulousVerifier {
    proofs: Vec<(Vec<Header>, bool)>,
    context: Hash,
}

impl WarpSyncProvider<Block> for Credulous {
    fn generate(&self, _: Hash) -> Result<EncodedProof, Error> {
        Ok(EncodedProof(vec![0]))
    }

    fn create_verifier(&self) -> Box<dyn Verifier<Block>> {
        *self.begun.lock() += 1;
        Box::new(CredulousVerifier { proofs: self.proofs.clone(), context: Hash::zero() })
    }
}

impl Verifier<Block> for CredulousVerifier {
    fn verify(&mut self, proof: &EncodedProof) -> Result<VerificationResult<Block>, Error> {
        let (headers, is_complete) = &self.proofs[usize::from(proof.0[0])];
        let last = headers[headers.len() - 1].clone();
        self.context = last.hash();
        let headers = headers.iter().map(|it| (it.clone(), Justifications::new(vec![]))).collect();
        Ok(if *is_complete {
            VerificationResult::Complete(last, headers)
        } else {
            VerificationResult::Partial(headers)
        })
    }

    fn next_proof_context(&self) -> Hash {
        self.context
    }

    fn status(&self) -> Option<String> {
        None
    }
}

/// A chain whose last block is dated now, and its blocks.
fn grown(blocks: u64) -> (Chain, Vec<Sealed>) {
    let first_timestamp = Some(clock::now() - blocks * ON_TIME);
    let chain = Chain::with(Options { first_timestamp, ..Options::default() });
    let mut parent = chain.genesis();
    let made = (0..blocks).map(|index| {
        let block = chain.block(parent, Alice, if index == 0 { 0 } else { ON_TIME });
        chain.import(&block).unwrap();
        parent = block.hash();
        block
    });
    let made = made.collect();
    (chain, made)
}

/// What a verifier says of proofs, one after the other.
fn verdicts(
    chain: &Chain,
    proofs: Vec<(Vec<Header>, bool)>,
    oldest_end: u64,
    checkpoint: Option<(u32, Hash)>,
) -> (Vec<Option<Refused>>, u32) {
    let count = proofs.len() as u8;
    let inner = Arc::new(Credulous { proofs, begun: Mutex::default() });
    let rules = HeaderRules::from(&chain.rules).lenient();
    let demands = Demands { rules, oldest_end, oldest_checkpoint: OLDEST_CHECKPOINT_MS, checkpoint };
    let mut verifier = CheckedProofs::new(inner.clone(), demands).create_verifier();
    let mut verdict = |proof: u8| match verifier.verify(&EncodedProof(vec![proof])) {
        Ok(_) => None,
        Err(error) => {
            // The next peer is asked from the beginning.
            assert_eq!(verifier.next_proof_context(), Hash::zero());
            Some(*error.downcast_ref::<Refused>().unwrap())
        },
    };
    let verdicts = (0..count).map(&mut verdict).collect();
    let begun = *inner.begun.lock();
    (verdicts, begun)
}

#[test]
fn a_proof_is_as_long_as_it_likes_and_ends_with_a_block_of_now() {
    let (chain, blocks) = grown(6);
    let headers = |range: std::ops::Range<usize>| blocks[range].iter().map(|it| it.header.clone()).collect::<Vec<_>>();
    let proofs = vec![(headers(0..3), false), (headers(3..6), true)];
    assert_eq!(verdicts(&chain, proofs, 60_000, None), (vec![None, None], 1));
    let old = verdicts(&chain, vec![(headers(0..2), true)], 2_000, None);
    assert!(matches!(old.0[..], [Some(Refused::Old { age_ms: 4_000.. })]), "{old:?}");
    assert_eq!(old.1, 2);
}

#[test]
fn a_header_of_a_proof_without_the_work_that_it_claims_or_signed_by_another_is_refused() {
    let (chain, blocks) = grown(4);
    let right: Vec<_> = blocks.iter().map(|it| it.header.clone()).collect();
    // The work is of another header now, and so is the signature.
    let mut changed = right.clone();
    changed[1].state_root = Hash::repeat_byte(1);
    let mut unsealed = right.clone();
    unsealed[2].digest.logs.pop();
    for wrong in [changed, unsealed] {
        let (verdicts, begun) = verdicts(&chain, vec![(wrong, true), (right.clone(), true)], 60_000, None);
        assert_eq!((&verdicts[..], begun), (&[Some(Refused::Work), None][..], 2));
    }
}

#[test]
fn a_proof_that_does_not_lead_through_the_checkpoint_is_refused() {
    let (chain, blocks) = grown(6);
    let headers = |of: &[usize]| of.iter().map(|at| blocks[*at].header.clone()).collect::<Vec<_>>();
    let checkpoint = Some((4, blocks[3].hash()));
    let said = |proofs| verdicts(&chain, proofs, 60_000, checkpoint).0;
    assert_eq!(said(vec![(headers(&[1, 3, 5]), true)]), [None]);
    assert_eq!(said(vec![(headers(&[1, 3]), false), (headers(&[5]), true)]), [None, None]);
    assert_eq!(said(vec![(headers(&[1, 5]), true)]), [Some(Refused::Checkpoint)]);
    // One that passed it before does not count for the next peer's.
    assert_eq!(
        said(vec![(headers(&[1, 3]), false), (vec![broken(&blocks[4])], true), (headers(&[5]), true)]),
        [None, Some(Refused::Work), Some(Refused::Checkpoint)]
    );
    let other = chain.block(blocks[2].hash(), Bob, ON_TIME);
    assert_eq!(said(vec![(vec![other.header, blocks[5].header.clone()], true)]), [Some(Refused::Checkpoint)]);
}

#[test]
fn a_checkpoint_that_bonds_no_longer_vouch_for_is_refused() {
    let (chain, blocks) = grown(40);
    let headers = vec![blocks[1].header.clone(), blocks[39].header.clone()];
    let (said, _) = verdicts(&chain, vec![(headers, true)], 60_000, Some((2, blocks[1].hash())));
    assert!(matches!(said[..], [Some(Refused::OldCheckpoint { age_ms: 38_000.. })]), "{said:?}");
}

fn broken(block: &Sealed) -> Header {
    let mut header = block.header.clone();
    header.state_root = Hash::repeat_byte(1);
    header
}

/// A block that is said to come with its state, or to be below one that did.
fn unexecuted(block: &Sealed, origin: BlockOrigin, chain: &Chain) -> Result<(), BlockImportError> {
    let incoming = IncomingBlock { allow_missing_state: true, skip_execution: true, ..block.incoming(None) };
    let mut import = chain.import_handle();
    let work = sc_consensus::import_single_block(&mut import, origin, incoming, &chain.verifier);
    futures::executor::block_on(work).map(|_| ())
}

#[test]
fn on_a_node_that_lacks_no_history_no_block_passes_as_history() {
    let (chain, blocks) = grown(4);
    let mut wrong = chain.block(blocks[3].hash(), Bob, ON_TIME);
    wrong.header.state_root = Hash::repeat_byte(1);
    let claims = chain.claims(blocks[3].hash(), Bob, ON_TIME);
    let wrong = weir_consensus_testing::reclaim(&wrong, &claims, Bob, chain.rules.boost);
    assert!(unexecuted(&wrong, BlockOrigin::GapSync, &chain).is_err());
    // Nor is anything else left unexecuted because it is said that it may be.
    assert!(unexecuted(&wrong, BlockOrigin::NetworkInitialSync, &chain).is_err());
    assert_eq!(chain.best(), blocks[3].hash());
}
