//! The state of a network that ran the last version, upgraded to this one.
//!
//! The fixture is the state of a node of `scripts/testnet` of that version after some epochs, with providers that were measured and
//! paid, as `state_getPairs` gives it, without `:code`: pairs of key and value in SCALE.

use codec::Decode;
use frame_support::{
    dispatch::GetDispatchInfo as _,
    traits::{fungible::InspectHold, GetStorageVersion, StorageVersion},
};
use pallet_token::migrations::Vestings;
use sp_runtime::{generic::Digest, traits::Header as _, Perbill, StateVersion};
use std::collections::BTreeMap;
use weir_primitives::{
    consensus::PreDigest,
    interfaces::{CurrentBlock, Epochs, Participants},
    parameters::{former::V2, Parameters, RULES_VERSION},
    registry::Standing,
    AccountId, Balance, BlockNumber, Epoch,
};
use weir_runtime::{
    migrations::first_edition, status, Balances, Bandwidth, Difficulty, Executive, Header, MultiBlockMigrations,
    Registry, Runtime, RuntimeCall, System, Token, UncheckedExtrinsic,
};

const STATE: &[u8] = include_bytes!("fixtures/state-of-version-2.scale");
/// Who makes the blocks after the upgrade; nobody before.
const AUTHOR: AccountId = AccountId::new([77; 32]);

fn with_state(test: impl FnOnce()) {
    let pairs = Vec::<(Vec<u8>, Vec<u8>)>::decode(&mut &STATE[..]).unwrap();
    let storage = sp_storage::Storage { top: pairs.into_iter().collect(), ..Default::default() };
    sp_io::TestExternalities::from(storage).execute_with(test);
}

fn make_block() {
    let number = System::block_number() + 1;
    let next = Difficulty::next_block(&AUTHOR, number, StateVersion::V1).expect("the parameters can be read");
    let timestamp = next.earliest.max(Difficulty::timestamp() + next.rules.block_time);
    let claims = PreDigest { author: AUTHOR, base: next.base.0, credit: Perbill::zero(), timestamp };
    let digest = Digest { logs: vec![claims.to_item()] };
    Executive::initialize_block(&Header::new(
        number,
        Default::default(),
        Default::default(),
        System::parent_hash(),
        digest,
    ));
    let set_time = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now: timestamp });
    assert!(set_time.get_dispatch_info().class == frame_support::dispatch::DispatchClass::Mandatory);
    Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(set_time)).unwrap().unwrap();
    Executive::finalize_block();
}

/// What every account has, free and held.
fn balances() -> BTreeMap<AccountId, Balance> {
    frame_system::Account::<Runtime>::iter().map(|(account, it)| (account, it.data.free + it.data.reserved)).collect()
}

/// The parameters as version 2 has them in the state.
fn stored_parameters() -> V2 {
    let bytes = frame_support::storage::unhashed::get_raw(&pallet_difficulty::ChainParameters::<Runtime>::hashed_key());
    let (version, parameters) = <(u32, V2)>::decode(&mut bytes.unwrap().as_slice()).unwrap();
    assert_eq!(version, 2);
    parameters
}

#[test]
fn the_fixture_is_of_a_network_with_something_to_lose() {
    with_state(|| {
        assert_eq!(Token::on_chain_storage_version(), StorageVersion::new(1));
        assert!(Vestings::<Runtime>::iter().count() >= 3);
        assert!(first_edition::Providers::iter().all(|(_, it)| it.guaranteed_bits_per_second > 0 && it.bond > 0));
        assert_eq!(first_edition::Providers::iter().count(), 2);
        assert!(first_edition::Challengers::iter().count() >= 4);
        let boosted = pallet_difficulty::Terms::<Runtime>::get().iter().any(|term| term.total_bits_per_second > 0);
        assert!(boosted);
        assert!(System::block_number() > 3 * stored_parameters().measurement.epoch_blocks);
    });
}

