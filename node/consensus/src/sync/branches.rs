//! Branches that are deeper than one answer of a peer.
//!
//! The SDK fetches a branch that is not higher than our chain as one answer, downwards from its last block, and an answer has 128 blocks at the most.
//! Of a longer branch that leaves the lowest without a parent. It would never be fetched, however heavy it is: after a long partition without finality
//! the sides would stay apart until one of them has become higher, or a node is started again.
//!
//! So where an answer has no parent here, its sender is asked for headers, downwards until one is known; and then for the blocks, from the lowest
//! upwards, in portions that are imported one after another.
//!
//! # What it costs
//!
//! A walk begins only with a block that was worth a fetch ([`super::orphans`]). It takes at most 8 192 headers, a minute, and whole answers on the way
//! down, and stops at what is final; there are four at a time, one with a peer. Each portion of blocks is verified as any other, before the next one is
//! asked for; whoever sends a false one is banned.

use sc_consensus::IncomingBlock;
use sc_network_common::sync::message::{BlockAttributes, BlockData, BlockRequest, Direction, FromBlock};
use sc_network_types::PeerId;
use sp_runtime::traits::{Block as BlockT, Header, NumberFor};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How many blocks an answer has at the most.
const PORTION: u32 = 128;
/// How many blocks a branch may have that we lack.
const MOST_LACKING: usize = 1 << 13;
/// With how many peers at a time.
const MOST_WALKS: usize = 4;
/// How long the way down may take, and from then on each answer, and its import.
const WITHIN: Duration = Duration::from_secs(60);

/// What is to be done next for a branch.
#[derive(Debug)]
pub enum Next<B: BlockT> {
    /// Ask the peer for this.
    Ask(BlockRequest<B>),
    /// Import these, which came from it.
    Import(Vec<IncomingBlock<B>>),
    /// Nothing: it is here, or it is given up.
    Nothing,
}

enum Step {
    /// Headers are asked for.
    Down,
    /// Blocks are asked for.
    Up,
    /// Blocks are imported.
    Import,
}

struct Walk<B: BlockT> {
    /// What we lack, from the highest to the lowest that is known of.
    lacking: Vec<B::Hash>,
    /// How many of the lowest are asked for, or imported.
    portion: u32,
    step: Step,
    since: Instant,
}

/// The branches that are being fetched.
pub struct Branches<B: BlockT>(HashMap<PeerId, Walk<B>>);

impl<B: BlockT> Default for Branches<B> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<B: BlockT> Branches<B> {
    /// Begins to fetch the branch that ends with a block, if there is room.
    pub fn begin(&mut self, peer: PeerId, top: B::Hash, now: Instant) -> Next<B> {
        self.0.retain(|_, walk| now.duration_since(walk.since) < WITHIN);
        if self.0.len() >= MOST_WALKS || self.0.contains_key(&peer) {
            return Next::Nothing;
        }
        self.0.insert(peer, Walk { lacking: Vec::new(), portion: PORTION, step: Step::Down, since: now });
        Next::Ask(down_from::<B>(top))
    }

    /// Forgets a peer.
    pub fn remove(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// Takes what a peer answered, which was checked to be what it was asked for: a chain downwards.
    pub fn on_answer(
        &mut self,
        peer: PeerId,
        blocks: Vec<BlockData<B>>,
        is_known: impl Fn(B::Hash) -> bool,
        finalized: NumberFor<B>,
    ) -> Next<B> {
        let Some(walk) = self.0.get_mut(&peer) else { return Next::Nothing };
        let next = match walk.step {
            Step::Down if walk.since.elapsed() > WITHIN => Next::Nothing,
            Step::Down => walk.on_headers(&blocks, is_known, finalized),
            Step::Up => walk.on_blocks(peer, blocks),
            Step::Import => return Next::Nothing,
        };
        if matches!(next, Next::Nothing) {
            self.0.remove(&peer);
        }
        next
    }

    /// Takes what became of a block that was imported. Says whom to ask for what is next.
    pub fn on_processed(&mut self, hash: B::Hash, is_here: bool) -> Option<(PeerId, BlockRequest<B>)> {
        let of_this = |walk: &Walk<B>| matches!(walk.step, Step::Import) && walk.top() == Some(hash);
        let peer = self.0.iter().find(|(_, walk)| of_this(walk)).map(|(peer, _)| *peer)?;
        let walk = self.0.get_mut(&peer)?;
        let here = walk.lacking.len().saturating_sub(walk.portion as usize);
        walk.lacking.truncate(here);
        match walk.up().filter(|_| is_here) {
            Some(request) => Some((peer, request)),
            None => {
                self.0.remove(&peer);
                None
            },
        }
    }
}

impl<B: BlockT> Walk<B> {
    fn on_headers(
        &mut self,
        blocks: &[BlockData<B>],
        is_known: impl Fn(B::Hash) -> bool,
        finalized: NumberFor<B>,
    ) -> Next<B> {
        let mut parent = None;
        for header in blocks.iter().filter_map(|block| block.header.as_ref()) {
            self.lacking.push(header.hash());
            parent = Some(*header.parent_hash());
            if is_known(*header.parent_hash()) {
                return self.up().map_or(Next::Nothing, Next::Ask);
            }
            if *header.number() <= finalized || self.lacking.len() >= MOST_LACKING {
                return Next::Nothing;
            }
        }
        // Who tells less than an answer has holds a place that others need.
        match parent.filter(|_| blocks.len() == PORTION as usize) {
            Some(parent) => Next::Ask(down_from::<B>(parent)),
            None => Next::Nothing,
        }
    }

