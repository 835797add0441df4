//! What each side can lose, and what nobody can gain.

use crate::{mock::*, Channels, Error, Event, HoldReason, Keys, Pallet};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult, traits::fungible::Inspect};
use proptest::prelude::*;
use sp_core::Pair;
use weir_primitives::{
    market::{receipt_payload, ChannelId, Complaint, Listing, Reach, Receipt, Reputation, Serves, Terms},
    AccountId, Balance, Hash,
};

const PROVIDER: u8 = 1;
const CONSUMER: u8 = 2;
const OTHER: u8 = 3;
const MBIT: u64 = 1_000_000;

fn signed(id: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(id))
}

fn listing() -> Listing {
    Listing {
        per_gib: 1_000,
        region: *b"CH",
        serves: Serves { proxy: true, content: false },
        offered_bits_per_second: 50 * MBIT,
        reach: Reach::Direct(endpoints()),
    }
}

/// A provider of whom 100 Mbit/s are guaranteed and 50 are offered.
fn provide() {
    guarantee(PROVIDER, Some(100 * MBIT));
    assert_ok!(Market::list(signed(PROVIDER), listing()));
}

/// At the price that is listed, however little is promised.
const AT: Terms = Terms { most_per_gib: 1_000, least_bits_per_second: 0 };

fn try_open(consumer: u8, seed: u8, deposit: Balance, at: Terms) -> DispatchResult {
    let proof = prove(&key(seed), consumer);
    Market::open(signed(consumer), account(PROVIDER), key(seed).public(), proof, deposit, at)
}

fn open(consumer: u8, seed: u8, deposit: Balance) -> ChannelId {
    let next = crate::NextChannel::<Test>::get();
    assert_ok!(try_open(consumer, seed, deposit, AT));
    next
}

fn settle(channel: ChannelId, seed: u8, bytes: u64, amount: Balance) -> DispatchResult {
    let receipt = Receipt { bytes, amount };
    Market::settle(signed(OTHER), channel, receipt, sign(&key(seed), PROVIDER, channel, &receipt))
}

/// What an account has, held or not.
fn owns(account: &AccountId) -> Balance {
    Balances::total_balance(account)
}

fn free(id: u8) -> Balance {
    Balances::balance(&account(id))
}

fn check() {
    Pallet::<Test>::do_try_state().unwrap();
}

#[test]
fn only_a_provider_lists_and_at_most_what_is_guaranteed_of_it() {
    new_test_ext().execute_with(|| {
        assert_noop!(Market::list(signed(PROVIDER), listing()), Error::<Test>::NotAProvider);
        guarantee(PROVIDER, Some(50 * MBIT - 1));
        assert_noop!(Market::list(signed(PROVIDER), listing()), Error::<Test>::NotGuaranteed);
        guarantee(PROVIDER, Some(50 * MBIT));
        let nothing = Listing { offered_bits_per_second: 0, ..listing() };
        assert_noop!(Market::list(signed(PROVIDER), nothing), Error::<Test>::NotGuaranteed);
        for bad in [
            Listing { per_gib: 0, ..listing() },
            Listing { region: *b"c1", ..listing() },
            Listing { serves: Serves { proxy: false, content: false }, ..listing() },
            Listing { reach: Reach::Direct(Default::default()), ..listing() },
            Listing { reach: Reach::Direct(vec![vec![1, 2, 3].try_into().unwrap()].try_into().unwrap()), ..listing() },
        ] {
            assert_noop!(Market::list(signed(PROVIDER), bad), Error::<Test>::BadListing);
        }
        assert_ok!(Market::list(signed(PROVIDER), listing()));
        assert_eq!(on_hold(PROVIDER, HoldReason::Listing), LISTING_DEPOSIT);
        // A change costs no second deposit.
        assert_ok!(Market::list(signed(PROVIDER), Listing { per_gib: 5, ..listing() }));
        assert_eq!(on_hold(PROVIDER, HoldReason::Listing), LISTING_DEPOSIT);
        check();
    });
}

