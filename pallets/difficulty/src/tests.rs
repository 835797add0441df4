use crate::{
    mock::{account, begin, end, execute, honest, new_test_ext, parameters, RuntimeOrigin, Test, EPOCH},
    Authors, Buckets, ChainWeight, Error, NextBase, NextSnapshot, Pallet, Refusal, Terms, Waiting,
};
use frame_support::{assert_noop, pallet_prelude::DispatchResult, traits::OnTimestampSet};
use proptest::prelude::*;
use sp_core::{sr25519, Pair};
use sp_runtime::{Perbill, StateVersion};
use weir_primitives::{
    consensus::{author_key_payload, claims::FalseClaim, Difficulty, PreDigest},
    interfaces::{CurrentBlock, Everybody, OnEpochBorder, OnGuaranteed, Snapshots, Units},
    Epoch, EpochIndex,
};

type System = frame_system::Pallet<Test>;
type Tested = Pallet<Test>;

/// The epoch of an index, where all are equally long.
fn epoch_of(index: EpochIndex) -> Epoch {
    Epoch::uniform(index * EPOCH, EPOCH)
}

/// Changes the bandwidth behind an author from the next snapshot on.
fn guarantee(author: u8, before: u64, after: u64) {
    let author = account(author);
    let units = |bits_per_second| Units { mining_author: Some(&author), bits_per_second };
    // Snapshots are not numbered as epochs are.
    Tested::on_guaranteed(&account(99), EpochIndex::MAX, units(before), units(after));
}

/// Begins an epoch.
fn border(epoch: EpochIndex) {
    Tested::on_epoch_border(epoch_of(epoch), &Everybody::default(), true);
}

/// Makes the first block of an epoch.
fn begin_epoch(epoch: EpochIndex, author: u8) {
    execute_until(epoch * EPOCH - 1, author);
    let claims = honest(author);
    begin(&claims);
    border(epoch);
    end(&claims);
}

fn execute_until(number: u32, author: u8) {
    while System::block_number() < number {
        execute(&honest(author));
    }
}

/// The most credit that an author may spend on a block.
fn spendable(author: &weir_primitives::AccountId, number: u32) -> Perbill {
    Tested::next_block(author, number, StateVersion::V1).unwrap().spendable
}

/// Why a block with these claims is refused.
fn refusal(claims: PreDigest) -> Refusal {
    System::initialize(
        &(System::block_number() + 1),
        &Default::default(),
        &sp_runtime::generic::Digest { logs: vec![claims.to_item()] },
    );
    Tested::check_claims(System::block_number()).unwrap_err()
}

#[test]
fn a_block_says_who_made_it_and_when() {
    new_test_ext().execute_with(|| {
        assert_eq!(Tested::author(), None);
        execute(&honest(7));
        assert_eq!(Tested::author(), Some(account(7)));
        assert_eq!(Tested::timestamp(), 6_000);
    });
}

#[test]
#[should_panic(expected = "the header makes a false claim: Err(Claim(Base")]
fn a_block_with_another_base_is_refused_as_a_whole() {
    new_test_ext().execute_with(|| {
        let claims = honest(1);
        begin(&PreDigest { base: claims.base + 1, ..claims });
    });
}

#[test]
fn each_false_claim_is_refused_for_its_own_reason() {
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        let right = honest(1);
        let lower = refusal(PreDigest { base: right.base - 1, ..right.clone() });
        assert!(matches!(lower, Refusal::Claim(FalseClaim::Base { .. })), "{lower:?}");
    });
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        // A twentieth of six seconds after the parent is the earliest.
        let early = refusal(PreDigest { timestamp: 6_299, ..honest(1) });
        assert_eq!(early, Refusal::Claim(FalseClaim::TooEarly { got: 6_299, earliest: 6_300 }));
    });
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        begin(&PreDigest { timestamp: 6_300, ..honest(1) });
    });
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        let credit = refusal(PreDigest { credit: Perbill::from_parts(1), ..honest(1) });
        assert!(matches!(credit, Refusal::Claim(FalseClaim::Credit { .. })), "{credit:?}");
    });
}

