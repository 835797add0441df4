//! The first stage: a header alone, when a peer shows it.

use crate::{
    clock,
    finality::below::is_below_finality,
    header::{
        error::Rejection,
        our_best::OurBestReader,
        rules::{self, HeaderRules, Vantage},
    },
    import::bad_blocks::BadBlocks,
};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::{BlockStatus, HeaderBackend, HeaderMetadata};
use sp_runtime::traits::{Block as BlockT, Header, NumberFor, SaturatedConversion};
use std::sync::Arc;
use weir_primitives::{runtime_api::ConsensusApi, BlockNumber, Milliseconds, UnixMilliseconds};

/// What a header that is as it should be is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is in our chain, or on a branch that we have.
    Known,
    /// Its parent is, and allows what it claims.
    Child {
        /// Its date.
        date: UnixMilliseconds,
        /// Whether that is the earliest one after its parent's: then it says nothing of its author's clock.
        is_earliest: bool,
    },
    /// We do not know its parent. Its work is worth a look.
    Orphan,
}

/// How far our own chain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The height of our best block.
    pub best: BlockNumber,
    /// How old our best block is by our clock; none for genesis, which has no date.
    pub age: Option<Milliseconds>,
    /// The wanted time between two blocks.
    pub block_time: Milliseconds,
    /// How far ahead of our clock a block may be dated.
    pub furthest_ahead: Milliseconds,
}

/// What the peer policy asks about headers, and about our own chain.
pub trait HeaderCheck<B: BlockT>: Send {
    /// Checks a header that a peer shows.
    ///
    /// # Errors
    ///
    /// Why it is rejected.
    fn check(&self, header: &B::Header) -> Result<Place, Rejection>;

    /// The height of a block that we have, on whatever branch.
    fn number_of(&self, hash: B::Hash) -> Option<NumberFor<B>>;

    /// The height of the last final block.
    fn finalized(&self) -> NumberFor<B>;

    /// How far our own chain has come.
    fn progress(&self) -> Option<Progress>;
}

/// Checks headers: decoding, work and signature, and what they claim against the parent's state where that is known, else
/// against what our own chain could have come to.
pub struct Announced<Block: BlockT, C> {
    client: Arc<C>,
    our_best: OurBestReader<Block, C>,
    bad_blocks: BadBlocks<Block::Hash>,
}

impl<Block, C> Announced<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: ConsensusApi<Block>,
{
    /// For the chain of `client`.
    pub fn new(client: Arc<C>, bad_blocks: BadBlocks<Block::Hash>) -> Self {
        Self { our_best: OurBestReader::new(client.clone()), client, bad_blocks }
    }

    fn is_known(&self, hash: Block::Hash) -> bool {
        matches!(self.client.status(hash), Ok(BlockStatus::InChain))
    }
}

