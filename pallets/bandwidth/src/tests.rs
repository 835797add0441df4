use crate::{mock::*, types::Batch, Batches, Call, Error, Event, Instants, JailCandidates, Plans, Reports, Windows};
use frame_support::{
    assert_noop, assert_ok,
    dispatch::{DispatchClass, GetDispatchInfo},
    pallet_prelude::Authorize,
    traits::fungible::Inspect,
};
use sp_core::{ed25519, Pair};
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError};
use weir_primitives::{
    interfaces::Participants,
    measurement::{
        challenge::{member_payload, Challenge, MemberReport},
        lottery::groups::Prefix,
    },
    EpochIndex,
};

const MBIT: u64 = 1_000_000;

/// The first challenge of the provider in a slot in an epoch.
fn of(epoch: EpochIndex, instant: u32, slot: u32) -> Challenge {
    Challenge { epoch, instant, slot }
}

/// What the pool says of a call, and, if it takes it, what the chain does with it.
fn send(call: Call<Test>) -> Result<(), TransactionValidityError> {
    call.authorize(TransactionSource::External).expect("it is one that its contents authorize")?;
    use frame_support::traits::UnfilteredDispatchable;
    let origin = frame_system::RawOrigin::Authorized.into();
    call.dispatch_bypass_filter(origin).expect("authorize refuses what dispatch would");
    Ok(())
}

fn submit(challenge: Challenge, (batch, prover): (Batch, ed25519::Signature)) -> Result<(), TransactionValidityError> {
    send(Call::submit { challenge, batch, prover })
}

fn stale<T>() -> Result<T, TransactionValidityError> {
    Err(InvalidTransaction::Stale.into())
}

fn bad_proof<T>() -> Result<T, TransactionValidityError> {
    Err(InvalidTransaction::BadProof.into())
}

/// Six challengers, and some providers, who are drawn from epoch 1 on.
fn network(providers: u8) -> sp_io::TestExternalities {
    let mut ext = new_test_ext();
    ext.execute_with(|| {
        (50..56).for_each(challenge);
        (0..providers).for_each(|id| provide(id, 200));
    });
    ext
}

fn guaranteed(slot: u32) -> (u64, u64) {
    Windows::<Test>::get(slot).map_or((0, 0), |window| window.guaranteed)
}

#[test]
fn instants_lie_where_the_epoch_has_them_and_have_their_seed_a_block_later() {
    network(1).execute_with(|| {
        go_to(20);
        assert_eq!(Plans::<Test>::get().unwrap().epoch.first, 20);
        let first = Bandwidth::instant(1, 0).unwrap();
        assert_eq!((first.block, first.seed, first.start), (20, None, 1_000_000 + 40_000 + 6_000));
        next_block();
        assert!(Bandwidth::instant(1, 0).unwrap().seed.is_some());
        go_to(29);
        assert_eq!(Bandwidth::instant(1, 1), None);
        go_to(30);
        assert_eq!(Bandwidth::instant(1, 1).unwrap().block, 30);
    });
}

#[test]
fn reports_are_taken_from_when_the_seed_is_known_to_the_deadline() {
    network(1).execute_with(|| {
        let challenge = of(1, 0, 0);
        go_to(21);
        let batch = sat(challenge).unwrap().all();
        assert_ok!(submit(challenge, batch.clone()));
        assert_eq!(submit(challenge, batch.clone()), stale());
        assert_eq!(included(), 1);
        // Those that are a block behind keep what they hear of.
        assert_eq!(submit(of(1, 1, 0), batch.clone()), Err(InvalidTransaction::Future.into()));
        assert_eq!(submit(of(2, 0, 0), batch.clone()), Err(InvalidTransaction::Future.into()));
        assert_eq!(submit(of(0, 1, 0), batch.clone()), stale());
    });
    for (block, expected) in [(28, Ok(())), (29, stale())] {
        network(1).execute_with(|| {
            let challenge = of(1, 0, 0);
            go_to(28);
            let batch = sat(challenge).unwrap().all();
            go_to(block);
            assert_eq!(submit(challenge, batch), expected);
        });
    }
}

#[test]
fn the_pool_takes_batches_after_a_block_that_was_full_of_them() {
    network(5).execute_with(|| {
        go_to(23);
        let sit = |slot| sat(of(1, 0, slot)).unwrap().all();
        for slot in 0..3 {
            assert_ok!(submit(of(1, 0, slot), sit(slot)));
        }
        // As the pool asks: in a block that nobody began.
        System::set_block_number(24);
        let (batch, prover) = sit(3);
        let call: Call<Test> = Call::submit { challenge: of(1, 0, 3), batch, prover };
        assert!(call.authorize(TransactionSource::External).unwrap().is_ok());
    });
}

