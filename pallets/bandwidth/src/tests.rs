use crate::{
    mock::{
        account, endpoints, identity, new_test_ext, parameters, proof, run_to, set_migrating, set_parameters, Balances,
        Bandwidth, RuntimeEvent, RuntimeOrigin, Snapshots, System, Test, EPOCH, MBIT,
    },
    Challengers, CurrentEpoch, Error, Event, HoldReason, OpenEpochs, Plans, Providers, Reports,
};
use frame_support::{assert_noop, assert_ok, dispatch::Pays, traits::fungible::InspectHold};
use proptest::prelude::*;
use sp_core::{ed25519, Pair};
use weir_primitives::{
    interfaces::Epochs,
    measurement::{endpoint::Service, estimator::FURTHEST_ROUND_TRIP_US, report_payload, Duty, Report, Role},
    AccountId, Epoch, PLANCK_PER_WEIR,
};

const PROVIDER: u8 = 1;
const OTHER_PROVIDER: u8 = 2;
const FIRST_CHALLENGER: u8 = 10;

fn signed(id: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(id))
}

fn register_provider(id: u8, mbits: u64) {
    assert_ok!(Bandwidth::register_provider(
        signed(id),
        mbits * MBIT,
        identity(id).public(),
        proof(id),
        endpoints(Service::Probe),
        Some(account(50)),
    ));
}

fn register_challenger(id: u8) {
    assert_ok!(Bandwidth::register_challenger(
        signed(id),
        identity(id).public(),
        proof(id),
        endpoints(Service::Control)
    ));
}

/// A provider and some challengers, registered in the first block.
fn register_all(mbits: u64, challengers: u8) {
    run_to(1);
    register_provider(PROVIDER, mbits);
    (FIRST_CHALLENGER..FIRST_CHALLENGER + challengers).for_each(register_challenger);
}

fn duty() -> Option<Duty> {
    Bandwidth::duties(&account(PROVIDER)).into_iter().next()
}

fn id_of(account: &AccountId) -> u8 {
    AsRef::<[u8; 32]>::as_ref(account)[0]
}

fn sign(duty: &Duty, challenger: &AccountId, report: &Report) -> ed25519::Signature {
    let payload =
        report_payload(System::block_hash(0), duty.epoch, duty.position, &duty.provider.0, challenger, report);
    identity(id_of(challenger)).sign(&payload)
}

fn submit(duty: &Duty, challenger: &AccountId, report: Report) -> sp_runtime::DispatchResult {
    let signature = sign(duty, challenger, &report);
    // Somebody who has nothing to do with it may.
    Bandwidth::report(signed(60), duty.epoch, duty.position, challenger.clone(), report, signature)
        .map(|_| ())
        .map_err(|error| error.error)
}

/// What each of four honest challengers reports of a link.
fn honest(mbits: u64) -> Report {
    Report { bytes: mbits * MBIT / 8 / 2 / 4, elapsed_us: 505_000, round_trip_us: 1_000 }
}

/// Runs to the middle of an epoch, when its first challenge takes reports.
fn run_into_challenge(epoch: u32) -> Duty {
    run_to(epoch * EPOCH);
    let duty = duty().expect("the provider is challenged");
    run_to(u32::try_from(duty.start / 2_000).unwrap() + 1);
    duty
}

fn measure(epoch: u32, report: Report) {
    let duty = run_into_challenge(epoch);
    for (challenger, _, _) in &duty.committee {
        assert_ok!(submit(&duty, challenger, report));
    }
}

fn guaranteed() -> u64 {
    Providers::<Test>::get(account(PROVIDER)).unwrap().guaranteed_bits_per_second
}

