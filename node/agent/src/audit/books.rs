//! The books of a chain, kept again from what its blocks say: what was measured, what follows from it, and who was paid for what.
//!
//! Nothing here is the pallets' code. Sums are taken anew where the pallets carry them on, everybody is visited where they visit nobody, and what
//! they store is not asked for. Where the two differ, one of them is wrong.

use super::{
    sales::{Moment, Opened, Sales, Settled},
    Difference,
};
use sp_core::{Blake2Hasher, Hasher, U256};
use std::collections::{BTreeMap, BTreeSet};
use weir_primitives::{
    market::ChannelId,
    measurement::{
        challenge::{Challenge, Direction, MemberReport, Outcome, LATEST_US},
        endpoint,
        lottery::groups::{Family, Prefix},
        Endpoints,
    },
    parameters::Parameters,
    registry::Role,
    AccountId, Balance, BlockNumber, EpochIndex, PLANCK_PER_WEIR,
};

/// Everything that can ever be issued.
const CAP: Balance = 1_000_000_000 * PLANCK_PER_WEIR;
/// What a duty counts for beside the bytes that were assigned.
const BYTES_PER_DUTY: u128 = 100_000;
/// For how many epochs a challenger is a junior, from how many seniors on that matters, and how many of 16 may be such.
const JUNIOR_EPOCHS: EpochIndex = 336;
const SENIORS_TO_LIMIT_JUNIORS: usize = 64;
const JUNIORS_OF_16: usize = 3;
/// How often a member of a committee is drawn at the most.
const DRAWS_PER_MEMBER: u32 = 64;
/// A part of credit, and how many of them are a billionth.
const WHOLE_CREDIT: u128 = 1_000_000_000_000_000_000;
const BILLIONTH: u128 = 1_000_000_000;

/// So many billionths of an amount, rounded down.
pub(super) fn part(amount: Balance, billionths: u128) -> Balance {
    // Less than the amount: it fits.
    (U256::from(amount) * U256::from(billionths) / U256::from(BILLIONTH)).low_u128()
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is an event of a pallet, whose documentation says it")]
pub enum Event {
    EpochStarted {
        index: EpochIndex,
        first: BlockNumber,
        blocks: u32,
        instants: u32,
        one_in: u32,
    },
    InstantOpened {
        epoch: EpochIndex,
        instant: u32,
        start: u64,
    },
    Reported {
        challenge: Challenge,
        place: u8,
        report: MemberReport,
    },
    Measured {
        challenge: Challenge,
        provider: AccountId,
        outcome: Outcome,
        was: u64,
        is: u64,
    },
    ProviderJoined(Joined),
    DeclaredSet {
        provider: AccountId,
        declared: u64,
    },
    MiningAuthorSet {
        provider: AccountId,
        author: Option<AccountId>,
    },
    ChallengerActive {
        challenger: AccountId,
        slot: u32,
        from: EpochIndex,
        endpoints: Endpoints,
    },
    EndpointsSet {
        challenger: AccountId,
        endpoints: Endpoints,
    },
    /// It left, pauses, is in jail, or was slashed.
    Gone {
        account: AccountId,
        role: Role,
    },
    PayeeSet {
        account: AccountId,
        payee: Option<AccountId>,
    },
    /// Another key signs an account's blocks from the next one on.
    AuthorKeySet {
        account: AccountId,
        key: Option<AccountId>,
    },
    SnapshotTaken {
        snapshot: u32,
        total: u128,
    },
    SnapshotProven {
        snapshot: u32,
        from: BlockNumber,
    },
    EpochBudget {
        epoch: EpochIndex,
        per_block: Balance,
        capacity: Balance,
        scheduled: Balance,
    },
    ChannelOpened(Opened),
    ChannelClosed {
        channel: ChannelId,
    },
    Settled(Settled),
    Rewarded(Reward),
    RewardLost {
        account: AccountId,
        reason: Reason,
        gross: Balance,
    },
}

/// A provider that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "it is an event of the registry")]
pub struct Joined {
    pub provider: AccountId,
    pub slot: u32,
    pub from: EpochIndex,
    pub declared: u64,
    pub family: Family,
    pub author: Option<AccountId>,
}

/// What a reward is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is named as it is on chain")]
pub enum Reason {
    Block,
    Capacity,
    Duties,
    Batch,
    Traffic,
}

/// A reward that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "it is an event of the token")]
pub struct Reward {
    pub account: AccountId,
    pub payee: AccountId,
    pub reason: Reason,
    pub gross: Balance,
    pub liquid: Balance,
    pub vesting: Balance,
}

/// A block, as the books take it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its number.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: [u8; 32],
    /// The key that signs it.
    pub author: AccountId,
    /// Its date.
    pub timestamp: u64,
    /// The credit that it spends, in billionths.
    pub credit: u32,
    /// What happened in it, each with the extrinsic that did it.
    pub events: Vec<(Option<u32>, Event)>,
}

/// A value by the epoch from which on it holds.
#[derive(Clone, Debug)]
struct ByEpoch<T>(BTreeMap<EpochIndex, T>);

impl<T: Clone> ByEpoch<T> {
    fn new(from: EpochIndex, value: T) -> Self {
        Self(BTreeMap::from([(from, value)]))
    }

    fn at(&self, epoch: EpochIndex) -> Option<&T> {
        self.0.range(..=epoch).next_back().map(|(_, value)| value)
    }

    fn last(&self) -> Option<&T> {
        self.0.last_key_value().map(|(_, value)| value)
    }

    fn set(&mut self, from: EpochIndex, value: T) {
        self.0.insert(from, value);
    }
}

struct Provider {
    account: AccountId,
    slot: u32,
    from: EpochIndex,
    until: Option<EpochIndex>,
    family: Family,
    declared: ByEpoch<u64>,
    guaranteed: ByEpoch<u64>,
    wanted: ByEpoch<u64>,
    author: ByEpoch<Option<AccountId>>,
    prefix: ByEpoch<Option<Prefix>>,
    results: [Vec<u64>; 2],
    directions: [u64; 2],
}

