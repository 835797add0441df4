use crate::{
    mock::{
        account, begin, end, hash_at, let_wait, new_test_ext, pair, put_behind, put_behind_account, run_to, stranger,
        Balances, Header, RuntimeCall, RuntimeEvent, RuntimeOrigin, System, Test, Tested, BOND, ENDOWED, EPOCH,
        UNBONDING,
    },
    Bonds, Call, Candidates, Error, Event, Handover, Proven, Sets, Voters,
};
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    dispatch::GetDispatchInfo,
    traits::{fungible::InspectHold, Authorize, UnfilteredDispatchable},
    BoundedVec,
};
use proptest::prelude::*;
use sp_consensus_grandpa::{
    localized_payload, AuthorityPair, Commit, ConsensusLog, Equivocation, EquivocationProof, GrandpaJustification,
    Precommit, SetId,
};
use sp_core::{Pair, H256};
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError},
    DispatchResult, Perbill,
};
use weir_primitives::{
    finality::{voter_payload, voters::Voter, VoterSignature, Wanted},
    BlockNumber,
};

fn signed(id: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(id))
}

fn agreement(id: u8, nth: u8) -> VoterSignature {
    pair(id, nth).sign(&voter_payload(hash_at(0), &account(id)))
}

fn join(id: u8, bond: u128) -> DispatchResult {
    Tested::join(signed(id), bond, pair(id, 0).public(), agreement(id, 0))
}

/// Makes some accounts voters from the next election on, with as much behind each.
fn join_with_bandwidth(ids: &[u8]) {
    for id in ids {
        put_behind(*id, 500);
        assert_ok!(join(*id, BOND));
    }
}

fn first_byte(account: &weir_primitives::AccountId) -> u8 {
    AsRef::<[u8; 32]>::as_ref(account)[0]
}

fn current() -> SetId {
    pallet_grandpa::CurrentSetId::<Test>::get()
}

fn voters_of(set: SetId) -> Vec<u8> {
    let set = Sets::<Test>::get(set).unwrap();
    set.voters.iter().map(|voter| first_byte(&voter.account)).collect()
}

fn precommit(
    pair: &AuthorityPair,
    set: SetId,
    number: BlockNumber,
    hash: H256,
) -> finality_grandpa::SignedPrecommit<H256, u32, VoterSignature, sp_consensus_grandpa::AuthorityId> {
    let precommit = Precommit::<Header> { target_hash: hash, target_number: number };
    let message = finality_grandpa::Message::Precommit(precommit.clone());
    let signature = pair.sign(&localized_payload(1, set, &message));
    finality_grandpa::SignedPrecommit { precommit, signature, id: pair.public() }
}

/// What these voters sign together for a block.
fn justification(ids: &[u8], set: SetId, number: BlockNumber, hash: H256) -> Vec<u8> {
    let precommits = ids.iter().map(|id| precommit(&pair(*id, 0), set, number, hash)).collect();
    let commit = Commit::<Header> { target_hash: hash, target_number: number, precommits };
    GrandpaJustification::<Header> { round: 1, commit, votes_ancestries: vec![] }.encode()
}

fn authorize(call: Call<Test>) -> Result<RuntimeCall, TransactionValidityError> {
    let call = RuntimeCall::from(call);
    call.authorize(TransactionSource::External).expect("it is one that its contents authorize")?;
    Ok(call)
}

/// Carries a proof to the chain, as anybody can.
fn prove(justification: Vec<u8>) -> Result<(), TransactionValidityError> {
    let call = authorize(Call::prove { justification: BoundedVec::try_from(justification).unwrap() })?;
    call.dispatch_bypass_filter(RuntimeOrigin::from(frame_system::RawOrigin::Authorized))
        .expect("authorize refuses what dispatch would");
    Ok(())
}

fn refused(justification: Vec<u8>) -> InvalidTransaction {
    match prove(justification) {
        Err(TransactionValidityError::Invalid(why)) => why,
        other => panic!("it was taken: {other:?}"),
    }
}