#[test]
fn a_listing_is_its_providers_until_that_is_none_any_more() {
    new_test_ext().execute_with(|| {
        provide();
        assert_noop!(Market::unlist(signed(OTHER), account(PROVIDER)), Error::<Test>::StillProviding);
        guarantee(PROVIDER, None);
        assert_ok!(Market::unlist(signed(OTHER), account(PROVIDER)));
        assert_eq!((free(PROVIDER), free(OTHER)), (ENDOWED, ENDOWED));
        assert_noop!(Market::unlist(signed(PROVIDER), account(PROVIDER)), Error::<Test>::NotListed);
    });
}

#[test]
fn a_channel_is_opened_at_the_listed_price_or_not_at_all() {
    new_test_ext().execute_with(|| {
        let open = |most_per_gib| try_open(CONSUMER, 1, 500, Terms { most_per_gib, ..AT });
        assert_noop!(open(1_000), Error::<Test>::NotListed);
        provide();
        assert_noop!(open(999), Error::<Test>::TooDear);
        assert_noop!(try_open(CONSUMER, 1, LEAST_DEPOSIT - 1, AT), Error::<Test>::DepositTooSmall);
        assert_noop!(try_open(PROVIDER, 1, 500, AT), Error::<Test>::ToOneself);
        guarantee(PROVIDER, Some(0));
        assert_noop!(open(1_000), Error::<Test>::NotGuaranteed);
        guarantee(PROVIDER, Some(30 * MBIT));
        let at = Terms { least_bits_per_second: 30 * MBIT + 1, ..AT };
        assert_noop!(try_open(CONSUMER, 1, 500, at), Error::<Test>::TooLittle);
        assert_ok!(open(1_000));
        assert_eq!(on_hold(CONSUMER, HoldReason::Channel), 500 + ROW_DEPOSIT);
        // What is guaranteed now is promised, if that is less than what was listed.
        assert_eq!(Market::channel(0).unwrap().promised_bits_per_second, 30 * MBIT);
        assert_eq!(Market::channel_of(key(1).public()), Market::channel(0).map(|it| (0, it)));
        assert_noop!(open(1_000), Error::<Test>::KeyTaken);
        // A later price is not that of the channel.
        assert_ok!(Market::list(signed(PROVIDER), Listing { per_gib: 9_000, offered_bits_per_second: 1, ..listing() }));
        assert_eq!(Market::channel(0).unwrap().per_gib, 1_000);
        check();
    });
}

#[test]
fn a_receipt_pays_once_and_every_part_arrives() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        let before = Balances::total_issuance();
        assert_ok!(settle(channel, 1, 1 << 30, 1_000));
        let settled = Event::<Test>::Settled {
            channel,
            provider: account(PROVIDER),
            bytes: 1 << 30,
            gross: 1_000,
            refunded: 0,
            burned: 100,
            fee: 10,
            net: 890,
        };
        System::assert_last_event(settled.into());
        assert_eq!(Balances::total_issuance(), before - 100);
        assert_eq!(owns(&TREASURY), EXISTENTIAL_DEPOSIT + 10);
        assert_eq!(owns(&account(PROVIDER)), ENDOWED + 890);
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 1_000);
        assert_eq!(on_hold(CONSUMER, HoldReason::Channel), 9_000 + ROW_DEPOSIT);
        assert_eq!(told(), [(account(PROVIDER), 1 << 30, 100 * MBIT, 100)]);
        assert_noop!(settle(channel, 1, 1 << 30, 1_000), Error::<Test>::OldReceipt);
        assert_noop!(settle(channel, 1, 1 << 31, 999), Error::<Test>::OldReceipt);
        assert_ok!(settle(channel, 1, 1 << 30, 10_000));
        assert_eq!(on_hold(CONSUMER, HoldReason::Channel), ROW_DEPOSIT);
        check();
    });
}