impl Provider {
    fn is_active(&self, epoch: EpochIndex) -> bool {
        self.from <= epoch && self.until.is_none_or(|until| epoch < until)
    }

    fn guaranteed_in(&self, epoch: EpochIndex) -> u64 {
        self.guaranteed.at(epoch).copied().filter(|_| self.is_active(epoch)).unwrap_or(0)
    }
}

struct Challenger {
    account: AccountId,
    slot: u32,
    from: EpochIndex,
    until: Option<EpochIndex>,
    prefixes: ByEpoch<Vec<Prefix>>,
}

struct Instant {
    start: u64,
    block: BlockNumber,
    seed: Option<[u8; 32]>,
    blocks: u64,
    is_void: bool,
    one_in: u32,
    /// The epoch of the first block after its deadline.
    due_in: Option<EpochIndex>,
}

/// What the runtime has beside its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    /// The least that an account can hold.
    pub existential_deposit: Balance,
    /// How many batches of reports a block takes.
    pub batches_per_block: u32,
}

#[derive(Clone, Copy, Default)]
struct Duties {
    epoch: EpochIndex,
    in_epoch: Balance,
    owed: Balance,
}

#[derive(Clone, Copy, Default)]
struct Prices {
    budget: Balance,
    left: Balance,
    most: Balance,
    bytes_before: u128,
    bytes: u128,
}

#[derive(Clone, Copy, Default)]
struct Capacity {
    units: u64,
    /// In 2⁻⁶⁴ planck.
    owed: U256,
}

/// A snapshot that waits to be proven final.
struct Taken {
    snapshot: u32,
    number: BlockNumber,
    shares: BTreeMap<AccountId, u64>,
    total: u128,
}

struct Snapshot {
    from: BlockNumber,
    shares: BTreeMap<AccountId, u64>,
    total: u128,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// Blocks.
    pub blocks: u64,
    /// Challenges whose outcome was worked out again.
    pub challenges: u64,
    /// Rewards.
    pub rewards: u64,
    /// What all rewards add up to, in planck.
    pub rewarded: Balance,
    /// Epochs whose emission was worked out again.
    pub epochs: u64,
    /// Blocks that spent credit.
    pub credits: u64,
    /// Payments for traffic that were split again.
    pub payments: u64,
}

/// The books.
pub struct Books {
    parameters: Parameters,
    constants: Constants,
    epoch: EpochIndex,
    epoch_first: BlockNumber,
    epoch_end: BlockNumber,
    providers: Vec<Provider>,
    challengers: Vec<Challenger>,
    challenger_slots: ByEpoch<u32>,
    instants: BTreeMap<(EpochIndex, u32), Instant>,
    reports: BTreeMap<(EpochIndex, u32, u32), BTreeMap<u8, MemberReport>>,
    measured: BTreeSet<(EpochIndex, u32, u32)>,
    batches: BTreeSet<(EpochIndex, u32, u32)>,
    issued: Balance,
    promised: Balance,
    per_block: Balance,
    batch_each: Balance,
    batch_left: Balance,
    prices: Prices,
    capacity: BTreeMap<AccountId, Capacity>,
    sales: Sales,
    duties: BTreeMap<AccountId, Duties>,
    /// After how many snapshots each author made blocks.
    made: BTreeMap<AccountId, BTreeSet<u32>>,
    taken_snapshots: u32,
    waiting: Option<Taken>,
    snapshots: Vec<Snapshot>,
    credit: BTreeMap<AccountId, u128>,
    looked: Looked,
    differences: Vec<Difference>,
    number: BlockNumber,
    /// Rewards of this block for capacity, duties and traffic that nothing has explained yet.
    unexplained: Vec<Reward>,
    payees: BTreeMap<AccountId, AccountId>,
    /// For which accounts keys sign.
    signs_for: BTreeMap<AccountId, AccountId>,
    timestamp: u64,
    /// Whether a snapshot waited to be proven before this block.
    did_wait: bool,
    block_rewards: u32,
}

impl Books {
    /// Those of a chain that begins, with what its genesis issued.
    pub fn new(parameters: Parameters, constants: Constants, issued: Balance) -> Self {
        let blocks = parameters.measurement.epoch_blocks;
        let mut books = Self {
            parameters,
            constants,
            epoch: 0,
            epoch_first: 0,
            epoch_end: blocks,
            providers: Vec::new(),
            challengers: Vec::new(),
            challenger_slots: ByEpoch::new(0, 0),
            instants: BTreeMap::new(),
            reports: BTreeMap::new(),
            measured: BTreeSet::new(),
            batches: BTreeSet::new(),
            issued,
            promised: 0,
            per_block: 0,
            batch_each: 0,
            batch_left: 0,
            prices: Prices::default(),
            capacity: BTreeMap::new(),
            sales: Sales::default(),
            duties: BTreeMap::new(),
            made: BTreeMap::new(),
            taken_snapshots: 0,
            waiting: None,
            snapshots: Vec::new(),
            credit: BTreeMap::new(),
            looked: Looked::default(),
            differences: Vec::new(),
            number: 0,
            unexplained: Vec::new(),
            payees: BTreeMap::new(),
            signs_for: BTreeMap::new(),
            timestamp: 0,
            did_wait: false,
            block_rewards: 0,
        };
        books.per_block = books.emission(blocks).1;
        books
    }

    /// Adds a challenger that genesis names.
    pub fn add_genesis_challenger(&mut self, account: AccountId, slot: u32, endpoints: &Endpoints) {
        self.add_challenger(account, slot, 0, endpoints);
    }

    /// How much was looked at, and what was found.
    pub fn looked(&self) -> (Looked, &[Difference]) {
        (self.looked, &self.differences)
    }

    /// What an author can spend on the next block, in billionths.
    pub fn spendable(&self, author: &AccountId) -> u32 {
        let next = self.number + 1;
        let credit = self.gained(author, self.credit.get(author).copied().unwrap_or(0), next);
        (credit / BILLIONTH).min(BILLIONTH) as u32
    }

    /// Everything that was issued, genesis included, in planck.
    pub fn issued(&self) -> Balance {
        self.issued
    }

    /// Everybody who ever had a share of credit.
    pub fn authors(&self) -> Vec<AccountId> {
        self.credit.keys().cloned().collect()
    }