#[test]
fn registering_holds_a_bond_per_declared_mbit() {
    new_test_ext().execute_with(|| {
        run_to(1);
        assert_ok!(Bandwidth::register_provider(
            signed(1),
            250 * MBIT + 1,
            identity(1).public(),
            proof(1),
            endpoints(Service::Probe),
            None
        ));
        let held = Balances::balance_on_hold(&HoldReason::ProviderBond.into(), &account(1));
        assert_eq!(held, 251 * PLANCK_PER_WEIR);
        register_challenger(2);
        let held = Balances::balance_on_hold(&HoldReason::ChallengerBond.into(), &account(2));
        assert_eq!(held, 100 * PLANCK_PER_WEIR);
        Bandwidth::do_try_state().unwrap();
    });
}

#[test]
fn registering_needs_an_identity_that_agrees_and_acts_for_nobody_else() {
    new_test_ext().execute_with(|| {
        run_to(1);
        let register = |id: u8, peer: u8, proof| {
            Bandwidth::register_challenger(signed(id), identity(peer).public(), proof, endpoints(Service::Control))
        };
        assert_noop!(register(1, 2, proof(1)), Error::<Test>::BadSignature);
        // The identity agreed to act for account 2, and for nobody else.
        assert_noop!(register(1, 2, proof(2)), Error::<Test>::BadSignature);
        assert_ok!(register(2, 2, proof(2)));
        assert_noop!(register(2, 2, proof(2)), Error::<Test>::AlreadyRegistered);
        assert_noop!(
            Bandwidth::register_provider(
                signed(2),
                MBIT,
                identity(2).public(),
                proof(2),
                endpoints(Service::Probe),
                None
            ),
            Error::<Test>::IdentityTaken
        );
    });
}

#[test]
fn registering_needs_funds_an_address_and_a_megabit() {
    new_test_ext().execute_with(|| {
        run_to(1);
        let register = |mbits, endpoints| {
            Bandwidth::register_provider(signed(1), mbits, identity(1).public(), proof(1), endpoints, None)
        };
        assert_noop!(register(MBIT - 1, endpoints(Service::Probe)), Error::<Test>::DeclaredTooLittle);
        assert_noop!(register(MBIT, endpoints(Service::Control)), Error::<Test>::BadEndpoint);
        assert_noop!(register(MBIT, Default::default()), Error::<Test>::BadEndpoint);
        assert!(register(20_000 * MBIT, endpoints(Service::Probe)).is_err());
        Bandwidth::do_try_state().unwrap();
    });
}

#[test]
fn there_is_no_room_for_more_than_the_most_providers() {
    new_test_ext().execute_with(|| {
        run_to(1);
        (1..=16).for_each(|id| register_provider(id, 1));
        assert_noop!(
            Bandwidth::register_provider(
                signed(17),
                MBIT,
                identity(17).public(),
                proof(17),
                endpoints(Service::Probe),
                None
            ),
            Error::<Test>::TooMany
        );
    });
}

#[test]
fn who_leaves_is_drawn_no_more_and_gets_the_bond_back_after_the_unbonding_time() {
    new_test_ext().execute_with(|| {
        register_all(100, 4);
        assert_noop!(Bandwidth::withdraw_provider_bond(signed(PROVIDER)), Error::<Test>::StillBonded);
        assert_ok!(Bandwidth::leave_as_provider(signed(PROVIDER)));
        assert_noop!(Bandwidth::leave_as_provider(signed(PROVIDER)), Error::<Test>::AlreadyLeaving);
        assert_ok!(Bandwidth::leave_as_challenger(signed(FIRST_CHALLENGER)));
        run_to(40);
        assert_noop!(Bandwidth::withdraw_provider_bond(signed(PROVIDER)), Error::<Test>::StillBonded);
        assert_eq!(Plans::<Test>::get(3).unwrap().providers, 0);
        assert_eq!(Plans::<Test>::get(3).unwrap().challengers, 3);
        run_to(41);
        assert_ok!(Bandwidth::withdraw_provider_bond(signed(PROVIDER)));
        assert_ok!(Bandwidth::withdraw_challenger_bond(signed(FIRST_CHALLENGER)));
        assert_eq!(Balances::free_balance(account(PROVIDER)), 10_000 * PLANCK_PER_WEIR);
        assert!(Providers::<Test>::get(account(PROVIDER)).is_none());
        Bandwidth::do_try_state().unwrap();
        // Identity and account are free again.
        register_provider(PROVIDER, 1);
    });
}

