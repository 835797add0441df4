//! Working out again what a chain says that it measured and paid, from its blocks alone ([`books`]).

pub mod books;
pub mod sales;

use crate::{
    chain::{Error, Node},
    runtime,
};
use books::{Block, Books, Constants, Event, Joined, Looked, Reason, Reward};
use codec::Decode;
use indicatif::ProgressBar;
use sales::{Opened, Settled};
use serde::Serialize;
use subxt::{config::substrate::DigestItem, events::Phase, utils::H256};
use weir_primitives::{
    consensus::{PreDigest, ENGINE_ID},
    market::{ChannelId, SessionKey},
    measurement::{
        challenge::{Challenge, MemberReport, Outcome},
        lottery::groups::Family,
        Endpoints, PeerKey,
    },
    parameters::Parameters,
    registry::Role,
    runtime_api::{NextBlock, ProviderStatus, Supply},
    AccountId, Balance, BlockNumber, EpochIndex,
};

/// The most differences that are shown: where one thing is wrong, much that follows from it is.
const MOST_SHOWN: usize = 20;

/// Something that the chain says, and the books do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The block that says it.
    pub block: BlockNumber,
    /// What it says.
    pub what: String,
}

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The last block that was looked at.
    pub until: BlockNumber,
    /// How much was looked at.
    pub looked: Looked,
    /// Where chain and books differ; nothing if they agree.
    pub differences: Vec<Difference>,
}

impl Audit {
    /// Some lines for people.
    pub fn lines(&self) -> String {
        let Looked { blocks, challenges, rewards, rewarded, epochs, credits, payments } = self.looked;
        let mut lines = vec![format!(
            "{blocks} blocks up to {}: {challenges} challenges, the emission of {epochs} epochs, {rewards} rewards of {rewarded} planck, \
             {payments} payments, and credit in {credits} blocks were worked out again",
            self.until
        )];
        if self.differences.is_empty() {
            lines.push(
                "the chain and the books agree to the last planck, bit per second and billionth of credit".into(),
            );
        }
        for Difference { block, what } in self.differences.iter().take(MOST_SHOWN) {
            lines.push(format!("block {block}: {what}"));
        }
        if let Some(more) = self.differences.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            lines.push(format!("and {more} more"));
        }
        lines.join("\n")
    }
}

fn wrong(what: &str) -> impl Fn(&dyn std::fmt::Display) -> Error + '_ {
    move |error| Error::Connection(format!("{what}: {error}"))
}

async fn hash_at(node: &Node, number: BlockNumber) -> Result<H256, Error> {
    let hash = node.legacy().chain_get_block_hash(Some(u64::from(number).into())).await;
    hash.map_err(|error| wrong("a block's hash")(&error))?
        .ok_or_else(|| Error::Connection(format!("the node has no block {number}")))
}

/// The blocks of a chain, from its beginning.
#[derive(Clone, Debug)]
pub struct History {
    /// The hash of genesis.
    genesis: H256,
    /// The blocks after it, in their order.
    pub blocks: Vec<Block>,
}

impl History {
    /// Reads the blocks up to one.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] also when the node keeps no state of some block: it must keep that of all, with `--state-pruning archive`.
    pub async fn read(node: &Node, until: BlockNumber) -> Result<Self, Error> {
        Self::read_with(node, until, &ProgressBar::hidden()).await
    }

    async fn read_with(node: &Node, until: BlockNumber, progress: &ProgressBar) -> Result<Self, Error> {
        let genesis = hash_at(node, 0).await?;
        let mut blocks = Vec::<Block>::new();
        progress.set_length(until.into());
        for number in 1..=until {
            let parent = blocks.last().map_or(genesis, |last| H256(last.hash));
            blocks.push(read(node, number, parent).await?);
            progress.set_position(number.into());
        }
        Ok(Self { genesis, blocks })
    }