#[test]
fn reports_come_before_whoever_pays_and_keep_their_part_of_the_block() {
    network(1).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        let (batch, prover) = here.all();
        let own = here.own(1);
        for call in [Call::submit { challenge, batch, prover }, own] {
            let call: Call<Test> = call;
            assert_eq!(call.get_dispatch_info().class, DispatchClass::Operational);
            assert!(call.authorize(TransactionSource::External).unwrap().unwrap().0.priority >= u64::MAX / 2);
        }
    });
}

#[test]
fn a_batch_of_little_is_taken_and_its_author_gets_nothing_for_it() {
    network(1).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        assert_ok!(submit(challenge, here.batch(&[(0, report()), (1, report())])));
        assert_eq!(included(), 0);
        // More can be added.
        assert_ok!(submit(challenge, here.all()));
        assert_eq!(Reports::<Test>::get((1, 0), 0).len(), 4);
    });
}

#[test]
fn instants_with_few_blocks_for_reports_or_a_late_seed_are_void() {
    network(1).execute_with(|| {
        go_to(20);
        // The seed comes when half of the notice is over.
        next_block_after(3_001);
        assert!(Bandwidth::instant(1, 0).unwrap().is_void);
    });
    network(1).execute_with(|| {
        go_to(21);
        next_block_after(20_000);
        next_block();
        assert_eq!(Windows::<Test>::iter().count(), 0, "one block is too few");
    });
}

#[test]
fn an_instant_whose_blocks_could_not_hold_the_batches_of_its_draw_is_void() {
    // Two blocks take reports, three batches each, and all are drawn.
    let measured = |providers| {
        network(providers).execute_with(|| {
            go_to(22);
            next_block_after(20_000);
            (0..2).for_each(|_| next_block());
            Windows::<Test>::iter().count()
        })
    };
    assert_eq!((measured(6), measured(7)), (6, 0));
}

#[test]
fn both_directions_of_a_line_are_guaranteed_after_as_many_results_as_the_rank_says() {
    network(1).execute_with(|| {
        // Three of four parts over 520 ms down, and over 670 ms up; the window is of three, and the second largest clips.
        let (down, up) = (1_250_000 * 3 * 8 * 100 / 52, 1_250_000 * 3 * 8 * 100 / 67);
        let expected = [(0, 0), (down * 2 / 3, up * 2 / 3), (down, up)];
        let mut seen = Vec::new();
        for (epoch, instant) in [(1, 0), (1, 1), (2, 0)] {
            go_to(20 * epoch + 10 * instant + 3);
            let challenge = of(epoch, instant, 0);
            assert_ok!(submit(challenge, sat(challenge).unwrap().all()));
            go_to(20 * epoch + 10 * instant + 9);
            seen.push(guaranteed(0));
        }
        assert_eq!(seen, expected);
        assert_eq!(Registry::everybody(3).guaranteed, u128::from(up), "the lower one, from the next epoch on");
        assert_eq!(Registry::provider(0, 3).unwrap().prefix, Some(Prefix::V4([192, 0, 2])));
        assert_eq!(Reports::<Test>::iter().count() + Batches::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_report_without_the_provers_word_a_false_place_or_of_another_challenge_is_refused() {
    network(2).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        let other = sat(of(1, 0, 1)).unwrap();
        let (batch, prover) = here.all();
        // Signed by another provider, or over other reports.
        assert_eq!(submit(challenge, (batch.clone(), other.all().1)), bad_proof());
        let fewer: Batch = batch.iter().skip(1).copied().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(submit(challenge, (fewer, prover)), bad_proof());
        // Of another provider's challenge, with the prover's own signature over it.
        assert_eq!(submit(challenge, here.batch(&[(0, report())])), Ok(()));
        let forged = Challenge { slot: 1, ..challenge };
        assert_eq!(submit(forged, here.all()), bad_proof());
        // Twice one member, none, or one that there is not.
        for places in [&[1, 1][..], &[], &[2, 1]] {
            let reports: Vec<_> = places.iter().map(|place| (*place, report())).collect();
            assert_eq!(submit(forged, other.batch(&reports)), stale());
        }
        let mut batch = other.batch(&[(0, report())]);
        batch.0.iter_mut().for_each(|signed| signed.place = 9);
        assert_eq!(submit(forged, batch), bad_proof());
        for forged in [of(1, 0, 7), of(0, 0, 0)] {
            assert_eq!(submit(forged, here.all()), stale());
        }
        assert_eq!(Reports::<Test>::iter().count(), 1);
    });
}

#[test]
fn a_member_that_was_left_out_hands_in_its_own_with_the_provers_word() {
    network(1).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        assert_ok!(submit(challenge, here.batch(&[(0, report()), (2, report())])));
        let own = |place, report: MemberReport, prover| {
            send(Call::submit_own { challenge, member: here.member(place), signed: here.signed(place, report), prover })
        };
        let word = here.commitment(1, [7; 32]);
        // What the prover has not committed to it cannot have checked.
        assert_eq!(own(1, MemberReport { commitment: [8; 32], ..report() }, word), bad_proof());
        assert_eq!(own(1, report(), here.commitment(3, [7; 32])), bad_proof());
        // The word for a colleague is not one for it, and a colleague has its own place.
        let (member, prover) = (here.member(3), here.commitment(3, [7; 32]));
        let signed = here.signed(1, report());
        assert_eq!(send(Call::submit_own { challenge, member, signed, prover }), bad_proof());
        for place in [1, 9] {
            let signed = crate::types::SignedReport { place, ..here.signed(3, report()) };
            assert_eq!(send(Call::submit_own { challenge, member, signed, prover }), stale());
        }
        assert_ok!(own(1, report(), word));
        assert_eq!(own(1, report(), word), stale());
        assert_eq!(own(2, report(), here.commitment(2, [7; 32])), stale());
        assert_eq!(Reports::<Test>::get((1, 0), 0).len(), 3);
    });
}

