use crate::{
    mock::*,
    types::{Role, Standing},
    ChallengerSlots, Challengers, Error, Event, HoldReason, Identities, PrefixSums, ProviderSlots, Providers, Sums,
    WaitingCount,
};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use proptest::prelude::*;
use sp_runtime::{DispatchError, Perbill};
use weir_primitives::{
    interfaces::Participants,
    measurement::lottery::{
        committee::Table,
        groups::{Family, Prefix},
    },
    AccountId, Balance, EpochIndex,
};

const MBIT: u64 = 1_000_000;

fn signed(id: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(id))
}

fn bonded(id: u8, role: Role) -> Balance {
    let reason = match role {
        Role::Provider => HoldReason::Provider,
        Role::Challenger => HoldReason::Challenger,
    };
    Balances::balance_on_hold(&reason.into(), &account(id))
}

fn slot_of_provider(id: u8) -> u32 {
    Providers::<Test>::get(account(id)).unwrap().slot.unwrap()
}

fn standing(id: u8) -> Standing {
    Challengers::<Test>::get(account(id)).unwrap().standing
}

fn slot_of_challenger(id: u8) -> u32 {
    match standing(id) {
        Standing::Active { slot } => slot,
        other => panic!("{other:?}"),
    }
}

fn epoch() -> EpochIndex {
    System::block_number() / EPOCH
}

fn providers_in(epoch: EpochIndex) -> Vec<AccountId> {
    ProviderSlots::<Test>::iter_values().filter(|it| it.is_active(epoch)).map(|it| it.account).collect()
}

#[test]
fn who_joins_is_drawn_from_the_next_epoch_on_and_who_leaves_until_this_one_ends() {
    new_test_ext().execute_with(|| {
        go_to(15);
        assert_ok!(provide(1, 100));
        assert_eq!(bonded(1, Role::Provider), 110);
        assert!(providers_in(1).is_empty());
        assert_eq!(providers_in(2), [account(1)]);
        go_to(25);
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        assert_eq!(providers_in(2), [account(1)]);
        assert!(providers_in(3).is_empty());
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn a_bond_is_held_until_the_unbonding_time_is_over() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 100));
        assert_noop!(Registry::withdraw(signed(99), account(1), Role::Provider), Error::<Test>::StillBonded);
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        assert_noop!(Registry::leave(signed(1), Role::Provider), Error::<Test>::Leaving);
        go_to(29);
        assert_noop!(Registry::withdraw(signed(99), account(1), Role::Provider), Error::<Test>::StillBonded);
        // It is drawn in the first epoch, and what it is drawn for may be evaluated up to the end of the second.
        go_to(30);
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Provider));
        assert_eq!((bonded(1, Role::Provider), Balances::balance(&account(1))), (0, ENDOWED));
        assert_noop!(Registry::withdraw(signed(99), account(1), Role::Provider), Error::<Test>::NotRegistered);
        assert_ok!(provide(1, 1));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn a_slot_is_given_again_only_when_its_last_epoch_was_evaluated() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        let slot = slot_of_provider(1);
        go_to_epoch(5);
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        // Active in epoch 5, whose challenges are evaluated in epoch 6.
        for (block, id) in [(51, 2), (69, 3)] {
            go_to(block);
            assert_ok!(provide(id, 1));
            assert_ne!(slot_of_provider(id), slot);
            assert_eq!(ProviderSlots::<Test>::get(slot).unwrap().account, account(1));
        }
        go_to_epoch(7);
        assert_ok!(provide(4, 1));
        assert_eq!(slot_of_provider(4), slot);
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn what_was_declared_changes_with_the_epoch_and_the_bond_at_once_if_it_grows() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 100));
        let slot = slot_of_provider(1);
        let declared = |epoch| *ProviderSlots::<Test>::get(slot).unwrap().declared.at(epoch) / MBIT;
        go_to_epoch(3);
        assert_ok!(Registry::set_declared(signed(1), 300 * MBIT));
        assert_eq!(bonded(1, Role::Provider), 310);
        assert_eq!((declared(3), declared(4)), (100, 300));

        go_to_epoch(4);
        assert_ok!(Registry::set_declared(signed(1), 50 * MBIT));
        assert_eq!(bonded(1, Role::Provider), 310, "what it may have lied about is still within reach");
        // What is not needed any more is used again before more is held.
        assert_ok!(Registry::set_declared(signed(1), 60 * MBIT));
        assert_eq!(Providers::<Test>::get(account(1)).unwrap().excess, Some((240, 70)));
        go_to(69);
        assert_noop!(Registry::withdraw(signed(99), account(1), Role::Provider), Error::<Test>::StillBonded);
        go_to(70);
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Provider));
        assert_eq!(bonded(1, Role::Provider), 70);
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn as_many_providers_join_in_an_epoch_as_may_and_the_next_come_in_the_next() {
    new_test_ext().execute_with(|| {
        set_rules(|rules| rules.most_joining = 2);
        assert_ok!(provide(1, 1));
        assert_ok!(provide(2, 1));
        assert_noop!(provide(3, 1), Error::<Test>::TooManyJoin);
        go_to_epoch(1);
        assert_ok!(provide(3, 1));
    });
}