/// A voter's two votes for different blocks.
fn equivocation(id: u8, nth: u8, set: SetId) -> Box<EquivocationProof<H256, BlockNumber>> {
    let vote = |byte| {
        let target = finality_grandpa::Prevote { target_hash: H256::repeat_byte(byte), target_number: 5 };
        let message = finality_grandpa::Message::<H256, BlockNumber>::Prevote(target.clone());
        (target, pair(id, nth).sign(&localized_payload(7, set, &message)))
    };
    let both = finality_grandpa::Equivocation {
        round_number: 7,
        identity: pair(id, nth).public(),
        first: vote(1),
        second: vote(2),
    };
    Box::new(EquivocationProof::new(set, Equivocation::Prevote(both)))
}

fn held(id: u8) -> u128 {
    Balances::total_balance_on_hold(&account(id))
}

fn has_event(wanted: Event<Test>) -> bool {
    System::events().iter().any(|record| record.event == RuntimeEvent::Tested(wanted.clone()))
}

/// Makes the first change of the set, to 1 and 2, in the first block of epoch 1, and one block more.
fn first_election() {
    run_to(1);
    join_with_bandwidth(&[1, 2]);
    let announced = run_to(EPOCH);
    assert!(matches!(announced, Some(ConsensusLog::ScheduledChange(change)) if change.delay == 0));
    run_to(EPOCH + 1);
}

#[test]
fn genesis_names_the_first_voters_and_the_first_election_replaces_them_for_good() {
    new_test_ext().execute_with(|| {
        assert_eq!((current(), voters_of(0)), (0, vec![101, 102, 103]));
        assert_eq!(pallet_grandpa::Pallet::<Test>::grandpa_authorities().len(), 3);
        first_election();
        assert_eq!((current(), voters_of(1)), (1, vec![1, 2]));
        // They leave: a set of nobody is none, and those of genesis do not come back.
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        assert_ok!(Tested::leave(signed(1)));
        assert_ok!(Tested::leave(signed(2)));
        run_to(8 * EPOCH);
        assert_eq!((current(), voters_of(1)), (1, vec![1, 2]));
    });
}

#[test]
fn a_candidate_needs_a_bond_and_a_key_that_agrees() {
    new_test_ext().execute_with(|| {
        run_to(1);
        assert_noop!(join(1, BOND - 1), Error::<Test>::BondTooSmall);
        let (key, other) = (pair(1, 0).public(), agreement(2, 0));
        assert_noop!(Tested::join(signed(1), BOND, key.clone(), other), Error::<Test>::BadSignature);
        // Nobody takes a key along that agreed to another account.
        assert_noop!(Tested::join(signed(2), BOND, key.clone(), agreement(1, 0)), Error::<Test>::BadSignature);
        assert!(join(1, ENDOWED + 1).is_err());
        assert_ok!(join(1, BOND));
        assert_eq!(held(1), BOND);
        assert_noop!(join(1, BOND), Error::<Test>::AlreadyBonded);
        assert_noop!(Tested::set_key(signed(1), key, agreement(1, 0)), Error::<Test>::KeyTaken);
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn candidates_without_bandwidth_or_too_few_of_them_change_nothing() {
    new_test_ext().execute_with(|| {
        run_to(1);
        assert_ok!(join(1, BOND));
        assert_ok!(join(2, BOND));
        assert_eq!(run_to(EPOCH), None);
        put_behind(1, 500);
        assert_eq!(run_to(2 * EPOCH), None);
        // Two, but with less behind them than the least.
        put_behind(1, 50);
        put_behind(2, 49);
        assert_eq!(run_to(3 * EPOCH), None);
        // Enough, but they weigh two fifths of the whole.
        put_behind(2, 50);
        assert_eq!(run_to(4 * EPOCH), None);
        put_behind(2, 75);
        assert!(run_to(5 * EPOCH).is_some());
        assert_eq!(current(), 1);
    });
}

#[test]
fn no_set_is_followed_by_another_before_its_voters_were_handed_the_chain() {
    new_test_ext().execute_with(|| {
        first_election();
        join_with_bandwidth(&[3]);
        let hash = hash_at(EPOCH);
        assert_eq!(Tested::wanted(), Some(Wanted::Handover { set: 0, number: EPOCH, hash }));
        // However long finality stands still.
        run_to(9 * EPOCH + 5);
        assert_eq!(current(), 1);
        // Those who were chosen cannot say so themselves, and the old ones only for that block.
        assert_eq!(refused(justification(&[1, 2], 1, EPOCH, hash)), InvalidTransaction::BadProof);
        assert_eq!(refused(justification(&[1, 2], 0, EPOCH, hash)), InvalidTransaction::BadProof);
        let above = hash_at(EPOCH + 1);
        assert_eq!(refused(justification(&[101, 102, 103], 0, EPOCH + 1, above)), InvalidTransaction::Future);
        assert_eq!(refused(justification(&[101, 102], 0, EPOCH, hash)), InvalidTransaction::BadProof);
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash)));
        assert_eq!((Proven::<Test>::get(), Handover::<Test>::get()), (EPOCH, None));
        assert!(has_event(Event::ProvenFinal { number: EPOCH, set: 0 }));
        run_to(10 * EPOCH);
        assert_eq!((current(), voters_of(2)), (2, vec![1, 2, 3]));
    });
}