#[test]
fn a_member_that_was_first_does_not_keep_the_others_out() {
    network(1).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        let own = here.own(1);
        assert_ok!(send(own));
        assert_ok!(submit(challenge, here.all()));
        assert_eq!(Reports::<Test>::get((1, 0), 0).len(), 4);
    });
}

#[test]
fn a_block_takes_so_many_batches_and_what_is_over_waits() {
    network(5).execute_with(|| {
        go_to(23);
        let send = |slot| {
            let challenge = of(1, 0, slot);
            submit(challenge, sat(challenge).unwrap().all())
        };
        for slot in 0..3 {
            assert_ok!(send(slot));
        }
        assert_eq!(send(3), Err(InvalidTransaction::ExhaustsResources.into()));
        next_block();
        assert_ok!(send(3));
    });
}

#[test]
fn batches_of_more_reports_come_first_and_live_until_the_deadline() {
    network(1).execute_with(|| {
        go_to(23);
        let challenge = of(1, 0, 0);
        let here = sat(challenge).unwrap();
        let validity = |(batch, prover)| {
            let call: Call<Test> = Call::submit { challenge, batch, prover };
            call.authorize(TransactionSource::External).unwrap().unwrap().0
        };
        let (all, one) = (validity(here.all()), validity(here.batch(&[(0, report())])));
        assert!(all.priority > one.priority);
        // Ten seconds of blocks that come as fast as they may.
        assert_eq!((all.longevity, all.provides), (100, one.provides));
    });
}

#[test]
fn a_slot_is_passed_over_for_each_weight_there_is() {
    network(10).execute_with(|| {
        go_to(29);
        assert_eq!(Instants::<Test>::get()[0].next_slot, 4);
        go_to(31);
        assert!(Bandwidth::instant(1, 0).is_none());
        assert_eq!(Windows::<Test>::iter().count(), 10, "each has a result of zero");
    });
}

#[test]
fn instants_that_took_no_reports_in_some_block_are_void() {
    network(1).execute_with(|| {
        go_to(24);
        set_migrating(true);
        next_block();
        set_migrating(false);
        go_to(35);
        assert_eq!(Windows::<Test>::iter().count(), 0);
        go_to(49);
        assert_eq!(Windows::<Test>::iter().count(), 1, "the next one is not");
    });
}

#[test]
fn without_a_committee_a_window_stays_as_it_is_for_twelve_epochs_and_no_longer() {
    network(1).execute_with(|| {
        for (epoch, instant) in [(1, 0), (1, 1), (2, 0)] {
            go_to(20 * epoch + 10 * instant + 3);
            let challenge = of(epoch, instant, 0);
            assert_ok!(submit(challenge, sat(challenge).unwrap().all()));
        }
        go_to(50);
        let before = guaranteed(0);
        assert!(before.1 > 40 * MBIT);
        // Its own challengers would keep its window for ever.
        for id in 50..56 {
            assert_ok!(Registry::pause(RuntimeOrigin::signed(account(id))));
        }
        go_to(20 * 3);
        let paid = guaranteed(0);
        go_to(20 * 15);
        assert_eq!(guaranteed(0), paid);
        go_to(20 * 17);
        assert_eq!(guaranteed(0), (0, 0));
    });
}

#[test]
fn who_proves_nothing_for_twenty_four_epochs_is_evicted_one_after_the_other() {
    network(3).execute_with(|| {
        go_to(20 * 24);
        assert_eq!(Registry::everybody(24).providers, 3);
        go_to(20 * 30);
        assert_eq!(Registry::everybody(30).providers, 0);
    });
}