#[test]
fn the_sets_freeze_an_epoch_before_they_serve() {
    new_test_ext().execute_with(|| {
        register_all(100, 4);
        run_to(EPOCH + 1);
        register_provider(OTHER_PROVIDER, 100);
        assert_eq!(Plans::<Test>::get(2).unwrap().providers, 1);
        assert_eq!(Plans::<Test>::get(2).unwrap().seed, None);
        run_to(EPOCH + 3);
        assert!(Plans::<Test>::get(2).unwrap().seed.is_some());
        run_to(2 * EPOCH);
        assert!(Bandwidth::duties(&account(OTHER_PROVIDER)).is_empty());
        run_to(3 * EPOCH);
        assert_eq!(Bandwidth::duties(&account(OTHER_PROVIDER)).len(), 1);
    });
}

#[test]
fn a_duty_tells_provider_and_committee_the_same() {
    new_test_ext().execute_with(|| {
        register_all(100, 6);
        run_to(2 * EPOCH);
        let duty = duty().unwrap();
        assert_eq!(duty.role, Role::Provider);
        assert_eq!(duty.committee.len(), 4);
        // 1.5 × 100 Mbit/s ÷ 4, for half a second.
        assert_eq!(duty.bits_per_second, 37_500_000);
        assert_eq!(duty.budget_bytes, 2_343_750);
        for (challenger, _, _) in &duty.committee {
            let theirs = Bandwidth::duties(challenger);
            assert_eq!(theirs, vec![Duty { role: Role::Challenger, ..duty.clone() }]);
        }
        let members: Vec<_> = duty.committee.iter().map(|(account, _, _)| account.clone()).collect();
        let idle = (FIRST_CHALLENGER..FIRST_CHALLENGER + 6).map(account).find(|it| !members.contains(it)).unwrap();
        assert!(Bandwidth::duties(&idle).is_empty());
    });
}

#[test]
fn guaranteed_bandwidth_takes_two_challenges_of_three_and_is_full_after_the_third() {
    new_test_ext().execute_with(|| {
        register_all(250, 4);
        measure(2, honest(200));
        run_to(3 * EPOCH);
        assert_eq!(guaranteed(), 0);
        measure(3, honest(200));
        run_to(4 * EPOCH);
        // Three of four members count; 0.505 s and the clock tolerance.
        let proven = 3 * honest(200).bytes * 8 * 1_000_000 / 525_000;
        assert_eq!(guaranteed(), 2 * proven / 3);
        assert_eq!(Snapshots::all().last().unwrap().0, 4);
        assert_eq!(Snapshots::all().last().unwrap().1[0].guaranteed_bits_per_second, 2 * proven / 3);
        assert_eq!(Challengers::<Test>::get(account(FIRST_CHALLENGER)).unwrap().reports, 2);
        measure(4, honest(200));
        run_to(5 * EPOCH);
        assert_eq!(guaranteed(), proven);
        // A missing challenge is a zero, and costs a third; the window forgets.
        run_to(6 * EPOCH);
        assert_eq!(guaranteed(), 2 * proven / 3);
        run_to(7 * EPOCH);
        assert_eq!(guaranteed(), 0);
    });
}

#[test]
fn reports_of_members_that_are_too_far_away_prove_nothing_and_are_counted_as_reports() {
    new_test_ext().execute_with(|| {
        register_all(250, 4);
        measure(2, Report { round_trip_us: FURTHEST_ROUND_TRIP_US + 1, ..honest(200) });
        run_to(3 * EPOCH);
        let outcome = Providers::<Test>::get(account(PROVIDER)).unwrap().last.unwrap();
        assert_eq!((outcome.reports, outcome.proven_bits_per_second), (4, 0));
        assert!(outcome.raw_bits_per_second > 0);
    });
}

