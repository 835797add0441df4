//! Who is banned for what.

use parking_lot::Mutex;
use sc_consensus::{BlockImportError, BlockImportStatus};
use sc_network::types::ProtocolName;
use sc_network_common::sync::message::BlockAnnounce;
use sc_network_sync::{
    service::network::{NetworkServiceHandle, NetworkServiceProvider},
    strategy::{StrategyKey, SyncingAction, SyncingStrategy},
    types::{BadPeer, SyncState, SyncStatus},
};
use sc_network_types::PeerId;
use sp_keyring::Sr25519Keyring::Alice;
use std::{any::Any, sync::Arc};
use weir_consensus::{header::announced::Validator, import::bad_blocks::Condemned, sync::peer_policy::Penalties};
use weir_consensus_testing::{reclaim, Chain};
use weir_primitives::{consensus::read_header, Hash};
use weir_runtime::opaque::{Block, Header};

type Processed = (Result<BlockImportStatus<u32>, BlockImportError>, Hash);

/// What a syncing strategy was told.
#[derive(Default)]
struct Told {
    announced: Vec<Hash>,
    processed: Vec<Processed>,
    asked_for: Vec<Hash>,
}

/// A syncing strategy that only remembers.
#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Told>>);

impl SyncingStrategy<Block> for Remembering {
    fn on_validated_block_announce(
        &mut self,
        _: bool,
        _: PeerId,
        announce: &BlockAnnounce<Header>,
    ) -> Option<(Hash, u32)> {
        self.0.lock().announced.push(announce.header.hash());
        None
    }
    fn on_blocks_processed(&mut self, _: usize, _: usize, results: Vec<Processed>) {
        self.0.lock().processed.extend(results);
    }
    fn actions(&mut self, _: &NetworkServiceHandle) -> Result<Vec<SyncingAction<Block>>, sp_blockchain::Error> {
        Ok(vec![])
    }
    fn status(&self) -> SyncStatus<Block> {
        SyncStatus {
            state: SyncState::Idle,
            best_seen_block: None,
            num_peers: 0,
            queued_blocks: 0,
            state_sync: None,
            warp_sync: None,
        }
    }
    fn add_peer(&mut self, _: PeerId, _: Hash, _: u32) {}
    fn remove_peer(&mut self, _: &PeerId) {}
    fn set_sync_fork_request(&mut self, _: Vec<PeerId>, hash: &Hash, _: u32) {
        self.0.lock().asked_for.push(*hash);
    }
    fn request_justification(&mut self, _: &Hash, _: u32) {}
    fn clear_justification_requests(&mut self) {}
    fn on_justification_import(&mut self, _: Hash, _: u32, _: bool) {}
    fn on_generic_response(&mut self, _: &PeerId, _: StrategyKey, _: ProtocolName, _: Box<dyn Any + Send>) {}
    fn on_block_finalized(&mut self, _: &Hash, _: u32) {}
    fn update_chain_info(&mut self, _: &Hash, _: u32) {}
    fn is_major_syncing(&self) -> bool {
        false
    }
    fn num_peers(&self) -> usize {
        0
    }
    fn num_downloaded_blocks(&self) -> usize {
        0
    }
    fn num_sync_requests(&self) -> usize {
        0
    }
}

struct Court {
    chain: Chain,
    condemned: Condemned<Hash>,
    inner: Remembering,
    penalties: Penalties<Block>,
}

impl Court {
    fn new() -> Self {
        let chain = Chain::new();
        let (condemned, inner) = (Condemned::default(), Remembering::default());
        let judge = Validator::new(chain.client.clone(), chain.rules.clone());
        let penalties = Penalties::new(
            Box::new(inner.clone()),
            Box::new(move |header| judge.check(header)),
            condemned.clone(),
            0,
            None,
        );
        Self { chain, condemned, inner, penalties }
    }

    fn announce(&mut self, peer: PeerId, header: &Header) {
        let announce = BlockAnnounce { header: header.clone(), state: None, data: None };
        let _ = self.penalties.on_validated_block_announce(true, peer, &announce);
    }

    fn process(&mut self, error: BlockImportError, hash: Hash) {
        self.penalties.on_blocks_processed(0, 1, vec![(Err(error), hash)]);
    }