#[test]
fn what_cannot_be_measured_is_refused() {
    new_test_ext().execute_with(|| {
        set_room(24 * MBIT);
        // A first challenge counts up to the step of 25 Mbit/s.
        assert_noop!(provide(1, 25), Error::<Test>::NoRoom);
        assert_ok!(provide(1, 24));
        set_room(0);
        assert_noop!(Registry::set_declared(signed(1), 25 * MBIT), Error::<Test>::NoRoom);
        assert_ok!(Registry::set_declared(signed(1), 23 * MBIT));
        assert_noop!(provide(2, 0), Error::<Test>::DeclaredTooLittle);
        assert_noop!(provide(2, MOST_DECLARED / MBIT + 1), Error::<Test>::DeclaredTooMuch);
        assert_noop!(Registry::set_declared(signed(1), MOST_DECLARED + 1), Error::<Test>::DeclaredTooMuch);
    });
}

#[test]
fn an_identity_is_nobody_elses_until_what_it_signed_is_past() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        let (first, _) = identity(1, &account(1));
        let other = |id: u8| identity(1, &account(id));
        let join = |id: u8, (identity, proof)| {
            Registry::register_provider(signed(id), MBIT, Family::V4, identity, proof, None)
        };
        assert_noop!(join(2, other(2)), Error::<Test>::IdentityTaken);
        let (key, _) = identity(500, &account(1));
        let (_, foreign) = identity(500, &account(9));
        assert_noop!(Registry::set_identity(signed(1), Role::Provider, key, foreign), Error::<Test>::BadSignature);
        let (key, proof) = identity(500, &account(1));
        go_to(5);
        assert_ok!(Registry::set_identity(signed(1), Role::Provider, key, proof));
        let slot = ProviderSlots::<Test>::get(slot_of_provider(1)).unwrap();
        assert_eq!((*slot.identity.at(0), *slot.identity.at(1)), (first, key));
        go_to(29);
        assert_eq!(Registry::who_answers_for(&first), Some((account(1), Role::Provider)));
        assert_noop!(join(2, other(2)), Error::<Test>::IdentityTaken);
        go_to(30);
        assert_eq!(Registry::who_answers_for(&first), None);
        assert_ok!(join(2, other(2)));
        assert_eq!(Identities::<Test>::get(first).unwrap().account, account(2));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn a_challenger_needs_one_endpoint_of_each_family_at_the_most() {
    new_test_ext().execute_with(|| {
        let (identity, proof) = identity(1, &account(1));
        let join = |endpoints| Registry::register_challenger(signed(1), identity, proof, endpoints);
        assert_noop!(join(Default::default()), Error::<Test>::BadEndpoint);
        let twice = [endpoints(1).into_inner(), endpoints(2).into_inner()].concat();
        assert_noop!(join(twice.try_into().unwrap()), Error::<Test>::BadEndpoint);
        assert_noop!(join(vec![vec![1].try_into().unwrap()].try_into().unwrap()), Error::<Test>::BadEndpoint);
        assert_ok!(join(endpoints(1)));
    });
}

