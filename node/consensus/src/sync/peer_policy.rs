//! What a peer can bring about, and who is banned for what: a wrapper around the syncing strategy, which is the one place that
//! sees a peer beside what it sent and what came of it.
//!
//! *Claims move nothing.* The SDK syncs towards the heights that peers claim when they connect. Here a peer whose best block we do
//! not know enters the inner strategy only when it has shown that block's header and the header has passed the first stage
//! ([`HeaderCheck`]); until then, and if it is not worth a fetch ([`Orphans`]), the peer has no height. Whether the node is
//! catching up follows from such headers alone ([`CatchUp`]), and so does whether blocks are relayed.
//!
//! *Nothing that comes from one peer restarts the sync of others.* An unknown parent or a false block makes the SDK forget all
//! requests to all peers. Here such results are taken out, and syncing begins anew only when the network has brought nothing for a
//! while though there is a heavier chain. Answers whose blocks are not each other's children ban their sender ([`responses`]).
//!
//! *A branch may be longer than an answer.* Where the blocks of an answer have no parent here, their sender is asked for what is below ([`branches`]).
//!
//! *Bans.* What no honest peer can send ([`Rejection::is_fault_of_sender`]), and a block that the runtime refuses twice, ban who
//! sent it, for as long as the peer store remembers. Everything else bans nobody: a peer on a branch below what is final is
//! dropped, a chain that is built on a bad block by the work of ten blocks is a dispute that no peer is banned over, and orphans
//! and early dates are only not fetched, or wait.
//!
//! The hooks of the SDK alone cannot do this: a validator of announcements sees no peer, and the penalty that follows from it is a
//! thousandth of a ban's; a block that fails verification costs a third of one.
//!
//! [`branches`]: super::branches

