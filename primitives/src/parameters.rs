//! What a chain fixes at genesis: every number that decides consensus, measurement and money, in one structure.
//!
//! Genesis stores it in the state, and nothing but a runtime upgrade changes what is stored. Nodes read it from there, and
//! refuse a chain whose [`Parameters::version`] they do not know. What can be tuned (the length of epochs, both bonds, the growth
//! step, and the bandwidth for full pay) is read over it by all but the rules of blocks.
//!
//! The encoding begins with the version, and every layout that a chain was ever made with decodes ([`former`]): a field that is
//! added makes no state unreadable, even where the migration that writes the new layout has not run.

pub mod former;

use crate::{
    consensus::Difficulty,
    finality::{Finality, MOST_VOTERS},
    measurement::lottery::instants,
    registry::{Registry, LEAST_BITS_PER_SECOND},
    BlockNumber, Milliseconds,
};
use codec::{Decode, DecodeWithMemTracking, Encode, Input, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// The version of the rules that this code implements.
pub const RULES_VERSION: u32 = 5;

/// The most challengers that one challenge can have.
pub const MAX_COMMITTEE: u32 = 32;

/// The most results that a window of guaranteed bandwidth can hold.
pub const MAX_WINDOW: u32 = 32;

/// All parameters of a chain.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// The version of the rules: [`RULES_VERSION`] of the code that made the genesis.
    pub version: u32,
    /// Block production.
    pub consensus: Consensus,
    /// Bandwidth.
    pub measurement: Measurement,
    /// Who takes part.
    pub registry: Registry,
    /// Money.
    pub token: Token,
    /// Who votes on what is final.
    pub finality: Finality,
}

/// The parameters of block production.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consensus {
    /// The wanted time between two blocks.
    pub block_time: Milliseconds,
    /// The least time between the dates of a block and its parent. See [`crate::consensus::dates`].
    pub least_block_interval: Milliseconds,
    /// How far ahead of the importer's clock a block may be dated: L.
    pub furthest_ahead: Milliseconds,
    /// How far off schedule the chain must be for the difficulty to double or halve.
    pub half_life: Milliseconds,
    /// The base difficulty of the first blocks.
    pub initial_difficulty: Difficulty,
    /// The least base difficulty.
    pub floor_difficulty: Difficulty,
    /// How many blocks after it was taken a snapshot of bandwidth comes into force at the earliest; see [`crate::consensus::shares`].
    pub snapshot_depth: BlockNumber,
    /// How much easier a block gets by one whole credit.
    pub boost: u32,
    /// The cap of a bucket of credit, in blocks' worth of the author's share.
    pub credit_cap_blocks: u32,
    /// The bandwidth that the sum of all counts as at least when shares are made.
    pub least_total_bits_per_second: u64,
}

/// The parameters of measurement.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measurement {
    /// The length of the first epoch, and of those after it until another one is decided.
    pub epoch_blocks: BlockNumber,
    /// At how many instants of an epoch challenges start, all providers being drawn at each of them; or zero, for as many as challengers
    /// and blocks need (2 to 12), each provider being drawn at one of them on average.
    pub instants: u32,
    /// How long after the block that an instant belongs to its challenges start.
    pub notice: Milliseconds,
    /// Whether providers behind one prefix are drawn together, and members of a committee differ in theirs. Not on one machine.
    pub groups_prefixes: bool,
    /// How few seniors among the challengers leave capacity unpaid and nothing boosted: below this many.
    pub least_seniors: u32,
    /// How many challengers are drawn for a challenge: n.
    pub committee: u32,
    /// How many of them may be Byzantine: f.
    pub byzantine: u32,
    /// Which of the last results the others are clipped to, the largest being the first: r.
    pub rank: u32,
    /// How many results count: w.
    pub window: u32,
    /// How far the clocks of two honest agents may differ: ε.
    pub clock_tolerance_us: u64,
    /// The shortest time that a result is divided by: T_min.
    pub least_time_us: u64,
    /// The time for which a challenger sends.
    pub train_us: u64,
    /// How long after its start a challenge takes reports.
    pub report_deadline: Milliseconds,
    /// What a first result is clipped to; a later one is clipped to twice the guaranteed bandwidth, if that is more.
    pub growth_step_bits_per_second: u64,
}

