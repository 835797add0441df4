//! The layouts that parameters were stored in by former versions of the rules, without the version that precedes them, and what
//! they become.

use super::{Consensus, Measurement, Parameters, Token, RULES_VERSION};
use crate::{consensus::Difficulty, finality::Finality, registry::Registry, Balance, BlockNumber, Milliseconds};
use codec::{Decode, Encode};

/// How far ahead a block may be dated on chains from before version 2, where it was a constant of the node.
const FURTHEST_AHEAD: Milliseconds = 15_000;
/// The least distance between two blocks is the block time divided by this on such chains.
const SPACING_DIVISOR: Milliseconds = 20;

/// Version 1: the distance and the limit of dates are no parameters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct V1 {
    /// Block production.
    pub consensus: ConsensusV1,
    /// Bandwidth.
    pub measurement: MeasurementV3,
    /// Money.
    pub token: TokenV2,
}

/// Version 2: emission is counted per epoch, and what is paid for capacity is bounded by [`Consensus`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct V2 {
    /// Block production.
    pub consensus: Consensus,
    /// Bandwidth.
    pub measurement: MeasurementV3,
    /// Money.
    pub token: TokenV2,
}

/// Version 3: all providers are drawn at one instant of an epoch, and bonds have no fixed part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct V3 {
    /// Block production.
    pub consensus: Consensus,
    /// Bandwidth.
    pub measurement: MeasurementV3,
    /// Money.
    pub token: Token,
}

/// Version 4: each node decides by depth what is final.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct V4 {
    /// Block production.
    pub consensus: Consensus,
    /// Bandwidth.
    pub measurement: Measurement,
    /// Who takes part.
    pub registry: Registry,
    /// Money.
    pub token: Token,
}

/// The parameters of measurement in versions 1 to 3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MeasurementV3 {
    /// The length of an epoch.
    pub epoch_blocks: BlockNumber,
    /// At how many instants of an epoch challenges start.
    pub instants: u32,
    /// n.
    pub committee: u32,
    /// f.
    pub byzantine: u32,
    /// r.
    pub rank: u32,
    /// w.
    pub window: u32,
    /// ε.
    pub clock_tolerance_us: u64,
    /// T_min.
    pub least_time_us: u64,
    /// The time for which a challenger sends.
    pub train_us: u64,
    /// How long after its start a challenge takes reports.
    pub report_deadline: Milliseconds,
    /// What a first result is clipped to.
    pub growth_step_bits_per_second: u64,
    /// The bond of a provider per declared Mbit/s.
    pub bond_per_mbit: Balance,
    /// The bond of a challenger.
    pub challenger_bond: Balance,
    /// How long a bond is held after leaving.
    pub unbonding_blocks: BlockNumber,
}

/// How many blocks before their start the challenges of an instant are known on chains from before version 4.
const NOTICE_BLOCKS: Milliseconds = 3;
/// What each challenger of such chains serves: what its agent served if it was told nothing else.
const FORMER_CLASS_BITS_PER_SECOND: u64 = 1_000_000_000;
/// What a voter of a chain from before version 5 bonds, as a multiple of what a challenger does.
const VOTER_BOND_FACTOR: Balance = 100;
/// How few voters are no set on such chains.
const LEAST_VOTERS: u32 = 3;
/// How many blocks behind the best one votes go on such chains.
const VOTES_BEHIND: BlockNumber = 8;
/// How many providers can join in an epoch of such chains.
const MOST_JOINING: u32 = 256;

/// The parameters of block production in version 1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ConsensusV1 {
    /// The wanted time between two blocks.
    pub block_time: Milliseconds,
    /// The half-life of the retarget rule.
    pub half_life: Milliseconds,
    /// The base difficulty of the first blocks.
    pub initial_difficulty: Difficulty,
    /// The least base difficulty.
    pub floor_difficulty: Difficulty,
    /// The depth of finality.
    pub finality_depth: BlockNumber,
    /// How much easier a block gets by one whole credit.
    pub boost: u32,
    /// The cap of a bucket of credit, in blocks.
    pub credit_cap_blocks: u32,
    /// The bandwidth that the sum of all counts as at least.
    pub least_total_bits_per_second: u64,
}