#[test]
fn nobody_is_evicted_for_want_of_challengers() {
    network(1).execute_with(|| {
        go_to(25);
        for id in 50..56 {
            assert_ok!(Registry::pause(RuntimeOrigin::signed(account(id))));
        }
        go_to(20 * 60);
        assert_eq!(Registry::everybody(60).providers, 1);
    });
}

#[test]
fn whoever_signs_two_reports_of_one_challenge_loses_the_bond_and_the_same_one_twice_nothing() {
    network(1).execute_with(|| {
        go_to(23);
        let here = sat(of(1, 0, 0)).unwrap();
        let liar = here.committee[0].clone();
        let identity = key(&liar, false);
        let signed = |report: MemberReport| {
            (report, identity.sign(&member_payload(genesis(), &here.seed, &account(0), &report)))
        };
        let lie = MemberReport { down_bytes: 1, ..report() };
        let show = |one, other| {
            let origin = RuntimeOrigin::signed(account(9));
            Bandwidth::show_equivocation(origin, identity.public(), here.seed, account(0), one, other)
        };
        assert_noop!(show(signed(report()), signed(report())), Error::<Test>::NoEquivocation);
        assert_noop!(show(signed(report()), (lie, signed(report()).1)), Error::<Test>::BadSignature);
        assert_ok!(show(signed(report()), signed(lie)));
        assert_eq!(Balances::total_balance(&liar), ENDOWED - 100);
        assert_eq!(Balances::balance(&account(9)), ENDOWED + 10);
        System::assert_last_event(Event::Equivocated { identity: identity.public(), shown_by: account(9) }.into());
        // Once.
        assert!(show(signed(report()), signed(lie)).is_err());
    });
}

#[test]
fn an_honest_member_of_two_instants_signs_nothing_that_looks_like_an_equivocation() {
    network(1).execute_with(|| {
        // Two instants in blocks that come fast after an outage.
        go_to(19);
        next_block_after(1_000_000);
        (0..10).for_each(|_| next_block_after(100));
        let seeds: Vec<_> = Instants::<Test>::get().iter().map(|it| it.seed).collect();
        assert_eq!(seeds.len(), 2);
        next_block_after(100);
        let [first, second] = [0, 1].map(|instant| Bandwidth::instant(1, instant).unwrap().seed.unwrap());
        assert_ne!(first, second, "what is signed names another challenge");
    });
}

#[test]
fn a_silent_challenger_is_jailed_by_those_that_it_sat_with() {
    network(3).execute_with(|| {
        let silent = account(50);
        let mut jailed_at = None;
        'epochs: for epoch in 1..120 {
            for instant in 0..2 {
                go_to(20 * epoch + 10 * instant + 3);
                for slot in 0..3 {
                    let challenge = of(epoch, instant, slot);
                    let Some(here) = sat(challenge) else { continue };
                    let places = (0..4u8).filter(|place| here.committee[usize::from(*place)] != silent);
                    let reports: Vec<_> = places.map(|place| (place, report())).collect();
                    assert_ok!(submit(challenge, here.batch(&reports)));
                }
            }
            go_to(20 * epoch + 20);
            if Registry::everybody(epoch + 2).challengers < 6 {
                jailed_at = Some(epoch);
                break 'epochs;
            }
        }
        let jailed_at = jailed_at.expect("it is jailed");
        assert!(jailed_at > 20, "no earlier than there is enough to judge by");
        let standing = pallet_registry::Challengers::<Test>::get(&silent).unwrap().standing;
        assert!(matches!(standing, pallet_registry::types::Standing::Jailed { .. }));
        assert!(JailCandidates::<Test>::get().is_empty());
        assert!(take_duties().iter().all(|(account, bytes)| *account != silent || *bytes == 0));
    });
}

#[test]
fn with_as_many_instants_as_are_needed_each_provider_is_drawn_about_once_an_epoch() {
    new_test_ext().execute_with(|| {
        set_parameters(|all| {
            all.measurement.instants = 0;
            all.measurement.epoch_blocks = 200;
        });
        (50..60).for_each(challenge);
        (0..40).for_each(|id| provide(id, 200));
        // Begins with the next epoch.
        go_to(20);
        let plan = Plans::<Test>::get().unwrap();
        assert_eq!((plan.instants, plan.one_in), (plan.one_in, plan.instants));
        assert!(plan.instants >= 2);
        let mut drawn = 0;
        for instant in 0..plan.instants {
            while Bandwidth::instant(1, instant).and_then(|it| it.seed).is_none() {
                next_block();
            }
            drawn += (0..40)
                .filter(|slot| {
                    let instant = Bandwidth::instant(1, instant).unwrap();
                    let provider = Registry::provider(*slot, 1).unwrap();
                    Bandwidth::is_drawn(*slot, &provider, &instant, &instant.seed.unwrap(), &parameters().measurement)
                })
                .count();
        }
        // 40 on average.
        assert!((20..=60).contains(&drawn), "{drawn}");
    });
}