#[test]
#[should_panic(expected = "the timestamp of the block is not the one in its digest")]
fn a_timestamp_other_than_the_digests_is_refused() {
    new_test_ext().execute_with(|| {
        begin(&honest(1));
        Tested::on_timestamp_set(honest(1).timestamp - 6_000 + 1);
    });
}

#[test]
fn the_difficulty_follows_the_timestamps() {
    new_test_ext().execute_with(|| {
        execute_until(11, 1);
        assert_eq!(NextBase::<Test>::get(), Some(parameters().consensus.initial_difficulty));
        // A half-life late.
        let late = PreDigest { timestamp: 12 * 6_000 + 600_000, ..honest(1) };
        execute(&late);
        assert_eq!(NextBase::<Test>::get(), Some(Difficulty::from(500_000)));
    });
}

#[test]
fn the_difficulty_stays_at_its_floor_and_leaves_it_with_the_first_fast_blocks() {
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        let outage = 86_400_000;
        execute(&PreDigest { timestamp: outage, ..honest(1) });
        assert_eq!(NextBase::<Test>::get(), Some(Difficulty::from(1_000)));
        for block in 1..=20 {
            execute(&PreDigest { timestamp: outage + block * 1_000, ..honest(1) });
        }
        assert!(NextBase::<Test>::get() > Some(Difficulty::from(1_100)), "{:?}", NextBase::<Test>::get());
    });
}

#[test]
fn bandwidth_gives_credit_from_when_its_snapshot_is_proven_final_and_deep() {
    new_test_ext().execute_with(|| {
        execute_until(EPOCH - 1, 1);
        guarantee(1, 0, 250);
        guarantee(2, 0, 500);
        begin_epoch(1, 1);
        // Author 2 made no block in the epoch before.
        assert_eq!(Waiting::<Test>::get().unwrap().total_bits_per_second, 250);
        assert_eq!(Authors::<Test>::get(account(2)).share(1), 0);
        // What is below it says nothing of it.
        Tested::on_proven(EPOCH - 1);
        assert_eq!((Tested::waiting(), Terms::<Test>::get().len()), (Some(EPOCH), 0));
        Tested::on_proven(EPOCH);
        let from = Terms::<Test>::get()[0].from;
        assert_eq!((Tested::waiting(), from), (None, EPOCH + 8 + 1));

        execute_until(from - 1, 1);
        assert_eq!(spendable(&account(1), from - 1), Perbill::zero());
        assert_eq!(Tested::behind(&account(1)), 0);
        // A quarter of the least total, times five quarters.
        assert_eq!(spendable(&account(1), from), Perbill::from_rational(5u32, 16));
        execute(&PreDigest { credit: Perbill::from_rational(5u32, 16), ..honest(1) });
        assert_eq!(spendable(&account(1), from), Perbill::zero());
        assert_eq!(spendable(&account(1), from + 1), Perbill::from_rational(5u32, 16));
        assert_eq!([1, 2].map(|author| Tested::behind(&account(author))), [250, 0]);
    });
}