/// The parameters of money in versions 1 and 2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenV2 {
    /// What part of the tokens that were never issued an epoch may issue: one in this many.
    pub emission_divisor: u64,
    /// The time over which a reward vests.
    pub vesting_blocks: BlockNumber,
}

impl From<V1> for V2 {
    fn from(old: V1) -> Self {
        let consensus = old.consensus;
        Self {
            consensus: Consensus {
                block_time: consensus.block_time,
                least_block_interval: consensus.block_time.checked_div(SPACING_DIVISOR).unwrap_or(0).max(1),
                furthest_ahead: FURTHEST_AHEAD,
                half_life: consensus.half_life,
                initial_difficulty: consensus.initial_difficulty,
                floor_difficulty: consensus.floor_difficulty,
                snapshot_depth: consensus.finality_depth,
                boost: consensus.boost,
                credit_cap_blocks: consensus.credit_cap_blocks,
                least_total_bits_per_second: consensus.least_total_bits_per_second,
            },
            measurement: old.measurement,
            token: old.token,
        }
    }
}

impl From<V2> for V3 {
    /// A chain goes on to emit and to pay what it did.
    fn from(old: V2) -> Self {
        let token = Token {
            emission_divisor: old.token.emission_divisor.saturating_mul(old.measurement.epoch_blocks.into()),
            vesting_blocks: old.token.vesting_blocks,
            full_pay_bits_per_second: old.consensus.least_total_bits_per_second,
        };
        Self { consensus: old.consensus, measurement: old.measurement, token }
    }
}

impl From<V3> for V4 {
    /// A chain keeps its prices; challengers are admitted at once, as they were.
    fn from(old: V3) -> Self {
        let V3 { consensus, measurement: old, token } = old;
        let measurement = Measurement {
            epoch_blocks: old.epoch_blocks,
            // Then each provider was drawn at one of them, as it is with as many as are needed.
            instants: if old.instants > 2 { 0 } else { old.instants },
            notice: consensus.block_time.saturating_mul(NOTICE_BLOCKS),
            groups_prefixes: false,
            least_seniors: 0,
            committee: old.committee,
            byzantine: old.byzantine,
            rank: old.rank,
            window: old.window,
            clock_tolerance_us: old.clock_tolerance_us,
            least_time_us: old.least_time_us,
            train_us: old.train_us,
            report_deadline: old.report_deadline,
            growth_step_bits_per_second: old.growth_step_bits_per_second,
        };
        let registry = Registry {
            provider_bond: 0,
            bond_per_mbit: old.bond_per_mbit,
            challenger_bond: old.challenger_bond,
            unbonding_blocks: old.unbonding_blocks,
            slow_admission: false,
            admission_fee: 0,
            class_bits_per_second: FORMER_CLASS_BITS_PER_SECOND,
            most_joining: MOST_JOINING,
        };
        Self { consensus, measurement, registry, token }
    }
}

impl From<V4> for Parameters {
    /// Voters bond a hundred times what challengers do; nobody can be one before governance named the first set.
    fn from(old: V4) -> Self {
        let V4 { mut consensus, measurement, registry, token } = old;
        consensus.credit_cap_blocks = consensus.credit_cap_blocks.min(consensus.snapshot_depth);
        let finality = Finality {
            voter_bond: registry.challenger_bond.saturating_mul(VOTER_BOND_FACTOR).max(1),
            least_voters: LEAST_VOTERS,
            reference_bits_per_second: consensus.least_total_bits_per_second.max(1),
            epochs_per_set: 1,
            votes_behind: VOTES_BEHIND,
        };
        Self { version: RULES_VERSION, consensus, measurement, registry, token, finality }
    }
}

impl From<V3> for Parameters {
    fn from(old: V3) -> Self {
        V4::from(old).into()
    }
}

impl From<V2> for Parameters {
    fn from(old: V2) -> Self {
        V3::from(old).into()
    }
}

impl From<V1> for Parameters {
    fn from(old: V1) -> Self {
        V2::from(old).into()
    }
}