impl<Block, C> HeaderCheck<Block> for Announced<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block>
        + HeaderBackend<Block>
        + HeaderMetadata<Block, Error = sp_blockchain::Error>
        + Send
        + Sync,
    C::Api: ConsensusApi<Block>,
{
    fn check(&self, header: &Block::Header) -> Result<Place, Rejection> {
        let hash = header.hash();
        // What is in the chain was checked, and to check it again would be work that anybody can ask for.
        if self.is_known(hash) {
            return Ok(Place::Known);
        }
        let parent = *header.parent_hash();
        let info = self.client.info();
        let finalized = info.finalized_number.saturated_into();
        if *header.number() <= info.finalized_number {
            return Err(Rejection::BelowFinality { finalized });
        }
        // Nothing can be told before there is a state.
        let Some(best) = self.our_best.read() else { return Ok(Place::Orphan) };
        let assumed = HeaderRules::from(&best.rules);
        let checked = rules::context_free(header, assumed);
        if self.bad_blocks.is_bad(&hash) || self.bad_blocks.is_bad(&parent) {
            let claims = checked?.pre_digest;
            self.bad_blocks.note_child(hash, parent, claims.base);
            return Err(Rejection::BadBlock);
        }
        let has_parent = self.is_known(parent);
        if has_parent {
            self.check_height(header, parent)?;
        }
        // Looked for only once there was work: the way back from an old branch may be long.
        if has_parent && checked.is_ok() && self.leaves_final_chain(*header.number(), parent) {
            return Err(Rejection::BelowFinality { finalized });
        }
        if !has_parent {
            let claims = match checked {
                Ok(sealed) => sealed.pre_digest,
                // An upgrade that we have not come to yet may have changed the rules. Its chain is fetched, block by block.
                Err(Rejection::Work { .. } | Rejection::BelowFloor { .. }) if self.is_behind() => {
                    return rules::context_free(header, assumed.lenient()).map(|_| Place::Orphan);
                },
                Err(rejection) => return Err(rejection),
            };
            let from = Vantage { best: best.anchor, finalized, now: clock::now() };
            // Genesis has no date that a schedule could count from.
            if best.date.is_some() {
                rules::orphan(&claims, rules::height(header), from, &best.rules)?;
            }
            return Ok(Place::Orphan);
        }
        if parent == info.best_hash {
            // By these very rules.
            checked.as_ref().map_err(Clone::clone)?;
        }
        let author = match &checked {
            Ok(sealed) => sealed.pre_digest.author.clone(),
            Err(rejection) => match rules::claims_of(header) {
                Some(claims) => claims.author,
                None => return Err(rejection.clone()),
            },
        };
        let mut is_earliest = false;
        let sealed = match self.client.runtime_api().next_block(parent, author) {
            Ok(Some(next)) => {
                let own = HeaderRules::from(&next.rules);
                let sealed = if own == assumed { checked? } else { rules::context_free(header, own)? };
                next.allowed().check(&sealed.pre_digest).map_err(Rejection::Claim)?;
                if !next.rules.dates().is_worth_waiting_for(sealed.pre_digest.timestamp, clock::now()) {
                    return Err(Rejection::NotDue { date: sealed.pre_digest.timestamp, now: clock::now() });
                }
                is_earliest = sealed.pre_digest.timestamp == next.earliest;
                sealed
            },
            // No state to ask: import will see.
            _ => checked?,
        };
        Ok(Place::Child { date: sealed.pre_digest.timestamp, is_earliest })
    }

    fn number_of(&self, hash: Block::Hash) -> Option<NumberFor<Block>> {
        self.client.number(hash).ok().flatten()
    }

    fn finalized(&self) -> NumberFor<Block> {
        self.client.info().finalized_number
    }

    fn progress(&self) -> Option<Progress> {
        let best = self.our_best.read()?;
        let age = best.date.map(|date| clock::now().saturating_sub(date));
        let (block_time, furthest_ahead) = (best.rules.block_time, best.rules.furthest_ahead);
        Some(Progress { best: best.anchor.number, age, block_time, furthest_ahead })
    }
}

impl<Block, C> Announced<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block>
        + HeaderBackend<Block>
        + HeaderMetadata<Block, Error = sp_blockchain::Error>
        + Send
        + Sync,
    C::Api: ConsensusApi<Block>,
{
    /// That a header's height is one more than its parent's, which we have: else every search from its parent would be one for
    /// as long as its sender likes.
    fn check_height(&self, header: &Block::Header, parent: Block::Hash) -> Result<(), Rejection> {
        let Ok(Some(number)) = self.client.number(parent) else { return Ok(()) };
        let (got, expected) = (rules::height(header), number.saturated_into::<BlockNumber>().saturating_add(1));
        if got != expected {
            return Err(Rejection::Height { got, expected });
        }
        Ok(())
    }

    fn leaves_final_chain(&self, number: NumberFor<Block>, parent: Block::Hash) -> bool {
        is_below_finality(&*self.client, number, parent).unwrap_or(false)
    }

    /// Whether our best block is so old that the network may well be at other rules.
    fn is_behind(&self) -> bool {
        self.progress().is_none_or(Progress::is_behind)
    }
}

/// How many block times the best block may be old in a node that is not behind.
const BEHIND_BLOCK_TIMES: u64 = 20;

impl Progress {
    /// Whether our best block is older than twenty block times.
    pub fn is_behind(self) -> bool {
        self.age.is_none_or(|age| age > self.patience())
    }

    /// Twenty block times: for how long a node waits for what is heavier before it goes on without.
    pub fn patience(self) -> Milliseconds {
        self.block_time.saturating_mul(BEHIND_BLOCK_TIMES)
    }
}