    fn on_blocks(&mut self, peer: PeerId, blocks: Vec<BlockData<B>>) -> Next<B> {
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Next::Nothing;
        }
        if (count as usize) < self.portion_now() {
            // Large blocks: as many as fit are the highest of those that were asked for, and wanted are the lowest.
            self.portion = count;
            return self.up().map_or(Next::Nothing, Next::Ask);
        }
        self.step = Step::Import;
        self.since = Instant::now();
        self.portion = count;
        let incoming = |block: BlockData<B>| IncomingBlock {
            hash: block.hash,
            header: block.header,
            body: block.body,
            indexed_body: None,
            justifications: block.justifications,
            origin: Some(peer),
            allow_missing_state: false,
            import_existing: false,
            skip_execution: false,
            state: None,
        };
        Next::Import(blocks.into_iter().rev().map(incoming).collect())
    }

    fn portion_now(&self) -> usize {
        self.lacking.len().min(self.portion as usize)
    }

    /// The highest block of the portion.
    fn top(&self) -> Option<B::Hash> {
        let at = self.lacking.len().saturating_sub(self.portion as usize);
        self.lacking.get(at).copied()
    }

    /// What to ask for to get the next portion; nothing if nothing is lacking.
    fn up(&mut self) -> Option<BlockRequest<B>> {
        let top = self.top()?;
        self.step = Step::Up;
        self.since = Instant::now();
        Some(BlockRequest::<B> {
            id: 0,
            fields: BlockAttributes::HEADER | BlockAttributes::BODY | BlockAttributes::JUSTIFICATION,
            from: FromBlock::Hash(top),
            direction: Direction::Descending,
            max: u32::try_from(self.portion_now()).ok(),
        })
    }
}