    /// Who was banned since this was last asked: the reputation of each is below what any peer may have.
    fn banned(&mut self) -> Vec<PeerId> {
        let actions = self.penalties.actions(&NetworkServiceProvider::new().handle()).unwrap();
        actions
            .into_iter()
            .map(|action| match action {
                SyncingAction::DropPeer(BadPeer(peer, change)) => {
                    assert_eq!(change.value, i32::MIN);
                    peer
                },
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn a_peer_that_announces_a_header_that_cannot_be_right_is_banned_and_heard_no_more() {
    let mut court = Court::new();
    let liar = PeerId::random();
    let honest = court.chain.block(court.chain.genesis(), Alice, 0);
    let mut claims = read_header(&honest.header).unwrap().pre_digest;
    claims.base += 1.into();
    let wrong_base = reclaim(&honest, &claims, Alice, court.chain.rules.boost);
    court.announce(liar, &wrong_base.header);
    assert_eq!(court.banned(), [liar]);
    // What it sent before it was gone.
    court.announce(liar, &honest.header);
    court.announce(liar, &wrong_base.header);
    assert_eq!(court.banned(), []);
    assert!(court.inner.0.lock().announced.is_empty());
}

#[test]
fn an_honest_announcement_is_passed_on() {
    let mut court = Court::new();
    let honest = court.chain.block(court.chain.genesis(), Alice, 0);
    court.announce(PeerId::random(), &honest.header);
    assert_eq!(court.banned(), []);
    assert_eq!(court.inner.0.lock().announced, [honest.hash()]);
}

#[test]
fn the_best_block_of_a_new_peer_is_asked_for_when_it_is_as_high_as_ours_since_it_may_be_heavier() {
    let mut court = Court::new();
    court.penalties.update_chain_info(&Hash::repeat_byte(1), 5);
    for number in 4..=6 {
        court.penalties.add_peer(PeerId::random(), Hash::repeat_byte(number), number.into());
    }
    assert_eq!(court.inner.0.lock().asked_for, [Hash::repeat_byte(5)]);
}

#[test]
fn a_peer_whose_block_fails_verification_is_banned_and_syncing_begins_anew_without_it() {
    let mut court = Court::new();
    let liar = PeerId::random();
    court.process(BlockImportError::VerificationFailed(Some(liar), "why".into()), Hash::zero());
    assert_eq!(court.banned(), [liar]);
    // On which the SDK's strategy forgets what it had counted on, and drops nobody.
    let told = court.inner.0.lock();
    assert!(matches!(told.processed[0], (Err(BlockImportError::VerificationFailed(None, _)), _)));
}

#[test]
fn a_peer_whose_block_fails_execution_is_banned_and_one_on_a_deep_fork_is_only_dropped() {
    let mut court = Court::new();
    let (liar, lost) = (PeerId::random(), PeerId::random());
    court.condemned.insert(Hash::repeat_byte(1));
    court.process(BlockImportError::BadBlock(Some(liar)), Hash::repeat_byte(1));
    court.process(BlockImportError::BadBlock(Some(lost)), Hash::repeat_byte(2));
    assert_eq!(court.banned(), [liar]);
    // Which the inner strategy does.
    assert!(
        matches!(court.inner.0.lock().processed[1], (Err(BlockImportError::BadBlock(Some(peer))), _) if peer == lost)
    );
}

#[test]
fn what_is_no_fault_of_the_sender_punishes_nobody() {
    let mut court = Court::new();
    for error in [
        BlockImportError::UnknownParent,
        BlockImportError::MissingState,
        BlockImportError::Cancelled,
        BlockImportError::VerificationFailed(None, "why".into()),
        BlockImportError::Other(sp_consensus::Error::ClientImport("why".into())),
    ] {
        court.process(error, Hash::zero());
    }
    assert_eq!(court.banned(), []);
}

#[test]
fn a_header_whose_timestamp_is_ahead_punishes_nobody() {
    let mut court = Court::new();
    let honest = court.chain.block(court.chain.genesis(), Alice, 0);
    let mut claims = read_header(&honest.header).unwrap().pre_digest;
    claims.timestamp = weir_consensus::clock::now() + 60_000;
    let early = reclaim(&honest, &claims, Alice, court.chain.rules.boost);
    court.announce(PeerId::random(), &early.header);
    assert_eq!(court.banned(), []);
}

#[test]
fn a_peer_that_is_let_in_again_is_heard_and_can_be_banned_again() {
    let mut court = Court::new();
    let liar = PeerId::random();
    for _ in 0..2 {
        court.penalties.add_peer(liar, Hash::zero(), 0);
        court.process(BlockImportError::VerificationFailed(Some(liar), "why".into()), Hash::zero());
        assert_eq!(court.banned(), [liar]);
    }
}