#[test]
fn the_hash_of_a_change_is_known_even_when_the_chain_has_forgotten_it() {
    new_test_ext().execute_with(|| {
        first_election();
        let hash = hash_at(EPOCH);
        run_to(300);
        frame_system::BlockHash::<Test>::remove(EPOCH);
        assert_eq!(hash_at(EPOCH), H256::zero());
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash)));
    });
}

#[test]
fn a_set_lasts_as_many_epochs_as_it_should() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        join_with_bandwidth(&[3]);
        assert_eq!(run_to(2 * EPOCH), None);
        assert!(run_to(3 * EPOCH).is_some());
    });
}

#[test]
fn the_same_voters_again_are_no_change() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        assert_eq!(run_to(5 * EPOCH), None);
        assert_eq!(current(), 1);
    });
}

#[test]
fn a_snapshot_is_proven_by_the_current_voters_for_a_block_of_this_chain_at_or_above_it() {
    new_test_ext().execute_with(|| {
        run_to(20);
        let all = [101, 102, 103];
        assert_eq!(refused(justification(&all, 0, 12, hash_at(12))), InvalidTransaction::Stale);
        let_wait(12);
        assert_eq!(Tested::wanted(), Some(Wanted::Snapshot { set: 0, number: 12 }));
        assert_eq!(refused(justification(&all, 0, 11, hash_at(11))), InvalidTransaction::Future);
        // Of another fork, of the future, and of this block, whose hash nobody knows.
        assert_eq!(refused(justification(&all, 0, 12, H256::repeat_byte(7))), InvalidTransaction::Future);
        assert_eq!(refused(justification(&all, 0, 20, H256::zero())), InvalidTransaction::Future);
        assert_eq!(refused(justification(&all, 0, 21, H256::zero())), InvalidTransaction::Future);
        assert_eq!(refused(justification(&[101, 102], 0, 15, hash_at(15))), InvalidTransaction::BadProof);
        assert_eq!(refused(justification(&all, 1, 15, hash_at(15))), InvalidTransaction::BadProof);
        assert_eq!(refused(b"nothing".to_vec()), InvalidTransaction::BadProof);
        assert_ok!(prove(justification(&all, 0, 15, hash_at(15))));
        assert_eq!((Proven::<Test>::get(), Tested::wanted()), (15, None));
        // Once is enough: nobody fills blocks with them.
        assert_eq!(refused(justification(&all, 0, 16, hash_at(16))), InvalidTransaction::Stale);
    });
}

