//! Who is punished for what: a wrapper around the syncing strategy, which is the one place that sees a peer beside what it
//! sent and what came of it.
//!
//! - A header that cannot be right, announced or in a block, and a block whose execution fails, ban who sent it, at once and
//!   for as long as the peer store remembers.
//! - A fork below what is depth-finalized drops who sent it.
//! - An unknown parent, a timestamp too far ahead, and what fails on our side punish nobody.
//!
//! The hooks of the SDK alone cannot do this: a validator of announcements sees no peer, and the penalty that follows from
//! it is a thousandth of a ban's; a block that fails verification costs a third of one, a warning in the log, and a restart
//! of all syncing.

use crate::{import::bad_blocks::Condemned, Metrics, Rejection};
use sc_consensus::{BlockImportError, BlockImportStatus};
use sc_network::{types::ProtocolName, ReputationChange};
use sc_network_common::sync::message::BlockAnnounce;
use sc_network_sync::{
    service::network::NetworkServiceHandle,
    strategy::{StrategyKey, SyncingAction, SyncingStrategy},
    types::{BadPeer, SyncStatus},
};
use sc_network_types::PeerId;
use schnellru::{ByLength, LruMap};
use sp_blockchain::Error as ClientError;
use sp_runtime::traits::{Block as BlockT, NumberFor};
use std::{
    any::Any,
    time::{Duration, Instant},
};

/// How many banned peers are remembered until they are gone, so that what they had sent before costs nothing.
const MOST_SENTENCED: u32 = 1 << 10;

/// For how long nothing of a banned peer is looked at: about as long as the peer store takes to forgive.
const SENTENCE: Duration = Duration::from_secs(70);
/// How often the log tells of bans.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Says whether an announced header is as it should be, or why not.
pub type Judge<H> = Box<dyn Fn(&H) -> Result<(), Rejection> + Send>;

type Processed<B> = (Result<BlockImportStatus<NumberFor<B>>, BlockImportError>, <B as BlockT>::Hash);

/// A syncing strategy that bans liars.
pub struct Penalties<B: BlockT> {
    inner: Box<dyn SyncingStrategy<B>>,
    judge: Judge<B::Header>,
    condemned: Condemned<B::Hash>,
    metrics: Option<Metrics>,
    sentenced: LruMap<PeerId, Instant>,
    to_ban: Vec<BadPeer>,
    /// Of our best chain.
    best_number: NumberFor<B>,
    /// Bans since the log last told of them, and when that was.
    untold: (u32, Option<Instant>),
}

impl<B: BlockT> Penalties<B> {
    /// Around a strategy. `judge` is asked of each announced header, `condemned` are the blocks whose execution failed, `best_number` is the height of our best chain.
    pub fn new(
        inner: Box<dyn SyncingStrategy<B>>,
        judge: Judge<B::Header>,
        condemned: Condemned<B::Hash>,
        best_number: NumberFor<B>,
        metrics: Option<Metrics>,
    ) -> Self {
        Self {
            inner,
            judge,
            condemned,
            metrics,
            sentenced: LruMap::new(ByLength::new(MOST_SENTENCED)),
            to_ban: Vec::new(),
            best_number,
            untold: (0, None),
        }
    }

    /// Whether a peer was banned so shortly ago that it is still on its way out. One that the operator reserved never is out,
    /// so the sentence ends by itself.
    fn is_sentenced(&self, peer: &PeerId) -> bool {
        self.sentenced.peek(peer).is_some_and(|since| since.elapsed() < SENTENCE)
    }

    fn ban(&mut self, peer: PeerId, reason: &'static str) {
        if !self.is_sentenced(&peer) {
            self.sentenced.insert(peer, Instant::now());
            log::debug!(target: "weir", "peer {peer} is banned: {reason}");
            self.to_ban.push(BadPeer(peer, ReputationChange::new_fatal(reason)));
            self.tell();
            if let Some(metrics) = &self.metrics {
                metrics.banned.with_label_values(&[reason]).inc();
            }
        }
    }