fn down_from<B: BlockT>(top: B::Hash) -> BlockRequest<B> {
    BlockRequest::<B> {
        id: 0,
        fields: BlockAttributes::HEADER,
        from: FromBlock::Hash(top),
        direction: Direction::Descending,
        max: Some(PORTION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_core::H256;
    use sp_runtime::{generic, traits::BlakeTwo256, OpaqueExtrinsic};

    type TestBlock = generic::Block<generic::Header<u32, BlakeTwo256>, OpaqueExtrinsic>;

    /// A chain upwards, from a height on.
    fn chain(from: u32, count: u32) -> Vec<BlockData<TestBlock>> {
        let mut parent = H256::zero();
        let of = |number| {
            let header =
                generic::Header::new(number, Default::default(), Default::default(), parent, Default::default());
            parent = header.hash();
            BlockData::<TestBlock> {
                hash: parent,
                header: Some(header),
                body: Some(vec![]),
                indexed_body: None,
                receipt: None,
                message_queue: None,
                justification: None,
                justifications: None,
            }
        };
        (from..from + count).map(of).collect()
    }

    /// What a peer with this chain answers, that fits so many blocks into an answer.
    fn answer(
        chain: &[BlockData<TestBlock>],
        request: &BlockRequest<TestBlock>,
        most: usize,
    ) -> Vec<BlockData<TestBlock>> {
        let FromBlock::Hash(from) = request.from else { panic!("by hash") };
        let at = chain.iter().position(|block| block.hash == from).unwrap();
        let most = most.min(request.max.unwrap() as usize);
        chain[..=at].iter().rev().take(most).cloned().collect()
    }

    /// Fetches a branch, and gives the heights in the order of their import.
    fn fetch(branch: &[BlockData<TestBlock>], known: u32, finalized: u32, most: usize) -> Vec<u32> {
        let (mut branches, peer) = (Branches::<TestBlock>::default(), PeerId::random());
        let is_known = |hash: H256| branch[..known as usize].iter().any(|block| block.hash == hash);
        let mut heights = vec![];
        let mut next = branches.begin(peer, branch.last().unwrap().hash, Instant::now());
        loop {
            next = match next {
                Next::Nothing => return heights,
                Next::Ask(request) => {
                    let is_headers = !request.fields.contains(BlockAttributes::BODY);
                    let blocks = answer(branch, &request, if is_headers { 128 } else { most });
                    branches.on_answer(peer, blocks, is_known, finalized)
                },
                Next::Import(blocks) => {
                    heights.extend(blocks.iter().map(|block| block.header.as_ref().unwrap().number));
                    let asked = blocks.iter().filter_map(|block| branches.on_processed(block.hash, true)).last();
                    asked.map_or(Next::Nothing, |(_, request)| Next::Ask(request))
                },
            };
        }
    }

    #[test]
    fn a_long_branch_comes_whole_and_in_order_also_where_few_of_its_blocks_fit_an_answer() {
        let branch = chain(1, 1_000);
        for most in [128, 50, 1] {
            assert_eq!(fetch(&branch, 7, 2, most), (8..=1_000).collect::<Vec<_>>());
        }
        assert_eq!(fetch(&branch, 999, 2, 128), [1_000]);
    }

    #[test]
    fn a_branch_that_leaves_below_what_is_final_or_never_ends_is_given_up() {
        assert!(fetch(&chain(1, 500), 7, 100, 128).is_empty());
        assert!(fetch(&chain(100, 20_000), 0, 5, 128).is_empty());
    }

    #[test]
    fn who_tells_less_than_an_answer_has_on_the_way_down_holds_no_place() {
        let (branch, peer) = (chain(1, 300), PeerId::random());
        let mut branches = Branches::<TestBlock>::default();
        let Next::Ask(request) = branches.begin(peer, branch[299].hash, Instant::now()) else { panic!("no walk") };
        let few = answer(&branch, &request, 1);
        assert!(matches!(branches.on_answer(peer, few, |_| false, 0), Next::Nothing));
        assert!(matches!(branches.begin(peer, branch[299].hash, Instant::now()), Next::Ask(_)));
    }

    #[test]
    fn there_is_one_walk_with_a_peer_and_few_at_a_time_and_one_without_answers_makes_room() {
        let (mut branches, now) = (Branches::<TestBlock>::default(), Instant::now());
        let peers: Vec<PeerId> = (0..=MOST_WALKS).map(|_| PeerId::random()).collect();
        let mut begins = |peer: PeerId, now| matches!(branches.begin(peer, Default::default(), now), Next::Ask(_));
        assert!(begins(peers[0], now) && !begins(peers[0], now));
        assert!(peers[1..MOST_WALKS].iter().all(|peer| begins(*peer, now)));
        assert!(!begins(peers[MOST_WALKS], now));
        assert!(begins(peers[MOST_WALKS], now + WITHIN));
    }

    #[test]
    fn what_is_not_imported_ends_the_walk_and_an_answer_that_was_not_asked_for_begins_none() {
        let (branch, peer, mut branches) = (chain(1, 300), PeerId::random(), Branches::<TestBlock>::default());
        let is_known = |hash: H256| hash == branch[0].hash;
        assert!(matches!(branches.on_answer(peer, branch.clone(), is_known, 0), Next::Nothing));
        let mut next = branches.begin(peer, branch[299].hash, Instant::now());
        while let Next::Ask(request) = &next {
            next = branches.on_answer(peer, answer(&branch, request, 128), is_known, 0);
        }
        let Next::Import(blocks) = next else { panic!("{next:?}") };
        assert!(branches.on_processed(blocks.last().unwrap().hash, false).is_none());
        assert!(branches.on_processed(blocks.last().unwrap().hash, true).is_none());
    }
}