    /// The providers that have not left.
    pub fn present_providers(&self) -> Vec<AccountId> {
        self.providers.iter().filter(|it| it.until.is_none()).map(|it| it.account.clone()).collect()
    }

    /// What is guaranteed of a provider in both directions.
    pub fn guaranteed(&self, account: &AccountId) -> Option<(u64, u64)> {
        let provider = self.providers.iter().rev().find(|it| it.account == *account)?;
        Some((provider.directions[0], provider.directions[1]))
    }

    fn differ(&mut self, what: impl Into<String>) {
        self.differences.push(Difference { block: self.number, what: what.into() });
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, chain: T, own: T) {
        if chain != own {
            self.differ(format!("{what}: the chain has {chain:?}, and it should be {own:?}"));
        }
    }

    /// Takes the next block.
    pub fn take(&mut self, block: &Block) {
        // The account whose block it is, whatever happens to its key in it.
        let author = self.signs_for.get(&block.author).unwrap_or(&block.author).clone();
        let block = &Block { author, ..block.clone() };
        self.number = block.number;
        self.timestamp = block.timestamp;
        self.did_wait = self.waiting.is_some();
        self.block_rewards = 0;
        self.looked.blocks += 1;
        if block.number >= self.epoch_end {
            self.epoch += 1;
        }
        self.take_credit(block);
        // The block that takes a snapshot is the first one after it.
        let takes_snapshot = block.events.iter().any(|(_, event)| matches!(event, Event::SnapshotTaken { .. }));
        self.taken_snapshots += u32::from(takes_snapshot);
        self.made.entry(block.author.clone()).or_default().insert(self.taken_snapshots);
        self.take_date(block);
        let started = block.events.iter().find_map(|(_, event)| match event {
            Event::EpochStarted { index, first, blocks, .. } => Some((*index, *first, *blocks)),
            _ => None,
        });
        for (extrinsic, event) in &block.events {
            self.take_event(block, *extrinsic, event, started);
        }
        for reward in std::mem::take(&mut self.unexplained) {
            self.claimed(&reward);
        }
        self.expect("how often the block was rewarded", self.block_rewards, 1);
        // The next block gives the instants of this one their seeds.
        for ((epoch, instant), it) in &mut self.instants {
            if it.block == block.number {
                let mut input = b"weir:instant:v1".to_vec();
                input.extend_from_slice(&block.hash);
                input.extend_from_slice(&epoch.to_le_bytes());
                input.extend_from_slice(&instant.to_le_bytes());
                it.seed = Some(Blake2Hasher::hash(&input).0);
            }
        }
    }

    /// Checks at the end that every provider was measured at every instant that counts and is long over.
    pub fn end(&mut self) {
        let due: Vec<_> = self
            .instants
            .iter()
            .filter(|((epoch, _), it)| it.one_in == 1 && self.counts(*epoch, it))
            .filter(|((epoch, _), _)| epoch.saturating_add(2) <= self.epoch)
            .map(|(key, _)| *key)
            .collect();
        for (epoch, instant) in due {
            let slots: Vec<u32> = self.providers.iter().filter(|it| it.is_active(epoch)).map(|it| it.slot).collect();
            for slot in slots {
                let had_committee = self.committee(&Challenge { epoch, instant, slot }).is_some();
                if had_committee && !self.measured.contains(&(epoch, instant, slot)) {
                    self.differ(format!("the provider in slot {slot} was not measured at {epoch}/{instant}"));
                }
            }
        }
    }

    /// Notes what the date of a block means for the instants that are open.
    fn take_date(&mut self, block: &Block) {
        let measurement = &self.parameters.measurement;
        for it in self.instants.values_mut() {
            if it.block.checked_add(1) == Some(block.number) {
                it.is_void |= block.timestamp > it.start.saturating_sub(measurement.notice / 2);
            }
            if it.block < block.number && block.timestamp <= it.start.saturating_add(measurement.report_deadline) {
                it.blocks += 1;
            }
            if block.timestamp > it.start.saturating_add(measurement.report_deadline) {
                it.due_in.get_or_insert(self.epoch);
            }
        }
    }

    /// Whether something follows from an instant: enough blocks came for its reports, and not so many that its epoch was long past by then.
    fn counts(&self, epoch: EpochIndex, instant: &Instant) -> bool {
        let expected = self.parameters.measurement.report_deadline / self.parameters.consensus.block_time.max(1);
        let places = instant.blocks * u64::from(self.constants.batches_per_block);
        let providers = self.providers.iter().filter(|it| it.is_active(epoch)).count() as u64;
        let has_few_blocks = instant.blocks * 3 < expected || places * u64::from(instant.one_in) < providers;
        let is_forgotten = instant.due_in.is_some_and(|due_in| due_in > epoch.saturating_add(1));
        !instant.is_void && !has_few_blocks && !is_forgotten
    }