#[test]
fn receipts_that_the_key_did_not_sign_for_this_channel_are_refused() {
    new_test_ext().execute_with(|| {
        provide();
        let (channel, other) = (open(CONSUMER, 1, 10_000), open(CONSUMER, 2, 10_000));
        let receipt = Receipt { bytes: 5, amount: 1_000 };
        let submit = |signature| Market::settle(signed(PROVIDER), channel, receipt, signature);
        let payload = |genesis, provider| receipt_payload(genesis, &account(provider), channel, &receipt);
        let genesis = System::block_hash(0);
        for (what, signature) in [
            ("another key", sign(&key(2), PROVIDER, channel, &receipt)),
            ("another channel", sign(&key(1), PROVIDER, other, &receipt)),
            ("another amount", sign(&key(1), PROVIDER, channel, &Receipt { amount: 999, ..receipt })),
            ("more bytes", sign(&key(1), PROVIDER, channel, &Receipt { bytes: 4, ..receipt })),
            ("another provider", sign(&key(1), OTHER, channel, &receipt)),
            ("another chain", key(1).sign(&payload(Hash::repeat_byte(1), PROVIDER))),
            ("nothing", Default::default()),
        ] {
            assert_noop!(submit(signature), Error::<Test>::BadSignature);
            assert_eq!(owns(&account(PROVIDER)), ENDOWED, "{what}");
        }
        assert_eq!(payload(genesis, PROVIDER).len(), 111);
        let overspent = Receipt { bytes: 5, amount: 10_001 };
        let signature = sign(&key(1), PROVIDER, channel, &overspent);
        assert_noop!(Market::settle(signed(PROVIDER), channel, overspent, signature), Error::<Test>::Overspent);
        assert_noop!(settle(7, 1, 5, 5), Error::<Test>::NoChannel);
        assert_ok!(submit(sign(&key(1), PROVIDER, channel, &receipt)));
    });
}

#[test]
fn a_consumer_gets_back_what_it_did_not_sign_for_and_no_sooner_than_the_provider_can_answer() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        assert_noop!(Market::close(signed(OTHER), channel, None), Error::<Test>::NotYours);
        go_to(5);
        assert_ok!(Market::close(signed(CONSUMER), channel, None));
        // Neither again, nor with more behind it.
        assert_noop!(Market::close(signed(CONSUMER), channel, None), Error::<Test>::IsClosing);
        assert_noop!(Market::top_up(signed(CONSUMER), channel, 1), Error::<Test>::IsClosing);
        go_to(5 + DISPUTE);
        assert_noop!(Market::finish(signed(CONSUMER), channel), Error::<Test>::TooEarly);
        // The last block of the window is the provider's.
        assert_ok!(settle(channel, 1, 1, 4_000));
        assert_eq!(Market::reputation(account(PROVIDER)).disputes, 1);
        go_to(5 + DISPUTE + 1);
        assert_ok!(Market::finish(signed(OTHER), channel));
        assert_eq!(free(CONSUMER), ENDOWED - 4_000);
        assert_eq!((Channels::<Test>::iter().count(), Keys::<Test>::iter().count()), (0, 0));
        // Its number is not given again, and what was signed for it is worth nothing.
        assert_eq!(open(CONSUMER, 1, 10_000), channel + 1);
        let receipt = Receipt { bytes: 9, amount: 9_000 };
        let signature = sign(&key(1), PROVIDER, channel, &receipt);
        assert_noop!(Market::settle(signed(OTHER), channel + 1, receipt, signature), Error::<Test>::BadSignature);
        check();
    });
}

#[test]
fn a_provider_closes_at_once_and_whatever_it_did_not_submit_is_lost_to_it_alone() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        assert_ok!(settle(channel, 1, 1, 100));
        assert_ok!(Market::close(signed(PROVIDER), channel, Some(Complaint::Slow)));
        assert_eq!(free(CONSUMER), ENDOWED - 100);
        assert_noop!(settle(channel, 1, 2, 200), Error::<Test>::NoChannel);
        // A provider complains about nobody, least of all itself.
        let known = Market::reputation(account(PROVIDER));
        assert_eq!((known.channels, known.slow.channels), (1, 0));
    });
}

