use crate::{
    mock::{account, begin, end, execute, honest, new_test_ext, parameters, Test, EPOCH},
    Authored, Buckets, ChainWeight, NextBase, Pallet, Refusal, Shares, Terms,
};
use frame_support::traits::OnTimestampSet;
use proptest::prelude::*;
use sp_runtime::{Perbill, StateVersion};
use weir_primitives::{
    consensus::{claims::FalseClaim, Difficulty, PreDigest},
    interfaces::{CurrentBlock, MeasuredProvider, OnEpoch},
    Epoch, EpochIndex,
};

type System = frame_system::Pallet<Test>;
type Tested = Pallet<Test>;

/// The epoch of an index, where all are equally long.
fn epoch_of(index: EpochIndex) -> Epoch {
    Epoch::uniform(index * EPOCH, EPOCH)
}

fn provider(id: u8, author: u8, bits_per_second: u64) -> MeasuredProvider {
    MeasuredProvider {
        account: account(id),
        mining_author: Some(account(author)),
        guaranteed_bits_per_second: bits_per_second,
    }
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
        let claims = honest(1);
        begin(&claims);
        Tested::on_epoch(epoch_of(1), &[provider(9, 1, 250), provider(8, 2, 500)]);
        end(&claims);
        // Author 2 made no block in the epoch before.
        assert_eq!(Terms::<Test>::get()[0].total_bits_per_second, 250);
        assert_eq!(Shares::<Test>::get(1, account(2)), None);
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
        let claims = honest(1);
        // Its first block of the new epoch is noted before the snapshot is taken.
        begin(&claims);
        assert_eq!(Authored::<Test>::get(account(1)), Some((1, Some(0))));
        Tested::on_epoch(epoch_of(1), &[provider(9, 1, 250)]);
        assert_eq!(Shares::<Test>::get(1, account(1)), Some(250));
    });
}

#[test]
fn only_the_last_three_snapshots_are_kept() {
    new_test_ext().execute_with(|| {
        for epoch in 1..=5 {
            execute_until(epoch * EPOCH - 1, 1);
            let claims = honest(1);
            begin(&claims);
            Tested::on_epoch(epoch_of(epoch), &[provider(9, 1, 250)]);
            end(&claims);
        }
        assert_eq!(Terms::<Test>::get().iter().map(|term| term.epoch).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(Shares::<Test>::iter_keys().count(), 3);
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
            for (want, author) in spends {
                let number = System::block_number() + 1;
                let most = spendable(&account(author), number);
                let credit = Perbill::from_parts(want).min(most);
                let claims = PreDigest { credit, ..honest(author) };
                begin(&claims);
                if number.is_multiple_of(EPOCH) {
                    let epoch = number / EPOCH;
                    let bits = bandwidth[epoch as usize % bandwidth.len()];
                    Tested::on_epoch(epoch_of(epoch), &[provider(9, 1, bits), provider(8, 2, bits / 2)]);
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