#[test]
fn a_snapshot_that_nobody_proves_gives_no_credit_however_long_a_fork_is() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 1_000_000);
        for epoch in 1..20 {
            begin_epoch(epoch, 1);
            guarantee(1, 1_000_000, 1_000_000);
        }
        let number = System::block_number() + 1;
        assert_eq!((spendable(&account(1), number), Tested::behind(&account(1))), (Perbill::zero(), 0));
        assert_eq!(Tested::waiting(), Some(EPOCH));
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn while_finality_stands_still_the_last_proven_snapshot_goes_on_to_count() {
    new_test_ext().execute_with(|| {
        for author in [1, 2] {
            guarantee(author, 0, 250);
            execute(&honest(author));
        }
        begin_epoch(1, 1);
        Tested::on_proven(EPOCH);
        // From here on nothing is proven; all bandwidth moves to author 2, who makes all blocks.
        guarantee(1, 250, 0);
        guarantee(2, 250, 500);
        for epoch in 2..12 {
            begin_epoch(epoch, 2);
        }
        let at = System::block_number() + 1;
        assert_eq!([1, 2].map(|author| spendable(&account(author), at)), [Perbill::one(); 2]);
        assert_eq!([1, 2].map(|author| Tested::behind(&account(author))), [250; 2]);

        // The one that waited is of epoch 2, and counts from the block after its proof on.
        Tested::on_proven(11 * EPOCH);
        assert_eq!(Terms::<Test>::get().last().unwrap().from, at);
        execute(&honest(2));
        assert_eq!([1, 2].map(|author| Tested::behind(&account(author))), [0, 500]);
        begin_epoch(12, 2);
        assert_eq!(Waiting::<Test>::get().map(|it| (it.snapshot, it.number)), Some((3, 12 * EPOCH)));
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn an_author_with_a_block_since_the_last_snapshot_counts_in_the_next_however_long_ago() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 250);
        begin_epoch(1, 2);
        execute(&honest(1));
        for epoch in 2..8 {
            begin_epoch(epoch, 2);
        }
        Tested::on_proven(EPOCH);
        begin_epoch(8, 2);
        assert_eq!(Authors::<Test>::get(account(1)).share(2), 250);
        Tested::on_proven(8 * EPOCH);
        begin_epoch(9, 2);
        assert_eq!(Authors::<Test>::get(account(1)).share(3), 0);
    });
}

#[test]
fn an_author_counts_who_made_a_block_in_the_epoch_before_even_after_one_in_this() {
    new_test_ext().execute_with(|| {
        execute_until(EPOCH - 1, 1);
        guarantee(1, 0, 250);
        let claims = honest(1);
        // Its first block of the new epoch is noted before the snapshot is taken.
        begin(&claims);
        assert!(Authors::<Test>::get(account(1)).made_a_block(1));
        border(1);
        assert_eq!(Authors::<Test>::get(account(1)).share(1), 250);
    });
}

#[test]
fn only_the_last_three_snapshots_are_kept() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 250);
        for epoch in 1..=5 {
            begin_epoch(epoch, 1);
            Tested::on_proven(epoch * EPOCH);
        }
        assert_eq!(Terms::<Test>::get().iter().map(|term| term.snapshot).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(Terms::<Test>::get().iter().all(|term| term.total_bits_per_second == 250));
        assert_eq!(NextSnapshot::<Test>::get(), 6);
    });
}

#[test]
fn nothing_is_boosted_by_a_snapshot_of_an_epoch_with_too_few_challengers() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 250);
        execute_until(EPOCH - 1, 1);
        let claims = honest(1);
        begin(&claims);
        Tested::on_epoch_border(epoch_of(1), &Everybody::default(), false);
        end(&claims);
        Tested::on_proven(EPOCH);
        execute_until(2 * EPOCH - 1, 1);
        assert_eq!(spendable(&account(1), 2 * EPOCH - 1), Perbill::zero());
    });
}