#[test]
fn nobody_serves_ipv6_alone_and_where_admission_is_slow_nobody_ipv4_alone() {
    new_test_ext().execute_with(|| {
        let (identity, proof) = identity(1, &account(1));
        let ipv6 = vec![endpoints_of_both_families(1).pop().unwrap()].try_into().unwrap();
        let join = |endpoints| Registry::register_challenger(signed(1), identity, proof, endpoints);
        assert_noop!(join(ipv6), Error::<Test>::BadEndpoint);
        set_rules(|rules| rules.slow_admission = true);
        assert_noop!(join(endpoints(1)), Error::<Test>::OneFamilyMissing);
        set_rules(|rules| rules.slow_admission = false);
        assert_ok!(join(endpoints(1)));
        // Nor later, nor by coming back.
        set_rules(|rules| rules.slow_admission = true);
        assert_noop!(Registry::set_endpoints(signed(1), endpoints(2)), Error::<Test>::OneFamilyMissing);
        assert_ok!(Registry::pause(signed(1)));
        go_to_epoch(1);
        assert_noop!(Registry::come_back(signed(1)), Error::<Test>::OneFamilyMissing);
        assert_ok!(Registry::set_endpoints(signed(1), endpoints_of_both_families(2)));
        assert_ok!(Registry::come_back(signed(1)));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn slow_admission_draws_one_in_four_epochs_and_whoever_waits_can_go_at_once() {
    new_test_ext().execute_with(|| {
        set_rules(|rules| rules.slow_admission = true);
        for id in 0..8 {
            assert_ok!(challenge(id));
            assert!(matches!(standing(id), Standing::Waiting { .. }));
        }
        let issuance = 100 * ENDOWED - (1..=8).map(|nth| 10 * nth).sum::<Balance>();
        assert_eq!(Balances::total_issuance(), issuance, "the fees are burned");
        go_to_epoch(3);
        assert_eq!(WaitingCount::<Test>::get(), 8);
        go_to_epoch(4);
        assert_eq!(WaitingCount::<Test>::get(), 7);
        assert_eq!((*Sums::<Test>::get().challengers.at(4), *Sums::<Test>::get().challengers.at(5)), (0, 1));
        let waits = (0..8).find(|id| matches!(standing(*id), Standing::Waiting { place: 0 })).unwrap();
        assert_ok!(Registry::leave(signed(waits), Role::Challenger));
        assert_eq!(bonded(waits, Role::Challenger), 0);
        assert_eq!(WaitingCount::<Test>::get(), 6);
        Registry::do_try_state().unwrap();
        go_to_epoch(28);
        assert_eq!(WaitingCount::<Test>::get(), 0);
        assert_eq!(*Sums::<Test>::get().challengers.last(), 7);
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn epochs_in_which_nobody_waits_save_up_no_admission() {
    new_test_ext().execute_with(|| {
        set_rules(|rules| rules.slow_admission = true);
        go_to_epoch(50);
        for id in 0..8 {
            assert_ok!(challenge(id));
        }
        go_to_epoch(53);
        assert_eq!(WaitingCount::<Test>::get(), 8);
    });
}

#[test]
fn a_jailed_challenger_comes_back_after_its_time_as_a_junior_in_another_slot_and_longer_the_next_time() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        go_to_epoch(1);
        let slot = slot_of_challenger(1);
        assert!(Registry::jail(&account(1)));
        assert_eq!(standing(1), Standing::Jailed { until: 2 + 6 });
        assert_eq!((*Sums::<Test>::get().challengers.at(1), *Sums::<Test>::get().challengers.at(2)), (1, 0));
        assert_noop!(Registry::come_back(signed(1)), Error::<Test>::NotYet);
        go_to_epoch(6);
        assert_noop!(Registry::come_back(signed(1)), Error::<Test>::NotYet);
        // From the next epoch on, which is the eighth.
        go_to_epoch(7);
        // Somebody else has taken the slot.
        assert_ok!(challenge(2));
        assert_eq!(slot_of_challenger(2), slot);
        assert_ok!(Registry::come_back(signed(1)));
        assert_ne!(slot_of_challenger(1), slot);
        assert_eq!(ChallengerSlots::<Test>::get(slot_of_challenger(1)).unwrap().from, 8);
        go_to_epoch(8);
        assert!(Registry::jail(&account(1)));
        assert_eq!(standing(1), Standing::Jailed { until: 9 + 12 });
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn who_leaves_out_of_jail_still_waits_for_its_bond() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        go_to_epoch(1);
        assert!(Registry::jail(&account(1)));
        assert_ok!(Registry::leave(signed(1), Role::Challenger));
        assert_noop!(Registry::withdraw(signed(99), account(1), Role::Challenger), Error::<Test>::StillBonded);
        assert_noop!(Registry::come_back(signed(1)), Error::<Test>::NothingChanges);
        go_to(40);
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Challenger));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn a_slash_gives_a_tenth_to_who_showed_why_and_burns_the_rest() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        let issuance = Balances::total_issuance();
        assert_eq!(Registry::take_bond(&account(1), Role::Challenger, Perbill::one(), Some(&account(2))), Ok(100));
        assert_eq!(Balances::balance(&account(2)), ENDOWED + 10);
        assert_eq!(issuance - Balances::total_issuance(), 90);
        assert_eq!(bonded(1, Role::Challenger), 0);
        System::assert_last_event(
            Event::Slashed { account: account(1), role: Role::Challenger, taken: 100, burned: 90, rewarded: 10 }.into(),
        );
        assert!(matches!(standing(1), Standing::Leaving { .. }));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn who_slashes_himself_loses_nine_tenths() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        assert_ok!(Registry::take_bond(&account(1), Role::Challenger, Perbill::one(), Some(&account(1))));
        assert_eq!(Balances::total_balance(&account(1)), ENDOWED - 90);
    });
}

#[test]
fn a_bond_that_is_leaving_and_what_is_to_be_given_back_of_one_are_within_reach() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 100));
        assert_ok!(Registry::set_declared(signed(1), 50 * MBIT));
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        go_to(29);
        assert_eq!(Registry::take_bond(&account(1), Role::Provider, Perbill::from_percent(50), None), Ok(55));
        assert_eq!(bonded(1, Role::Provider), 55);
        Registry::do_try_state().unwrap();
        go_to(30);
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Provider));
        assert_eq!(
            Registry::take_bond(&account(1), Role::Provider, Perbill::one(), None),
            Err(Error::<Test>::NotRegistered.into())
        );
    });
}