    fn take_event(
        &mut self,
        block: &Block,
        extrinsic: Option<u32>,
        event: &Event,
        started: Option<(EpochIndex, BlockNumber, u32)>,
    ) {
        let next = self.epoch.saturating_add(1);
        match event {
            Event::EpochStarted { index, first, blocks, .. } => {
                let length = self.parameters.measurement.epoch_blocks;
                self.expect("the length of an epoch", *blocks, length);
                self.expect("the epoch", *index, self.epoch);
                self.expect("the first block of the epoch", *first, if *index == 0 { 0 } else { self.number });
                self.epoch_first = *first;
                self.epoch_end = first.saturating_add(*blocks);
                let takes_one = block.events.iter().any(|(_, event)| matches!(event, Event::SnapshotTaken { .. }));
                self.expect("whether the epoch begins with a snapshot", takes_one, !self.did_wait);
            },
            Event::SnapshotTaken { snapshot, total } => self.take_snapshot(*snapshot, *total, started.is_some()),
            Event::SnapshotProven { snapshot, from } => self.prove_snapshot(*snapshot, *from),
            Event::EpochBudget { per_block, capacity, scheduled, .. } => {
                let Some((_, _, blocks)) = started else {
                    return self.differ("a budget without an epoch");
                };
                self.budget(blocks, *per_block, *capacity, *scheduled);
            },
            Event::InstantOpened { epoch, instant, start } => {
                self.expect(
                    "the start of an instant",
                    *start,
                    block.timestamp.saturating_add(self.parameters.measurement.notice),
                );
                let one_in = if self.parameters.measurement.instants > 0 { 1 } else { 0 };
                let opened = Instant {
                    start: *start,
                    block: block.number,
                    seed: None,
                    blocks: 0,
                    is_void: false,
                    one_in,
                    due_in: None,
                };
                if self.instants.insert((*epoch, *instant), opened).is_some() {
                    self.differ(format!("instant {epoch}/{instant} was opened twice"));
                }
            },
            Event::Reported { challenge, place, report } => {
                let key = (challenge.epoch, challenge.instant, challenge.slot);
                let in_time = self.instants.get(&(challenge.epoch, challenge.instant)).is_some_and(|it| {
                    block.timestamp <= it.start.saturating_add(self.parameters.measurement.report_deadline)
                });
                if !in_time {
                    self.differ(format!("a report of {challenge:?} came too late, or of no instant"));
                }
                if self.reports.entry(key).or_default().insert(*place, *report).is_some() {
                    self.differ(format!("the member at place {place} reported {challenge:?} twice"));
                }
            },
            Event::Measured { challenge, provider, outcome, was, is } => {
                self.evaluate(challenge, provider, outcome, *was, *is);
            },
            Event::ProviderJoined(joined) => self.join(joined),
            Event::DeclaredSet { provider, declared } => {
                let declared = *declared;
                self.change(provider, |it| it.declared.set(next, declared));
            },
            Event::MiningAuthorSet { provider, author } => {
                let author = author.clone();
                self.change(provider, |it| it.author.set(next, author));
            },
            Event::ChallengerActive { challenger, slot, from, endpoints } => {
                self.expect("the first epoch of a challenger", *from, next);
                self.add_challenger(challenger.clone(), *slot, *from, endpoints);
            },
            Event::EndpointsSet { challenger, endpoints } => {
                let prefixes = prefixes(endpoints);
                if let Some(it) = self.challengers.iter_mut().rev().find(|it| it.account == *challenger) {
                    it.prefixes.set(next, prefixes);
                }
            },
            Event::Gone { account, role: Role::Provider } => {
                // Who is slashed may have left before.
                self.change(account, |it| it.until = it.until.or(Some(next)));
            },
            Event::Gone { account, role: Role::Challenger } => {
                let of_account = |it: &&mut Challenger| it.account == *account && it.until.is_none();
                if let Some(it) = self.challengers.iter_mut().rev().find(of_account) {
                    it.until = Some(next);
                }
            },
            Event::ChannelOpened(opened) => {
                let guaranteed = self.guaranteed_now(&opened.provider);
                let promised = opened.promised;
                if promised == 0 || promised > guaranteed {
                    self.differ(format!("channel {} promises {promised} of {guaranteed}", opened.channel));
                }
                self.sales.open(opened);
            },
            Event::ChannelClosed { channel } => self.sales.close(*channel),
            Event::Settled(settled) => self.settle(settled),
            Event::Rewarded(reward) => self.rewarded(block, extrinsic, reward),
            Event::PayeeSet { account, payee } => {
                self.payees.remove(account);
                if let Some(payee) = payee.as_ref().filter(|payee| *payee != account) {
                    self.payees.insert(account.clone(), payee.clone());
                }
            },
            Event::AuthorKeySet { account, key } => {
                self.signs_for.retain(|_, owner| owner != account);
                if let Some(key) = key {
                    self.signs_for.insert(key.clone(), account.clone());
                }
            },
            Event::RewardLost { reason: Reason::Capacity | Reason::Duties | Reason::Traffic, .. } => {
                self.differ("a reward that an account could hold was lost");
            },
            Event::RewardLost { reason: Reason::Block, .. } => self.block_rewards += 1,
            Event::RewardLost { reason: Reason::Batch, .. } => {
                self.batch_left = self.batch_left.saturating_sub(self.batch_each);
            },
        }
    }

    // Who takes part.

    fn join(&mut self, joined: &Joined) {
        let next = self.epoch.saturating_add(1);
        self.expect("the first epoch of a provider", joined.from, next);
        let growth = self.parameters.measurement.growth_step_bits_per_second;
        self.providers.push(Provider {
            account: joined.provider.clone(),
            slot: joined.slot,
            from: joined.from,
            until: None,
            family: joined.family,
            declared: ByEpoch::new(0, joined.declared),
            guaranteed: ByEpoch::new(0, 0),
            wanted: ByEpoch::new(0, joined.declared.min(growth)),
            author: ByEpoch::new(0, joined.author.clone()),
            prefix: ByEpoch::new(0, None),
            results: Default::default(),
            directions: [0, 0],
        });
    }

    /// Changes a provider from the next epoch on, and what follows from that.
    fn change(&mut self, account: &AccountId, change: impl FnOnce(&mut Provider)) {
        let next = self.epoch.saturating_add(1);
        let growth = self.parameters.measurement.growth_step_bits_per_second;
        let Some(provider) = self.providers.iter_mut().rev().find(|it| it.account == *account) else {
            return self.differ(format!("{account} changes, and never joined"));
        };
        change(provider);
        let declared = provider.declared.last().copied().unwrap_or(0);
        let guaranteed = provider.guaranteed.last().copied().unwrap_or(0).min(declared);
        provider.guaranteed.set(next, guaranteed);
        provider.wanted.set(next, declared.min(guaranteed.saturating_mul(2).max(growth)));
        let units = provider.guaranteed_in(next);
        let share = self.capacity.entry(account.clone()).or_default();
        if share.units != units {
            share.units = units;
            forget_if_empty(&mut self.capacity, account);
        }
    }

    fn add_challenger(&mut self, account: AccountId, slot: u32, from: EpochIndex, endpoints: &Endpoints) {
        let slots = self.challenger_slots.last().copied().unwrap_or(0);
        if slot >= slots {
            self.challenger_slots.set(from, slot.saturating_add(1));
        }
        let prefixes = ByEpoch::new(0, prefixes(endpoints));
        self.challengers.push(Challenger { account, slot, from, until: None, prefixes });
    }