#[test]
fn a_provider_that_names_another_author_takes_its_bandwidth_along() {
    new_test_ext().execute_with(|| {
        execute(&honest(1));
        execute(&honest(2));
        let (one, other) = (account(1), account(2));
        let units = |author, bits_per_second| Units { mining_author: author, bits_per_second };
        Tested::on_guaranteed(&account(9), 1, units(None, 0), units(Some(&one), 100));
        Tested::on_guaranteed(&account(9), 1, units(Some(&one), 100), units(Some(&other), 60));
        assert_eq!([&one, &other].map(|author| Authors::<Test>::get(author).share(1)), [0, 60]);
        Tested::on_guaranteed(&account(9), 1, units(Some(&other), 60), units(None, 60));
        assert_eq!([&one, &other].map(|author| Authors::<Test>::get(author).share(1)), [0, 0]);
        Pallet::<Test>::do_try_state().unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_ever_spends_more_than_bandwidth_gave(
        spends in proptest::collection::vec((0u32..=1_000_000_000, 1u8..4), 60),
        bandwidth in proptest::collection::vec(0u64..2_000, 6),
    ) {
        new_test_ext().execute_with(|| {
            let mut spent = [0u128; 4];
            let mut behind = 0;
            for (want, author) in spends {
                let number = System::block_number() + 1;
                let most = spendable(&account(author), number);
                let credit = Perbill::from_parts(want).min(most);
                let claims = PreDigest { credit, ..honest(author) };
                let epoch = number / EPOCH;
                if number.is_multiple_of(EPOCH) {
                    let bits = bandwidth[epoch as usize % bandwidth.len()];
                    guarantee(1, behind, bits);
                    guarantee(2, behind / 2, bits / 2);
                    behind = bits;
                }
                begin(&claims);
                if number.is_multiple_of(EPOCH) {
                    border(epoch);
                }
                end(&claims);
                Tested::on_proven(number);
                spent[author as usize] += u128::from(credit.deconstruct());
            }
            // Nobody measured bandwidth for author 3; the others gain at most 5/4 per block together.
            prop_assert_eq!(spent[3], 0);
            prop_assert!(spent[1] + spent[2] <= 60 * 1_250_000_000);
            prop_assert!(Buckets::<Test>::iter().count() <= 3);
            Ok(())
        })?;
    }
}

#[test]
fn the_weight_of_the_chain_is_the_sum_of_the_bases_of_its_blocks() {
    new_test_ext().execute_with(|| {
        let mut sum = sp_core::U256::zero();
        for _ in 0..3 {
            let claims = honest(1);
            sum += claims.base;
            execute(&claims);
            assert_eq!(ChainWeight::<Test>::get(), sum);
        }
        assert_eq!(Tested::next_block(&account(1), 4, StateVersion::V1).unwrap().parent_weight, sum);
    });
}

#[test]
fn a_weight_that_would_overflow_refuses_the_block() {
    new_test_ext().execute_with(|| {
        ChainWeight::<Test>::put(sp_core::U256::MAX);
        assert_eq!(refusal(honest(1)), Refusal::Weight);
    });
}

/// A key, and its agreement to sign for an account.
fn proven(seed: u8, account: &weir_primitives::AccountId) -> (sr25519::Public, sr25519::Signature) {
    let pair = sr25519::Pair::from_seed(&[seed; 32]);
    (pair.public(), pair.sign(&author_key_payload(Tested::genesis_hash(), account)))
}

fn set_key(id: u8, key: Option<(sr25519::Public, sr25519::Signature)>) -> DispatchResult {
    Tested::set_author_key(RuntimeOrigin::signed(account(id)), key)
}

/// The claims of an honest block that a key signs.
fn signed_by(key: &sr25519::Public) -> PreDigest {
    PreDigest { author: (*key).into(), ..honest(1) }
}

#[test]
fn a_key_spends_the_credit_of_its_account_and_no_key_that_was_replaced_does() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 1_000_000);
        begin_epoch(1, 1);
        Tested::on_proven(EPOCH);
        execute_until(EPOCH + 8, 1);
        let spends = |key: &weir_primitives::AccountId| spendable(key, System::block_number() + 1) > Perbill::zero();
        assert!(spends(&account(1)));

        let (one, two) = (proven(1, &account(1)), proven(2, &account(1)));
        let (first, second) = (one.0, two.0);
        assert!(!spends(&first.into()));
        set_key(1, Some(one)).unwrap();
        assert_eq!(Tested::key_of(&account(1)), first.into());
        assert!(spends(&first.into()));
        set_key(1, Some(two)).unwrap();
        assert!(!spends(&first.into()) && spends(&second.into()));

        let before = Buckets::<Test>::get(account(1));
        let credit = spendable(&second.into(), EPOCH + 9);
        execute(&PreDigest { credit, ..signed_by(&second) });
        assert_ne!(Buckets::<Test>::get(account(1)), before);
        assert!(!Buckets::<Test>::contains_key(weir_primitives::AccountId::from(second)));
        // Who is paid, and whose bandwidth counts in the next snapshot, is the account.
        assert_eq!(Tested::author(), Some(account(1)));

        set_key(1, None).unwrap();
        assert!(!spends(&second.into()) && Tested::account_of(&second.into()) == second.into());
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn an_account_whose_key_makes_all_its_blocks_keeps_its_share() {
    new_test_ext().execute_with(|| {
        guarantee(1, 0, 1_000_000);
        let key = proven(1, &account(1));
        set_key(1, Some(key)).unwrap();
        execute(&signed_by(&key.0));
        begin_epoch(1, 9);
        Tested::on_proven(EPOCH);
        execute_until(2 * EPOCH, 9);
        assert_eq!(Tested::behind(&account(1)), 1_000_000);
        assert_eq!(Tested::behind(&key.0.into()), 0);
    });
}

#[test]
fn a_change_of_the_key_in_a_block_does_not_change_whose_block_it_is() {
    new_test_ext().execute_with(|| {
        let key = proven(1, &account(1));
        set_key(1, Some(key)).unwrap();
        let claims = signed_by(&key.0);
        begin(&claims);
        set_key(1, None).unwrap();
        assert_eq!(Tested::author(), Some(account(1)));
        end(&claims);
    });
}

#[test]
fn no_key_signs_for_an_account_to_which_it_did_not_agree_or_for_two() {
    new_test_ext().execute_with(|| {
        let (public, proof) = proven(1, &account(1));
        assert_noop!(set_key(2, Some((public, proof))), Error::<Test>::BadSignature);
        let other_chain = sr25519::Pair::from_seed(&[1; 32]).sign(&author_key_payload(Default::default(), &account(1)));
        System::set_block_number(1);
        frame_system::BlockHash::<Test>::insert(0, weir_primitives::Hash::repeat_byte(1));
        assert_noop!(set_key(1, Some((public, other_chain))), Error::<Test>::BadSignature);

        set_key(1, Some(proven(1, &account(1)))).unwrap();
        assert_noop!(set_key(2, Some(proven(1, &account(2)))), Error::<Test>::KeyTaken);
        // Again for the same account, and by another after the first let it go.
        set_key(1, Some(proven(1, &account(1)))).unwrap();
        set_key(1, None).unwrap();
        set_key(2, Some(proven(1, &account(2)))).unwrap();
        assert_eq!(Tested::account_of(&public.into()), account(2));

        let own = weir_primitives::AccountId::from(public);
        let signed = Some(proven(1, &own));
        assert_noop!(Tested::set_author_key(RuntimeOrigin::signed(own), signed), Error::<Test>::OwnKey);
        Tested::do_try_state().unwrap();
    });
}

proptest! {
    #[test]
    fn whoever_names_which_keys_each_signs_for_one_account_at_most(
        steps in proptest::collection::vec((0u8..6, proptest::option::of(0u8..6)), 1..60),
    ) {
        new_test_ext().execute_with(|| {
            for (id, key) in steps {
                let before = key.map(|seed| Tested::account_of(&proven(seed, &account(id)).0.into()));
                let done = set_key(id, key.map(|seed| proven(seed, &account(id))));
                if let (Some(seed), Some(before)) = (key, before) {
                    let public = weir_primitives::AccountId::from(proven(seed, &account(id)).0);
                    // Only a key that is free, or its own, is had.
                    prop_assert_eq!(done.is_ok(), before == public || before == account(id));
                    prop_assert_eq!(Tested::account_of(&public), if done.is_ok() { account(id) } else { before });
                } else {
                    prop_assert!(done.is_ok() && Tested::key_of(&account(id)) == account(id));
                }
                Tested::do_try_state().unwrap();
            }
            Ok(())
        })?;
    }
}