#[test]
fn only_governance_slashes_without_a_proof() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 100));
        let slash = |origin| {
            Registry::slash(origin, account(1), Role::Provider, Perbill::one(), b"lied".to_vec().try_into().unwrap())
        };
        assert_noop!(slash(signed(2)), DispatchError::BadOrigin);
        assert_ok!(slash(RuntimeOrigin::root()));
        assert!(providers_in(1).is_empty());
    });
}

#[test]
fn prefixes_that_everybody_left_are_forgotten() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        let slot = slot_of_provider(1);
        for number in 0..200u8 {
            go_to_epoch(u32::from(number) + 1);
            Registry::set_measured(slot, 0, Some(Prefix::V4([10, 0, number])));
            Registry::do_try_state().unwrap();
        }
        assert!(PrefixSums::<Test>::iter().count() < 6);
    });
}

#[test]
fn coming_and_going_within_an_epoch_takes_one_slot() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(2));
        for _ in 0..50 {
            assert_ok!(provide(1, 1));
            assert_ok!(Registry::leave(signed(1), Role::Provider));
            Registry::take_bond(&account(1), Role::Provider, Perbill::one(), None).unwrap();
            Providers::<Test>::remove(account(1));
            Identities::<Test>::remove(identity(1, &account(1)).0);
        }
        assert_eq!(Registry::slots(Role::Provider, 1), 1);
        // A challenger is out of draws before it comes back.
        go_to_epoch(1);
        assert_ok!(Registry::pause(signed(2)));
        assert_noop!(Registry::come_back(signed(2)), Error::<Test>::NotYet);
        for epoch in 2..60 {
            go_to_epoch(epoch);
            let _ = Registry::come_back(signed(2));
            let _ = Registry::pause(signed(2));
        }
        assert!(Registry::slots(Role::Challenger, 60) <= 3);
    });
}