    /// The accounts of a committee, in its order.
    fn committee(&self, challenge: &Challenge) -> Option<Vec<AccountId>> {
        let epoch = challenge.epoch;
        let seed = self.instants.get(&(epoch, challenge.instant))?.seed?;
        let provider = self.provider(challenge)?;
        let measurement = &self.parameters.measurement;
        let is_active = |it: &&Challenger| it.from <= epoch && it.until.is_none_or(|until| epoch < until);
        let is_senior = |it: &Challenger| it.from == 0 || epoch.saturating_sub(it.from) >= JUNIOR_EPOCHS;
        let seniors = self.challengers.iter().filter(is_active).filter(|it| is_senior(it)).count();
        let wanted = measurement.committee as usize;
        let most_juniors = match measurement.groups_prefixes && seniors >= SENIORS_TO_LIMIT_JUNIORS {
            true => wanted * JUNIORS_OF_16 / 16,
            false => wanted,
        };
        let slots = u64::from(*self.challenger_slots.at(epoch)?);
        let own = provider.prefix.at(epoch).copied().flatten().filter(|_| measurement.groups_prefixes);
        let mut taken: Vec<Prefix> = own.into_iter().collect();
        let mut members: Vec<&Challenger> = Vec::new();
        let mut juniors = 0;
        for number in 0..measurement.committee * DRAWS_PER_MEMBER {
            if members.len() == wanted || slots == 0 {
                break;
            }
            let mut input = b"weir:member:v1".to_vec();
            input.extend_from_slice(&seed);
            input.extend_from_slice(provider.account.as_ref());
            input.extend_from_slice(&number.to_le_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&Blake2Hasher::hash(&input).0[..8]);
            let slot = (u64::from_le_bytes(first) % slots) as u32;
            let Some(drawn) = self.challengers.iter().filter(is_active).find(|it| it.slot == slot) else { continue };
            let prefixes = drawn.prefixes.at(epoch)?;
            if prefixes.iter().all(|prefix| prefix.family() != provider.family) {
                continue;
            }
            // Over IPv6 neighbours of either family are kept apart.
            let own: Vec<Prefix> = match provider.family {
                Family::V4 => prefixes.iter().filter(|prefix| prefix.family() == Family::V4).copied().collect(),
                Family::V6 => prefixes.to_vec(),
            };
            let is_refused = members.iter().any(|it| it.slot == slot)
                || drawn.account == provider.account
                || (measurement.groups_prefixes && own.iter().any(|prefix| taken.contains(prefix)))
                || (!is_senior(drawn) && juniors >= most_juniors);
            if is_refused {
                continue;
            }
            juniors += usize::from(!is_senior(drawn));
            taken.extend(own);
            members.push(drawn);
        }
        (members.len() == wanted).then(|| members.into_iter().map(|it| it.account.clone()).collect())
    }

    fn provider(&self, challenge: &Challenge) -> Option<&Provider> {
        self.providers.iter().find(|it| it.slot == challenge.slot && it.is_active(challenge.epoch))
    }

    // What was measured.

    fn evaluate(&mut self, challenge: &Challenge, account: &AccountId, outcome: &Outcome, was: u64, is: u64) {
        self.looked.challenges += 1;
        let key = (challenge.epoch, challenge.instant, challenge.slot);
        if !self.measured.insert(key) {
            self.differ(format!("{challenge:?} was evaluated twice"));
        }
        let Some(instant) = self.instants.get(&(challenge.epoch, challenge.instant)) else {
            return self.differ(format!("{challenge:?} is of no instant"));
        };
        let deadline = instant.start.saturating_add(self.parameters.measurement.report_deadline);
        let (counts, is_over) = (self.counts(challenge.epoch, instant), self.timestamp > deadline);
        if !is_over {
            self.differ(format!("{challenge:?} was evaluated before its time was over"));
        }
        if !counts {
            self.differ(format!("{challenge:?} counts, and its instant should not"));
        }
        let committee = self.committee(challenge);
        let Some(provider) = self.provider(challenge) else {
            return self.differ(format!("{challenge:?} measures nobody"));
        };
        if provider.account != *account {
            self.differ(format!("{challenge:?} is said to measure {account}"));
            return;
        }
        let declared = provider.declared.at(challenge.epoch).copied().unwrap_or(0);
        let wanted = provider.wanted.at(challenge.epoch).copied().unwrap_or(0);
        let (directions, family) = (provider.directions, provider.family);
        let reports = self.reports.remove(&key).unwrap_or_default();
        let judged = self.judge(&reports, declared, wanted, directions, family);
        if committee.is_some() {
            self.expect(&format!("what {challenge:?} shows down"), outcome.down, judged.down);
            self.expect(&format!("what {challenge:?} shows up"), outcome.up, judged.up);
            self.expect("how many reported", outcome.reports, reports.len() as u32);
            let met = judged.met.as_ref().map(|met| met.iter().filter(|met| **met).count() as u32);
            self.expect("how many met their duty", outcome.met, met);
        }
        self.expect("what was guaranteed before", was, directions[0].min(directions[1]));

        let counted = if committee.is_some() { [judged.down.counted, judged.up.counted] } else { [0, 0] };
        let (rank, window) = (self.parameters.measurement.rank, self.parameters.measurement.window);
        let next = self.epoch.saturating_add(1);
        let is_measured = |it: &&mut Provider| it.slot == challenge.slot && it.is_active(challenge.epoch);
        let Some(provider) = self.providers.iter_mut().find(is_measured) else { return };
        for (index, counted) in counted.into_iter().enumerate() {
            let results = &mut provider.results[index];
            results.push(counted);
            let surplus = results.len().saturating_sub(window as usize);
            results.drain(..surplus);
            provider.directions[index] = clipped_mean(results, rank as usize, window);
        }
        let guaranteed = provider.directions[0].min(provider.directions[1]);
        let has_left = provider.until.is_some();
        self.expect("what is guaranteed", is, guaranteed);
        let prefix = judged.prefix;
        // One that left meanwhile counts for nothing any more.
        if !has_left {
            self.change(account, |it| {
                it.guaranteed.set(next, guaranteed);
                if prefix.is_some() {
                    it.prefix.set(next, prefix);
                }
            });
        }
        let Some(committee) = committee else { return };
        let bytes = u128::from(judged.budget_bytes) * 2;
        for (place, member) in committee.iter().enumerate() {
            match &judged.met {
                None => self.duty(member, 0),
                Some(met) if met.get(place) == Some(&true) => self.duty(member, bytes),
                Some(_) => (),
            }
        }
        self.pay_capacity(account);
    }

