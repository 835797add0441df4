//! What can be changed while the chain runs, by whom governs it, and how far.
//!
//! The rules of blocks are fixed ([`weir_primitives::parameters`]); of credit, only the length of epochs, which its snapshots follow, is not.
//! Prices and paces are not either: what `pallet-parameters` holds
//! for them replaces what genesis set. Whoever set it, a value counts as no less than a quarter and no more than four times that of
//! genesis, and the length of an epoch stays where the other rules need it ([`Tuned`]). Only the reference of votes goes wherever the bandwidth of the
//! network does: who can set it can name the voters as well.

use crate::{Difficulty, Runtime};
use frame_support::{
    dynamic_params::{dynamic_pallet_params, dynamic_params},
    traits::Get,
};
use sp_core::U256;
use weir_primitives::{
    measurement::lottery::instants, parameters::Parameters, registry::Registry, Balance, BlockNumber, PLANCK_PER_WEIR,
};

/// How many times a value may be of that of genesis, or that of genesis of it.
pub const FURTHEST: u32 = 4;

/// What can be set. Nothing is set on a new chain.
#[dynamic_params(RuntimeParameters, pallet_parameters::Parameters::<Runtime>)]
pub mod tunable {
    use super::*;

    /// Bandwidth.
    #[dynamic_pallet_params]
    #[codec(index = 0)]
    pub mod measurement {
        /// The length of the epochs from the next one on.
        #[codec(index = 0)]
        pub static EpochBlocks: Option<BlockNumber> = None;
        /// The bond of a provider per declared Mbit/s, for those that register from now on.
        #[codec(index = 1)]
        pub static BondPerMbit: Option<Balance> = None;
        /// The bond of a challenger, for those that register from now on.
        #[codec(index = 2)]
        pub static ChallengerBond: Option<Balance> = None;
        /// What a first result is clipped to, in bits per second.
        #[codec(index = 3)]
        pub static GrowthStepBitsPerSecond: Option<u64> = None;
    }

    /// Money.
    #[dynamic_pallet_params]
    #[codec(index = 1)]
    pub mod token {
        /// The least sum of all guaranteed bandwidth for which the whole share of capacity is paid, in bits per second.
        #[codec(index = 0)]
        pub static FullPayBitsPerSecond: Option<u64> = None;
    }

