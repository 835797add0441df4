//! What a peer can bring about, and who is banned: the peer policy around the SDK's own syncing strategy.

use futures::executor::block_on;
use parking_lot::Mutex;
use sc_client_api::{BlockBackend, HeaderBackend};
use sc_consensus::{BlockImportError, BlockImportStatus};
use sc_network::{request_responses::RequestFailure, types::ProtocolName};
use sc_network_common::sync::message::{BlockAnnounce, BlockAttributes, BlockData, BlockRequest, FromBlock};
use sc_network_sync::{
    block_relay_protocol::{BlockDownloader, BlockResponseError},
    service::network::NetworkServiceProvider,
    strategy::{
        chain_sync::{ChainSync, ChainSyncMode, GapSyncBodyPolicy},
        SyncingAction, SyncingStrategy,
    },
    types::BadPeer,
};
use sc_network_types::PeerId;
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use weir_consensus::{
    clock,
    header::announced::Announced,
    sync::{
        peer_policy::{Parts, PeerPolicy},
        responses::BoundedDownloader,
    },
};
use weir_consensus_testing::{reclaim, seal, Chain, Options, Sealed};
use weir_primitives::{consensus::read_header, Hash};
use weir_runtime::opaque::{Block, Header};

const PROTOCOL: &str = "/sync/2";
const ON_TIME: u64 = 1_000;

/// What peers answer with: a chain, by height. A peer that has none never answers.
type Peers = Mutex<HashMap<PeerId, BTreeMap<u32, Sealed>>>;

/// A request, and whom it goes to.
type Request = (PeerId, BlockRequest<Block>);

#[derive(Clone)]
struct Downloader {
    protocol: ProtocolName,
    peers: Arc<Peers>,
    /// Who answers every request with one and the same block.
    forgers: Arc<Mutex<HashMap<PeerId, Sealed>>>,
    /// All that was requested.
    requests: Arc<Mutex<Vec<Request>>>,
}

impl std::fmt::Debug for Downloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Downloader")
    }
}

#[async_trait::async_trait]
impl BlockDownloader<Block> for Downloader {
    fn protocol_name(&self) -> &ProtocolName {
        &self.protocol
    }

    async fn download_blocks(
        &self,
        who: PeerId,
        request: BlockRequest<Block>,
    ) -> Result<Result<(Vec<u8>, ProtocolName), RequestFailure>, futures::channel::oneshot::Canceled> {
        self.requests.lock().push((who, request));
        if self.peers.lock().contains_key(&who) || self.forgers.lock().contains_key(&who) {
            // The answer is made where it is decoded.
            Ok(Ok((who.to_bytes(), self.protocol.clone())))
        } else {
            Err(futures::channel::oneshot::Canceled)
        }
    }

    fn block_response_into_blocks(
        &self,
        request: &BlockRequest<Block>,
        response: Vec<u8>,
    ) -> Result<Vec<BlockData<Block>>, BlockResponseError> {
        let Ok(who) = PeerId::from_bytes(&response) else { return Ok(vec![]) };
        let forged = self.forgers.lock().get(&who).cloned();
        if let Some(block) = forged {
            return Ok(vec![data(&block, request)]);
        }
        let peers = self.peers.lock();
        let chain = &peers[&who];
        let top = match request.from {
            FromBlock::Number(number) => Some(number),
            FromBlock::Hash(hash) => chain.iter().find(|(_, block)| block.hash() == hash).map(|(number, _)| *number),
        };
        let Some(top) = top else { return Ok(vec![]) };
        // As many as an answer has.
        let most = request.max.unwrap_or(1).min(128) as usize;
        Ok(chain.range(..=top).rev().take(most).map(|(_, block)| data(block, request)).collect())
    }
}

/// A block as it is sent for a request.
fn data(block: &Sealed, request: &BlockRequest<Block>) -> BlockData<Block> {
    BlockData::<Block> {
        hash: block.hash(),
        header: Some(block.header.clone()),
        body: request.fields.contains(BlockAttributes::BODY).then(|| block.body.clone()),
        indexed_body: None,
        receipt: None,
        message_queue: None,
        justification: None,
        justifications: None,
    }
}