    /// What the reports of a challenge show, by the specification of the estimator.
    fn judge(
        &self,
        reports: &BTreeMap<u8, MemberReport>,
        declared: u64,
        wanted: u64,
        guaranteed: [u64; 2],
        family: Family,
    ) -> Judged {
        let measurement = &self.parameters.measurement;
        let (members, byzantine) = (measurement.committee as usize, measurement.byzantine as usize);
        let rate = u128::from(wanted) * 3 / (u128::from(measurement.committee) * 2);
        let budget_bytes = (rate * u128::from(measurement.train_us) / 1_000_000 / 8) as u64;
        let latest = measurement.least_time_us + LATEST_US;

        let mut seen = BTreeMap::<Prefix, usize>::new();
        for report in reports.values() {
            *seen.entry(report.seen).or_default() += 1;
        }
        let most = seen.values().copied().max().unwrap_or(0);
        let first: Vec<_> = seen.iter().filter(|(_, count)| **count == most).map(|(prefix, _)| *prefix).collect();
        let prefix = match first[..] {
            [prefix] if most > byzantine && prefix.family() == family => Some(prefix),
            _ => None,
        };
        let counts = |it: &&MemberReport| Some(it.seen) == prefix && it.down_elapsed_us <= latest;
        let counting: Vec<&MemberReport> = reports.values().filter(counts).collect();

        let direction = |of: &dyn Fn(&MemberReport) -> (u64, u64), guaranteed: u64| {
            let proven = |dropped: usize, window: &dyn Fn(u64, u64) -> u64| {
                let ends = counting.iter().map(|it| window(of(it).1, it.round_trip_us));
                let rate = ends.map(|end| {
                    let mut bytes: Vec<u64> = counting
                        .iter()
                        .filter(|it| window(of(it).1, it.round_trip_us) <= end)
                        .map(|it| of(it).0.min(budget_bytes))
                        .collect();
                    bytes.sort_unstable_by(|a, b| b.cmp(a));
                    let sum: u128 = bytes.iter().skip(dropped).map(|bytes| u128::from(*bytes)).sum();
                    sum * 8_000_000 / u128::from(end)
                });
                rate.max().unwrap_or(0) as u64
            };
            let (least, tolerance) = (measurement.least_time_us, measurement.clock_tolerance_us);
            let shown = proven(byzantine, &|elapsed, _| elapsed.max(least) + tolerance);
            let raw = proven(0, &|elapsed, round_trip| elapsed.saturating_sub(round_trip).max(least));
            let most = guaranteed.saturating_mul(2).max(measurement.growth_step_bits_per_second);
            Direction { proven: shown, counted: shown.min(declared).min(most), raw }
        };
        let down = direction(&|it| (it.down_bytes, it.down_elapsed_us), guaranteed[0]);
        let up = direction(&|it| (it.up_bytes, latest), guaranteed[1]);

        let met = (counting.len() + byzantine >= members && !counting.is_empty()).then(|| {
            let half = |of: &dyn Fn(&MemberReport) -> u64| {
                let mut bytes: Vec<u64> = counting.iter().map(|it| of(it)).collect();
                bytes.sort_unstable();
                bytes[(bytes.len() - 1) / 2].div_ceil(2)
            };
            let (down, up) = (half(&|it| it.down_bytes), half(&|it| it.up_bytes));
            let met = |it: &MemberReport| counts(&it) && it.down_bytes >= down && it.up_bytes >= up;
            (0..members as u8).map(|place| reports.get(&place).is_some_and(met)).collect()
        });
        Judged { prefix, down, up, met, budget_bytes }
    }

    // Money.

    /// What the books have an epoch of so many blocks issue: everything, and for each block.
    fn emission(&self, blocks: u32) -> (Balance, Balance) {
        let left = CAP.saturating_sub(self.issued).saturating_sub(self.promised);
        let divisor = u128::from(self.parameters.token.emission_divisor.max(1));
        let emission = (left.saturating_mul(blocks.into()) / divisor).min(left);
        (emission, part(part(emission, 400_000_000), 900_000_000) / u128::from(blocks.max(1)))
    }

    /// Whether there are enough seniors in an epoch for capacity to be paid and blocks to be boosted.
    fn is_paid(&self, epoch: EpochIndex) -> bool {
        let is_active = |it: &&Challenger| it.from <= epoch && it.until.is_none_or(|until| epoch < until);
        let is_senior = |it: &&Challenger| it.from == 0 || epoch.saturating_sub(it.from) >= JUNIOR_EPOCHS;
        let seniors = self.challengers.iter().filter(is_active).filter(is_senior).count();
        seniors >= self.parameters.measurement.least_seniors as usize
    }