#[test]
fn who_pauses_is_jailed_all_the_same() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        go_to_epoch(1);
        assert_ok!(Registry::pause(signed(1)));
        assert!(Registry::jail(&account(1)));
        assert!(!Registry::jail(&account(1)), "once");
        assert_eq!(standing(1), Standing::Jailed { until: 8 });
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn where_admission_is_slow_a_sixteenth_comes_back_in_an_epoch() {
    new_test_ext().execute_with(|| {
        for id in 0..40 {
            assert_ok!(challenge(id));
        }
        set_rules(|rules| rules.slow_admission = true);
        go_to_epoch(1);
        for id in 0..8 {
            assert_ok!(Registry::pause(signed(id)));
        }
        go_to_epoch(2);
        let back = (0..8).filter(|id| Registry::come_back(signed(*id)).is_ok()).count();
        assert_eq!(back, 2, "of 32");
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn who_joins_and_leaves_at_once_keeps_nobody_out() {
    new_test_ext().execute_with(|| {
        set_rules(|rules| rules.most_joining = 1);
        for id in 0..20 {
            assert_ok!(provide(id, 1));
            assert_noop!(provide(99, 1), Error::<Test>::TooManyJoin);
            assert_ok!(Registry::leave(signed(id), Role::Provider));
        }
        assert_ok!(provide(99, 1));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn identities_of_accounts_that_have_nothing_to_lose_are_forgotten() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        let rotate = |seed| {
            let (key, proof) = identity(seed, &account(1));
            Registry::set_identity(signed(1), Role::Provider, key, proof)
        };
        for seed in 500..508 {
            assert_ok!(rotate(seed));
        }
        assert_noop!(rotate(508), Error::<Test>::TooManyIdentities);
        go_to(60);
        assert_ok!(rotate(508));
        assert_eq!(Identities::<Test>::iter().count(), 2);
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        go_to(200);
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Provider));
        assert_eq!(Identities::<Test>::iter().count(), 0);
    });
}

#[test]
fn who_takes_a_former_identity_again_answers_for_it() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        assert_ok!(challenge(1));
        for (role, own) in [(Role::Provider, 1), (Role::Challenger, 1_001)] {
            let (first, proof) = identity(own, &account(1));
            let (other, proof_of_other) = identity(own + 500, &account(1));
            assert_ok!(Registry::set_identity(signed(1), role, other, proof_of_other));
            // Until it answers for the first one no longer.
            go_to(System::block_number() + 200);
            assert_ok!(Registry::set_identity(signed(1), role, first, proof));
            assert_eq!(Registry::who_answers_for(&first), Some((account(1), role)));
            assert_eq!(Registry::who_answers_for(&other), Some((account(1), role)), "for what it signed until now");
            Registry::do_try_state().unwrap();
        }
    });
}