    /// Keeps the books again, and compares them with what the blocks say, and with the state at the end.
    ///
    /// # Errors
    ///
    /// As [`Node::ask`]; [`Error::Refused`] where what the chain does is not audited yet: parameters that were tuned.
    pub async fn audit(&self, node: &Node) -> Result<Audit, Error> {
        let genesis = Some(self.genesis);
        let parameters: Option<Parameters> = node.ask("ConsensusApi_parameters", (), genesis).await?;
        let parameters =
            parameters.ok_or_else(|| Error::Refused("the chain has no parameters in its genesis".into()))?;
        parameters.check().map_err(|error| Error::Refused(format!("the chain's parameters are wrong: {error}")))?;
        let supply: Supply = node.ask("SupplyApi_supply", (), genesis).await?;
        let at = node.at(self.genesis).await?;
        let deposit = at.constants().entry(runtime::constants().balances().existential_deposit());
        let batches = at.constants().entry(runtime::constants().bandwidth().batches_per_block());
        let constants = Constants {
            existential_deposit: deposit.map_err(|error| wrong("the existential deposit")(&error))?,
            batches_per_block: batches.map_err(|error| wrong("how many batches a block takes")(&error))?,
        };
        let mut books = Books::new(parameters.clone(), constants, supply.issued);
        add_genesis_challengers(node, self.genesis, &mut books).await?;
        self.blocks.iter().for_each(|block| books.take(block));
        books.end();
        let (looked, differences) = books.looked();
        let mut differences = differences.to_vec();
        let (until, last) = self.blocks.last().map_or((0, self.genesis), |last| (last.number, H256(last.hash)));
        let now: Option<Parameters> = node.ask("ConsensusApi_parameters", (), Some(last)).await?;
        if now != Some(parameters) {
            return Err(Error::Refused("the chain's parameters were changed, which is not audited yet".into()));
        }
        compare_with_state(node, last, until, &books, &mut differences).await?;
        Ok(Audit { until, looked, differences })
    }
}

/// Audits a chain from its beginning up to a block, or up to the last one that cannot be taken back.
///
/// # Errors
///
/// As [`History::read`] and [`History::audit`].
pub async fn audit(node: &Node, until: Option<BlockNumber>, progress: &ProgressBar) -> Result<Audit, Error> {
    let until = match until {
        Some(until) => until,
        None => last_final(node).await?,
    };
    History::read_with(node, until, progress).await?.audit(node).await
}

async fn last_final(node: &Node) -> Result<BlockNumber, Error> {
    let hash = node.legacy().chain_get_finalized_head().await.map_err(|error| wrong("the last block")(&error))?;
    let header = node.legacy().chain_get_header(Some(hash)).await.map_err(|error| wrong("a header")(&error))?;
    let number = header.ok_or_else(|| Error::Connection("the node does not know its last block".into()))?.number;
    BlockNumber::try_from(number).map_err(|error| wrong("the last block")(&error))
}

/// What the state says at the end, where it can be asked: what was issued, credit, and what is guaranteed.
async fn compare_with_state(
    node: &Node,
    last: H256,
    until: BlockNumber,
    books: &Books,
    differences: &mut Vec<Difference>,
) -> Result<(), Error> {
    let mut differ = |what: String| differences.push(Difference { block: until, what });
    let supply: Supply = node.ask("SupplyApi_supply", (), Some(last)).await?;
    if supply.issued != books.issued() {
        differ(format!("{} planck were issued, and it should be {}", supply.issued, books.issued()));
    }
    for author in books.authors() {
        let next: Option<NextBlock> = node.ask("ConsensusApi_next_block", &author, Some(last)).await?;
        let chain = next.map_or(0, |next| next.spendable.deconstruct());
        let own = books.spendable(&author);
        if chain != own {
            differ(format!("{author} can spend {chain} billionths of credit, and it should be {own}"));
        }
    }
    for provider in books.present_providers() {
        let status: Option<ProviderStatus> = node.ask("MeasurementApi_provider", &provider, Some(last)).await?;
        let chain = status.map(|status| status.directions_bits_per_second);
        if chain != books.guaranteed(&provider) {
            differ(format!("{provider} has {chain:?} guaranteed, and it should be {:?}", books.guaranteed(&provider)));
        }
    }
    Ok(())
}