    fn budget(&mut self, blocks: u32, per_block: Balance, capacity: Balance, scheduled: Balance) {
        self.looked.epochs += 1;
        let epoch = self.epoch;
        let (emission, own_per_block) = self.emission(blocks);
        let own_capacity = part(emission, 350_000_000);
        self.expect("the reward of a block", per_block, own_per_block);
        self.expect("the capacity of an epoch", capacity, own_capacity);
        self.expect("the schedule", scheduled, self.issued.saturating_add(self.promised).saturating_add(emission));
        self.per_block = own_per_block;
        self.sales.begin_epoch(emission);

        let is_active = |it: &&Challenger| it.from <= epoch && it.until.is_none_or(|until| epoch < until);
        let challengers = self.challengers.iter().filter(is_active).count() as u128;
        let is_paid = self.is_paid(epoch);
        let active: Vec<&Provider> = self.providers.iter().filter(|it| it.is_active(epoch)).collect();
        let providers = active.len() as u128;
        let wanted: u128 = active.iter().map(|it| u128::from(it.wanted.at(epoch).copied().unwrap_or(0))).sum();
        let (measurement, registry) = (&self.parameters.measurement, &self.parameters.registry);
        let instants = u128::from(measurement.instants.max(1));

        if is_paid {
            let all: u128 = self.capacity.values().map(|it| u128::from(it.units)).sum();
            let units = all.max(self.parameters.token.full_pay_bits_per_second.into()).max(1);
            let rate = (U256::from(own_capacity) << 64) / U256::from(units);
            for share in self.capacity.values_mut() {
                share.owed += rate * U256::from(share.units);
            }
            let shared = rate * U256::from(all);
            self.promised += (shared >> 64).low_u128() + u128::from(shared.low_u64() > 0);
        }
        let most = part(registry.challenger_bond, 2_000_000);
        let budget = part(emission, 50_000_000).min(most * challengers);
        let bits = wanted * 3 * u128::from(measurement.train_us);
        let expected = (bits / 8_000_000 + providers * u128::from(measurement.committee) * BYTES_PER_DUTY) * instants;
        let bytes_before = self.prices.bytes.max(expected);
        self.prices = Prices { budget, left: budget, most, bytes_before, bytes: 0 };
        self.batch_left = if is_paid { part(part(emission, 400_000_000), 100_000_000) } else { 0 };
        let least_bond = registry.provider_bond + registry.bond_per_mbit;
        self.batch_each = (self.batch_left / (providers * instants).max(1)).min(part(least_bond, 2_000_000));
    }

    fn duty(&mut self, member: &AccountId, bytes: u128) {
        let epoch = self.epoch;
        if self.duties.get(member).copied().unwrap_or_default().epoch != epoch {
            self.pay_duties(member);
        }
        let bytes = bytes + BYTES_PER_DUTY;
        self.prices.bytes += bytes;
        let earned = self.duties.entry(member.clone()).or_default();
        if earned.epoch != epoch {
            (earned.epoch, earned.in_epoch) = (epoch, 0);
        }
        let worth = match self.prices.bytes_before {
            0 => 0,
            before => (U256::from(self.prices.budget) * U256::from(bytes) / U256::from(before)).low_u128(),
        };
        let worth = worth.min(self.prices.left).min(self.prices.most.saturating_sub(earned.in_epoch));
        self.prices.left -= worth;
        earned.in_epoch += worth;
        earned.owed += worth;
        self.promised += worth;
    }

    fn is_worth_paying(&self, amount: Balance) -> bool {
        amount / 5 >= self.constants.existential_deposit
    }

    fn pay_duties(&mut self, member: &AccountId) {
        let Some(earned) = self.duties.get(member).copied().filter(|it| self.is_worth_paying(it.owed)) else { return };
        if earned.epoch == self.epoch {
            self.duties.insert(member.clone(), Duties { owed: 0, ..earned });
        } else {
            self.duties.remove(member);
        }
        self.pay(member, Reason::Duties, earned.owed);
    }

    fn pay_capacity(&mut self, provider: &AccountId) {
        let Some(share) = self.capacity.get_mut(provider) else { return };
        let owed = (share.owed >> 64).low_u128();
        if owed / 5 < self.constants.existential_deposit {
            return;
        }
        share.owed -= U256::from(owed) << 64;
        forget_if_empty(&mut self.capacity, provider);
        self.pay(provider, Reason::Capacity, owed);
    }

    /// What is guaranteed in this epoch of a provider that has not left.
    fn guaranteed_now(&self, account: &AccountId) -> u64 {
        let provider = self.providers.iter().rev().find(|it| it.account == *account && it.until.is_none());
        provider.map_or(0, |it| it.guaranteed_in(self.epoch))
    }

    fn settle(&mut self, settled: &Settled) {
        self.looked.payments += 1;
        if self.sales.is_new_in(&settled.provider, self.epoch) {
            self.pay_traffic(&settled.provider);
        }
        let blocks = u64::from(self.epoch_end.saturating_sub(self.epoch_first));
        let moment = Moment {
            epoch: self.epoch,
            number: self.number,
            guaranteed: self.guaranteed_now(&settled.provider),
            unbonding: self.parameters.registry.unbonding_blocks,
            epoch_ms: blocks.saturating_mul(self.parameters.consensus.block_time),
        };
        let (promised, wrong) = self.sales.settle(settled, &moment);
        self.promised += promised;
        wrong.into_iter().for_each(|what| self.differ(what));
    }

    fn pay_traffic(&mut self, provider: &AccountId) {
        let owed = self.sales.owed(provider, self.epoch);
        if self.is_worth_paying(owed) {
            self.sales.paid(provider, self.epoch);
            self.pay(provider, Reason::Traffic, owed);
        }
    }

    /// Finds what was paid among what the chain says.
    fn pay(&mut self, account: &AccountId, reason: Reason, gross: Balance) {
        self.promised = self.promised.saturating_sub(gross);
        let paid = self.unexplained.iter().position(|it| it.account == *account && it.reason == reason);
        match paid.map(|index| self.unexplained.remove(index)) {
            Some(reward) => self.expect(&format!("what {account} got for {reason:?}"), reward.gross, gross),
            None => self.differ(format!("{account} should have got {gross} for {reason:?}")),
        }
    }