#[test]
fn nothing_is_locked_for_good_when_both_sides_are_gone() {
    new_test_ext().execute_with(|| {
        provide();
        let (one, two) = (open(CONSUMER, 1, 10_000), open(CONSUMER, 2, 10_000));
        go_to(50);
        assert_ok!(Market::top_up(signed(CONSUMER), two, 0));
        guarantee(PROVIDER, None);
        go_to(1 + LIFE + DISPUTE);
        assert_noop!(Market::finish(signed(OTHER), one), Error::<Test>::TooEarly);
        go_to(1 + LIFE + DISPUTE + 1);
        assert_ok!(Market::finish(signed(OTHER), one));
        assert_noop!(Market::finish(signed(OTHER), two), Error::<Test>::TooEarly);
        // Closing an expired channel does not put its end off.
        go_to(50 + LIFE + DISPUTE);
        assert_ok!(Market::close(signed(CONSUMER), two, None));
        go_to(50 + LIFE + DISPUTE + 1);
        assert_ok!(Market::finish(signed(OTHER), two));
        assert_eq!(free(CONSUMER), ENDOWED);
        check();
    });
}

#[test]
fn a_receipt_for_more_bytes_than_there_are_does_not_void_those_that_a_provider_holds() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        // Signed for the provider, and not submitted yet; then the consumer submits another one.
        let held = Receipt { bytes: 9 << 30, amount: 9_000 };
        let held_signature = sign(&key(1), PROVIDER, channel, &held);
        assert_ok!(settle(channel, 1, u64::MAX, 1));
        assert_ok!(Market::close(signed(CONSUMER), channel, None));
        assert_ok!(Market::settle(signed(PROVIDER), channel, held, held_signature));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 9_000);
    });
}

#[test]
fn bytes_are_told_by_what_was_paid_for_whatever_a_receipt_names() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        assert_ok!(settle(channel, 1, u64::MAX, 1));
        assert_ok!(settle(channel, 1, 0, 1_001));
        let told: Vec<u64> = told().into_iter().map(|(_, bytes, ..)| bytes).collect();
        // At 1 000 planck for a GiB.
        assert_eq!(told, [(1 << 30) / 1_000, 1 << 30]);
        assert_eq!(Market::reputation(account(PROVIDER)).bytes, (1 << 30) / 1_000 + (1 << 30));
    });
}

#[test]
fn where_less_is_guaranteed_than_was_promised_the_consumer_gets_the_part_that_is_missing_back() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        // A fifth of the promise is left. What was served before somebody saw that, and for a dispute window after, is paid as before.
        guarantee(PROVIDER, Some(10 * MBIT));
        assert_ok!(settle(channel, 1, 1, 1_000));
        go_to(1 + DISPUTE);
        assert_ok!(settle(channel, 1, 2, 2_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 2_000);
        go_to(2 + DISPUTE);
        assert_ok!(settle(channel, 1, 3, 3_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 2_200);
        assert_eq!(Market::reputation(account(PROVIDER)).refunded, 800);
        assert_eq!(on_hold(CONSUMER, HoldReason::Channel), 7_000 + ROW_DEPOSIT);
        // What is guaranteed again is paid again; more than was promised is paid no more.
        guarantee(PROVIDER, Some(1_000 * MBIT));
        assert_ok!(settle(channel, 1, 4, 4_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 3_200);
        // Who leaves is paid for what it served before.
        guarantee(PROVIDER, None);
        assert_ok!(settle(channel, 1, 5, 5_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 4_200);
        go_to(100);
        assert_ok!(settle(channel, 1, 6, 6_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 4_200);
        check();
    });
}

#[test]
fn settling_at_a_bad_moment_and_twice_takes_nothing_from_what_was_served_before_it() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 10_000);
        assert_ok!(settle(channel, 1, 1, 1_000));
        // The consumer submits what it signed itself while nothing is guaranteed: first a planck, then the rest.
        guarantee(PROVIDER, Some(0));
        assert_ok!(settle(channel, 1, 2, 1_001));
        assert_ok!(settle(channel, 1, 2, 9_000));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 9_000);
        // A dip that is over in time leaves no trace.
        guarantee(PROVIDER, Some(100 * MBIT));
        assert_ok!(settle(channel, 1, 3, 9_100));
        guarantee(PROVIDER, Some(0));
        go_to(500);
        assert_ok!(settle(channel, 1, 3, 9_200));
        assert_eq!(owns(&account(CONSUMER)), ENDOWED - 9_200);
    });
}