#[test]
fn proofs_of_the_same_are_one_transaction_and_nobody_else_hands_them_in() {
    new_test_ext().execute_with(|| {
        run_to(20);
        let_wait(12);
        let tags = |number| {
            let proof = justification(&[101, 102, 103], 0, number, hash_at(number));
            let call = RuntimeCall::from(Call::prove { justification: BoundedVec::try_from(proof).unwrap() });
            call.authorize(TransactionSource::External).unwrap().unwrap().0.provides
        };
        assert_eq!(tags(13), tags(14));
        let proof = BoundedVec::try_from(justification(&[101, 102, 103], 0, 13, hash_at(13))).unwrap();
        assert!(Tested::prove(signed(1), proof.clone()).is_err());
        let info = RuntimeCall::from(Call::<Test>::prove { justification: proof }).get_dispatch_info();
        assert_eq!(info.class, frame_support::dispatch::DispatchClass::Operational);
    });
}

#[test]
fn a_bond_is_held_until_the_last_set_of_its_owner_was_handed_over_and_then_unbonds() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_noop!(Tested::withdraw(signed(9), account(1)), Error::<Test>::NotLeft);
        assert_ok!(Tested::leave(signed(1)));
        assert_noop!(Tested::leave(signed(1)), Error::<Test>::HasLeft);
        // In a stall that lasts much longer than the unbonding time.
        run_to(20 * EPOCH + 5);
        assert_noop!(Tested::withdraw(signed(9), account(1)), Error::<Test>::StillBonded);
        let hash = Handover::<Test>::get().unwrap().hash.unwrap();
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash)));
        join_with_bandwidth(&[3]);
        run_to(21 * EPOCH + 1);
        assert_eq!(voters_of(2), vec![2, 3]);
        assert_noop!(Tested::withdraw(signed(9), account(1)), Error::<Test>::StillBonded);
        assert_ok!(prove(justification(&[1, 2], 1, 21 * EPOCH, hash_at(21 * EPOCH))));
        run_to(21 * EPOCH + 1 + UNBONDING - 1);
        assert_noop!(Tested::withdraw(signed(9), account(1)), Error::<Test>::StillBonded);
        run_to(21 * EPOCH + 1 + UNBONDING);
        assert_ok!(Tested::withdraw(signed(9), account(1)));
        assert_eq!((held(1), Bonds::<Test>::get(account(1))), (0, None));
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn who_was_never_chosen_unbonds_from_when_it_left() {
    new_test_ext().execute_with(|| {
        run_to(1);
        assert_ok!(join(1, BOND));
        assert_ok!(Tested::leave(signed(1)));
        run_to(UNBONDING);
        assert_noop!(Tested::withdraw(signed(1), account(1)), Error::<Test>::StillBonded);
        run_to(UNBONDING + 1);
        assert_ok!(Tested::withdraw(signed(1), account(1)));
        assert_ok!(join(1, BOND));
    });
}

#[test]
fn sets_are_forgotten_when_nobody_answers_for_them_and_not_before() {
    new_test_ext().execute_with(|| {
        first_election();
        let mut ids = vec![101, 102, 103];
        let mut over = vec![];
        for round in 0..8u8 {
            over.push(System::block_number());
            let change = Handover::<Test>::get().unwrap();
            assert_ok!(prove(justification(&ids, u64::from(round), change.number, change.hash.unwrap())));
            ids = voters_of(current());
            join_with_bandwidth(&[10 + round]);
            while Handover::<Test>::get().is_none() {
                run_to(System::block_number() + 1);
            }
            run_to(System::block_number() + 1);
        }
        assert_eq!(current(), 9);
        // The last time that something was forgotten.
        let changed = Handover::<Test>::get().unwrap().number;
        for (set, over) in over.into_iter().enumerate() {
            assert_eq!(
                Sets::<Test>::contains_key(set as SetId),
                over + UNBONDING >= changed,
                "set {set}, over at {over}"
            );
        }
        assert!(!Sets::<Test>::contains_key(0) && Sets::<Test>::contains_key(8) && Sets::<Test>::contains_key(9));
    });
}