#[test]
fn who_withdraws_late_takes_no_identity_from_who_has_it_since() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 1));
        assert_ok!(Registry::leave(signed(1), Role::Provider));
        go_to(30);
        let (key, proof) = identity(1, &account(2));
        assert_ok!(Registry::register_provider(signed(2), MBIT, Family::V4, key, proof, None));
        assert_ok!(Registry::withdraw(signed(99), account(1), Role::Provider));
        assert_eq!(Registry::who_answers_for(&key), Some((account(2), Role::Provider)));
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn less_is_guaranteed_when_less_is_declared() {
    new_test_ext().execute_with(|| {
        assert_ok!(provide(1, 100));
        Registry::set_measured(slot_of_provider(1), 90 * MBIT, None);
        assert_ok!(Registry::set_declared(signed(1), 50 * MBIT));
        assert_eq!(Told::at(&account(1), 1).1, 50 * MBIT);
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn a_bond_that_rose_meanwhile_is_paid_by_who_comes_back() {
    new_test_ext().execute_with(|| {
        assert_ok!(challenge(1));
        assert_ok!(Registry::pause(signed(1)));
        set_rules(|rules| rules.challenger_bond = 400);
        go_to_epoch(1);
        assert_ok!(Registry::come_back(signed(1)));
        assert_eq!(bonded(1, Role::Challenger), 400);
    });
}

#[test]
fn where_slow_admission_ends_nobody_who_waited_is_overtaken_for_long() {
    new_test_ext().execute_with(|| {
        set_rules(|rules| rules.slow_admission = true);
        for id in 0..20 {
            assert_ok!(challenge(id));
        }
        set_rules(|rules| rules.slow_admission = false);
        go_to_epoch(1);
        assert_eq!(WaitingCount::<Test>::get(), 4);
        go_to_epoch(2);
        assert_eq!(WaitingCount::<Test>::get(), 0);
        Registry::do_try_state().unwrap();
    });
}

#[test]
fn challengers_of_genesis_are_drawn_from_the_first_epoch_on_and_are_seniors() {
    let mut ext = new_test_ext_with_genesis_challengers(20);
    ext.execute_with(|| {
        let table = crate::challengers::Challenging::<Test>::of(0);
        assert_eq!((Table::slots(&table), Table::seniors(&table)), (20, 20));
        assert!(Table::candidate(&table, 7).unwrap().is_active(0));
        Registry::do_try_state().unwrap();
    });
}

#[derive(Clone, Debug)]
enum Step {
    Provide(u8, u64),
    Declare(u8, u64),
    Author(u8, Option<u8>),
    Guarantee(u8, u64),
    Prefix(u8, u8),
    Challenge(u8),
    Endpoints(u8, u8, bool),
    Pause(u8),
    Jail(u8),
    ComeBack(u8),
    Identity(u8, bool, u16),
    Leave(u8, bool),
    Withdraw(u8, bool),
    Slash(u8, bool, u8, Option<u8>),
    Evict(u8),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u8..12;
    prop_oneof![
        3 => (id.clone(), 1u64..300).prop_map(|(id, mbits)| Step::Provide(id, mbits)),
        1 => (id.clone(), 1u64..300).prop_map(|(id, mbits)| Step::Declare(id, mbits)),
        1 => (id.clone(), proptest::option::of(0u8..4)).prop_map(|(id, author)| Step::Author(id, author)),
        2 => (id.clone(), 0u64..400).prop_map(|(id, mbits)| Step::Guarantee(id, mbits)),
        2 => (id.clone(), 0u8..5).prop_map(|(id, place)| Step::Prefix(id, place)),
        3 => id.clone().prop_map(Step::Challenge),
        2 => (id.clone(), any::<u8>(), any::<bool>()).prop_map(|(id, place, both)| Step::Endpoints(id, place, both)),
        1 => id.clone().prop_map(Step::Pause),
        1 => id.clone().prop_map(Step::Jail),
        1 => id.clone().prop_map(Step::ComeBack),
        1 => (id.clone(), any::<bool>(), 2_000u16..2_020).prop_map(|(id, role, key)| Step::Identity(id, role, key)),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, role)| Step::Leave(id, role)),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, role)| Step::Withdraw(id, role)),
        1 => (id.clone(), any::<bool>(), 0u8..=100, proptest::option::of(id.clone()))
            .prop_map(|(id, role, percent, reporter)| Step::Slash(id, role, percent, reporter)),
        1 => id.clone().prop_map(Step::Evict),
        6 => (1u8..15).prop_map(Step::Wait),
    ]
}