#[test]
fn a_measurement_says_what_was_reported_and_what_came_of_it() {
    new_test_ext().execute_with(|| {
        register_all(250, 4);
        measure(2, honest(200));
        let measured = loop {
            run_to(System::block_number() + 1);
            let found = System::events().into_iter().find_map(|record| match record.event {
                RuntimeEvent::Bandwidth(Event::Measured { outcome, .. }) => Some(outcome),
                _ => None,
            });
            if let Some(found) = found {
                break found;
            }
        };
        assert_eq!((measured.epoch, measured.reports), (2, 4));
        assert_eq!(measured.counted_bits_per_second, measured.proven_bits_per_second);
        assert!(measured.raw_bits_per_second > measured.proven_bits_per_second);
        assert!(Reports::<Test>::iter().next().is_none(), "reports are dropped once they are evaluated");
        assert!(OpenEpochs::<Test>::get().is_empty());
        assert!(Plans::<Test>::get(2).is_none());
    });
}

#[test]
fn results_are_clipped_to_the_declared_capacity_the_budget_and_the_growth() {
    new_test_ext().execute_with(|| {
        register_all(100, 4);
        // Everyone claims everything.
        let all = Report { bytes: u64::MAX, elapsed_us: 0, round_trip_us: 0 };
        measure(2, all);
        run_to(3 * EPOCH);
        let outcome = Providers::<Test>::get(account(PROVIDER)).unwrap().last.unwrap();
        assert_eq!(outcome.proven_bits_per_second, 3 * 2_343_750 * 8 * 1_000_000 / 520_000);
        assert_eq!(outcome.counted_bits_per_second, 100 * MBIT);

        set_parameters(|parameters| parameters.measurement.growth_step_bits_per_second = 10 * MBIT);
        measure(3, all);
        run_to(4 * EPOCH);
        let outcome = Providers::<Test>::get(account(PROVIDER)).unwrap().last.unwrap();
        assert_eq!(outcome.counted_bits_per_second, 10 * MBIT);
        let before = guaranteed();
        assert_eq!(before, 2 * 10 * MBIT / 3);
        measure(4, all);
        run_to(5 * EPOCH);
        let outcome = Providers::<Test>::get(account(PROVIDER)).unwrap().last.unwrap();
        assert_eq!(outcome.counted_bits_per_second, 2 * before);
    });
}

#[test]
fn another_length_acts_from_the_next_epoch_on_and_in_the_first_epoch_too() {
    new_test_ext().execute_with(|| {
        let set = |blocks| set_parameters(|parameters| parameters.measurement.epoch_blocks = blocks);
        let current = || CurrentEpoch::<Test>::get().unwrap();
        register_all(250, 4);
        set(2 * EPOCH);
        run_to(EPOCH - 1);
        assert_eq!(current(), Epoch::initial(EPOCH));
        run_to(EPOCH);
        assert_eq!(current(), Epoch { index: 1, first: EPOCH, blocks: 2 * EPOCH });
        set(EPOCH / 2);
        run_to(3 * EPOCH - 1);
        assert_eq!(current().index, 1);
        assert_eq!((Bandwidth::index_at(3 * EPOCH - 1), Bandwidth::index_at(3 * EPOCH)), (1, 2));
        run_to(3 * EPOCH);
        assert_eq!(current(), Epoch { index: 2, first: 3 * EPOCH, blocks: EPOCH / 2 });
        assert_eq!(Snapshots::all().into_iter().map(|(epoch, _)| epoch).collect::<Vec<_>>(), [1, 2]);

        // Its challenges are in its first half, and count.
        let (duty, half) = (duty().unwrap(), u64::from(EPOCH / 4) * 2_000);
        let begun = u64::from(3 * EPOCH) * 2_000;
        assert!(duty.start > begun && duty.start <= begun + half, "{} after {begun}", duty.start);
        run_to(u32::try_from(duty.start / 2_000).unwrap() + 1);
        for (challenger, _, _) in &duty.committee {
            assert_ok!(submit(&duty, challenger, honest(200)));
        }
        run_to(4 * EPOCH + 5);
        let counted: Vec<_> =
            Providers::<Test>::get(account(PROVIDER)).unwrap().results.into_iter().map(|result| result > 0).collect();
        assert!(counted.contains(&true), "{counted:?}");
    });
}