#[test]
fn who_equivocates_loses_its_whole_bond_and_anybody_shows_it() {
    new_test_ext().execute_with(|| {
        first_election();
        let (issued, before) = (Balances::total_issuance(), Balances::free_balance(account(9)));
        assert_ok!(Tested::show_equivocation(signed(9), equivocation(1, 0, 1)));
        assert_eq!((held(1), held(9), Balances::total_issuance()), (0, 0, issued - BOND * 9 / 10));
        assert_eq!(Balances::free_balance(account(9)), before + BOND / 10);
        assert!(has_event(Event::Equivocated { account: account(1), set: 1, shown_by: Some(account(9)) }));
        Tested::do_try_state().unwrap();
        // Once: what it bonds later does not answer for it.
        assert_noop!(Tested::show_equivocation(signed(9), equivocation(1, 0, 1)), Error::<Test>::NoEquivocation);
        assert_ok!(join(1, BOND));
        assert_noop!(Tested::show_equivocation(signed(9), equivocation(1, 0, 1)), Error::<Test>::NoEquivocation);
        assert_eq!(held(1), BOND);
    });
}

#[test]
fn an_equivocation_that_nobody_signs_for_pays_the_author_who_includes_it() {
    new_test_ext().execute_with(|| {
        first_election();
        let before = Balances::free_balance(account(200));
        let call = authorize(Call::show_equivocation { proof: equivocation(2, 0, 1) }).unwrap();
        call.dispatch_bypass_filter(RuntimeOrigin::from(frame_system::RawOrigin::Authorized)).unwrap();
        assert_eq!((held(2), Balances::free_balance(account(200))), (0, before + BOND / 10));
        assert!(authorize(Call::show_equivocation { proof: equivocation(2, 0, 1) }).is_err());
    });
}

#[test]
fn what_is_no_equivocation_takes_nothing() {
    new_test_ext().execute_with(|| {
        first_election();
        let Equivocation::Prevote(both) = both_votes(&equivocation(1, 0, 1)) else { panic!("they are prevotes") };
        let once = finality_grandpa::Equivocation { second: both.first.clone(), ..both };
        let same = Box::new(EquivocationProof::new(1, Equivocation::Prevote(once)));
        // Of a set that it was not in, of one that is to come, by somebody else's key, by a voter of genesis, and twice the same vote.
        for proof in
            [equivocation(1, 0, 0), equivocation(1, 0, 2), equivocation(1, 3, 1), equivocation(101, 0, 0), same]
        {
            assert_noop!(Tested::show_equivocation(signed(9), proof), Error::<Test>::NoEquivocation);
        }
        assert_eq!((held(1), held(2)), (BOND, BOND));
    });
}

/// What follows the number of the set.
fn both_votes(proof: &EquivocationProof<H256, BlockNumber>) -> Equivocation<H256, BlockNumber> {
    codec::Decode::decode(&mut &proof.encode()[8..]).unwrap()
}

#[test]
fn neither_leaving_nor_another_key_saves_the_bond_of_who_equivocated() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(Tested::set_key(signed(1), pair(1, 1).public(), agreement(1, 1)));
        assert_ok!(Tested::leave(signed(1)));
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        join_with_bandwidth(&[3]);
        run_to(3 * EPOCH + 1);
        assert_ok!(prove(justification(&[1, 2], 1, 3 * EPOCH, hash_at(3 * EPOCH))));
        run_to(3 * EPOCH + UNBONDING);
        assert_ok!(Tested::show_equivocation(signed(9), equivocation(1, 0, 1)));
        assert_eq!(held(1), 0);
    });
}