fn role(is_provider: bool) -> Role {
    if is_provider {
        Role::Provider
    } else {
        Role::Challenger
    }
}

/// Takes a step, whether or not it is allowed.
fn take(step: Step) {
    let provider = |id: u8| Providers::<Test>::get(account(id)).and_then(|it| it.slot);
    let _ = match step {
        Step::Provide(id, mbits) => provide(id, mbits),
        Step::Declare(id, mbits) => Registry::set_declared(signed(id), mbits * MBIT),
        Step::Author(id, author) => Registry::set_mining_author(signed(id), author.map(account)),
        Step::Guarantee(id, mbits) => {
            if let Some(slot) = provider(id) {
                let declared = *ProviderSlots::<Test>::get(slot).unwrap().declared.last();
                Registry::set_measured(slot, declared.min(mbits * MBIT), None);
            }
            Ok(())
        },
        Step::Prefix(id, place) => {
            if let Some(slot) = provider(id) {
                let guaranteed = *ProviderSlots::<Test>::get(slot).unwrap().guaranteed.last();
                Registry::set_measured(slot, guaranteed, Some(Prefix::V4([10, 1, place])));
            }
            Ok(())
        },
        Step::Challenge(id) => challenge(id),
        Step::Endpoints(id, place, false) => Registry::set_endpoints(signed(id), endpoints(place)),
        Step::Endpoints(id, place, true) => Registry::set_endpoints(signed(id), endpoints_of_both_families(place)),
        Step::Pause(id) => Registry::pause(signed(id)),
        Step::Jail(id) => {
            Registry::jail(&account(id));
            Ok(())
        },
        Step::ComeBack(id) => Registry::come_back(signed(id)),
        Step::Identity(id, is_provider, seed) => {
            let (key, proof) = identity(seed, &account(id));
            Registry::set_identity(signed(id), role(is_provider), key, proof)
        },
        Step::Leave(id, is_provider) => Registry::leave(signed(id), role(is_provider)),
        Step::Withdraw(id, is_provider) => Registry::withdraw(signed(99), account(id), role(is_provider)),
        Step::Slash(id, is_provider, percent, reporter) => {
            let part = Perbill::from_percent(percent.into());
            let reporter = reporter.map(account);
            Registry::take_bond(&account(id), role(is_provider), part, reporter.as_ref()).map(|_| ())
        },
        Step::Evict(id) => {
            if let Some(slot) = provider(id) {
                Registry::evict(slot);
            }
            Ok(())
        },
        Step::Wait(blocks) => {
            go_to(System::block_number() + u32::from(blocks));
            Ok(())
        },
    };
}

/// What everybody has adds up to what there is, and what was told of each provider is what its slot says.
fn check_all() {
    Registry::do_try_state().unwrap();
    let all: Balance = (0..100).map(|id| Balances::total_balance(&account(id))).sum();
    assert_eq!(all, Balances::total_issuance());
    for asked in epoch()..=epoch() + 1 {
        for entry in ProviderSlots::<Test>::iter_values() {
            let units = if entry.is_active(asked) { *entry.guaranteed.at(asked) } else { 0 };
            let (author, told) = Told::at(&entry.account, asked);
            // An account that came back has another slot.
            if entry.until.is_none() {
                assert_eq!(told, units);
                assert!(units == 0 || author == *entry.mining_author.at(asked));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bonds_slots_and_sums_are_right_after_each_of_a_hundred_thousand_operations(
        slow_admission: bool, steps in proptest::collection::vec(step(), 150..250),
    ) {
        new_test_ext().execute_with(|| {
            set_rules(|rules| rules.slow_admission = slow_admission);
            for step in steps {
                take(step);
                check_all();
            }
        });
    }
}