    /// Who votes on what is final.
    #[dynamic_pallet_params]
    #[codec(index = 2)]
    pub mod finality {
        /// The bandwidth a quarter of which is worth as much as the whole of the bonds, in bits per second.
        #[codec(index = 0)]
        pub static ReferenceBitsPerSecond: Option<u64> = None;
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl Default for RuntimeParameters {
    fn default() -> Self {
        Self::Measurement(tunable::measurement::Parameters::EpochBlocks(tunable::measurement::EpochBlocks, None))
    }
}

/// The parameters of the chain as they are now.
pub struct Tuned;

impl Get<Option<Parameters>> for Tuned {
    fn get() -> Option<Parameters> {
        let genesis = Difficulty::parameters()?;
        let mut tuned = genesis.clone();
        set(&mut tuned.registry.bond_per_mbit, tunable::measurement::BondPerMbit::get());
        set(&mut tuned.registry.challenger_bond, tunable::measurement::ChallengerBond::get());
        set(&mut tuned.measurement.growth_step_bits_per_second, tunable::measurement::GrowthStepBitsPerSecond::get());
        set(&mut tuned.token.full_pay_bits_per_second, tunable::token::FullPayBitsPerSecond::get());
        tuned.token.full_pay_bits_per_second =
            tuned.token.full_pay_bits_per_second.max(least_full_pay(tuned.registry.bond_per_mbit, &genesis));
        // The bandwidth of a network grows without end, and its reference is to follow.
        if let Some(reference) = tunable::finality::ReferenceBitsPerSecond::get() {
            tuned.finality.reference_bits_per_second = reference.max(1);
        }
        if let Some(blocks) = tunable::measurement::EpochBlocks::get() {
            tuned.measurement.epoch_blocks = epoch_blocks(blocks, &genesis);
        }
        Some(tuned)
    }
}

/// The rules of who takes part, as they are now.
pub struct RegistryRules;

impl Get<Option<Registry>> for RegistryRules {
    fn get() -> Option<Registry> {
        Some(Tuned::get()?.registry)
    }
}

/// What a first result is clipped to, in bits per second, as it is now.
pub struct GrowthStep;

impl Get<u64> for GrowthStep {
    fn get() -> u64 {
        Tuned::get().map_or(0, |parameters| parameters.measurement.growth_step_bits_per_second)
    }
}

/// The rules of who votes, as they are now.
pub struct FinalityRules;

impl Get<Option<pallet_finality::Rules>> for FinalityRules {
    fn get() -> Option<pallet_finality::Rules> {
        let Parameters { consensus, registry, finality, .. } = Tuned::get()?;
        Some(pallet_finality::Rules {
            finality,
            least_total_bits_per_second: consensus.least_total_bits_per_second,
            unbonding_blocks: registry.unbonding_blocks,
            snapshot_depth: consensus.snapshot_depth,
        })
    }
}

/// How many dispute windows the unbonding time has: on a public network a window is a day.
const DISPUTES_PER_UNBONDING: BlockNumber = 14;
/// The shortest dispute window there is.
const LEAST_DISPUTE_BLOCKS: BlockNumber = 20;
/// How many dispute windows a channel lives for: on a public network four weeks.
const DISPUTES_PER_CHANNEL: BlockNumber = 28;

/// The rules of the market.
pub struct MarketRules;

impl Get<Option<pallet_market::Rules>> for MarketRules {
    fn get() -> Option<pallet_market::Rules> {
        let unbonding = Difficulty::parameters()?.registry.unbonding_blocks;
        let dispute_blocks = unbonding.checked_div(DISPUTES_PER_UNBONDING).unwrap_or(0).max(LEAST_DISPUTE_BLOCKS);
        Some(pallet_market::Rules {
            dispute_blocks,
            channel_blocks: dispute_blocks.saturating_mul(DISPUTES_PER_CHANNEL),
            least_deposit: PLANCK_PER_WEIR,
            // Of two rows with 320 bytes, as everywhere else.
            row_deposit: crate::configs::deposit(2, 320),
            listing_deposit: PLANCK_PER_WEIR,
        })
    }
}

/// The most that a provider can declare, in bits per second.
pub struct MostDeclared;

impl Get<u64> for MostDeclared {
    fn get() -> u64 {
        Difficulty::parameters().map_or(0, |parameters| parameters.most_declared_bits_per_second())
    }
}

/// The time over which a reward vests.
pub struct VestingBlocks;

impl Get<BlockNumber> for VestingBlocks {
    fn get() -> BlockNumber {
        Difficulty::parameters().map_or(0, |parameters| parameters.token.vesting_blocks)
    }
}

/// Sets a value to another one, as far as it may go.
fn set<N>(value: &mut N, wanted: Option<N>)
where
    N: Copy + Ord + sp_runtime::traits::Saturating + sp_runtime::traits::CheckedDiv + From<u32>,
{
    let Some(wanted) = wanted else { return };
    let furthest = N::from(FURTHEST);
    let least = value.checked_div(&furthest).unwrap_or(*value).max(N::from(1).min(*value));
    *value = wanted.max(least).min(value.saturating_mul(furthest));
}

/// What B_pay is at the least with a bond: pay for a bonded Mbit/s may rise to four times that of genesis and no further, though both
/// numbers decide it.
fn least_full_pay(bond_per_mbit: Balance, genesis: &Parameters) -> u64 {
    let (bond, full_pay) = (genesis.registry.bond_per_mbit, genesis.token.full_pay_bits_per_second);
    let least = U256::from(bond)
        .saturating_mul(full_pay.into())
        .checked_div(U256::from(bond_per_mbit).saturating_mul(FURTHEST.into()));
    least.and_then(|least| u64::try_from(least).ok()).unwrap_or(full_pay).min(full_pay)
}

/// The length of an epoch that is nearest to the wanted one. See [`Parameters::check`] for why each bound is there.
fn epoch_blocks(wanted: BlockNumber, genesis: &Parameters) -> BlockNumber {
    let Parameters { consensus, measurement, registry, token, .. } = genesis;
    let mut blocks = measurement.epoch_blocks;
    set(&mut blocks, Some(wanted));
    let most_instants = if measurement.instants > 0 { measurement.instants } else { instants::MOST.saturating_mul(2) };
    // So long that all reports of an epoch come before the end of the next one.
    let reports = measurement.notice.saturating_add(measurement.report_deadline);
    let for_reports = u32::try_from(reports.div_ceil(consensus.block_time.max(1))).unwrap_or(u32::MAX);
    let least_for_instants = most_instants.max(4).max(for_reports.min(measurement.epoch_blocks));
    let least = consensus.credit_cap_blocks.max(consensus.snapshot_depth.saturating_add(2)).max(least_for_instants);
    let most = registry.unbonding_blocks.checked_div(2).unwrap_or(0);
    let most = most.min(BlockNumber::try_from(token.emission_divisor).unwrap_or(BlockNumber::MAX));
    blocks.min(most).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis;
    use sp_runtime::BuildStorage;

    fn with_genesis(parameters: &Parameters, test: impl FnOnce()) {
        let genesis = crate::RuntimeGenesisConfig {
            difficulty: crate::DifficultyConfig { parameters: Some(parameters.clone()), ..Default::default() },
            ..Default::default()
        };
        sp_io::TestExternalities::from(genesis.build_storage().unwrap()).execute_with(test);
    }

    fn tune(parameter: RuntimeParameters) {
        crate::Parameters::set_parameter(crate::RuntimeOrigin::root(), parameter).unwrap();
    }

    /// All that can be tuned, to these numbers.
    fn tune_all(value: u64, balance: Balance) {
        use tunable::{measurement, token};
        let blocks = BlockNumber::try_from(value).unwrap_or(BlockNumber::MAX);
        for parameter in [
            RuntimeParameters::Measurement(measurement::Parameters::EpochBlocks(
                measurement::EpochBlocks,
                Some(Some(blocks)),
            )),
            RuntimeParameters::Measurement(measurement::Parameters::BondPerMbit(
                measurement::BondPerMbit,
                Some(Some(balance)),
            )),
            RuntimeParameters::Measurement(measurement::Parameters::ChallengerBond(
                measurement::ChallengerBond,
                Some(Some(balance)),
            )),
            RuntimeParameters::Measurement(measurement::Parameters::GrowthStepBitsPerSecond(
                measurement::GrowthStepBitsPerSecond,
                Some(Some(value)),
            )),
        ] {
            tune(parameter);
        }
        tune(RuntimeParameters::Token(token::Parameters::FullPayBitsPerSecond(
            token::FullPayBitsPerSecond,
            Some(Some(value)),
        )));
    }

    #[test]
    fn what_is_not_set_is_as_genesis_has_it() {
        for genesis in [genesis::development(), genesis::local_testnet(), genesis::testnet()] {
            with_genesis(&genesis, || assert_eq!(Tuned::get(), Some(genesis.clone())));
        }
    }

    #[test]
    fn whatever_is_set_the_parameters_make_sense_and_are_within_four_times_those_of_genesis() {
        for genesis in [genesis::development(), genesis::local_testnet(), genesis::testnet()] {
            with_genesis(&genesis, || {
                let values = || (0..64).step_by(3).map(|bit| 1u64 << bit).chain([0, u64::MAX]);
                let balances = || (0..128).step_by(5).map(|bit| 1u128 << bit).chain([0, u128::MAX]);
                for (value, balance) in values().flat_map(|value| balances().map(move |balance| (value, balance))) {
                    tune_all(value, balance);
                    let tuned = Tuned::get().unwrap();
                    tuned.check().unwrap();
                    assert_eq!(tuned.consensus, genesis.consensus);
                    let is_near = |now: u128, then: u128| now * 4 >= then - then % 4 && now <= then * 4;
                    let (now, then) = (&tuned.measurement, &genesis.measurement);
                    assert!(is_near(now.epoch_blocks.into(), then.epoch_blocks.into()));
                    assert!(is_near(tuned.registry.bond_per_mbit, genesis.registry.bond_per_mbit));
                    assert!(is_near(tuned.registry.challenger_bond, genesis.registry.challenger_bond));
                    assert!(is_near(now.growth_step_bits_per_second.into(), then.growth_step_bits_per_second.into()));
                    let (now, then) = (tuned.token.full_pay_bits_per_second, genesis.token.full_pay_bits_per_second);
                    assert!(is_near(now.into(), then.into()));
                    // Pay for a bonded Mbit/s.
                    let bonded = |all: &Parameters| {
                        U256::from(all.registry.bond_per_mbit) * U256::from(all.token.full_pay_bits_per_second)
                    };
                    let (now, then) = (bonded(&tuned), bonded(&genesis));
                    assert!((now + now / 1_000) * 4 >= then, "pay rises to more than four times");
                }
            });
        }
    }

    #[test]
    fn a_value_in_between_is_taken_as_it_is() {
        with_genesis(&genesis::testnet(), || {
            use tunable::measurement;
            tune(RuntimeParameters::Measurement(measurement::Parameters::EpochBlocks(
                measurement::EpochBlocks,
                Some(Some(900)),
            )));
            assert_eq!(Tuned::get().unwrap().measurement.epoch_blocks, 900);
            tune(RuntimeParameters::Measurement(measurement::Parameters::EpochBlocks(measurement::EpochBlocks, None)));
            assert_eq!(Tuned::get().unwrap().measurement.epoch_blocks, 600);
        });
    }

    #[test]
    fn nobody_but_root_tunes() {
        with_genesis(&genesis::testnet(), || {
            use tunable::measurement;
            let parameter = RuntimeParameters::Measurement(measurement::Parameters::EpochBlocks(
                measurement::EpochBlocks,
                Some(Some(900)),
            ));
            let signed = crate::RuntimeOrigin::signed(crate::AccountId::new([1; 32]));
            assert!(crate::Parameters::set_parameter(signed, parameter).is_err());
        });
    }
}