    /// Sums the bans up in the log, rarely enough that nobody can flood it.
    fn tell(&mut self) {
        let (count, told) = &mut self.untold;
        *count = count.saturating_add(1);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            log::info!(target: "weir", "banned {count} peer(s) for what no honest one sends");
            self.untold = (0, Some(Instant::now()));
        }
    }

    /// Bans who is at fault for a result, and takes its name out. The inner strategy then begins anew, as it must: it has
    /// counted on the blocks of the liar, and would else wait until honest peers are higher than they claimed to be.
    fn take_fault(&mut self, (result, hash): Processed<B>) -> Processed<B> {
        let (peer, reason, why) = match result {
            Err(BlockImportError::VerificationFailed(Some(peer), why)) => (peer, "invalid block", why),
            Err(BlockImportError::IncompleteHeader(Some(peer))) => {
                (peer, "block without header", "it has no header".into())
            },
            Err(BlockImportError::BadBlock(Some(peer))) if self.condemned.contains(&hash) => {
                (peer, "block fails execution", "its execution fails".into())
            },
            other => return (other, hash),
        };
        self.ban(peer, reason);
        (Err(BlockImportError::VerificationFailed(None, why)), hash)
    }
}

impl<B: BlockT> SyncingStrategy<B> for Penalties<B> {
    fn on_validated_block_announce(
        &mut self,
        is_best: bool,
        peer: PeerId,
        announce: &BlockAnnounce<B::Header>,
    ) -> Option<(B::Hash, NumberFor<B>)> {
        if self.is_sentenced(&peer) {
            return None;
        }
        if let Err(rejection) = (self.judge)(&announce.header) {
            log::debug!(target: "weir", "a header that {peer} announced is rejected: {rejection}");
            if let Some(metrics) = &self.metrics {
                metrics.rejected.with_label_values(&["announcement", rejection.label()]).inc();
            }
            // A fork may honestly be far from ours; everything else is a lie.
            if !matches!(rejection, Rejection::ImplausibleBase { .. }) {
                self.ban(peer, "invalid announcement");
            }
            return None;
        }
        self.inner.on_validated_block_announce(is_best, peer, announce)
    }

    fn on_blocks_processed(&mut self, imported: usize, count: usize, results: Vec<Processed<B>>) {
        let results = results.into_iter().map(|result| self.take_fault(result)).collect();
        self.inner.on_blocks_processed(imported, count, results);
    }

    fn actions(&mut self, network: &NetworkServiceHandle) -> Result<Vec<SyncingAction<B>>, ClientError> {
        let mut actions: Vec<_> = self.to_ban.drain(..).map(SyncingAction::DropPeer).collect();
        actions.extend(self.inner.actions(network)?);
        Ok(actions)
    }

    fn add_peer(&mut self, peer: PeerId, best_hash: B::Hash, best_number: NumberFor<B>) {
        // It was let in again: the peer store has forgotten, and so may we.
        self.sentenced.remove(&peer);
        self.inner.add_peer(peer, best_hash, best_number);
        // Syncing goes by height: it fetches what is higher, and forks that are lower. One of equal height may be heavier too.
        if best_number == self.best_number {
            self.inner.set_sync_fork_request(vec![peer], &best_hash, best_number);
        }
    }

    fn remove_peer(&mut self, peer: &PeerId) {
        self.inner.remove_peer(peer);
    }

    fn set_sync_fork_request(&mut self, peers: Vec<PeerId>, hash: &B::Hash, number: NumberFor<B>) {
        self.inner.set_sync_fork_request(peers, hash, number);
    }

    fn request_justification(&mut self, hash: &B::Hash, number: NumberFor<B>) {
        self.inner.request_justification(hash, number);
    }

    fn clear_justification_requests(&mut self) {
        self.inner.clear_justification_requests();
    }

    fn on_justification_import(&mut self, hash: B::Hash, number: NumberFor<B>, success: bool) {
        self.inner.on_justification_import(hash, number, success);
    }

    fn on_generic_response(
        &mut self,
        peer: &PeerId,
        key: StrategyKey,
        protocol: ProtocolName,
        response: Box<dyn Any + Send>,
    ) {
        self.inner.on_generic_response(peer, key, protocol, response);
    }

    fn on_block_finalized(&mut self, hash: &B::Hash, number: NumberFor<B>) {
        self.inner.on_block_finalized(hash, number);
    }

    fn update_chain_info(&mut self, best_hash: &B::Hash, best_number: NumberFor<B>) {
        self.best_number = best_number;
        self.inner.update_chain_info(best_hash, best_number);
    }

    fn is_major_syncing(&self) -> bool {
        self.inner.is_major_syncing()
    }

    fn num_peers(&self) -> usize {
        self.inner.num_peers()
    }

    fn status(&self) -> SyncStatus<B> {
        self.inner.status()
    }

    fn num_downloaded_blocks(&self) -> usize {
        self.inner.num_downloaded_blocks()
    }

    fn num_sync_requests(&self) -> usize {
        self.inner.num_sync_requests()
    }
}