#[test]
fn a_challenge_whose_reports_a_migration_kept_out_changes_no_window() {
    new_test_ext().execute_with(|| {
        register_all(250, 4);
        measure(2, honest(200));
        run_to(3 * EPOCH);
        let before = Providers::<Test>::get(account(PROVIDER)).unwrap().results;
        assert_eq!(before.len(), 1);
        // In one block of those that take reports.
        run_into_challenge(3);
        set_migrating(true);
        run_to(System::block_number() + 1);
        set_migrating(false);
        run_to(4 * EPOCH);
        assert_eq!(Providers::<Test>::get(account(PROVIDER)).unwrap().results, before);
        // The next one counts again.
        measure(4, honest(200));
        run_to(5 * EPOCH);
        assert_eq!(Providers::<Test>::get(account(PROVIDER)).unwrap().results.len(), 2);
    });
}

#[test]
fn with_too_few_challengers_there_is_no_challenge_and_the_window_stays() {
    new_test_ext().execute_with(|| {
        register_all(250, 4);
        measure(2, honest(200));
        measure(3, honest(200));
        run_to(4 * EPOCH);
        let before = guaranteed();
        assert!(before > 0);
        assert_ok!(Bandwidth::leave_as_challenger(signed(FIRST_CHALLENGER)));
        // The sets of epoch 5 were frozen with four.
        for epoch in 6..10 {
            run_to(epoch * EPOCH);
            assert_eq!(duty(), None);
        }
        assert_eq!(Providers::<Test>::get(account(PROVIDER)).unwrap().last.unwrap().epoch, 5);
    });
}

#[test]
fn a_provider_is_never_its_own_challenger() {
    new_test_ext().execute_with(|| {
        register_all(100, 3);
        // The fourth challenger is the provider's own account, with another identity.
        let peer = identity(40);
        let payload = weir_primitives::measurement::peer_payload(System::block_hash(0), &account(PROVIDER));
        assert_ok!(Bandwidth::register_challenger(
            signed(PROVIDER),
            peer.public(),
            peer.sign(&payload),
            endpoints(Service::Control)
        ));
        run_to(2 * EPOCH);
        assert_eq!(duty(), None);
    });
}

#[test]
fn a_report_that_is_taken_is_free_and_counts_once() {
    new_test_ext().execute_with(|| {
        register_all(100, 4);
        let duty = run_into_challenge(2);
        let challenger = &duty.committee[0].0;
        let report = honest(50);
        let signature = sign(&duty, challenger, &report);
        let info =
            Bandwidth::report(signed(60), duty.epoch, duty.position, challenger.clone(), report, signature).unwrap();
        assert_eq!(info.pays_fee, Pays::No);
        assert_noop!(submit(&duty, challenger, report), Error::<Test>::AlreadyReported);
        assert_noop!(submit(&duty, challenger, honest(90)), Error::<Test>::AlreadyReported);
    });
}

