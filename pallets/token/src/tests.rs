use crate::{
    migrations::{BucketV1, MoveRings, RingV1, Vestings},
    mock::{
        account, new_test_ext, set_author, set_current, set_emission_divisor, with_genesis, Balances, RuntimeEvent,
        RuntimeOrigin, System, Test, TestParameters, Token, CHALLENGER_BOND, EPOCH, EXISTENTIAL_DEPOSIT,
    },
    vesting::{Bucket, Ring},
    CapacityShares, Error, Event, HoldReason, PendingFees, Promised, Reason, Rings, Sums, Traffic, TrafficBudget,
    TrafficEpochs, CAP,
};
use frame_support::{
    assert_noop, assert_ok,
    migrations::SteppedMigration,
    traits::{
        fungible::{Balanced, Inspect, InspectHold},
        tokens::{Fortitude, Precision, Preservation},
        Get, GetStorageVersion, Hooks, Imbalance, OnUnbalanced, StorageVersion, SuppressedDrop,
    },
    weights::{constants::RocksDbWeight, WeightMeter},
};
use proptest::prelude::*;
use weir_primitives::{
    interfaces::{
        Everybody, OnAuthored, OnDuty, OnEpochBorder, OnGuaranteed, OnIncluded, OnMeasured, OnTraffic, Units,
    },
    Balance, Epoch, EpochIndex, PLANCK_PER_WEIR,
};

/// The epoch of an index, where all are equally long.
fn epoch(index: EpochIndex) -> Epoch {
    Epoch::uniform(index * EPOCH, EPOCH)
}

fn vesting(id: u8) -> Balance {
    Balances::balance_on_hold(&HoldReason::Vesting.into(), &account(id))
}

/// Begins an epoch in which so much is guaranteed of some providers, and of no others.
fn begin(epoch: Epoch, providers: &[(u8, u64)]) {
    for id in 0..20 {
        let now = providers.iter().filter(|(of, _)| *of == id).map(|(_, bits)| *bits).next_back().unwrap_or(0);
        let before = CapacityShares::<Test>::get(account(id)).map_or(0, |share| share.units());
        let units = |bits_per_second| Units { mining_author: None, bits_per_second };
        Token::on_guaranteed(&account(id), epoch.index, units(before), units(now));
    }
    let everybody = Everybody { providers: 2, challengers: 4, ..Default::default() };
    set_current(epoch);
    Token::on_epoch_border(epoch, &everybody, true);
}

/// Charges a fee and a tip, as the transaction payment does.
fn charge(payer: u8, fee: Balance, tip: Balance) {
    let withdraw = |amount| {
        Balances::withdraw(&account(payer), amount, Precision::Exact, Preservation::Preserve, Fortitude::Polite)
            .unwrap()
    };
    Token::on_unbalanceds([withdraw(fee), withdraw(tip)].into_iter());
}

fn budget() -> Balance {
    (CAP - Sums::<Test>::get().issued - Promised::<Test>::get()) / 1_000
}

#[test]
fn genesis_counts_as_issued_and_has_a_first_budget() {
    new_test_ext().execute_with(|| {
        let sums = Sums::<Test>::get();
        assert_eq!(sums.issued, 10_000_000 * PLANCK_PER_WEIR);
        assert_eq!(sums.scheduled, sums.issued + budget());
        Token::do_try_state().unwrap();
    });
}

#[test]
fn an_author_gets_a_fifth_at_once_and_the_rest_over_the_vesting_time() {
    new_test_ext().execute_with(|| {
        // A tenth is for who includes reports.
        let gross = budget() * 36 / 100 / Balance::from(EPOCH);
        let before = Balances::free_balance(account(1));
        Token::on_authored(&account(1));
        assert_eq!(Balances::free_balance(account(1)) - before, gross / 5);
        assert_eq!(vesting(1), gross - gross / 5);
        System::assert_last_event(RuntimeEvent::Token(Event::Rewarded {
            account: account(1),
            payee: account(1),
            reason: Reason::Block,
            gross,
            liquid: gross / 5,
            vesting: gross - gross / 5,
        }));
        Token::do_try_state().unwrap();

        assert_noop!(Token::claim(RuntimeOrigin::signed(account(9)), account(1)), Error::<Test>::NothingToClaim);
        System::set_block_number(3 + 48);
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(1)));
        assert_eq!(vesting(1), (gross - gross / 5) - (gross - gross / 5) / 2);
        System::set_block_number(3 + 96);
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(1)));
        assert_eq!(Balances::free_balance(account(1)) - before, gross);
        assert_eq!(vesting(1), 0);
        assert!(!Rings::<Test>::contains_key(account(1)), "nothing is left in storage");
        Token::do_try_state().unwrap();
    });
}