/// Adds those that genesis names, of whom no event tells.
async fn add_genesis_challengers(node: &Node, genesis: H256, books: &mut Books) -> Result<(), Error> {
    let at = node.at(genesis).await?;
    let failed = wrong("the challengers of genesis");
    let address = runtime::storage().registry().challenger_slots();
    let mut slots = at.storage().iter(address, ()).await.map_err(|error| failed(&error))?;
    while let Some(entry) = futures::StreamExt::next(&mut slots).await {
        let entry = entry.map_err(|error| failed(&error))?;
        let key = entry.key_bytes();
        // The key ends with the slot, after its hash.
        let slot =
            key.len().checked_sub(4).and_then(|from| key.get(from..)).and_then(|mut it| u32::decode(&mut it).ok());
        let value = entry.value().decode().map_err(|error| failed(&error))?;
        let endpoints: Vec<Vec<u8>> = value.endpoints.oldest.0.into_iter().map(|it| it.0).collect();
        let endpoints = Endpoints::decode(&mut codec::Encode::encode(&endpoints).as_slice());
        let endpoints = endpoints.map_err(|error| failed(&error))?;
        let slot = slot.ok_or_else(|| Error::Connection("a slot has no number".into()))?;
        books.add_genesis_challenger(AccountId::new(value.account.0), slot, &endpoints);
    }
    Ok(())
}

async fn read(node: &Node, number: BlockNumber, parent: H256) -> Result<Block, Error> {
    let hash = hash_at(node, number).await?;
    let header = node.legacy().chain_get_header(Some(hash)).await.map_err(|error| wrong("a header")(&error))?;
    let header = header.ok_or_else(|| Error::Connection(format!("the node has no header of block {number}")))?;
    if header.parent_hash != parent {
        return Err(Error::Connection(format!("block {number} is of another fork than the one before it; try again")));
    }
    let claims = header.digest.logs.iter().find_map(|item| match item {
        DigestItem::PreRuntime(ENGINE_ID, bytes) => PreDigest::decode(&mut bytes.as_slice()).ok(),
        _ => None,
    });
    let claims = claims.ok_or_else(|| Error::Connection(format!("block {number} claims nothing")))?;
    let failed = wrong("the events of a block, of which a node must keep the state");
    let at = node.at(hash).await?;
    let fetched = at.events().fetch().await.map_err(|error| failed(&error))?;
    let mut events = Vec::new();
    for event in fetched.iter() {
        let event = event.map_err(|error| failed(&error))?;
        let extrinsic = match event.phase() {
            Phase::ApplyExtrinsic(index) => Some(index),
            _ => None,
        };
        let understood = understand(event.pallet_name(), event.event_name(), event.field_bytes());
        events.extend(understood.map_err(|error| failed(&error))?.into_iter().map(|event| (extrinsic, event)));
    }
    Ok(Block {
        number,
        hash: hash.0,
        author: claims.author,
        timestamp: claims.timestamp,
        credit: claims.credit.deconstruct(),
        events,
    })
}

fn reason(byte: u8) -> Result<Reason, codec::Error> {
    match byte {
        0 => Ok(Reason::Block),
        1 => Ok(Reason::Capacity),
        2 => Ok(Reason::Duties),
        3 => Ok(Reason::Batch),
        4 => Ok(Reason::Traffic),
        _ => Err("a reward for an unknown reason".into()),
    }
}