#[test]
fn false_reports_are_refused_each_for_its_own_reason() {
    new_test_ext().execute_with(|| {
        register_all(100, 6);
        run_to(2 * EPOCH);
        let duty = duty().unwrap();
        let challenger = duty.committee[0].0.clone();
        let report = honest(50);
        assert_noop!(submit(&duty, &challenger, report), Error::<Test>::NotTheTime);
        run_to(u32::try_from(duty.start / 2_000).unwrap());

        let signature = sign(&duty, &challenger, &report);
        let call = |epoch, position, who: &AccountId, report, signature| {
            Bandwidth::report(signed(60), epoch, position, who.clone(), report, signature).map_err(|error| error.error)
        };
        assert_noop!(call(9, duty.position, &challenger, report, signature), Error::<Test>::NoSuchChallenge);
        assert_noop!(call(duty.epoch, 1, &challenger, report, signature), Error::<Test>::NoSuchChallenge);
        // Of the epoch that is only planned.
        assert_noop!(call(3, 0, &challenger, report, signature), Error::<Test>::NotTheTime);
        let outsider = (FIRST_CHALLENGER..FIRST_CHALLENGER + 6)
            .map(account)
            .find(|it| duty.committee.iter().all(|(member, _, _)| member != it))
            .unwrap();
        assert_noop!(submit(&duty, &outsider, report), Error::<Test>::NotInCommittee);
        let more = Report { bytes: report.bytes + 1, ..report };
        assert_noop!(call(duty.epoch, duty.position, &challenger, more, signature), Error::<Test>::BadSignature);
        let colleague = &duty.committee[1].0;
        assert_noop!(call(duty.epoch, duty.position, colleague, report, signature), Error::<Test>::BadSignature);

        // Three seconds after the deadline; until its block everything was in time.
        run_to(u32::try_from(duty.deadline / 2_000).unwrap());
        assert_ok!(submit(&duty, colleague, report));
        run_to(u32::try_from(duty.deadline / 2_000).unwrap() + 1);
        assert_noop!(submit(&duty, &challenger, report), Error::<Test>::NoSuchChallenge);
    });
}

#[test]
fn the_work_of_one_block_is_bounded() {
    new_test_ext().execute_with(|| {
        run_to(1);
        (1..=6).for_each(|id| register_provider(id, 1));
        (20..24).for_each(register_challenger);
        // All six at one instant, and two evaluations per block.
        set_parameters(|parameters| parameters.measurement.instants = 1);
        run_to(2 * EPOCH);
        let mut most = 0;
        for _ in 0..EPOCH {
            run_to(System::block_number() + 1);
            let evaluated = System::events()
                .iter()
                .filter(|record| matches!(record.event, RuntimeEvent::Bandwidth(Event::Measured { .. })))
                .count();
            most = most.max(evaluated);
        }
        assert_eq!(most, 2);
        assert!(Providers::<Test>::iter_values().all(|provider| provider.last.is_some()));
    });
}

#[test]
fn parameters_of_the_mock_make_sense() {
    assert_eq!(parameters().check(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_liar_in_the_committee_never_gets_a_provider_above_what_the_honest_saw(
        honest_bytes in 0u64..2_000_000, elapsed_us in 400_000u64..1_000_000, lie in any::<u64>(), lie_us in any::<u64>(),
    ) {
        new_test_ext().execute_with(|| {
            register_all(250, 4);
            for epoch in 2..5 {
                let duty = run_into_challenge(epoch);
                for (index, (challenger, _, _)) in duty.committee.iter().enumerate() {
                    let report = if index == 0 {
                        Report { bytes: lie, elapsed_us: lie_us, round_trip_us: 0 }
                    } else {
                        Report { bytes: honest_bytes, elapsed_us, round_trip_us: 0 }
                    };
                    assert_ok!(submit(&duty, challenger, report));
                }
                run_to((epoch + 1) * EPOCH);
            }
            let seen = u128::from(honest_bytes) * 3 * 8 * 1_000_000 / u128::from(elapsed_us + 20_000);
            prop_assert!(u128::from(guaranteed()) <= seen);
            Bandwidth::do_try_state().unwrap();
            Ok(())
        })?;
    }
}
