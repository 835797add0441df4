use crate::{
    mock::{account, begin, end, execute, honest, new_test_ext, parameters, Test, EPOCH},
    Authors, Buckets, ChainWeight, NextBase, Pallet, Refusal, Terms,
};
use frame_support::traits::OnTimestampSet;
use proptest::prelude::*;
use sp_runtime::{Perbill, StateVersion};
use weir_primitives::{
    consensus::{claims::FalseClaim, Difficulty, PreDigest},
    interfaces::{CurrentBlock, Everybody, OnEpochBorder, OnGuaranteed, Units},
    Epoch, EpochIndex,
};

type System = frame_system::Pallet<Test>;
type Tested = Pallet<Test>;

/// The epoch of an index, where all are equally long.
fn epoch_of(index: EpochIndex) -> Epoch {
    Epoch::uniform(index * EPOCH, EPOCH)
}

/// Changes the bandwidth behind an author from an epoch on, the next one.
fn guarantee(author: u8, from: EpochIndex, before: u64, after: u64) {
    let author = account(author);
    let units = |bits_per_second| Units { mining_author: Some(&author), bits_per_second };
    Tested::on_guaranteed(&account(99), from, units(before), units(after));
}

/// Begins an epoch.
fn border(epoch: EpochIndex) {
    Tested::on_epoch_border(epoch_of(epoch), &Everybody::default(), true);
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
fn bandwidth_gives_credit_from_when_its_snapshot_is_deeper_than_finality() {
    new_test_ext().execute_with(|| {
        execute_until(EPOCH - 1, 1);
        guarantee(1, 1, 0, 250);
        guarantee(2, 1, 0, 500);
        let claims = honest(1);
        begin(&claims);
        border(1);
        end(&claims);
        // Author 2 made no block in the epoch before.
        assert_eq!(Terms::<Test>::get()[0].total_bits_per_second, 250);
        assert_eq!(Authors::<Test>::get(account(2)).share(1), 0);
        let from = Terms::<Test>::get()[0].from;
        assert_eq!(from, EPOCH + 8 + 1);

        execute_until(from - 1, 1);
        assert_eq!(spendable(&account(1), from - 1), Perbill::zero());
        // A quarter of the least total, times five quarters.
        assert_eq!(spendable(&account(1), from), Perbill::from_rational(5u32, 16));
        execute(&PreDigest { credit: Perbill::from_rational(5u32, 16), ..honest(1) });
        assert_eq!(spendable(&account(1), from), Perbill::zero());
        assert_eq!(spendable(&account(1), from + 1), Perbill::from_rational(5u32, 16));
    });
}

#[test]
fn an_author_counts_who_made_a_block_in_the_epoch_before_even_after_one_in_this() {
    new_test_ext().execute_with(|| {
        execute_until(EPOCH - 1, 1);
        guarantee(1, 1, 0, 250);
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
        guarantee(1, 1, 0, 250);
        for epoch in 1..=5 {
            execute_until(epoch * EPOCH - 1, 1);
            let claims = honest(1);
            begin(&claims);
            border(epoch);
            end(&claims);
        }
        assert_eq!(Terms::<Test>::get().iter().map(|term| term.epoch).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(Terms::<Test>::get().iter().all(|term| term.total_bits_per_second == 250));
    });
}

#[test]
fn nothing_is_boosted_by_a_snapshot_of_an_epoch_with_too_few_challengers() {
    new_test_ext().execute_with(|| {
        guarantee(1, 1, 0, 250);
        execute_until(EPOCH - 1, 1);
        let claims = honest(1);
        begin(&claims);
        Tested::on_epoch_border(epoch_of(1), &Everybody::default(), false);
        end(&claims);
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
                    guarantee(1, epoch, behind, bits);
                    guarantee(2, epoch, behind / 2, bits / 2);
                    behind = bits;
                }
                begin(&claims);
                if number.is_multiple_of(EPOCH) {
                    border(epoch);
                }
                end(&claims);
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