#[test]
fn another_key_votes_from_the_next_set_on() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        assert_ok!(Tested::set_key(signed(1), pair(1, 1).public(), agreement(1, 1)));
        let key_in = |set| Sets::<Test>::get(set).unwrap().voters[0].key.clone();
        run_to(3 * EPOCH);
        assert_eq!([1, 2].map(key_in), [pair(1, 0).public(), pair(1, 1).public()]);
    });
}

/// Somebody beside the 256 who fill all places.
fn join_as_stranger(bond: u128) -> DispatchResult {
    let key = pair(7, 99);
    let agreement = key.sign(&voter_payload(hash_at(0), &stranger()));
    Tested::join(RuntimeOrigin::signed(stranger()), bond, key.public(), agreement)
}

fn stands(account: &weir_primitives::AccountId) -> bool {
    Candidates::<Test>::get().iter().any(|(_, it)| it == account)
}

#[test]
fn where_all_places_are_taken_a_larger_bond_displaces_the_smallest() {
    new_test_ext().execute_with(|| {
        run_to(1);
        for id in 0..=255u8 {
            put_behind(id, 500);
            assert_ok!(join(id, BOND + u128::from(id % 7)));
        }
        put_behind_account(stranger(), 500);
        assert_noop!(join_as_stranger(BOND), Error::<Test>::NoRoom);
        assert_ok!(join_as_stranger(BOND + 1));
        // Of those with the smallest bond, who came last.
        assert!(has_event(Event::Left { account: account(252), was_displaced: true }));
        assert_eq!((held(252), stands(&account(252)), Candidates::<Test>::get().len()), (BOND, false, 256));
        // Who was displaced comes back with more.
        assert_noop!(Tested::raise_bond(signed(252), 0), Error::<Test>::NoRoom);
        assert_ok!(Tested::raise_bond(signed(252), 1));
        assert_eq!((stands(&account(252)), stands(&account(245))), (true, false));
        Tested::do_try_state().unwrap();
    });
}

#[test]
fn bonds_without_bandwidth_keep_nobody_out_who_has_some() {
    new_test_ext().execute_with(|| {
        run_to(1);
        for id in 0..=255u8 {
            assert_ok!(join(id, 100 * BOND));
        }
        assert_noop!(join_as_stranger(BOND), Error::<Test>::NoRoom);
        put_behind_account(stranger(), 1);
        assert_ok!(join_as_stranger(BOND));
        assert_eq!((stands(&stranger()), stands(&account(255))), (true, false));
        // However much more they bond.
        assert_ok!(Tested::raise_bond(signed(255), 500 * BOND));
        assert_eq!((stands(&stranger()), stands(&account(254))), (true, false));
        Tested::do_try_state().unwrap();
    });
}

fn named(ids: &[u8]) -> Voters {
    let voter = |id: &u8| Voter { account: account(*id), key: pair(*id, 0).public(), weight: 1 };
    Voters::try_from(ids.iter().map(voter).collect::<Vec<_>>()).unwrap()
}

#[test]
fn governance_alone_ends_a_stall_and_names_voters_that_make_sense() {
    new_test_ext().execute_with(|| {
        run_to(30);
        assert!(Tested::end_stall(signed(1), 5, 3, named(&[50])).is_err());
        let root = RuntimeOrigin::root;
        assert_noop!(Tested::end_stall(root(), 5, 30, named(&[50])), Error::<Test>::BadVoters);
        assert_noop!(Tested::end_stall(root(), 5, 3, named(&[])), Error::<Test>::BadVoters);
        assert_noop!(Tested::end_stall(root(), 5, 3, named(&[50, 50])), Error::<Test>::BadVoters);
        // Nodes count weights with 64 bits, and could not start again.
        let heavy = Voters::try_from(vec![Voter { weight: u64::MAX, ..named(&[50])[0].clone() }]).unwrap();
        assert_noop!(Tested::end_stall(root(), 5, 3, heavy), Error::<Test>::BadVoters);
        for delay in [0, 1, UNBONDING + 1, u32::MAX] {
            assert_noop!(Tested::end_stall(root(), delay, 3, named(&[50])), Error::<Test>::BadDelay);
        }
        begin(0);
        assert_ok!(Tested::end_stall(root(), 5, 3, named(&[50, 51])));
        assert!(matches!(end(), Some(ConsensusLog::ForcedChange(3, change)) if change.delay == 5));
        run_to(35);
        assert_eq!((current(), voters_of(0).len()), (0, 3));
        run_to(36);
        assert_eq!((current(), voters_of(1)), (1, vec![50, 51]));
        // Those who were replaced have nothing to say any more.
        let_wait(33);
        assert_eq!(refused(justification(&[101, 102, 103], 0, 34, hash_at(34))), InvalidTransaction::BadProof);
        run_to(37);
        assert_ok!(prove(justification(&[50, 51], 1, 35, hash_at(35))));
    });
}