    fn rewarded(&mut self, block: &Block, extrinsic: Option<u32>, reward: &Reward) {
        self.looked.rewards += 1;
        self.looked.rewarded = self.looked.rewarded.saturating_add(reward.gross);
        self.issued = self.issued.saturating_add(reward.gross);
        self.expect("the free fifth of a reward", reward.liquid, reward.gross / 5);
        self.expect("the rest of a reward", reward.vesting, reward.gross.saturating_sub(reward.gross / 5));
        let payee = self.payees.get(&reward.account).unwrap_or(&reward.account).clone();
        self.expect("to whom a reward goes", reward.payee.clone(), payee);
        match reward.reason {
            Reason::Block => {
                self.block_rewards += 1;
                self.expect("the reward of a block", reward.gross, self.per_block);
                self.expect("who is rewarded for a block", &reward.account, &block.author);
            },
            Reason::Batch => {
                let each = self.batch_each.min(self.batch_left);
                self.expect("the reward of a batch", reward.gross, each);
                self.expect("who is rewarded for a batch", &reward.account, &block.author);
                self.batch_left = self.batch_left.saturating_sub(each);
                let reported = block.events.iter().filter(|(by, _)| *by == extrinsic).find_map(|(_, it)| match it {
                    Event::Reported { challenge, .. } => Some((challenge.epoch, challenge.instant, challenge.slot)),
                    _ => None,
                });
                let least = self.parameters.measurement.committee - self.parameters.measurement.byzantine;
                let is_whole = reported.is_some_and(|key| {
                    self.batches.insert(key)
                        && self.reports.get(&key).is_some_and(|taken| taken.len() >= least as usize)
                });
                if !is_whole {
                    self.differ("an author was rewarded for a batch that is none, or a second time");
                }
            },
            Reason::Capacity | Reason::Duties | Reason::Traffic => self.unexplained.push(reward.clone()),
        }
    }

    /// What no challenge explains was claimed by hand.
    fn claimed(&mut self, reward: &Reward) {
        self.unexplained = vec![reward.clone()];
        match reward.reason {
            Reason::Capacity => self.pay_capacity(&reward.account),
            Reason::Traffic => self.pay_traffic(&reward.account),
            _ => self.pay_duties(&reward.account),
        }
        if !std::mem::take(&mut self.unexplained).is_empty() {
            self.differ(format!(
                "{} got {} for {:?}, and nothing was due",
                reward.account, reward.gross, reward.reason
            ));
        }
    }

    // Credit.

    fn take_snapshot(&mut self, snapshot: u32, total: u128, begins_epoch: bool) {
        let (epoch, before) = (self.epoch, self.taken_snapshots.saturating_sub(1));
        self.expect("the number of a snapshot", snapshot, before);
        if !begins_epoch {
            self.differ("a snapshot was taken in the middle of an epoch");
        }
        let mut shares = BTreeMap::new();
        for provider in self.providers.iter().filter(|it| it.is_active(epoch)) {
            let Some(Some(author)) = provider.author.at(epoch) else { continue };
            // Since the snapshot before this one; before the first there is nothing.
            let made = before > 0 && self.made.get(author).is_some_and(|made| made.contains(&before));
            if made {
                *shares.entry(author.clone()).or_insert(0) += provider.guaranteed_in(epoch);
            }
        }
        if !self.is_paid(epoch) {
            shares.clear();
        }
        let own: u128 = shares.values().map(|share: &u64| u128::from(*share)).sum();
        self.expect("the bandwidth behind all authors", total, own);
        self.waiting = Some(Taken { snapshot, number: self.number, shares, total: own });
    }

    fn prove_snapshot(&mut self, snapshot: u32, from: BlockNumber) {
        let Some(Taken { snapshot: waiting, number, shares, total }) = self.waiting.take() else {
            return self.differ("a snapshot was proven final that nobody took");
        };
        self.expect("which snapshot was proven final", snapshot, waiting);
        let deep = number.saturating_add(self.parameters.consensus.snapshot_depth);
        self.expect("from when on a snapshot counts", from, deep.max(self.number).saturating_add(1));
        self.snapshots.push(Snapshot { from, shares, total });
    }

    /// The credit of an author after the gain of a block.
    fn gained(&self, author: &AccountId, credit: u128, number: BlockNumber) -> u128 {
        let Some(snapshot) = self.snapshots.iter().rev().find(|it| it.from <= number) else { return credit };
        let bandwidth = u128::from(snapshot.shares.get(author).copied().unwrap_or(0));
        let whole = snapshot.total.max(self.parameters.consensus.least_total_bits_per_second.into()).max(1);
        let share = bandwidth * WHOLE_CREDIT / whole;
        let cap = share * u128::from(self.parameters.consensus.credit_cap_blocks);
        (credit.min(cap) + share * 5 / 4).min(cap)
    }

    fn take_credit(&mut self, block: &Block) {
        let authors: BTreeSet<AccountId> =
            self.snapshots.iter().flat_map(|it| it.shares.keys().cloned()).chain(self.credit.keys().cloned()).collect();
        for author in authors {
            let before = self.credit.get(&author).copied().unwrap_or(0);
            let after = self.gained(&author, before, block.number);
            self.credit.insert(author, after);
        }
        let credit = self.credit.get(&block.author).copied().unwrap_or(0);
        let spent = u128::from(block.credit) * BILLIONTH;
        if spent > credit {
            self.differ(format!("{} spent {spent} of {credit} parts of credit", block.author));
        }
        if spent > 0 {
            self.looked.credits += 1;
            self.credit.insert(block.author.clone(), credit.saturating_sub(spent));
        }
    }
}

struct Judged {
    prefix: Option<Prefix>,
    down: Direction,
    up: Direction,
    met: Option<Vec<bool>>,
    budget_bytes: u64,
}

/// The mean of the last results, none of which counts for more than the `rank`-th largest.
fn clipped_mean(results: &[u64], rank: usize, window: u32) -> u64 {
    let mut sorted = results.to_vec();
    sorted.sort_unstable();
    let most = sorted.len().checked_sub(rank).and_then(|index| sorted.get(index)).copied().unwrap_or(0);
    let sum: u128 = results.iter().map(|result| u128::from(*result.min(&most))).sum();
    (sum / u128::from(window.max(1))) as u64
}

fn prefixes(endpoints: &Endpoints) -> Vec<Prefix> {
    endpoints.iter().filter_map(|bytes| endpoint::decode(bytes)).map(|(address, _)| Prefix::of(address.ip())).collect()
}

/// Less than a planck of somebody who has nothing else is kept by nobody.
fn forget_if_empty(capacity: &mut BTreeMap<AccountId, Capacity>, account: &AccountId) {
    if capacity.get(account).is_some_and(|it| it.units == 0 && (it.owed >> 64).is_zero()) {
        capacity.remove(account);
    }
}