/// A node: its chain, and the policy around the SDK's syncing strategy.
struct Node {
    chain: Chain,
    downloader: Downloader,
    policy: PeerPolicy<Block>,
    dropped: Vec<(PeerId, i32)>,
    cancelled: Vec<PeerId>,
    origins: Vec<BlockOrigin>,
}

impl Node {
    fn new() -> Self {
        Self::with(Chain::new())
    }

    fn with(chain: Chain) -> Self {
        let downloader = Downloader {
            protocol: PROTOCOL.into(),
            peers: Arc::default(),
            forgers: Arc::default(),
            requests: Arc::default(),
        };
        let inner = ChainSync::new(
            ChainSyncMode::Full,
            chain.client.clone(),
            5,
            64,
            "/state/2".into(),
            Arc::new(downloader.clone()),
            GapSyncBodyPolicy::All,
            None,
            std::iter::empty(),
        )
        .unwrap();
        let parts = Parts {
            check: Box::new(Announced::new(chain.client.clone(), chain.bad_blocks.clone())),
            downloader: Arc::new(downloader.clone()),
            bad_blocks: chain.bad_blocks.clone(),
            verified_headers: chain.verified_headers.clone(),
            genesis: chain.genesis(),
            best: chain.best_number(),
            metrics: None,
        };
        let policy = PeerPolicy::new(Box::new(inner), parts);
        Self { chain, downloader, policy, dropped: vec![], cancelled: vec![], origins: vec![] }
    }

    /// A peer connects that claims this best block, and answers with these blocks, if with any.
    fn connect(&mut self, best: Hash, number: u32, blocks: Option<Vec<Sealed>>) -> PeerId {
        let peer = PeerId::random();
        if let Some(blocks) = blocks {
            let by_height = blocks.into_iter().map(|block| (block.header.number, block)).collect();
            self.downloader.peers.lock().insert(peer, by_height);
        }
        self.policy.add_peer(peer, best, number);
        self.run();
        peer
    }

    fn announce(&mut self, peer: PeerId, header: &Header) {
        let announce = BlockAnnounce { header: header.clone(), state: None, data: None };
        let _ = self.policy.on_validated_block_announce(true, peer, &announce);
        self.run();
    }