#[test]
fn nodes_and_chain_number_sets_alike_after_a_stall_that_governance_ended() {
    // The change that the stall came upon was never final: nodes know nothing of its set.
    new_test_ext().execute_with(|| {
        first_election();
        begin(0);
        assert_ok!(Tested::end_stall(RuntimeOrigin::root(), 2, EPOCH - 1, named(&[50, 51])));
        end();
        run_to(EPOCH + 4);
        assert_eq!((current(), voters_of(1), Handover::<Test>::get()), (1, vec![50, 51], None));
    });
    // It was final, only the chain was not told.
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(prove(justification(&[101, 102, 103], 0, EPOCH, hash_at(EPOCH))));
        join_with_bandwidth(&[3, 4]);
        assert_ok!(Tested::leave(signed(1)));
        run_to(3 * EPOCH + 1);
        assert_eq!((current(), voters_of(2)), (2, vec![2, 3, 4]));
        begin(0);
        assert_ok!(Tested::end_stall(RuntimeOrigin::root(), 2, 3 * EPOCH, named(&[50, 51])));
        end();
        let at = run_to(3 * EPOCH + 4);
        assert!(at.is_none());
        assert_eq!((current(), voters_of(3), Handover::<Test>::get()), (3, vec![50, 51], None));
        // Nobody of the two sets before waits for ever.
        for id in [2, 3, 4] {
            assert_ok!(Tested::leave(signed(id)));
        }
        run_to(3 * EPOCH + 4 + UNBONDING);
        for id in [1, 2, 3, 4] {
            assert_ok!(Tested::withdraw(signed(9), account(id)));
        }
    });
}

#[test]
fn whoever_governance_names_answers_for_its_votes_with_its_bond_whenever_it_bonded() {
    new_test_ext().execute_with(|| {
        first_election();
        assert_ok!(join(50, BOND));
        begin(0);
        assert_ok!(Tested::end_stall(RuntimeOrigin::root(), 2, EPOCH - 1, named(&[50, 51])));
        end();
        run_to(EPOCH + 4);
        assert_eq!((current(), voters_of(1)), (1, vec![50, 51]));
        assert_ok!(Tested::show_equivocation(signed(9), equivocation(50, 0, 1)));
        assert_eq!(held(50), 0);
    });
}

#[test]
fn nothing_is_chosen_while_a_forced_change_is_pending() {
    new_test_ext().execute_with(|| {
        run_to(1);
        join_with_bandwidth(&[1, 2]);
        run_to(8);
        begin(0);
        assert_ok!(Tested::end_stall(RuntimeOrigin::root(), 5, 3, named(&[50])));
        end();
        assert_eq!(run_to(EPOCH), None);
        run_to(20);
        assert_eq!((current(), voters_of(1)), (2, vec![50]));
    });
}

