//! The presets that chain specs are made from.
//!
//! | preset | for |
//! | --- | --- |
//! | `development` | one node on one machine: blocks of a second |
//! | `local_testnet` | a few nodes on one machine: blocks of two seconds |
//! | `testnet` | a public test network: blocks of six seconds, no account but the treasury, no sudo key, no voters: its spec names them |

use crate::{
    configs::MILLI, AccountId, Balance, BalancesConfig, DifficultyConfig, FinalityConfig, RuntimeGenesisConfig,
    SudoConfig,
};
use alloc::{string::ToString, vec, vec::Vec};
use frame_support::build_struct_json_patch;
use serde_json::Value;
use sp_genesis_builder::{PresetId, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use weir_primitives::{
    consensus::Difficulty,
    finality::{Finality, VoterKey},
    parameters::{Consensus, Measurement, Parameters, Token, RULES_VERSION},
    registry::Registry,
    PLANCK_PER_WEIR,
};

/// The preset of a public test network.
pub const TESTNET_PRESET: &str = "testnet";

const MBIT: u64 = 1_000_000;
const SECONDS: u64 = 1_000;
const MINUTES: u64 = 60 * SECONDS;

/// About 8 % a year of what was never issued, if blocks keep to their schedule: (365.25 days / block time) / ln(1/0.92).
const fn emission_divisor(block_seconds: u64) -> u64 {
    // 31 557 600 s / 0.08338 = 378 479 252 s.
    378_479_252 / block_seconds
}

/// The parameters of a single node for development.
pub fn development() -> Parameters {
    Parameters {
        version: RULES_VERSION,
        consensus: Consensus {
            block_time: SECONDS,
            least_block_interval: SECONDS / 20,
            furthest_ahead: 15 * SECONDS,
            half_life: MINUTES,
            initial_difficulty: Difficulty::from(100_000),
            floor_difficulty: Difficulty::from(1_000),
            snapshot_depth: 8,
            boost: 8,
            credit_cap_blocks: 8,
            least_total_bits_per_second: 750 * MBIT,
        },
        measurement: Measurement {
            epoch_blocks: 10,
            instants: 2,
            notice: 4 * SECONDS,
            groups_prefixes: false,
            least_seniors: 0,
            committee: 4,
            byzantine: 1,
            rank: 2,
            window: 3,
            clock_tolerance_us: 20_000,
            least_time_us: 500_000,
            train_us: 500_000,
            report_deadline: 10 * SECONDS,
            growth_step_bits_per_second: 250 * MBIT,
        },
        registry: Registry {
            provider_bond: 10 * PLANCK_PER_WEIR,
            bond_per_mbit: PLANCK_PER_WEIR,
            challenger_bond: 100 * PLANCK_PER_WEIR,
            unbonding_blocks: 20,
            slow_admission: false,
            admission_fee: 0,
            class_bits_per_second: 1_000 * MBIT,
            most_joining: 256,
        },
        token: Token {
            emission_divisor: emission_divisor(1),
            vesting_blocks: 96,
            full_pay_bits_per_second: 750 * MBIT,
        },
        finality: Finality {
            voter_bond: 100 * PLANCK_PER_WEIR,
            least_voters: 1,
            reference_bits_per_second: 750 * MBIT,
            epochs_per_set: 1,
            votes_behind: 4,
        },
    }
}

/// The parameters of a network on one machine.
pub fn local_testnet() -> Parameters {
    let base = development();
    Parameters {
        consensus: Consensus {
            block_time: 2 * SECONDS,
            least_block_interval: 2 * SECONDS / 20,
            half_life: 2 * MINUTES,
            snapshot_depth: 16,
            credit_cap_blocks: 16,
            ..base.consensus
        },
        measurement: Measurement { epoch_blocks: 20, notice: 12 * SECONDS, ..base.measurement },
        registry: Registry { unbonding_blocks: 40, ..base.registry },
        token: Token { emission_divisor: emission_divisor(2), ..base.token },
        finality: Finality { least_voters: 3, ..base.finality },
        ..base
    }
}

/// The parameters of a public test network.
pub fn testnet() -> Parameters {
    let base = development();
    Parameters {
        consensus: Consensus {
            block_time: 6 * SECONDS,
            least_block_interval: 6 * SECONDS / 20,
            // 200 blocks: see *shocks* and *forward dating* of the simulation.
            half_life: 20 * MINUTES,
            initial_difficulty: Difficulty::from(10_000_000),
            floor_difficulty: Difficulty::from(100_000),
            snapshot_depth: 64,
            credit_cap_blocks: 64,
            least_total_bits_per_second: 10_000 * MBIT,
            ..base.consensus
        },
        measurement: Measurement {
            epoch_blocks: 600,
            // As many as challengers and blocks need.
            instants: 0,
            notice: 48 * SECONDS,
            groups_prefixes: true,
            least_seniors: 32,
            committee: 16,
            byzantine: 7,
            rank: 5,
            window: 8,
            report_deadline: 120 * SECONDS,
            growth_step_bits_per_second: 25 * MBIT,
            ..base.measurement
        },
        registry: Registry {
            // Two weeks.
            unbonding_blocks: 201_600,
            slow_admission: true,
            admission_fee: 10 * PLANCK_PER_WEIR,
            class_bits_per_second: 200 * MBIT,
            most_joining: 8,
            ..base.registry
        },
        token: Token {
            emission_divisor: emission_divisor(6),
            // 30 days.
            vesting_blocks: 432_000,
            // A proven Mbit/s, whose bond is one WEIR, gets at the most a 500th of that in an hour: fake bandwidth takes three weeks to
            // earn what it cost to bond.
            full_pay_bits_per_second: 1_600_000 * MBIT,
        },
        finality: Finality {
            voter_bond: 10_000 * PLANCK_PER_WEIR,
            least_voters: 16,
            reference_bits_per_second: 10_000 * MBIT,
            // A day: the changes of a year are a proof of some megabytes.
            epochs_per_set: 24,
            votes_behind: 8,
        },
        ..base
    }
}

/// What each endowed account of a test network starts with.
const ENDOWMENT: Balance = 1_000_000 * PLANCK_PER_WEIR;

fn patch(parameters: Parameters, endowed: Vec<AccountId>, sudo: Option<AccountId>, voters: &[Sr25519Keyring]) -> Value {
    // The genesis of a chain spec holds numbers of 64 bits.
    const _: () = assert!(ENDOWMENT <= u64::MAX as Balance && ENDOWMENT > MILLI);
    // The treasury exists from the first block on: a share of a fee below the existential deposit could not be given to an
    // account that does not.
    let treasury = (pallet_token::Pallet::<crate::Runtime>::treasury(), PLANCK_PER_WEIR);
    let balances = endowed.into_iter().map(|account| (account, ENDOWMENT)).chain([treasury]).collect();
    let key = |voter: &Sr25519Keyring| Ed25519Keyring::iter().find(|key| key.to_string() == voter.to_string());
    let voters = voters.iter().filter_map(|voter| Some((voter.to_account_id(), VoterKey::from(key(voter)?.public()))));
    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig { balances },
        difficulty: DifficultyConfig { parameters: Some(parameters) },
        finality: FinalityConfig { voters: voters.collect() },
        sudo: SudoConfig { key: sudo },
    })
}

fn well_known_accounts() -> Vec<AccountId> {
    Sr25519Keyring::well_known().map(|key| key.to_account_id()).collect()
}

/// The patch of a preset, as JSON.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
    // Keys whose secrets everybody has are for networks that nobody else reaches.
    let on_one_machine = |parameters, voters| {
        patch(parameters, well_known_accounts(), Some(Sr25519Keyring::Alice.to_account_id()), voters)
    };
    let patch = match id.as_str() {
        DEV_RUNTIME_PRESET => on_one_machine(development(), &[Sr25519Keyring::Alice]),
        LOCAL_TESTNET_RUNTIME_PRESET => {
            on_one_machine(local_testnet(), &[Sr25519Keyring::Alice, Sr25519Keyring::Bob, Sr25519Keyring::Charlie])
        },
        TESTNET_PRESET => patch(testnet(), Vec::new(), None, &[]),
        _ => return None,
    };
    Some(patch.to_string().into_bytes())
}

/// The names of all presets.
pub fn preset_names() -> Vec<PresetId> {
    vec![DEV_RUNTIME_PRESET.into(), LOCAL_TESTNET_RUNTIME_PRESET.into(), TESTNET_PRESET.into()]
}