#[test]
fn an_upgrade_keeps_everybodys_money_and_what_is_vesting_vests_as_it_would_have() {
    with_state(|| {
        let (before, period) = (balances(), stored_parameters().token.vesting_blocks);
        let issued = pallet_token::Sums::<Runtime>::get().issued;
        let rings: Vec<_> = Vestings::<Runtime>::iter().collect();
        let number = System::block_number();
        make_block();
        make_block();

        assert!(!<MultiBlockMigrations as frame_support::migrations::MultiStepMigrator>::ongoing());
        assert_eq!(Token::on_chain_storage_version(), Token::in_code_storage_version());
        assert_eq!(Vestings::<Runtime>::iter().count(), 0);
        let newly_issued = pallet_token::Sums::<Runtime>::get().issued - issued;
        let mut now = balances();
        // One author made both blocks, and nobody else got anything: no epoch ended.
        assert_eq!(now.remove(&AUTHOR), Some(newly_issued));
        assert_eq!(now, before);
        assert_eq!(balances().values().sum::<Balance>(), Balances::total_issuance());

        for (account, old) in rings {
            let ring = pallet_token::Rings::<Runtime>::get(&account);
            let reason = pallet_token::HoldReason::Vesting.into();
            assert_eq!(ring.held(), Balances::balance_on_hold(&reason, &account));
            for later in (number..number + 2 * period).step_by(7) {
                // By the rule of version 1, written out once more.
                let vested: Balance = old
                    .buckets
                    .iter()
                    .map(|bucket| {
                        let passed = later.saturating_sub((bucket.index + 1) * (period / 32)).min(period);
                        bucket.total * Balance::from(passed) / Balance::from(period) - bucket.released
                    })
                    .sum();
                assert_eq!(ring.vested(later), vested, "of {account} at {later}");
            }
        }
    });
}

#[test]
fn an_upgrade_keeps_the_parameters_and_the_epochs_go_on_where_they_were() {
    with_state(|| {
        let old = stored_parameters();
        let number: BlockNumber = System::block_number();
        let epoch = Epoch::uniform(number, old.measurement.epoch_blocks);
        make_block();
        let parameters: Parameters = Difficulty::parameters().unwrap();
        assert_eq!(parameters, old.into());
        assert_eq!(parameters.version, RULES_VERSION);
        parameters.check().unwrap();
        assert_eq!(Bandwidth::current(), epoch);
        while System::block_number() < epoch.end() {
            assert_eq!(Bandwidth::index_at(System::block_number()), epoch.index);
            make_block();
        }
        assert_eq!(Bandwidth::index_at(System::block_number()), epoch.index + 1);
    });
}

#[test]
fn who_was_registered_is_so_in_the_registry_with_the_same_bond_and_is_drawn_from_the_next_epoch_on() {
    with_state(|| {
        let providers: Vec<_> = first_edition::Providers::iter().collect();
        let challengers: Vec<_> = first_edition::Challengers::iter().collect();
        let held: Vec<_> = pallet_balances::Holds::<Runtime>::iter().collect();
        make_block();
        let next = Bandwidth::index_at(System::block_number()) + 1;
        for (account, before) in providers {
            let now = status::provider(&account).unwrap();
            assert_eq!((now.bond, now.identity, now.mining_author), (before.bond, before.peer, before.mining_author));
            assert_eq!(now.declared_bits_per_second, before.declared_bits_per_second);
            assert_eq!((now.guaranteed_bits_per_second, now.from), (0, next), "nothing was measured of what it sends");
        }
        for (account, before) in challengers {
            let now = status::challenger(&account).unwrap();
            assert_eq!((now.bond, now.identity), (before.bond, before.peer));
            assert!(matches!(now.standing, Standing::Active { .. }), "{:?}", now.standing);
        }
        assert_eq!(first_edition::Providers::iter().count() + first_edition::Challengers::iter().count(), 0);
        // But for the reward of the block's author no hold was touched.
        let now: Vec<_> = pallet_balances::Holds::<Runtime>::iter().filter(|(account, _)| *account != AUTHOR).collect();
        assert_eq!(now, held);
        while Bandwidth::current().index <= next {
            make_block();
        }
        let everybody = Registry::everybody(next);
        assert_eq!((everybody.providers, everybody.challengers), (2, 4));
        assert!(pallet_bandwidth::Plans::<Runtime>::get().is_some_and(|plan| plan.instants > 0));
    });
}

#[cfg(feature = "try-runtime")]
#[test]
fn the_checks_of_all_migrations_and_pallets_pass() {
    with_state(|| {
        Executive::try_runtime_upgrade(frame_try_runtime::UpgradeCheckSelect::All).unwrap();
    });
}