    /// Does what the policy wants done, until it wants nothing more.
    fn run(&mut self) {
        for _ in 0..1_000 {
            let actions = self.policy.actions(&NetworkServiceProvider::new().handle()).unwrap();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    SyncingAction::StartRequest { peer_id, key, request } => {
                        if let Ok(Ok((response, protocol))) = block_on(request) {
                            self.policy.on_generic_response(&peer_id, key, protocol, response);
                        }
                    },
                    SyncingAction::CancelRequest { peer_id, .. } => self.cancelled.push(peer_id),
                    SyncingAction::DropPeer(BadPeer(peer, change)) => {
                        self.dropped.push((peer, change.value));
                        self.policy.remove_peer(&peer);
                    },
                    SyncingAction::ImportBlocks { origin, blocks } => self.import(origin, blocks),
                    other => panic!("{other:?}"),
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn import(&mut self, origin: BlockOrigin, blocks: Vec<sc_consensus::IncomingBlock<Block>>) {
        self.origins.push(origin);
        let count = blocks.len();
        let mut results = vec![];
        let mut has_failed = false;
        for block in blocks {
            let hash = block.hash;
            if has_failed {
                results.push((Err(BlockImportError::Cancelled), hash));
                continue;
            }
            let mut import = self.chain.import_handle();
            let result = block_on(sc_consensus::import_single_block(&mut import, origin, block, &self.chain.verifier));
            has_failed = result.is_err();
            results.push((result, hash));
        }
        let imported = results.iter().filter(|(result, _)| result.is_ok()).count();
        let is_new = results.iter().any(|(result, _)| matches!(result, Ok(BlockImportStatus::ImportedUnknown(..))));
        self.policy.on_blocks_processed(imported, count, results);
        if is_new {
            let info = self.chain.client.info();
            self.policy.update_chain_info(&info.best_hash, info.best_number);
        }
    }

    /// Who was banned: the reputation of each is below what any peer may have.
    fn banned(&self) -> Vec<PeerId> {
        self.dropped.iter().filter(|(_, value)| *value == i32::MIN).map(|(peer, _)| *peer).collect()
    }

    fn requests(&self) -> usize {
        self.downloader.requests.lock().len()
    }
}

/// A chain of honest blocks on time, whose last one is dated now, and the blocks.
fn grown(blocks: usize) -> (Chain, Vec<Sealed>) {
    grown_until(blocks, clock::now())
}

fn grown_until(blocks: usize, date: u64) -> (Chain, Vec<Sealed>) {
    let first = date - blocks as u64 * ON_TIME;
    let chain = Chain::with(Options { first_timestamp: Some(first), ..Options::default() });
    let mut parent = chain.genesis();
    let made = (0..blocks)
        .map(|index| {
            let block = chain.block(parent, Alice, if index == 0 { 0 } else { ON_TIME });
            chain.import(&block).unwrap();
            parent = block.hash();
            block
        })
        .collect();
    (chain, made)
}

/// The same chain in another node.
fn copy(blocks: &[Sealed]) -> Chain {
    let chain = Chain::new();
    for block in blocks {
        chain.import(block).unwrap();
    }
    chain
}

/// A header that nobody can connect to anything, with the work that it claims.
fn orphan_of(chain: &Chain, block: &Sealed, number: u32, salt: u64) -> Header {
    let mut claims = read_header(&block.header).unwrap().pre_digest;
    claims.timestamp = clock::now();
    let mut header = block.header.clone();
    header.number = number;
    header.parent_hash = Hash::from_low_u64_be(salt);
    header.digest.logs = vec![claims.to_item()];
    seal(&mut header, &claims, Bob, chain.rules.boost);
    header
}

#[test]
fn liars_in_every_slot_that_claim_great_heights_neither_stop_a_node_nor_get_any_height() {
    let (chain, _) = grown(12);
    let mut node = Node::with(chain);
    for salt in 0..40 {
        // They never show a header.
        node.connect(Hash::from_low_u64_be(salt), 1_000_000, None);
    }
    assert!(!node.policy.is_major_syncing());
    // The engine goes by this, and counts them all the same.
    assert_eq!(node.policy.num_peers(), 40);
    assert_eq!(node.policy.status().best_seen_block, None);
    // One request to each, for one header.
    assert_eq!(node.requests(), 40);
}

#[test]
fn a_peer_that_answers_with_another_header_than_the_one_it_told_of_is_banned() {
    let (chain, blocks) = grown(3);
    let mut node = Node::with(chain);
    let liar = PeerId::random();
    node.downloader.forgers.lock().insert(liar, blocks[1].clone());
    node.policy.add_peer(liar, Hash::repeat_byte(9), 1_000_000);
    node.run();
    assert_eq!(node.banned(), [liar]);
    assert_eq!(node.policy.num_peers(), 0);
}

#[test]
fn a_peer_that_has_lost_its_best_block_to_a_reorganisation_is_kept_without_a_height() {
    let (chain, blocks) = grown(3);
    let mut node = Node::with(chain);
    node.connect(Hash::repeat_byte(9), 4, Some(blocks.clone()));
    assert_eq!(node.dropped, []);
    assert_eq!(node.policy.num_peers(), 1);
    assert_eq!(node.policy.status().best_seen_block, None);
}

#[test]
fn a_node_catches_up_with_a_peer_that_shows_its_work_and_is_in_major_sync_only_while_it_is_behind() {
    let (_, blocks) = grown(40);
    let mut node = Node::with(copy(&blocks[..4]));
    let best = blocks[39].hash();
    node.connect(best, 40, Some(blocks.clone()));
    assert_eq!(node.chain.best(), best);
    assert_eq!(node.chain.best_number(), 40);
    assert!(!node.policy.is_major_syncing());
    assert_eq!(node.banned(), []);
}

#[test]
fn a_new_node_syncs_from_genesis() {
    let (_, blocks) = grown(30);
    let mut node = Node::new();
    node.connect(blocks[29].hash(), 30, Some(blocks.clone()));
    assert_eq!(node.chain.best(), blocks[29].hash());
}

#[test]
fn what_is_fetched_while_the_chain_is_recent_is_relayed_whatever_heights_liars_claim() {
    let (chain, blocks) = grown(6);
    let next = chain.block(blocks[5].hash(), Alice, ON_TIME);
    let mut node = Node::with(chain);
    let honest = node.connect(blocks[5].hash(), 6, Some([&blocks[..], std::slice::from_ref(&next)].concat()));
    for salt in 0..20 {
        node.connect(Hash::from_low_u64_be(salt), 1_000_000, None);
    }
    node.announce(honest, &next.header);
    assert_eq!(node.chain.best(), next.hash());
    // Blocks of any other origin are not relayed.
    assert_eq!(node.origins, [BlockOrigin::NetworkBroadcast]);
}

#[test]
fn one_orphan_replayed_by_a_hundred_identities_costs_sixteen_fetches_and_restarts_nobody() {
    let (chain, blocks) = grown(12);
    let mut node = Node::with(copy(&blocks));
    let honest = node.connect(blocks[11].hash(), 12, Some(blocks.clone()));
    let orphan = orphan_of(&chain, &blocks[11], 11, 1);
    let before = node.requests();
    for _ in 0..100 {
        let genesis = node.chain.genesis();
        let liar = node.connect(genesis, 0, None);
        node.announce(liar, &orphan);
    }
    assert!(node.requests() - before <= 16, "{}", node.requests() - before);
    assert!(!node.cancelled.contains(&honest));
    assert!(!node.policy.is_major_syncing());
    // The honest go on.
    let next = chain.block(blocks[11].hash(), Alice, ON_TIME);
    node.downloader.peers.lock().get_mut(&honest).unwrap().insert(13, next.clone());
    node.announce(honest, &next.header);
    assert_eq!(node.chain.best(), next.hash());
}

#[test]
fn an_orphan_whose_fetch_brings_garbage_neither_restarts_the_others_nor_stalls_the_chain() {
    let (chain, blocks) = grown(12);
    let mut node = Node::with(copy(&blocks));
    let honest = node.connect(blocks[11].hash(), 12, Some(blocks.clone()));
    // Far above our chain, with a body that is not its own, on a parent that is nowhere.
    let header = orphan_of(&chain, &blocks[11], 14, 1);
    let garbage = Sealed { header: header.clone(), body: vec![] };
    let liar = node.connect(node.chain.genesis(), 0, Some(vec![garbage]));
    node.announce(liar, &header);
    assert!(!node.cancelled.contains(&honest));
    let mut parent = blocks[11].hash();
    for number in 13..16 {
        let next = chain.block(parent, Alice, ON_TIME);
        chain.import(&next).unwrap();
        parent = next.hash();
        node.downloader.peers.lock().get_mut(&honest).unwrap().insert(number, next.clone());
        node.announce(honest, &next.header);
        assert_eq!(node.chain.best(), parent);
    }
}

#[test]
fn a_header_at_a_final_height_is_fetched_from_nobody() {
    let (chain, blocks) = grown(12);
    // Built on a block that we have, and on none.
    let fork = chain.block(blocks[2].hash(), Bob, ON_TIME);
    let orphan = orphan_of(&chain, &blocks[2], 3, 1);
    let mut node = Node::with(copy(&blocks));
    node.chain.finalize(blocks[7].hash());
    for header in [&fork.header, &orphan] {
        for _ in 0..50 {
            let peer = node.connect(node.chain.genesis(), 0, None);
            node.announce(peer, header);
        }
    }
    assert_eq!(node.requests(), 0);
    assert_eq!(node.banned(), []);
}

#[test]
fn a_branch_that_leaves_the_chain_below_what_is_final_is_not_followed_and_is_fetched_from_few_and_costs_nobody_else() {
    let (chain, blocks) = grown(12);
    // Another chain from genesis on, as long and as heavy.
    let other = Chain::with(Options { first_timestamp: Some(clock::now() - 14 * ON_TIME), ..Options::default() });
    let mut parent = other.genesis();
    let fork: Vec<_> = (0..14)
        .map(|index| {
            let block = other.block(parent, Bob, if index == 0 { 0 } else { ON_TIME });
            other.import(&block).unwrap();
            parent = block.hash();
            block
        })
        .collect();
    drop(chain);
    let mut node = Node::with(copy(&blocks));
    node.chain.finalize(blocks[7].hash());
    let honest = node.connect(blocks[11].hash(), 12, Some(blocks.clone()));
    for _ in 0..100 {
        node.connect(fork[13].hash(), 14, Some(fork.clone()));
    }
    let bodies = |node: &Node| {
        let requests = node.downloader.requests.lock();
        requests.iter().filter(|(_, request)| request.fields.contains(BlockAttributes::BODY)).count()
    };
    // From a few strangers, and then from nobody.
    assert!(bodies(&node) <= 16, "{}", bodies(&node));
    assert_eq!(node.banned(), []);
    assert!(!node.cancelled.contains(&honest));
    assert_eq!(node.chain.best(), blocks[11].hash());
}

/// An answer of blocks in the order in which they are sent: downwards.
fn answer_with(node: &mut Node, peer: PeerId, request: BlockRequest<Block>, blocks: &[Sealed]) {
    let data: Vec<_> = blocks.iter().map(|block| data(block, &request)).collect();
    answer(node, peer, request, Ok(data));
}

fn answer(
    node: &mut Node,
    peer: PeerId,
    request: BlockRequest<Block>,
    response: Result<Vec<BlockData<Block>>, BlockResponseError>,
) {
    let key = ChainSync::<Block, weir_consensus_testing::Client>::STRATEGY_KEY;
    node.policy.on_generic_response(&peer, key, PROTOCOL.into(), Box::new((request, response)));
    node.run();
}

#[test]
fn an_answer_with_a_header_of_the_greatest_height_behind_the_right_one_bans_its_sender_and_ends_no_node() {
    let (_, blocks) = grown_until(20, clock::now() - 100_000);
    let mut node = Node::with(copy(&blocks[..12]));
    // While it is behind: it asks for ranges.
    let liar = node.connect(blocks[19].hash(), 20, None);
    let head = blocks[13].clone();
    let mut forged = blocks[12].clone();
    forged.header.number = u32::MAX;
    let request = BlockRequest::<Block> {
        id: 0,
        fields: BlockAttributes::HEADER | BlockAttributes::BODY,
        from: FromBlock::Hash(head.hash()),
        direction: sc_network_common::sync::message::Direction::Descending,
        max: Some(2),
    };
    answer_with(&mut node, liar, request, &[head, forged]);
    assert_eq!(node.banned(), [liar]);
    // It goes on with the honest.
    node.connect(blocks[19].hash(), 20, Some(blocks.clone()));
    assert_eq!(node.chain.best(), blocks[19].hash());
}

/// A request for some blocks downwards from a height.
fn request(number: u32, max: u32) -> BlockRequest<Block> {
    BlockRequest::<Block> {
        id: 0,
        fields: BlockAttributes::HEADER | BlockAttributes::BODY,
        from: FromBlock::Number(number),
        direction: sc_network_common::sync::message::Direction::Descending,
        max: Some(max),
    }
}

#[test]
fn an_answer_that_is_no_encoding_of_blocks_bans_its_sender() {
    let (_, blocks) = grown(20);
    let mut node = Node::with(copy(&blocks[..12]));
    let liar = node.connect(node.chain.genesis(), 0, None);
    answer(&mut node, liar, request(20, 8), Err(BlockResponseError::DecodeFailed("no protobuf".into())));
    assert_eq!(node.banned(), [liar]);
}

#[test]
fn an_answer_that_is_larger_than_so_many_blocks_can_be_is_not_decoded() {
    let node = Node::new();
    let downloader = BoundedDownloader::<Block>::new(Arc::new(node.downloader.clone()));
    let is_refused = |max, bytes| downloader.block_response_into_blocks(&request(20, max), vec![0; bytes]).is_err();
    const MOST_BYTES: usize = (4 << 20) + (64 << 10);
    assert!(!is_refused(1, MOST_BYTES));
    assert!(is_refused(1, MOST_BYTES + 1));
    assert!(!is_refused(2, MOST_BYTES + 1));
}

#[test]
fn an_honest_answer_that_ends_early_bans_nobody() {
    let (_, blocks) = grown(20);
    let mut node = Node::with(copy(&blocks[..12]));
    let honest = node.connect(node.chain.genesis(), 0, None);
    answer_with(&mut node, honest, request(20, 8), &[blocks[19].clone(), blocks[18].clone()]);
    assert_eq!(node.banned(), []);
}

#[test]
fn a_header_whose_height_does_not_fit_its_parent_is_its_senders_fault_and_nothing_is_walked_for_it() {
    let (chain, blocks) = grown(12);
    let mut header = chain.block(blocks[10].hash(), Bob, ON_TIME).header;
    let claims = read_header(&header).unwrap().pre_digest;
    // On genesis, far above.
    header.parent_hash = chain.genesis();
    header.number = 1 << 30;
    header.digest.logs = vec![claims.to_item()];
    seal(&mut header, &claims, Bob, chain.rules.boost);
    let mut node = Node::with(chain);
    let liar = node.connect(blocks[11].hash(), 12, Some(blocks.clone()));
    node.announce(liar, &header);
    assert_eq!(node.banned(), [liar]);
}

#[test]
fn a_node_that_is_behind_an_upgrade_of_the_rules_syncs_through_it() {
    let made = crate::upgrade::with_a_lower_floor();
    let mut node = Node::new();
    let height = made.len() as u32;
    node.connect(made.last().unwrap().hash(), height, Some(made.clone()));
    assert_eq!(node.chain.best(), made.last().unwrap().hash());
    assert_eq!(node.banned(), []);
}

#[test]
fn a_peer_that_announces_a_header_that_cannot_be_right_is_banned_and_heard_no_more() {
    let (chain, blocks) = grown(3);
    let honest = chain.block(blocks[2].hash(), Alice, ON_TIME);
    let mut claims = read_header(&honest.header).unwrap().pre_digest;
    claims.base += 1.into();
    let wrong_base = reclaim(&honest, &claims, Alice, chain.rules.boost);
    let mut node = Node::with(chain);
    let liar = node.connect(blocks[2].hash(), 3, Some(blocks.clone()));
    node.announce(liar, &wrong_base.header);
    assert_eq!(node.banned(), [liar]);
    let before = node.requests();
    // What it sent before it was gone.
    node.announce(liar, &honest.header);
    assert_eq!(node.requests(), before);
}

#[test]
fn a_block_of_equal_height_is_fetched_from_a_new_peer_since_it_may_be_heavier() {
    let (chain, blocks) = grown(3);
    let heavy = {
        let other = copy(&blocks[..2]);
        // In a tenth of the time.
        let block = other.block(blocks[1].hash(), Bob, 100);
        drop(chain);
        block
    };
    let mut node = Node::with(copy(&blocks));
    let peer = node.connect(heavy.hash(), 3, Some([&blocks[..2], std::slice::from_ref(&heavy)].concat()));
    let asked = node.downloader.requests.lock().iter().any(|(from, request)| {
        *from == peer && request.from == FromBlock::Hash(heavy.hash()) && request.fields.contains(BlockAttributes::BODY)
    });
    assert!(asked);
    assert!(node.chain.client.block_body(heavy.hash()).unwrap().is_some());
}

#[test]
fn a_heavier_branch_of_three_hundred_blocks_that_is_not_higher_is_fetched_and_followed() {
    const DEEP: usize = 300;
    let (_, blocks) = grown(3 + DEEP);
    let mut node = Node::with(copy(&blocks));
    let theirs = {
        let other = copy(&blocks[..3]);
        let mut branch = blocks[..3].to_vec();
        for _ in 0..DEEP {
            let block = other.block(branch[branch.len() - 1].hash(), Bob, ON_TIME * 19 / 20);
            other.import(&block).unwrap();
            branch.push(block);
        }
        branch
    };
    let top = theirs[theirs.len() - 1].clone();
    assert_eq!(top.header.number, node.chain.best_number());
    let silent = node.connect(top.hash(), top.header.number, None);
    let peer = node.connect(top.hash(), top.header.number, Some(theirs));
    assert_eq!(node.chain.client.info().best_hash, top.hash());
    assert!(node.banned().is_empty() && node.dropped.is_empty());
    let of = |peer| node.downloader.requests.lock().iter().filter(|(from, _)| *from == peer).count();
    // The header, the top, three portions of headers, three of blocks, and what the SDK makes of it.
    assert!(of(peer) <= 10 && of(silent) == 1, "{} requests", of(peer));
}

#[test]
fn a_peer_whose_block_the_runtime_refuses_is_banned_once_and_those_who_announce_it_are_not() {
    let (chain, blocks) = grown(3);
    let honest = chain.block(blocks[2].hash(), Alice, ON_TIME);
    let claims = read_header(&honest.header).unwrap().pre_digest;
    let mut bad = honest.clone();
    bad.header.digest.logs = vec![claims.to_item()];
    bad.header.state_root = Hash::repeat_byte(1);
    seal(&mut bad.header, &claims, Alice, chain.rules.boost);
    let mut node = Node::with(chain);
    let sender = node.connect(blocks[2].hash(), 3, Some([&blocks[..], std::slice::from_ref(&bad)].concat()));
    node.announce(sender, &bad.header);
    assert_eq!(node.banned(), [sender]);
    let before = node.requests();
    for _ in 0..5 {
        let other = node.connect(blocks[2].hash(), 3, Some(blocks.clone()));
        node.announce(other, &bad.header);
    }
    assert_eq!(node.banned(), [sender]);
    assert_eq!(node.requests(), before);
}

#[test]
fn a_chain_of_ten_blocks_work_on_a_block_that_this_node_refuses_is_a_dispute_that_nobody_is_banned_over() {
    let (chain, blocks) = grown(3);
    let bad = blocks[2].hash();
    let mut node = Node::with(copy(&blocks[..2]));
    node.chain.bad_blocks.insert(bad, read_header(&blocks[2].header).unwrap().pre_digest.base);
    let peer = node.connect(blocks[1].hash(), 2, Some(blocks.clone()));
    let mut parent = bad;
    for _ in 0..9 {
        let next = chain.block(parent, Alice, ON_TIME);
        chain.import(&next).unwrap();
        parent = next.hash();
        node.announce(peer, &next.header);
    }
    assert!(!node.chain.bad_blocks.is_disputed(&bad));
    for _ in 0..3 {
        let next = chain.block(parent, Alice, ON_TIME);
        chain.import(&next).unwrap();
        parent = next.hash();
        node.announce(peer, &next.header);
    }
    assert!(node.chain.bad_blocks.is_disputed(&bad));
    // Now even who sends the bad block itself is let be.
    node.policy.on_blocks_processed(0, 1, vec![(Err(BlockImportError::BadBlock(Some(peer))), bad)]);
    node.run();
    assert_eq!(node.dropped, []);
    assert_eq!(node.chain.best(), blocks[1].hash());
}

#[test]
fn what_is_no_fault_of_the_sender_punishes_nobody() {
    let (chain, _) = grown(3);
    let mut node = Node::with(chain);
    for error in [
        BlockImportError::UnknownParent,
        BlockImportError::MissingState,
        BlockImportError::Cancelled,
        BlockImportError::VerificationFailed(None, "why".into()),
        BlockImportError::Other(sp_consensus::Error::ClientImport("why".into())),
    ] {
        node.policy.on_blocks_processed(0, 1, vec![(Err(error), Hash::zero())]);
    }
    node.run();
    assert_eq!(node.dropped, []);
}

#[test]
fn a_header_dated_too_far_ahead_punishes_nobody() {
    let (chain, blocks) = grown(3);
    let honest = chain.block(blocks[2].hash(), Alice, ON_TIME);
    let mut claims = read_header(&honest.header).unwrap().pre_digest;
    claims.timestamp = clock::now() + 60_000;
    let early = reclaim(&honest, &claims, Alice, chain.rules.boost);
    let mut node = Node::with(chain);
    let peer = node.connect(blocks[2].hash(), 3, Some(blocks.clone()));
    node.announce(peer, &early.header);
    assert_eq!(node.dropped, []);
}

#[test]
fn a_peer_that_is_let_in_again_is_heard_and_can_be_banned_again() {
    let (chain, blocks) = grown(3);
    let mut node = Node::with(chain);
    let liar = node.connect(blocks[2].hash(), 3, Some(blocks.clone()));
    for times in 1..=2 {
        let failed = BlockImportError::VerificationFailed(Some(liar), "why".into());
        node.policy.on_blocks_processed(0, 1, vec![(Err(failed), Hash::zero())]);
        node.run();
        assert_eq!(node.banned(), vec![liar; times]);
        node.policy.add_peer(liar, blocks[2].hash(), 3);
    }
}