use crate::{
    clock,
    header::{
        announced::{HeaderCheck, Place, Progress},
        rules::claims_of,
    },
    import::bad_blocks::BadBlocks,
    sync::{
        branches::{Branches, Next},
        catch_up::CatchUp,
        orphans::Orphans,
        peer_clocks::PeerClocks,
        responses::{self, Forged},
        verified_headers::VerifiedHeaders,
    },
    Metrics, Rejection,
};
use futures::FutureExt;
use sc_consensus::{BlockImportError, BlockImportStatus, IncomingBlock};
use sc_network::{types::ProtocolName, ReputationChange};
use sc_network_common::sync::message::{BlockAnnounce, BlockAttributes, BlockData, BlockRequest, Direction, FromBlock};
use sc_network_sync::{
    block_relay_protocol::{BlockDownloader, BlockResponseError},
    service::network::NetworkServiceHandle,
    strategy::{StrategyKey, SyncingAction, SyncingStrategy},
    types::{BadPeer, SyncStatus},
};
use sc_network_types::PeerId;
use schnellru::{ByLength, LruMap};
use sp_blockchain::Error as ClientError;
use sp_consensus::BlockOrigin;
use sp_runtime::traits::{Block as BlockT, Header, NumberFor, SaturatedConversion, Zero};
use std::{
    any::Any,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use weir_primitives::UnixMilliseconds;

/// How many banned peers are remembered until they are gone, so that what they had sent before costs nothing.
const MOST_BANNED: u32 = 1 << 10;
/// For how long nothing of a banned peer is looked at: about as long as the peer store takes to forgive.
const COOLDOWN: Duration = Duration::from_secs(70);
/// How often the log tells of bans.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// After how many block times without a block from the network syncing may begin anew, where there is something to fetch.
const STALLED_BLOCK_TIMES: u64 = 4;
/// The shortest such time; also that while the node is behind, and then only after something failed: an answer that is on its way
/// may take long, and must not be thrown away.
const STALLED_AT_LEAST: Duration = Duration::from_secs(5);
/// For how long the place of a header is remembered, so that the same one costs nothing when it is shown again.
const PLACE_REMEMBERED: Duration = Duration::from_secs(1);
/// How many of them.
const MOST_PLACES: u32 = 1 << 10;
/// After how many orphans in a row the next ones tell of our clock: one costs as much as a sixteenth of a block at the least, or, with
/// credit that it may not have, a 128th.
const TELLING_ORPHANS: u32 = 16;
/// How many portions of blocks are remembered that peers sent.
const MOST_PORTIONS: u32 = 1 << 6;
/// How many blocks are remembered that peers sent, and how many whose dates were compared with our clock.
const MOST_DATED: u32 = 1 << 8;

/// What a peer on a branch below what is final is dropped with: too little to ban it.
const BELOW_FINALITY: ReputationChange = ReputationChange::new(-(1 << 12), "fork below what is final");

/// Under which key the headers of new peers' best blocks are requested.
const HEADERS: StrategyKey = StrategyKey::new("WeirHeaders");
/// Under which key what is below an answer is requested.
const BRANCHES: StrategyKey = StrategyKey::new("WeirBranches");

type Processed<B> = (Result<BlockImportStatus<NumberFor<B>>, BlockImportError>, <B as BlockT>::Hash);
type HeaderResponse<B> = (BlockRequest<B>, Result<Vec<BlockData<B>>, BlockResponseError>);

/// What the policy knows beside the inner strategy.
pub struct Parts<B: BlockT> {
    /// Checks headers that peers show.
    pub check: Box<dyn HeaderCheck<B>>,
    /// Fetches headers.
    pub downloader: Arc<dyn BlockDownloader<B>>,
    /// Blocks that the runtime refused.
    pub bad_blocks: BadBlocks<B::Hash>,
    /// What was found out about headers ahead of import.
    pub verified_headers: VerifiedHeaders<B::Hash>,
    /// The genesis block, which all peers have.
    pub genesis: B::Hash,
    /// The height of our best block.
    pub best: NumberFor<B>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

/// A syncing strategy that believes work and not claims, and bans liars.
pub struct PeerPolicy<B: BlockT> {
    inner: Box<dyn SyncingStrategy<B>>,
    parts: Parts<B>,
    /// Peers whose best block's header is asked for, and its hash. The inner strategy does not know them yet.
    asked: HashMap<PeerId, B::Hash>,
    /// What the engine is to do beside what the inner strategy wants.
    actions: Vec<SyncingAction<B>>,
    banned: LruMap<PeerId, Instant>,
    /// Bans since the log last told of them, and when that was.
    untold: (u32, Option<Instant>),
    orphans: Orphans<B::Hash>,
    catch_up: CatchUp,
    clocks: PeerClocks,
    /// Blocks that peers sent; of one that came before it could be imported its date, and what our clock showed.
    sent: LruMap<B::Hash, Option<(UnixMilliseconds, UnixMilliseconds)>>,
    /// Portions of blocks that peers sent, by their lowest block: from whom, and the highest one.
    portions: LruMap<B::Hash, (PeerId, B::Hash)>,
    branches: Branches<B>,
    /// How many orphans were shown since the last child of a block that we have.
    orphans_in_a_row: u32,
    /// Blocks whose dates were compared with our clock.
    compared: LruMap<B::Hash, ()>,
    /// Where headers belong that were looked at a moment ago.
    places: LruMap<B::Hash, (Place, Instant)>,
    /// When a block from the network was last imported, or syncing last began anew.
    progress_since: Instant,
    /// Whether the inner strategy may count on blocks that will not come.
    is_misled: bool,
}

impl<B: BlockT> PeerPolicy<B>
where
    NumberFor<B>: From<u32>,
{
    /// Around a strategy.
    pub fn new(inner: Box<dyn SyncingStrategy<B>>, parts: Parts<B>) -> Self {
        Self {
            inner,
            asked: HashMap::new(),
            actions: Vec::new(),
            banned: LruMap::new(ByLength::new(MOST_BANNED)),
            untold: (0, None),
            orphans: Orphans::default(),
            catch_up: CatchUp::new(parts.best.saturated_into()),
            clocks: PeerClocks::default(),
            sent: LruMap::new(ByLength::new(MOST_DATED)),
            portions: LruMap::new(ByLength::new(MOST_PORTIONS)),
            branches: Branches::default(),
            orphans_in_a_row: 0,
            compared: LruMap::new(ByLength::new(MOST_DATED)),
            places: LruMap::new(ByLength::new(MOST_PLACES)),
            progress_since: Instant::now(),
            is_misled: false,
            parts,
        }
    }

    /// Whether a peer was banned so shortly ago that it is still on its way out. One that the operator reserved never is out,
    /// so this ends by itself.
    fn is_cooling_down(&self, peer: &PeerId) -> bool {
        self.banned.peek(peer).is_some_and(|since| since.elapsed() < COOLDOWN)
    }

    fn ban(&mut self, peer: PeerId, reason: &'static str) {
        if self.is_cooling_down(&peer) {
            return;
        }
        self.banned.insert(peer, Instant::now());
        tracing::debug!(target: "weir", %peer, reason, "a peer is banned");
        self.actions.push(SyncingAction::DropPeer(BadPeer(peer, ReputationChange::new_fatal(reason))));
        if let Some(metrics) = &self.parts.metrics {
            metrics.banned.with_label_values(&[reason]).inc();
        }
        // Summed up, rarely enough that nobody can flood the log.
        let (count, told) = &mut self.untold;
        *count = count.saturating_add(1);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::info!(target: "weir", peers = *count, "banned peers for what no honest one sends");
            self.untold = (0, Some(Instant::now()));
        }
    }

    /// Checks a header that a peer shows, and bans it for a false one. Returns the header's place if it is worth something.
    fn look_at(&mut self, peer: PeerId, header: &B::Header, stage: &'static str) -> Option<Place> {
        let (hash, now) = (header.hash(), Instant::now());
        let remembered =
            self.places.peek(&hash).copied().filter(|(_, since)| now.duration_since(*since) < PLACE_REMEMBERED);
        let mut result = match remembered {
            Some((place, _)) => Ok(place),
            None => self.parts.check.check(header),
        };
        self.note_clock(header, &result);
        if matches!(result, Ok(Place::Orphan)) && !self.orphans.try_fetch(peer, hash, *header.parent_hash(), now) {
            result = Err(Rejection::Budget);
        }
        match result {
            Ok(place) => {
                if matches!(place, Place::Child { .. }) && remembered.is_none() {
                    self.places.insert(hash, (place, now));
                }
                self.catch_up.saw_header((*header.number()).saturated_into(), now);
                Some(place)
            },
            Err(rejection) => {
                tracing::debug!(target: "weir", %peer, stage, %rejection, "a header is rejected");
                if let Some(metrics) = &self.parts.metrics {
                    metrics.rejected.with_label_values(&[stage, rejection.label()]).inc();
                    metrics.disputes.set(self.parts.bad_blocks.disputes() as u64);
                }
                if rejection.is_fault_of_sender() {
                    self.ban(peer, "invalid header");
                }
                None
            },
        }
    }

    /// Looks for a sign that our clock is behind, in a header that a peer shows.
    fn note_clock(&mut self, header: &B::Header, result: &Result<Place, Rejection>) {
        match result {
            // A child of a block that we have, with all the work that it needs.
            Err(Rejection::NotDue { date, now }) => self.compare_clocks(header.hash(), *date, false, *now),
            Ok(Place::Child { .. }) => self.orphans_in_a_row = 0,
            // Orphans are cheap, and say something only where nothing else comes: a node that takes no block of others for due makes a
            // chain of its own, and sees orphans alone.
            Ok(Place::Orphan) if self.compared.peek(&header.hash()).is_none() => {
                self.orphans_in_a_row = self.orphans_in_a_row.saturating_add(1);
                let (date, now) = (claims_of(header).map_or(0, |claims| claims.timestamp), clock::now());
                let limit = self.progress().map_or(0, |progress| progress.furthest_ahead);
                if self.orphans_in_a_row <= TELLING_ORPHANS {
                    // One that is shown again, by whomever, counts once.
                    self.compared.insert(header.hash(), ());
                } else if date > now.saturating_add(limit) {
                    self.compare_clocks(header.hash(), date, false, now);
                }
            },
            _ => (),
        }
    }

    /// Takes the date of a new block, which came when our clock showed `now`, as a sign of its author's clock.
    fn compare_clocks(&mut self, hash: B::Hash, date: UnixMilliseconds, is_earliest: bool, now: UnixMilliseconds) {
        if self.is_behind() || self.compared.peek(&hash).is_some() {
            return;
        }
        self.compared.insert(hash, ());
        let Some(offset) = self.clocks.saw_block(date, is_earliest, now) else { return };
        if let Some(metrics) = &self.parts.metrics {
            metrics.clock_offset.set(offset as f64 / 1_000.0);
        }
        if self.clocks.is_to_warn(offset, Instant::now()) {
            tracing::warn!(
                target: "weir",
                offset_seconds = offset as f64 / 1_000.0,
                "this node's clock differs from its peers': its blocks come late or wait, and earn less. Let the system's time be \
                 set by NTP",
            );
        }
    }

    /// Remembers blocks that peers sent, and which of them came too early to be imported.
    fn note_sent(&mut self, blocks: &[IncomingBlock<B>]) {
        if let (Some(lowest), Some(highest)) = (blocks.first(), blocks.last()) {
            if let Some(peer) = lowest.origin {
                self.portions.insert(lowest.hash, (peer, highest.hash));
            }
        }
        let Some(progress) = self.progress() else { return };
        let now = clock::now();
        for block in blocks {
            let date = block.header.as_ref().and_then(claims_of).map_or(0, |claims| claims.timestamp);
            let is_early = date > now.saturating_add(progress.furthest_ahead);
            self.sent.insert(block.hash, is_early.then_some((date, now)));
        }
    }

    fn progress(&self) -> Option<Progress> {
        self.parts.check.progress()
    }

    fn is_behind(&self) -> bool {
        self.progress().is_none_or(Progress::is_behind)
    }

    /// Gives a peer to the inner strategy whose best block is an orphan with work behind it. While the node is behind the peer has
    /// that block's height, and is searched for what we have in common; else that one branch is fetched from it, so that no
    /// number of peers moves what the inner strategy takes for the height of the network.
    fn admit_orphan(&mut self, peer: PeerId, best: B::Hash, number: NumberFor<B>) {
        if self.is_behind() {
            return self.admit(peer, best, number);
        }
        // In this order: what is fetched from a peer that it knows raises that peer's height.
        self.inner.set_sync_fork_request(vec![peer], &best, number);
        self.admit_without_height(peer);
    }

    /// Gives a peer to the inner strategy, with a best block that we have or whose header we have checked.
    fn admit(&mut self, peer: PeerId, best: B::Hash, number: NumberFor<B>) {
        self.inner.add_peer(peer, best, number);
        // Syncing goes by height: it fetches what is higher, and forks that are lower. One of equal height may be heavier too.
        if number == self.parts.best {
            self.inner.set_sync_fork_request(vec![peer], &best, number);
        }
    }

    /// Gives a peer to the inner strategy that has shown nothing yet.
    fn admit_without_height(&mut self, peer: PeerId) {
        self.inner.add_peer(peer, self.parts.genesis, Zero::zero());
    }

    fn ask_for_header(&mut self, peer: PeerId, best: B::Hash) {
        self.asked.insert(peer, best);
        let request = BlockRequest::<B> {
            id: 0,
            fields: BlockAttributes::HEADER,
            from: FromBlock::Hash(best),
            direction: Direction::Descending,
            max: Some(1),
        };
        self.ask(peer, HEADERS, request);
    }

    fn ask(&mut self, peer: PeerId, key: StrategyKey, request: BlockRequest<B>) {
        let downloader = self.parts.downloader.clone();
        let request = async move {
            Ok(downloader.download_blocks(peer, request.clone()).await?.map(|(response, protocol)| {
                let blocks = downloader.block_response_into_blocks(&request, response);
                (Box::new((request, blocks)) as Box<dyn Any + Send>, protocol)
            }))
        };
        self.actions.push(SyncingAction::StartRequest { peer_id: peer, key, request: request.boxed() });
    }

    /// Does for a branch what is next.
    fn follow_branch(&mut self, peer: PeerId, next: Next<B>) {
        match next {
            Next::Ask(request) => self.ask(peer, BRANCHES, request),
            Next::Import(blocks) => {
                self.note_sent(&blocks);
                self.actions.push(SyncingAction::ImportBlocks { origin: BlockOrigin::NetworkBroadcast, blocks });
            },
            Next::Nothing => (),
        }
    }

    /// What a peer answered of a branch.
    fn on_branch(&mut self, peer: PeerId, response: Box<dyn Any + Send>) {
        let Ok(response) = response.downcast::<HeaderResponse<B>>() else { return };
        let Ok(blocks) = response.1 else { return };
        let check = &self.parts.check;
        let next = self.branches.on_answer(peer, blocks, |hash| check.number_of(hash).is_some(), check.finalized());
        self.follow_branch(peer, next);
    }

    /// Looks at what became of a block: whether its branch goes on here, or lacks what is below.
    fn note_processed(&mut self, (result, hash): &Processed<B>) {
        // Somebody else may have sent the same block alone, or before what is below.
        if !matches!(result, Err(BlockImportError::UnknownParent | BlockImportError::Cancelled)) {
            if let Some((peer, request)) = self.branches.on_processed(*hash, result.is_ok()) {
                self.ask(peer, BRANCHES, request);
            }
        }
        if matches!(result, Err(BlockImportError::UnknownParent)) {
            let Some((peer, highest)) = self.portions.remove(hash) else { return };
            let next = self.branches.begin(peer, highest, Instant::now());
            self.follow_branch(peer, next);
        }
    }

    /// The header of a new peer's best block, as it answers for it.
    fn on_header(&mut self, peer: PeerId, response: Box<dyn Any + Send>) {
        let Some(wanted) = self.asked.remove(&peer) else { return };
        let blocks = match response.downcast::<HeaderResponse<B>>().map(|response| response.1) {
            Ok(Ok(blocks)) => blocks,
            Ok(Err(_)) => return self.ban(peer, "forged response"),
            Err(_) => Vec::new(),
        };
        // A peer may have lost the block to a reorganisation since it told of it.
        let Some(header) = blocks.into_iter().next().and_then(|block| block.header) else {
            return self.admit_without_height(peer);
        };
        if header.hash() != wanted {
            return self.ban(peer, "forged response");
        }
        match self.look_at(peer, &header, "handshake") {
            Some(Place::Orphan) => self.admit_orphan(peer, wanted, *header.number()),
            Some(_) => self.admit(peer, wanted, *header.number()),
            None if self.is_cooling_down(&peer) => (),
            None => self.admit_without_height(peer),
        }
    }

    /// Whether the blocks that a peer answered with are what it was asked for. If they cannot be, it is banned.
    fn is_answer(&mut self, peer: PeerId, response: &(dyn Any + Send)) -> bool {
        let Some((request, answer)) = response.downcast_ref::<HeaderResponse<B>>() else { return true };
        let checked = match answer {
            Ok(blocks) => responses::check::<B>(request, blocks),
            Err(_) => Err(Forged::Encoding),
        };
        match checked {
            Ok(()) => true,
            Err(forged) => {
                tracing::debug!(target: "weir", %peer, %forged, "an answer is forged");
                self.ban(peer, "forged response");
                false
            },
        }
    }

    /// Bans who is at fault for a result, and takes out of it what would make the inner strategy begin anew.
    fn settle(&mut self, (result, hash): Processed<B>, is_behind: bool) -> Processed<B> {
        let error = match result {
            Ok(imported) => {
                if let BlockImportStatus::ImportedUnknown(_, _, peer) = &imported {
                    self.progress_since = Instant::now();
                    if let Some(peer) = peer {
                        self.orphans.delivered(*peer);
                    }
                    if let Some((date, came)) = self.sent.peek(&hash).copied().flatten() {
                        self.compare_clocks(hash, date, false, came);
                    }
                }
                return (Ok(imported), hash);
            },
            Err(error) => error,
        };
        self.is_misled = true;
        let settled = match error {
            BlockImportError::VerificationFailed(Some(peer), _) => {
                self.ban(peer, "invalid block");
                BlockImportError::MissingState
            },
            BlockImportError::IncompleteHeader(Some(peer)) => {
                self.ban(peer, "block without header");
                BlockImportError::MissingState
            },
            BlockImportError::BadBlock(peer) => {
                self.settle_bad_block(peer, hash, is_behind);
                BlockImportError::MissingState
            },
            BlockImportError::Cancelled => BlockImportError::Cancelled,
            // The one error at which the inner strategy neither begins anew nor punishes.
            _ => BlockImportError::MissingState,
        };
        (Err(settled), hash)
    }

    /// Punishes who sent a block that import refused at sight, if that is the sender's fault.
    fn settle_bad_block(&mut self, peer: Option<PeerId>, hash: B::Hash, is_behind: bool) {
        let is_bad = self.parts.bad_blocks.is_bad(&hash);
        let is_false = self.parts.verified_headers.is_false(&hash);
        if self.parts.bad_blocks.is_disputed(&hash) {
            tracing::debug!(target: "weir", ?peer, ?hash, "a disputed block was sent");
        } else if let (true, Some(peer)) = (is_bad, peer) {
            self.ban(peer, "block fails execution");
        } else if let (true, Some(peer)) = (is_false && !is_behind, peer) {
            self.ban(peer, "invalid block");
        } else {
            // It leaves the chain below what is final, or the chain spec refuses it.
            self.orphans.refuse(hash, Instant::now());
            let drop = |peer| SyncingAction::DropPeer(BadPeer(peer, BELOW_FINALITY));
            self.actions.extend(peer.map(drop));
        }
    }

    /// Lets the inner strategy begin anew if the network has brought nothing for a while, though there is something to fetch.
    fn recover(&mut self) {
        let Some(progress) = self.progress() else { return };
        let (is_wanting, patience) = if progress.is_behind() {
            (self.is_misled, STALLED_AT_LEAST)
        } else {
            let patience = Duration::from_millis(progress.block_time.saturating_mul(STALLED_BLOCK_TIMES));
            (self.is_misled || self.catch_up.is_above(progress.best.into()), patience.max(STALLED_AT_LEAST))
        };
        if !is_wanting || self.progress_since.elapsed() < patience {
            return;
        }
        tracing::debug!(target: "weir", "syncing begins anew: what it counted on did not come");
        self.is_misled = false;
        self.progress_since = Instant::now();
        let error = BlockImportError::Other(sp_consensus::Error::ClientImport("the chain stands still".into()));
        self.inner.on_blocks_processed(0, 0, vec![(Err(error), self.parts.genesis)]);
    }

    /// Our best block has this height now.
    fn note_best(&mut self, number: NumberFor<B>) {
        if number != self.parts.best {
            self.parts.best = number;
            self.catch_up.best_changed(number.saturated_into(), Instant::now());
        }
    }

    fn is_catching_up(&self) -> bool {
        self.progress().is_some_and(|progress| {
            let patience = Duration::from_millis(progress.patience());
            self.catch_up.is_catching_up(progress.is_behind(), patience, Instant::now())
        })
    }
}

/// Of which origin blocks are imported: as what relays them, unless the node is catching up.
fn origin_of(inner: BlockOrigin, is_catching_up: bool) -> BlockOrigin {
    match inner {
        BlockOrigin::NetworkInitialSync if !is_catching_up => BlockOrigin::NetworkBroadcast,
        other => other,
    }
}

impl<B: BlockT> SyncingStrategy<B> for PeerPolicy<B>
where
    NumberFor<B>: From<u32>,
{
    fn on_validated_block_announce(
        &mut self,
        is_best: bool,
        peer: PeerId,
        announce: &BlockAnnounce<B::Header>,
    ) -> Option<(B::Hash, NumberFor<B>)> {
        if self.is_cooling_down(&peer) {
            return None;
        }
        let place = self.look_at(peer, &announce.header, "announcement")?;
        if let Place::Child { date, is_earliest } = place {
            self.compare_clocks(announce.header.hash(), date, is_earliest, clock::now());
        }
        if self.asked.remove(&peer).is_some() {
            // Now it has shown one.
            self.actions.push(SyncingAction::CancelRequest { peer_id: peer, key: HEADERS });
            match place {
                Place::Orphan => self.admit_orphan(peer, announce.header.hash(), *announce.header.number()),
                _ => self.admit(peer, announce.header.hash(), *announce.header.number()),
            }
        }
        // An orphan gives its announcer no height while the node is not behind: that one branch is fetched.
        let has_height = place != Place::Orphan || self.is_behind();
        self.inner.on_validated_block_announce(is_best && has_height, peer, announce)
    }

    fn add_peer(&mut self, peer: PeerId, best_hash: B::Hash, best_number: NumberFor<B>) {
        // It was let in again: the peer store has forgotten, and so may we.
        self.banned.remove(&peer);
        match self.parts.check.number_of(best_hash) {
            Some(number) => self.admit(peer, best_hash, number),
            // Which no chain of ours can be: the inner strategy drops it.
            None if best_number.is_zero() => self.inner.add_peer(peer, best_hash, best_number),
            None if self.orphans.is_refused(&best_hash, Instant::now()) => self.admit_without_height(peer),
            None => self.ask_for_header(peer, best_hash),
        }
    }

    fn remove_peer(&mut self, peer: &PeerId) {
        self.branches.remove(peer);
        if self.asked.remove(peer).is_none() {
            self.inner.remove_peer(peer);
        }
        if self.num_peers() == 0 {
            self.catch_up.forget_target();
        }
    }

    fn on_blocks_processed(&mut self, imported: usize, count: usize, results: Vec<Processed<B>>) {
        let progress = self.progress();
        let is_behind = progress.is_none_or(Progress::is_behind);
        // While the node catches up nobody else tells of new best blocks.
        if let Some(progress) = progress {
            self.note_best(progress.best.into());
        }
        for result in &results {
            self.note_processed(result);
        }
        let settled = results.into_iter().map(|result| self.settle(result, is_behind)).collect();
        self.inner.on_blocks_processed(imported, count, settled);
    }

    fn actions(&mut self, network: &NetworkServiceHandle) -> Result<Vec<SyncingAction<B>>, ClientError> {
        self.recover();
        let is_catching_up = self.is_catching_up();
        let mut actions = std::mem::take(&mut self.actions);
        for action in self.inner.actions(network)? {
            actions.push(match action {
                SyncingAction::ImportBlocks { origin, blocks } => {
                    self.note_sent(&blocks);
                    SyncingAction::ImportBlocks { origin: origin_of(origin, is_catching_up), blocks }
                },
                other => other,
            });
        }
        Ok(actions)
    }

    fn on_generic_response(
        &mut self,
        peer: &PeerId,
        key: StrategyKey,
        protocol: ProtocolName,
        response: Box<dyn Any + Send>,
    ) {
        if key == HEADERS {
            self.on_header(*peer, response);
        } else if key == BRANCHES {
            if self.is_answer(*peer, &*response) {
                self.on_branch(*peer, response);
            }
        } else if self.is_answer(*peer, &*response) {
            self.inner.on_generic_response(peer, key, protocol, response);
        }
    }

    fn update_chain_info(&mut self, best_hash: &B::Hash, best_number: NumberFor<B>) {
        let is_own = self.places.peek(best_hash).is_none() && self.sent.peek(best_hash).is_none();
        if is_own && !self.is_behind() {
            self.clocks.saw_own_block();
        }
        self.note_best(best_number);
        self.inner.update_chain_info(best_hash, best_number);
    }

    fn is_major_syncing(&self) -> bool {
        self.is_catching_up()
    }

    fn num_peers(&self) -> usize {
        self.inner.num_peers().saturating_add(self.asked.len())
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

    fn on_block_finalized(&mut self, hash: &B::Hash, number: NumberFor<B>) {
        self.inner.on_block_finalized(hash, number);
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