#[test]
fn small_and_early_falls_begin_no_window_for_a_later_and_deeper_one() {
    for (falls, recovers) in [(99, None), (49, None), (10, Some(80))] {
        new_test_ext().execute_with(|| {
            provide();
            let channel = open(CONSUMER, 1, 100_000);
            // Of 100 Mbit/s, half of which is promised, a little is missing; then perhaps there is enough again.
            guarantee(PROVIDER, Some(falls * MBIT));
            assert_ok!(settle(channel, 1, 1, 1));
            if let Some(enough) = recovers {
                guarantee(PROVIDER, Some(enough * MBIT));
                assert_ok!(settle(channel, 1, 1, 2));
                guarantee(PROVIDER, Some(falls * MBIT));
                assert_ok!(settle(channel, 1, 1, 3));
            }
            go_to(1 + DISPUTE);
            assert_ok!(settle(channel, 1, 1, 1_000));
            // All of it is gone, and what was served before that is settled within a window.
            go_to(1 + 2 * DISPUTE);
            guarantee(PROVIDER, None);
            assert_ok!(settle(channel, 1, 1, 2_000));
            let least =
                if recovers.is_none() { 1_000 + 1_000 * falls.min(50) / 50 } else { 1_000 + 1_000 * falls / 50 };
            let paid = ENDOWED - owns(&account(CONSUMER));
            assert!(paid >= Balance::from(least), "{paid} of {least} with {falls} Mbit/s");
        });
    }
}

#[test]
fn a_key_that_was_seen_opens_no_channel_for_somebody_else() {
    new_test_ext().execute_with(|| {
        provide();
        let theft = Market::open(
            signed(OTHER),
            account(PROVIDER),
            key(1).public(),
            prove(&key(1), CONSUMER),
            LEAST_DEPOSIT,
            AT,
        );
        assert_noop!(theft, Error::<Test>::BadSignature);
        open(CONSUMER, 1, 1_000);
    });
}

#[test]
fn a_channel_that_was_spent_still_pays_for_its_rows() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 1_000);
        assert_noop!(settle(channel, 1, 1, 1_001), Error::<Test>::Overspent);
        assert_ok!(settle(channel, 1, 1, 1_000));
        assert_eq!(on_hold(CONSUMER, HoldReason::Channel), ROW_DEPOSIT);
        check();
        assert_ok!(Market::close(signed(PROVIDER), channel, None));
        assert_eq!(free(CONSUMER), ENDOWED - 1_000);
        assert_eq!(Market::reputation(account(PROVIDER)).closed_itself, 1);
    });
}

#[test]
fn a_channel_is_disputed_once_however_often_it_is_settled() {
    new_test_ext().execute_with(|| {
        provide();
        let channel = open(CONSUMER, 1, 1_000);
        assert_ok!(Market::close(signed(CONSUMER), channel, None));
        for amount in 1..10 {
            assert_ok!(settle(channel, 1, 1, amount));
        }
        assert_eq!(Market::reputation(account(PROVIDER)).disputes, 1);
    });
}

#[test]
fn a_complaint_counts_with_what_its_channel_paid() {
    new_test_ext().execute_with(|| {
        provide();
        let (paid, unpaid) = (open(CONSUMER, 1, 10_000), open(OTHER, 2, 10_000));
        assert_ok!(settle(paid, 1, 1, 5_000));
        assert_ok!(Market::close(signed(CONSUMER), paid, Some(Complaint::Slow)));
        assert_ok!(Market::close(signed(OTHER), unpaid, Some(Complaint::Unreachable)));
        go_to(2 + DISPUTE);
        assert_ok!(Market::finish(signed(OTHER), paid));
        // A provider that closes itself does not get around it.
        assert_ok!(Market::close(signed(PROVIDER), unpaid, None));
        let Reputation { channels, bytes, burned, slow, unreachable, .. } = Market::reputation(account(PROVIDER));
        assert_eq!((channels, bytes, burned), (2, 5 << 30, 500));
        assert_eq!((slow.channels, slow.burned), (1, 500));
        // Who paid nothing is not heard.
        assert_eq!((unreachable.channels, unreachable.burned), (0, 0));
    });
}