/// The parameters of money.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// What part of the tokens that were never issued each block of an epoch adds to the epoch's emission: one in this many.
    pub emission_divisor: u64,
    /// The time over which a reward vests. A multiple of 32.
    pub vesting_blocks: BlockNumber,
    /// The least sum of all guaranteed bandwidth for which the whole share of capacity is paid: B_pay. Below it, each bit per
    /// second is paid as if there were so many; the rest stays unissued.
    pub full_pay_bits_per_second: u64,
}

impl Decode for Parameters {
    fn decode<I: Input>(input: &mut I) -> Result<Self, codec::Error> {
        match u32::decode(input)? {
            1 => former::V1::decode(input).map(Into::into),
            2 => former::V2::decode(input).map(Into::into),
            3 => former::V3::decode(input).map(Into::into),
            4 => former::V4::decode(input).map(Into::into),
            RULES_VERSION => Ok(Self {
                version: RULES_VERSION,
                consensus: Decode::decode(input)?,
                measurement: Decode::decode(input)?,
                registry: Decode::decode(input)?,
                token: Decode::decode(input)?,
                finality: Decode::decode(input)?,
            }),
            _ => Err("parameters of an unknown version of the rules".into()),
        }
    }
}

impl Parameters {
    /// Whether the parameters make sense, together and alone.
    ///
    /// # Errors
    ///
    /// One sentence that names the rule that does not hold.
    pub fn check(&self) -> Result<(), &'static str> {
        let Self { version, consensus, measurement, registry, token, finality } = self;
        let rules = [
            (*version == RULES_VERSION, "the chain follows another version of the rules"),
            (consensus.least_block_interval >= 1, "the least time between two blocks is zero"),
            // Else a chain whose hash power rises could not keep up with its schedule.
            (
                consensus.least_block_interval.saturating_mul(2) <= consensus.block_time,
                "the least time between two blocks is longer than half a block time",
            ),
            // Else the earliest child of a block that is as far ahead as allowed is not due when its parent is.
            (
                consensus.furthest_ahead >= consensus.least_block_interval,
                "blocks may be dated less far ahead than their least distance",
            ),
            // Else dates alone could make the difficulty what their giver wants.
            (consensus.furthest_ahead <= consensus.half_life, "blocks may be dated further ahead than a half-life"),
            (consensus.half_life >= consensus.block_time, "the half-life is shorter than a block"),
            (consensus.floor_difficulty >= Difficulty::MIN, "the floor of the difficulty is zero"),
            (consensus.initial_difficulty >= consensus.floor_difficulty, "the initial difficulty is below its floor"),
            (consensus.initial_difficulty <= Difficulty::MAX, "the initial difficulty is above 2^192"),
            (consensus.snapshot_depth >= 1, "the snapshot depth is zero"),
            (consensus.boost >= 1, "the boost is zero"),
            (consensus.credit_cap_blocks >= 1, "the cap of the credit is zero"),
            // Else a bucket might not be full at the end of a term, and could not be brought up to date lazily: a term that comes into force
            // when the next snapshot is taken lasts as long as that one waits.
            (
                consensus.credit_cap_blocks <= consensus.snapshot_depth,
                "the cap of the credit is longer than the snapshot depth",
            ),
            (consensus.least_total_bits_per_second >= 1, "the least total bandwidth is zero"),
            // Else a snapshot could not be in force before the next one is taken.
            (
                measurement.epoch_blocks >= consensus.snapshot_depth.saturating_add(2),
                "an epoch is shorter than the snapshot depth plus two",
            ),
            // Else two instants could belong to one block.
            (
                measurement.epoch_blocks >= measurement.instants.max(instants::MOST).saturating_mul(2)
                    || (measurement.instants > 0 && measurement.epoch_blocks >= measurement.instants),
                "an epoch is too short for its instants",
            ),
            // Else a bond could be taken back before what it answers for was evaluated.
            (
                registry.unbonding_blocks >= measurement.epoch_blocks.saturating_mul(2),
                "the unbonding time is shorter than two epochs",
            ),
            // Else a challenge of the last instant could take reports when what it was drawn from is forgotten, if blocks are on time. Where they
            // come far too fast, what is that late is void.
            (
                u64::from(measurement.epoch_blocks)
                    .saturating_add(
                        u64::from(measurement.epoch_blocks)
                            .checked_div(measurement.instants.max(1).into())
                            .unwrap_or(0),
                    )
                    .saturating_mul(consensus.block_time)
                    >= measurement.notice.saturating_add(measurement.report_deadline),
                "reports may come later than in the epoch after their own",
            ),
            // All that can be open at a time have room.
            (measurement.instants <= instants::MOST, "an epoch has more than twelve instants"),
            // Else the seed is known when its challenges start.
            (
                measurement.notice >= consensus.block_time.saturating_mul(2),
                "challenges start less than two blocks after they are known",
            ),
            (measurement.report_deadline >= 1, "challenges take no reports"),
            (registry.most_joining >= 1, "no provider can join"),
            (self.most_declared_bits_per_second() >= LEAST_BITS_PER_SECOND, "no committee can serve anybody"),
            (measurement.committee <= MAX_COMMITTEE, "a committee is larger than 32"),
            (measurement.byzantine.saturating_mul(2) < measurement.committee, "f is not below n/2"),
            (measurement.rank >= 1 && measurement.rank <= measurement.window, "r is not between 1 and w"),
            (measurement.window <= MAX_WINDOW, "a window holds more than 32 results"),
            (
                measurement.least_time_us >= measurement.clock_tolerance_us.saturating_mul(20),
                "T_min is shorter than 20 times the clock tolerance",
            ),
            (measurement.least_time_us >= 1 && measurement.train_us >= 1, "a train or T_min has no length"),
            // Else an epoch could issue more than all there is.
            (
                token.emission_divisor >= u64::from(measurement.epoch_blocks),
                "an epoch may issue more than was never issued",
            ),
            (token.full_pay_bits_per_second >= 1, "the bandwidth for full pay is zero"),
            (
                token.vesting_blocks >= 32 && token.vesting_blocks.checked_rem(32) == Some(0),
                "the vesting time is not a multiple of 32 blocks",
            ),
            (finality.voter_bond >= 1, "voters need no bond"),
            (
                finality.least_voters >= 1 && finality.least_voters <= MOST_VOTERS,
                "a set of voters needs none, or more than 64",
            ),
            (finality.reference_bits_per_second >= 1, "the reference of votes is zero"),
            (finality.epochs_per_set >= 1, "the set of voters changes more than once in an epoch"),
            (finality.votes_behind >= 1, "votes go to the best block"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
    }
}

impl Parameters {
    /// The most that a provider can declare: what a committee can send to it, or take, half as much again.
    pub fn most_declared_bits_per_second(&self) -> u64 {
        self.registry
            .class_bits_per_second
            .saturating_mul(self.measurement.committee.into())
            .saturating_mul(2)
            .checked_div(3)
            .unwrap_or(0)
    }
}

impl Consensus {
    /// The rules for the dates of blocks.
    pub fn dates(&self) -> crate::consensus::dates::Dates {
        self.into()
    }

    /// The schedule of the retarget rule.
    pub fn schedule(&self) -> crate::consensus::retarget::Schedule {
        crate::consensus::retarget::Schedule {
            block_time: self.block_time,
            half_life: self.half_life,
            floor: self.floor_difficulty,
        }
    }
}

impl Measurement {
    /// The rate at which each challenger of a committee sends to a provider: 1.5 times its part of what was declared, so
    /// that the link is full even if a third of the committee is silent.
    pub fn challenger_bits_per_second(&self, declared_bits_per_second: u64) -> u64 {
        declared_bits_per_second
            .saturating_mul(3)
            .checked_div(u64::from(self.committee).saturating_mul(2).max(1))
            .unwrap_or(0)
    }

    /// The most bytes that one challenger can prove in a challenge: rate × train.
    pub fn challenger_budget_bytes(&self, declared_bits_per_second: u64) -> u64 {
        let bits = u128::from(self.challenger_bits_per_second(declared_bits_per_second))
            .saturating_mul(u128::from(self.train_us))
            .checked_div(1_000_000)
            .unwrap_or(0);
        u64::try_from(bits.checked_div(8).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}