#[test]
fn governance_takes_a_part_of_a_bond_for_a_reason() {
    new_test_ext().execute_with(|| {
        first_election();
        let reason = BoundedVec::try_from(b"it stole".to_vec()).unwrap();
        let part = Perbill::from_percent(25);
        assert!(Tested::slash(signed(9), account(1), part, reason.clone()).is_err());
        assert_ok!(Tested::slash(RuntimeOrigin::root(), account(1), part, reason));
        assert_eq!((held(1), Balances::total_issuance()), (BOND * 3 / 4, 257 * ENDOWED - BOND / 4));
        Tested::do_try_state().unwrap();
    });
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8, u128),
    Raise(u8, u128),
    Key(u8, u8),
    Leave(u8),
    Withdraw(u8),
    Equivocate(u8, u8, SetId),
    Slash(u8, u32),
    Behind(u8, u64),
    Blocks(u32),
    Prove,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u8..12;
    prop_oneof![
        (id.clone(), 900u128..3_000).prop_map(|(id, bond)| Step::Join(id, bond)),
        (id.clone(), 0u128..500).prop_map(|(id, by)| Step::Raise(id, by)),
        (id.clone(), 0u8..4).prop_map(|(id, nth)| Step::Key(id, nth)),
        id.clone().prop_map(Step::Leave),
        id.clone().prop_map(Step::Withdraw),
        (id.clone(), 0u8..4, 0u64..6).prop_map(|(id, nth, set)| Step::Equivocate(id, nth, set)),
        (id.clone(), 0u32..1_000_000_000).prop_map(|(id, part)| Step::Slash(id, part)),
        (id, 0u64..2_000).prop_map(|(id, bits)| Step::Behind(id, bits)),
        (1u32..15).prop_map(Step::Blocks),
        Just(Step::Prove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_happens_nothing_is_created_and_nothing_is_lost_but_what_is_slashed(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        new_test_ext().execute_with(|| {
            run_to(1);
            let mut burned = 0;
            for step in steps {
                System::reset_events();
                let _ = match step {
                    Step::Join(id, bond) => join(id, bond),
                    Step::Raise(id, by) => Tested::raise_bond(signed(id), by),
                    Step::Key(id, nth) => Tested::set_key(signed(id), pair(id, nth).public(), agreement(id, nth)),
                    Step::Leave(id) => Tested::leave(signed(id)),
                    Step::Withdraw(id) => Tested::withdraw(signed(99), account(id)),
                    Step::Equivocate(id, nth, set) => Tested::show_equivocation(signed(99), equivocation(id, nth, set)),
                    Step::Slash(id, part) => {
                        let part = Perbill::from_parts(part);
                        Tested::slash(RuntimeOrigin::root(), account(id), part, Default::default())
                    },
                    Step::Behind(id, bits) => { put_behind(id, bits); Ok(()) },
                    Step::Blocks(blocks) => { run_to(System::block_number() + blocks); Ok(()) },
                    Step::Prove => {
                        if let Some(Wanted::Handover { set, number, hash }) = Tested::wanted() {
                            let voters = Sets::<Test>::get(set).unwrap().voters;
                            let keys = voters.iter().map(|voter| {
                                let id = first_byte(&voter.account);
                                (0..4).map(|nth| pair(id, nth)).find(|pair| pair.public() == voter.key).unwrap()
                            });
                            let precommits = keys.map(|pair| precommit(&pair, set, number, hash)).collect();
                            let commit = Commit::<Header> { target_hash: hash, target_number: number, precommits };
                            let proof = GrandpaJustification::<Header> { round: 1, commit, votes_ancestries: vec![] };
                            prove(proof.encode()).unwrap();
                        }
                        Ok(())
                    },
                };
                for record in System::events() {
                    if let RuntimeEvent::Tested(Event::Slashed { taken, burned: lost, rewarded, .. }) = record.event {
                        prop_assert_eq!(taken, lost + rewarded);
                        burned += lost;
                    }
                }
                Tested::do_try_state().unwrap();
                prop_assert_eq!(Balances::total_issuance(), 257 * ENDOWED - burned);
            }
            Ok(())
        })?;
    }
}