#[test]
fn listings_are_found_page_by_page_and_each_once() {
    new_test_ext().execute_with(|| {
        for id in 0..20 {
            guarantee(id, Some(100 * MBIT));
            let per_gib = 100 * (1 + Balance::from(id));
            assert_ok!(Market::list(signed(id), Listing { per_gib, ..listing() }));
        }
        let (mut found, mut after) = (vec![], None);
        loop {
            let (page, next) = Pallet::<Test>::page(after, 3, |_, listing| listing.per_gib <= 1_000);
            assert!(page.len() <= 3);
            found.extend(page.into_iter().map(|(provider, _)| provider));
            after = next;
            if after.is_none() {
                break;
            }
        }
        found.sort_unstable();
        assert_eq!(found, (0..10).map(account).collect::<Vec<_>>());
    });
}

#[derive(Clone, Debug)]
enum Step {
    Open(u8, u8, Balance),
    TopUp(u8, ChannelId, Balance),
    Settle(ChannelId, u8, u64, Balance),
    Close(u8, ChannelId),
    Finish(ChannelId),
    Guarantee(Option<u64>),
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let channel = || 0u64..6;
    prop_oneof![
        (2u8..6, 1u8..8, 0u128..20_000).prop_map(|(who, key, deposit)| Step::Open(who, key, deposit)),
        (2u8..6, channel(), 0u128..2_000_000).prop_map(|(who, at, amount)| Step::TopUp(who, at, amount)),
        (channel(), 1u8..8, 0u64..1_000, 0u128..30_000)
            .prop_map(|(at, key, bytes, amount)| Step::Settle(at, key, bytes, amount)),
        (1u8..6, channel()).prop_map(|(who, at)| Step::Close(who, at)),
        channel().prop_map(Step::Finish),
        proptest::option::of(0..200 * MBIT).prop_map(Step::Guarantee),
        (1u32..60).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever happens in whatever order: nothing is created, what is missing was burned, and no consumer pays more than it signed for.
    #[test]
    fn nothing_is_created_or_lost(steps in proptest::collection::vec(step(), 100..120)) {
        new_test_ext().execute_with(|| {
            provide();
            let issued = Balances::total_issuance();
            let mut signed_for = std::collections::BTreeMap::<ChannelId, (u8, Balance)>::new();
            let mut burned = 0;
            for step in steps {
                match step {
                    Step::Open(who, seed, deposit) => {
                        let next = crate::NextChannel::<Test>::get();
                        if try_open(who, seed, deposit, AT).is_ok() {
                            signed_for.insert(next, (who, 0));
                        }
                    },
                    Step::TopUp(who, at, amount) => drop(Market::top_up(signed(who), at, amount)),
                    Step::Settle(at, seed, bytes, amount) => {
                        if settle(at, seed, bytes, amount).is_ok() {
                            let known = signed_for.get_mut(&at).unwrap();
                            assert!(amount > known.1);
                            known.1 = amount;
                        }
                    },
                    Step::Close(who, at) => drop(Market::close(signed(who), at, None)),
                    Step::Finish(at) => drop(Market::finish(signed(OTHER), at)),
                    Step::Guarantee(bits) => guarantee(PROVIDER, bits),
                    Step::Wait(blocks) => go_to(System::block_number() + blocks),
                }
                check();
                for event in System::read_events_for_pallet::<Event<Test>>() {
                    if let Event::Settled { gross, refunded, burned: of_it, fee, net, .. } = event {
                        assert_eq!(gross, refunded + of_it + fee + net);
                        burned += of_it;
                    }
                }
                System::reset_events();
                assert_eq!(Balances::total_issuance(), issued - burned);
            }
            // When all is over, each has what it did not sign for.
            go_to(System::block_number() + LIFE + DISPUTE + 1);
            for channel in Channels::<Test>::iter_keys().collect::<Vec<_>>() {
                assert_ok!(Market::finish(signed(OTHER), channel));
            }
            for id in 2..6 {
                let most: Balance = signed_for.values().filter(|(who, _)| *who == id).map(|(_, amount)| amount).sum();
                assert_eq!(on_hold(id, HoldReason::Channel), 0);
                assert!(free(id) >= ENDOWED - most);
            }
        });
    }
}