#[test]
fn providers_share_the_capacity_of_an_epoch_by_what_is_guaranteed_in_it() {
    new_test_ext().execute_with(|| {
        let capacity = budget() * 35 / 100;
        begin(epoch(1), &[(1, 500), (2, 1_500)]);
        let earned = |id| Balances::total_balance(&account(id)) - 1_000_000 * PLANCK_PER_WEIR;
        assert_eq!((Token::owed(&account(1)), earned(1)), (capacity / 4, 0));
        Token::do_try_state().unwrap();
        // When it is measured, or when somebody claims.
        Token::on_measured(&account(1));
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(2)));
        assert_eq!(earned(1), capacity / 4);
        assert_eq!(earned(2), capacity * 3 / 4);
        assert_eq!(Token::owed(&account(1)), 0);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn little_bandwidth_alone_does_not_get_it_all() {
    new_test_ext().execute_with(|| {
        let capacity = budget() * 35 / 100;
        begin(epoch(1), &[(1, 10)]);
        // Ten of the thousand that full pay takes; of what bounds credit, half as much would do.
        assert_eq!(Token::owed(&account(1)), capacity / 100);
    });
}

#[test]
fn what_nobody_gets_stays_unissued_and_the_emission_decays() {
    new_test_ext().execute_with(|| {
        let issued = Sums::<Test>::get().issued;
        let first = budget();
        begin(epoch(1), &[]);
        assert_eq!(Sums::<Test>::get().issued, issued);
        assert_eq!(budget(), first);
        begin(epoch(2), &[(1, 1_000)]);
        assert!(budget() < first);
    });
}

#[test]
fn an_epoch_issues_by_its_length() {
    new_test_ext().execute_with(|| {
        let usual = budget();
        let scheduled = || {
            let sums = Sums::<Test>::get();
            sums.scheduled - sums.issued
        };
        for blocks in [1, EPOCH, 3 * EPOCH] {
            begin(Epoch { blocks, ..epoch(1) }, &[]);
            let expected = usual * Balance::from(blocks) / Balance::from(EPOCH);
            assert!(scheduled().abs_diff(expected) <= 3, "{} is not {expected}", scheduled());
        }
        // However long it is.
        begin(Epoch { blocks: u32::MAX, ..epoch(1) }, &[]);
        assert_eq!(Sums::<Test>::get().scheduled, CAP);
        Token::do_try_state().unwrap();
    });
}

/// The rings of some accounts, as version 1 kept them.
fn store_as_version_1(accounts: &[(u8, Ring)]) {
    for (id, ring) in accounts {
        // A period of 96 blocks is cut into buckets of three.
        let former = |it: &Bucket| BucketV1 { index: it.begins / 3 - 1, total: it.total, released: it.released };
        let buckets: Vec<_> = ring.buckets.iter().map(former).collect();
        Rings::<Test>::remove(account(*id));
        Vestings::<Test>::insert(account(*id), RingV1 { buckets: buckets.try_into().unwrap() });
    }
    StorageVersion::new(1).put::<Token>();
}

proptest! {
    #[test]
    fn rewards_of_version_1_vest_as_they_did_whatever_happens_while_they_are_moved(
        steps in proptest::collection::vec((0u8..9, 0u8..3), 0..20),
        accounts_in_a_block in 1u64..4,
    ) {
        new_test_ext().execute_with(|| {
            // Of so many blocks that all rewards below are within its budget.
            begin(Epoch { blocks: 100, ..epoch(1) }, &[]);
            for number in [1, 4, 9] {
                System::set_block_number(number);
                (0..9).for_each(|id| Token::on_authored(&account(id)));
            }
            System::set_block_number(50);
            let rings: Vec<_> = (0..9).map(|id| (id, Rings::<Test>::get(account(id)))).collect();
            // What the same steps come to where nothing has to be moved.
            let act = |(id, what): (u8, u8)| match what {
                0 => Token::on_authored(&account(id)),
                1 => {
                    let _ = Token::claim(RuntimeOrigin::signed(account(0)), account(id));
                },
                _ => System::set_block_number(System::block_number() + 1),
            };
            let expected = frame_support::storage::with_transaction(|| {
                steps.iter().copied().for_each(act);
                let all: Vec<_> = (0..9).map(|id| Rings::<Test>::get(account(id))).collect();
                sp_runtime::TransactionOutcome::Rollback(Ok::<_, sp_runtime::DispatchError>(all))
            })
            .unwrap();

            store_as_version_1(&rings);
            Token::do_try_state().unwrap();
            let mut steps = steps.into_iter();
            let mut cursor = None;
            loop {
                if let Some(step) = steps.next() {
                    act(step);
                }
                let each = RocksDbWeight::get().reads_writes(9, 2);
                let mut meter = WeightMeter::with_limit(each.saturating_mul(accounts_in_a_block));
                cursor = MoveRings::<Test>::step(cursor, &mut meter).unwrap();
                Token::do_try_state().unwrap();
                if cursor.is_none() {
                    break;
                }
            }
            steps.for_each(act);
            Token::do_try_state().unwrap();
            assert_eq!(Token::on_chain_storage_version(), Token::in_code_storage_version());
            assert_eq!((0..9).map(|id| Rings::<Test>::get(account(id))).collect::<Vec<_>>(), expected);
        });
    }
}

#[test]
fn a_chain_that_is_beyond_version_2_is_not_set_back_by_the_migration_to_it() {
    new_test_ext().execute_with(|| {
        StorageVersion::new(3).put::<Token>();
        let mut meter = WeightMeter::new();
        assert!(MoveRings::<Test>::step(None, &mut meter).unwrap().is_none());
        assert_eq!(Token::on_chain_storage_version(), StorageVersion::new(3));
    });
}

#[test]
fn nothing_is_ever_issued_above_the_cap() {
    with_genesis(CAP / 10 - 10_000).execute_with(|| {
        // Everything that is left, in each epoch.
        set_emission_divisor(1);
        for index in 1..100 {
            begin(epoch(index), &[(1, 1_000)]);
            (0..EPOCH).for_each(|_| Token::on_authored(&account(2)));
            Token::on_measured(&account(1));
            assert!(Sums::<Test>::get().issued <= CAP);
            Token::do_try_state().unwrap();
        }
        // What waits is too little for an account that has nothing.
        assert!(Sums::<Test>::get().issued > CAP - 100 - 5 * EXISTENTIAL_DEPOSIT);
    });
}

#[test]
fn genesis_balances_above_the_cap_are_refused() {
    assert!(std::panic::catch_unwind(|| with_genesis(CAP / 10 + 1)).is_err());
}

#[test]
fn a_reward_that_an_account_cannot_hold_is_not_issued() {
    with_genesis(CAP / 10 - 5_000).execute_with(|| {
        set_emission_divisor(10);
        begin(epoch(1), &[]);
        let before = Sums::<Test>::get();
        // A tenth of 50 000, 36 % of that, over ten blocks: 180 planck, less than the existential deposit.
        Token::on_authored(&account(77));
        assert_eq!(Sums::<Test>::get(), before);
        assert_eq!(Balances::total_balance(&account(77)), 0);
        System::assert_last_event(RuntimeEvent::Token(Event::RewardLost {
            account: account(77),
            reason: Reason::Block,
            gross: 180,
        }));
    });
}

/// Ends the current block.
fn end_block() {
    Token::on_finalize(System::block_number());
}

/// What was paid in this block, and nobody has yet: fees, and tips.
fn pending() -> (Balance, Balance) {
    PendingFees::<Test>::get().map_or((0, 0), |(fees, tips)| (fees.as_ref().peek(), tips.as_ref().peek()))
}

#[test]
fn fees_are_burned_by_half_and_the_rest_goes_to_author_and_treasury() {
    new_test_ext().execute_with(|| {
        set_author(Some(account(3)));
        let issuance = Balances::total_issuance();
        let author = Balances::free_balance(account(3));
        charge(1, 70_001, 7_000);
        charge(2, 30_000, 0);
        assert_eq!(pending(), (100_001, 7_000));
        assert_eq!(Balances::total_issuance(), issuance, "nothing is burned before the block ends");
        end_block();
        assert_eq!(issuance - Balances::total_issuance(), 50_001);
        assert_eq!(Balances::free_balance(account(3)) - author, 30_000 + 7_000);
        assert_eq!(Balances::free_balance(Token::treasury()), 20_000);
        System::assert_last_event(RuntimeEvent::Token(Event::FeesSplit {
            gross: 100_001,
            tips: 7_000,
            burned: 50_001,
            author: 37_000,
            treasury: 20_000,
        }));
        assert_eq!(Token::supply().burned, 50_001);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn no_fee_outlives_its_block_and_a_block_without_fees_says_nothing() {
    new_test_ext().execute_with(|| {
        set_author(Some(account(3)));
        charge(1, 100_000, 0);
        end_block();
        assert!(!PendingFees::<Test>::exists());
        charge(1, 0, 0);
        let events = System::events().len();
        end_block();
        assert_eq!(System::events().len(), events);
    });
}

#[test]
fn parts_of_fees_that_nobody_can_take_are_burned() {
    new_test_ext().execute_with(|| {
        // No author, and too little for a treasury that does not exist yet.
        let issuance = Balances::total_issuance();
        charge(1, EXISTENTIAL_DEPOSIT, 10);
        end_block();
        assert_eq!(issuance - Balances::total_issuance(), EXISTENTIAL_DEPOSIT + 10);
        System::assert_last_event(RuntimeEvent::Token(Event::FeesSplit {
            gross: EXISTENTIAL_DEPOSIT,
            tips: 10,
            burned: EXISTENTIAL_DEPOSIT + 10,
            author: 0,
            treasury: 0,
        }));
    });
}

#[test]
fn a_challenger_is_paid_by_what_it_was_assigned_and_at_most_a_500th_of_its_bond_in_an_epoch() {
    new_test_ext().execute_with(|| {
        let most = CHALLENGER_BOND / 500;
        begin(epoch(1), &[]);
        // Four challengers get four times the most at the most, for the duties of two providers at two instants.
        let expected = 2 * 2 * 4 * 100_000;
        let of_bytes = |bytes: Balance| 4 * most * bytes / expected;
        Token::on_duty(&account(5), 60_000);
        Token::on_duty(&account(6), 0);
        assert_eq!((Token::owed(&account(5)), Token::owed(&account(6))), (of_bytes(160_000), of_bytes(100_000)));
        Token::on_duty(&account(5), 10_000_000);
        assert_eq!(Token::owed(&account(5)), most, "no more in this epoch");
        Token::do_try_state().unwrap();

        System::set_block_number(2 * EPOCH);
        begin(epoch(2), &[]);
        let before = Balances::total_balance(&account(5));
        assert!(Token::on_duty(&account(5), 0));
        assert_eq!(Balances::total_balance(&account(5)) - before, most, "paid with the first duty of a later epoch");
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(6)));
        assert_eq!(Token::owed(&account(6)), 0);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn challengers_that_nobody_asked_anything_get_no_more_for_a_duty_that_was_void() {
    new_test_ext().execute_with(|| {
        for index in 1..10 {
            System::set_block_number(index * EPOCH);
            begin(epoch(index), &[]);
            // One void duty each, in an epoch in which nothing else is held.
            let paid: Vec<bool> = (5..9).map(|id| Token::on_duty(&account(id), 0)).collect();
            assert_eq!(paid, [index > 1; 4], "it says that it paid what was earned in the epoch before");
        }
        let void = 4 * (CHALLENGER_BOND / 500) * 100_000 / (2 * 2 * 4 * 100_000);
        let earned =
            |id| Token::owed(&account(id)) + Balances::total_balance(&account(id)) - 1_000_000 * PLANCK_PER_WEIR;
        assert!((5..9).all(|id| earned(id) <= 9 * void), "{} for nine of {void}", earned(5));
    });
}

#[test]
fn who_includes_batches_of_its_own_providers_does_not_soon_have_their_bonds_back() {
    new_test_ext().execute_with(|| {
        let pool = budget() * 4 / 100;
        begin(epoch(1), &[]);
        let before = Balances::total_balance(&account(3));
        (0..4).for_each(|_| Token::on_included(&account(3)));
        let earned = Balances::total_balance(&account(3)) - before;
        let bond = TestParameters::get().unwrap().registry.bond_of_provider(1_000_000);
        assert_eq!(earned, (4 * (bond / 500)).min(pool));
        // Below the least number of seniors there is nothing at all.
        Token::on_epoch_border(epoch(2), &Everybody { providers: 2, ..Default::default() }, false);
        Token::on_included(&account(3));
        assert_eq!(Balances::total_balance(&account(3)) - before, earned);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn rewards_go_to_the_payee_and_what_vests_already_stays() {
    new_test_ext().execute_with(|| {
        Token::on_authored(&account(1));
        let vests = vesting(1);
        assert_ok!(Token::set_payee(RuntimeOrigin::signed(account(1)), Some(account(2))));
        Token::on_authored(&account(1));
        assert_eq!((vesting(1), vesting(2)), (vests, vests));
        assert_ok!(Token::set_payee(RuntimeOrigin::signed(account(1)), Some(account(1))));
        Token::on_authored(&account(1));
        assert!(vesting(1) > vests);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn nobody_has_little_lost_by_claiming_for_an_account_that_has_nothing() {
    new_test_ext().execute_with(|| {
        begin(epoch(1), &[(77, 0)]);
        let units = |bits_per_second| Units { mining_author: None, bits_per_second };
        Token::on_guaranteed(&account(77), 2, units(0), units(1));
        set_emission_divisor(u64::MAX / u64::from(EPOCH) / 1_000);
        Token::on_epoch_border(epoch(2), &Everybody::default(), true);
        let owed = Token::owed(&account(77));
        assert_noop!(Token::claim(RuntimeOrigin::signed(account(9)), account(77)), Error::<Test>::NothingToClaim);
        assert_eq!(Token::owed(&account(77)), owed);
    });
}

/// What a line of a Gbit/s can carry in an epoch.
const BYTES_IN_EPOCH: u64 = 125_000_000 * 2 * EPOCH as u64;

fn sell(id: u8, bytes: u64, burned: Balance) {
    Token::on_traffic(&account(id), bytes, 1_000_000_000, burned);
}

fn go_to_epoch(index: EpochIndex) {
    System::set_block_number(index * EPOCH);
    begin(epoch(index), &[]);
}

#[test]
fn traffic_mints_nine_tenths_of_its_burn_when_the_epoch_is_over() {
    new_test_ext().execute_with(|| {
        go_to_epoch(1);
        sell(1, 1_000, 1_000_000);
        assert_eq!(Promised::<Test>::get(), 900_000);
        assert_eq!(Token::owed(&account(1)), 0, "nobody knows yet what others claim");
        assert_noop!(Token::claim(RuntimeOrigin::signed(account(9)), account(1)), Error::<Test>::NothingToClaim);
        go_to_epoch(2);
        assert_eq!(Token::owed(&account(1)), 900_000);
        let before = Balances::total_balance(&account(1));
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(1)));
        assert_eq!(Balances::total_balance(&account(1)) - before, 900_000);
        assert_eq!((Promised::<Test>::get(), TrafficEpochs::<Test>::iter().count()), (0, 0));
        assert!(!Traffic::<Test>::contains_key(account(1)), "nothing is left in storage");
        Token::do_try_state().unwrap();
    });
}

#[test]
fn where_all_claim_more_than_there_is_each_gets_the_same_part_whenever_it_comes() {
    new_test_ext().execute_with(|| {
        go_to_epoch(1);
        let there_is = TrafficBudget::<Test>::get();
        assert_eq!(there_is, budget() / 5);
        // Three times as much is claimed: two thirds by one, a third by another.
        sell(1, 1, there_is * 10 / 9);
        sell(2, 1, there_is * 10 / 9);
        sell(1, 1, there_is * 10 / 9);
        assert!(Promised::<Test>::get() <= there_is);
        Token::do_try_state().unwrap();
        let before = |id| Balances::total_balance(&account(id)) - 1_000_000 * PLANCK_PER_WEIR;
        // One is paid for other traffic later, the other long after that; the epoch is kept until then, and no longer.
        go_to_epoch(2);
        sell(1, 1, 10);
        go_to_epoch(9);
        assert_ok!(Token::claim(RuntimeOrigin::signed(account(9)), account(2)));
        assert!(before(1).abs_diff(there_is * 2 / 3) <= 3 && before(2).abs_diff(there_is / 3) <= 3);
        assert!(before(1) + before(2) <= there_is);
        assert_eq!(TrafficEpochs::<Test>::iter_keys().collect::<Vec<_>>(), [2]);
        Token::do_try_state().unwrap();
    });
}

#[test]
fn bytes_that_the_line_cannot_have_carried_mint_nothing_over_however_many_payments() {
    new_test_ext().execute_with(|| {
        go_to_epoch(1);
        sell(1, BYTES_IN_EPOCH / 2, 1_000_000);
        sell(1, BYTES_IN_EPOCH, 1_000_000);
        sell(1, 1, 1_000_000);
        go_to_epoch(2);
        assert_eq!(Token::owed(&account(1)), 900_000 + 450_000);
        // In another epoch there is room again.
        sell(1, BYTES_IN_EPOCH, 1_000_000);
        go_to_epoch(3);
        assert_eq!(Token::owed(&account(1)), 900_000);
        Token::do_try_state().unwrap();
    });
}

#[derive(Clone, Debug)]
enum Step {
    Traffic(u8, u64, u64),
    Author(u8),
    Epoch(Vec<(u8, u64)>),
    Duty(u8, u64),
    Batch(u8),
    Measured(u8),
    Payee(u8, Option<u8>),
    Fee(u8, u32, u32),
    EndBlock,
    Claim(u8),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..20).prop_map(Step::Author),
        proptest::collection::vec((0u8..20, any::<u64>()), 0..4).prop_map(Step::Epoch),
        (0u8..20, any::<u64>()).prop_map(|(id, bytes)| Step::Duty(id, bytes >> 30)),
        (0u8..20, any::<u64>(), any::<u64>()).prop_map(|(id, bytes, burned)| Step::Traffic(id, bytes >> 28, burned)),
        (0u8..20).prop_map(Step::Batch),
        (0u8..20).prop_map(Step::Measured),
        (0u8..20, proptest::option::of(0u8..20)).prop_map(|(id, payee)| Step::Payee(id, payee)),
        (0u8..10, any::<u32>(), any::<u32>()).prop_map(|(payer, fee, tip)| Step::Fee(payer, fee, tip)),
        Just(Step::EndBlock),
        (0u8..20).prop_map(Step::Claim),
        any::<u8>().prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_created_or_lost_in_a_hundred_thousand_operations(
        steps in proptest::collection::vec(step(), 150..250),
    ) {
        new_test_ext().execute_with(|| {
            let mut blocks = 0;
            for (index, step) in (1u32..).zip(steps) {
                let (issued, existing) = (Sums::<Test>::get().issued, Balances::total_issuance());
                let mut burned = 0;
                match step {
                    // An epoch has no more blocks than it is long.
                    Step::Author(_) if blocks == EPOCH => (),
                    Step::Author(id) => {
                        blocks += 1;
                        set_author(Some(account(id)));
                        Token::on_authored(&account(id));
                    },
                    Step::Epoch(providers) => {
                        blocks = 0;
                        begin(epoch(index), &providers);
                    },
                    Step::Fee(payer, fee, tip) => {
                        let (fees, tips) = pending();
                        charge(payer, fee.into(), tip.into());
                        prop_assert_eq!(pending(), (fees + Balance::from(fee), tips + Balance::from(tip)));
                    },
                    Step::EndBlock => {
                        let (fees, tips) = pending();
                        end_block();
                        burned = existing - Balances::total_issuance();
                        prop_assert!(burned >= fees / 2);
                        if fees > 0 || tips > 0 {
                            let split = System::events().pop().unwrap().event;
                            let part_of = |event| match event {
                                RuntimeEvent::Token(Event::FeesSplit { burned, author, treasury, .. }) => (burned, author + treasury),
                                _ => panic!("the fees were not split"),
                            };
                            prop_assert_eq!(part_of(split), (burned, fees + tips - burned));
                        }
                    },
                    Step::Claim(id) => {
                        let owed = Token::owed(&account(id));
                        let _ = Token::claim(RuntimeOrigin::signed(account(0)), account(id));
                        let paid = Sums::<Test>::get().issued - issued;
                        prop_assert!(paid + Token::owed(&account(id)) <= owed);
                    },
                    Step::Duty(id, bytes) => {
                        let owed = Token::owed(&account(id));
                        let was_paid = Token::on_duty(&account(id), bytes);
                        prop_assert!(!was_paid || owed > 0);
                    },
                    Step::Traffic(id, bytes, burned) => sell(id, bytes, burned.into()),
                    Step::Batch(id) => Token::on_included(&account(id)),
                    Step::Measured(id) => Token::on_measured(&account(id)),
                    Step::Payee(id, payee) => {
                        assert_ok!(Token::set_payee(RuntimeOrigin::signed(account(id)), payee.map(account)));
                    },
                    Step::Wait(blocks) => System::set_block_number(System::block_number() + u32::from(blocks)),
                }
                let issued_now = Sums::<Test>::get().issued - issued;
                prop_assert_eq!(Balances::total_issuance(), existing + issued_now - burned);
                let all: Balance = frame_system::Account::<Test>::iter_values().map(|it| it.data.free + it.data.reserved).sum();
                prop_assert_eq!(all + pending().0 + pending().1, Balances::total_issuance());
                Token::do_try_state().unwrap();
            }
            Ok(())
        })?;
    }
}