/// What an event says, if it is one that the books need.
fn understand(pallet: &str, name: &str, mut fields: &[u8]) -> Result<Option<Event>, codec::Error> {
    let input = &mut fields;
    Ok(Some(match (pallet, name) {
        ("Bandwidth", "EpochStarted") => {
            let (index, first, blocks, instants, one_in) = Decode::decode(input)?;
            Event::EpochStarted { index, first, blocks, instants, one_in }
        },
        ("Bandwidth", "InstantOpened") => {
            let (epoch, instant, start) = Decode::decode(input)?;
            Event::InstantOpened { epoch, instant, start }
        },
        ("Bandwidth", "Reported") => {
            let (challenge, place, report): (Challenge, u8, MemberReport) = Decode::decode(input)?;
            Event::Reported { challenge, place, report }
        },
        ("Bandwidth", "Measured") => {
            let (challenge, provider, outcome, was, is): (Challenge, AccountId, Outcome, u64, u64) =
                Decode::decode(input)?;
            Event::Measured { challenge, provider, outcome, was, is }
        },
        ("Registry", "ProviderJoined") => {
            type Fields = (AccountId, u32, EpochIndex, u64, Balance, Family, PeerKey, Option<AccountId>);
            let (provider, slot, from, declared, _, family, _, author): Fields = Decode::decode(input)?;
            Event::ProviderJoined(Joined { provider, slot, from, declared, family, author })
        },
        ("Registry", "DeclaredSet") => {
            let (provider, declared, _): (AccountId, u64, Balance) = Decode::decode(input)?;
            Event::DeclaredSet { provider, declared }
        },
        ("Registry", "MiningAuthorSet") => {
            let (provider, author) = Decode::decode(input)?;
            Event::MiningAuthorSet { provider, author }
        },
        ("Registry", "ChallengerActive") => {
            let (challenger, slot, from, _, endpoints): (AccountId, u32, EpochIndex, PeerKey, Endpoints) =
                Decode::decode(input)?;
            Event::ChallengerActive { challenger, slot, from, endpoints }
        },
        ("Registry", "EndpointsSet") => {
            let (challenger, endpoints) = Decode::decode(input)?;
            Event::EndpointsSet { challenger, endpoints }
        },
        ("Registry", "Paused" | "Jailed") => Event::Gone { account: Decode::decode(input)?, role: Role::Challenger },
        ("Registry", "Left" | "Slashed") => {
            let (account, role) = Decode::decode(input)?;
            Event::Gone { account, role }
        },
        ("Difficulty", "SnapshotTaken") => {
            let (snapshot, total) = Decode::decode(input)?;
            Event::SnapshotTaken { snapshot, total }
        },
        ("Difficulty", "SnapshotProven") => {
            let (snapshot, from) = Decode::decode(input)?;
            Event::SnapshotProven { snapshot, from }
        },
        ("Token", "EpochBudget") => {
            let (epoch, per_block, capacity, scheduled) = Decode::decode(input)?;
            Event::EpochBudget { epoch, per_block, capacity, scheduled }
        },
        ("Token", "Rewarded") => {
            type Fields = (AccountId, AccountId, u8, Balance, Balance, Balance);
            let (account, payee, for_what, gross, liquid, vesting): Fields = Decode::decode(input)?;
            Event::Rewarded(Reward { account, payee, reason: reason(for_what)?, gross, liquid, vesting })
        },
        ("Market", "Opened") => {
            type Fields = (ChannelId, AccountId, AccountId, SessionKey, Balance, Balance, u64, BlockNumber);
            let (channel, _, provider, _, per_gib, _, promised, _): Fields = Decode::decode(input)?;
            Event::ChannelOpened(Opened { channel, provider, per_gib, promised })
        },
        ("Market", "Settled") => {
            let (channel, provider, bytes, gross, refunded, burned, fee, net) = Decode::decode(input)?;
            Event::Settled(Settled { channel, provider, bytes, gross, refunded, burned, fee, net })
        },
        ("Market", "Closed") => Event::ChannelClosed { channel: Decode::decode(input)? },
        ("Difficulty", "KeySet") => {
            let (account, key) = Decode::decode(input)?;
            Event::AuthorKeySet { account, key }
        },
        ("Token", "PayeeSet") => {
            let (account, payee) = Decode::decode(input)?;
            Event::PayeeSet { account, payee }
        },
        ("Token", "RewardLost") => {
            let (account, for_what, gross): (AccountId, u8, Balance) = Decode::decode(input)?;
            Event::RewardLost { account, reason: reason(for_what)?, gross }
        },
        _ => return Ok(None),
    }))
}
