//! What the pallet's calls and hooks cost.

use crate::{
    bonds::REPORTER_SHARE, Bonded, Bonds, Call, Candidates, Change, Config, ForcedChange, Handover, HoldReason, Keys,
    Pallet, Set, Sets, Voters,
};
use alloc::{boxed::Box, vec, vec::Vec};
use codec::{Decode, Encode};
use finality_grandpa::{Message, SignedPrecommit};
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{
        fungible::{Mutate, MutateHold},
        Authorize, ConstU32, EnsureOrigin, Hooks,
    },
    BoundedVec,
};
use frame_system::{pallet_prelude::HeaderFor, RawOrigin};
use pallet_grandpa::CurrentSetId;
use sp_consensus_grandpa::{
    localized_payload, AuthoritySignature, Commit, Equivocation, EquivocationProof, GrandpaJustification, Precommit,
    SetId,
};
use sp_runtime::{traits::Header, transaction_validity::TransactionSource, DispatchError, Perbill, RuntimeAppPublic};
use weir_primitives::{
    finality::{
        justification::MOST_ANCESTRY, voter_payload, voters::Voter, VoterKey, MOST_CANDIDATES,
        MOST_JUSTIFICATION_BYTES, MOST_VOTERS,
    },
    interfaces::{CurrentBlock, Snapshots},
    AccountId, Balance, BlockNumber, Hash,
};

const SET: SetId = 5;

type Justification = BoundedVec<u8, ConstU32<MOST_JUSTIFICATION_BYTES>>;

fn account(number: u32) -> AccountId {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    AccountId::new(bytes)
}

/// A key that signs nothing.
fn some_key(number: u32) -> Result<VoterKey, BenchmarkError> {
    let mut bytes = [2; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    VoterKey::decode(&mut &bytes[..]).map_err(|_| BenchmarkError::Stop("any 32 bytes are a key"))
}

fn least_bond<T: Config>() -> Result<Balance, BenchmarkError> {
    Ok(Pallet::<T>::rules().map_err(|_| "genesis sets the parameters")?.finality.voter_bond)
}

/// Somebody who bonded so much, with nearly nothing beside.
fn bond<T: Config>(number: u32, key: VoterKey, bond: Balance) -> Result<AccountId, DispatchError> {
    let account = account(number);
    T::Currency::mint_into(&account, bond.saturating_mul(2))?;
    T::Currency::hold(&HoldReason::Voter.into(), &account, bond)?;
    Keys::<T>::insert(&key, &account);
    Bonds::<T>::insert(&account, Bonded { key, bond, since: 0, last: None, left: None });
    Candidates::<T>::mutate(|all| all.force_push((bond, account.clone())));
    Ok(account)
}

/// As many as can stand for election, the last of whom has the smallest bond and this key.
fn crowd<T: Config>(key: VoterKey) -> Result<AccountId, BenchmarkError> {
    let least = least_bond::<T>()?;
    for number in 1..MOST_CANDIDATES {
        bond::<T>(number, some_key(number)?, least + Balance::from(number))?;
    }
    Ok(bond::<T>(0, key, least)?)
}

fn sign(key: &VoterKey, bytes: &[u8]) -> Result<AuthoritySignature, BenchmarkError> {
    key.sign(&bytes).ok_or(BenchmarkError::Stop("the key is in no store"))
}

/// Makes these the voters of a set, and the current one follows it.
fn seat<T: Config>(keys: &[VoterKey]) -> Result<(), BenchmarkError> {
    let voters =
        keys.iter().zip(0u32..).map(|(key, number)| Voter { account: account(number), key: key.clone(), weight: 1 });
    let voters = Voters::try_from(voters.collect::<Vec<_>>()).map_err(|_| "there are too many voters")?;
    Sets::<T>::insert(SET, Set { voters, handed_over: None });
    CurrentSetId::<T>::put(SET + 1);
    Ok(())
}

/// A justification of so many precommits, with as many headers as it can have.
fn justification<T: Config>(precommits: u32) -> Result<Justification, BenchmarkError> {
    let header = |number: BlockNumber, parent| {
        let empty = Hash::default();
        HeaderFor::<T>::new(number.into(), empty, empty, parent, Default::default())
    };
    let target = header(10, Hash::repeat_byte(1));
    let mut ancestry: Vec<HeaderFor<T>> = vec![];
    for number in 0..MOST_ANCESTRY as u32 {
        let parent = ancestry.last().unwrap_or(&target).hash();
        ancestry.push(header(11 + number, parent));
    }
    let last = ancestry.last().ok_or("there are headers")?.clone();
    let before = ancestry.iter().rev().nth(1).ok_or("there are headers")?.clone();
    let keys: Vec<_> = (0..precommits.min(MOST_VOTERS)).map(|_| VoterKey::generate_pair(None)).collect();
    seat::<T>(&keys)?;
    let votes = keys.iter().map(|key| (key, &last)).chain(keys.iter().map(|key| (key, &before)));
    let precommits = votes.take(precommits as usize).map(|(key, header)| {
        let precommit = Precommit::<HeaderFor<T>> { target_hash: header.hash(), target_number: *header.number() };
        let message = Message::Precommit(precommit.clone());
        let signature = sign(key, &localized_payload(1, SET, &message))?;
        Ok(SignedPrecommit { precommit, signature, id: key.clone() })
    });
    let precommits = precommits.collect::<Result<Vec<_>, BenchmarkError>>()?;
    let commit = Commit::<HeaderFor<T>> { target_hash: target.hash(), target_number: 10u32.into(), precommits };
    Handover::<T>::put(Change { number: 10, hash: Some(target.hash()) });
    let justification = GrandpaJustification::<HeaderFor<T>> { round: 1, commit, votes_ancestries: ancestry };
    BoundedVec::try_from(justification.encode()).map_err(|_| BenchmarkError::Stop("a justification is too large"))
}

/// The two votes of a voter with a bond, and the account that answers for them.
fn equivocation<T: Config>() -> Result<(AccountId, Box<EquivocationProof<Hash, BlockNumber>>), BenchmarkError> {
    let key = VoterKey::generate_pair(None);
    // The last of all candidates.
    let culprit = crowd::<T>(key.clone())?;
    let others = (1..MOST_VOTERS).map(some_key).collect::<Result<Vec<_>, _>>()?;
    seat::<T>(&others.into_iter().chain([key.clone()]).collect::<Vec<_>>())?;
    Sets::<T>::mutate(SET, |set| {
        if let Some(voter) = set.as_mut().and_then(|set| set.voters.last_mut()) {
            voter.account = culprit.clone();
        }
    });
    let vote = |byte| {
        let precommit = finality_grandpa::Precommit { target_hash: Hash::repeat_byte(byte), target_number: 10 };
        let message = Message::<Hash, BlockNumber>::Precommit(precommit.clone());
        Ok::<_, BenchmarkError>((precommit, sign(&key, &localized_payload(1, SET, &message))?))
    };
    let (first, second) = (vote(1)?, vote(2)?);
    let both = finality_grandpa::Equivocation { round_number: 1, identity: key.clone(), first, second };
    Ok((culprit, Box::new(EquivocationProof::new(SET, Equivocation::Precommit(both)))))
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn on_initialize() {
        Handover::<T>::put(Change { number: 1, hash: None });
        // In no first block of an epoch.
        frame_system::Pallet::<T>::set_block_number(3u32.into());
        #[block]
        {
            Pallet::<T>::on_initialize(3u32.into());
        }
        assert!(Handover::<T>::get().is_some_and(|change| change.hash.is_some()));
    }

    #[benchmark]
    fn elect(c: Linear<1, MOST_CANDIDATES>) -> Result<(), BenchmarkError> {
        let rules = Pallet::<T>::rules().map_err(|_| "genesis sets the parameters")?;
        let least = rules.finality.voter_bond;
        Handover::<T>::kill();
        for number in 0..c {
            let account = bond::<T>(number, some_key(number)?, least + Balance::from(number))?;
            T::Snapshots::set(
                &account,
                rules.least_total_bits_per_second.max(rules.finality.reference_bits_per_second),
            );
        }
        let before = CurrentSetId::<T>::get();
        #[block]
        {
            Pallet::<T>::elect(3);
        }
        assert_eq!(CurrentSetId::<T>::get(), before + SetId::from(c >= rules.finality.least_voters));
        Ok(())
    }

    #[benchmark]
    fn join() -> Result<(), BenchmarkError> {
        let smallest = crowd::<T>(some_key(0)?)?;
        let amount = least_bond::<T>()? * 2;
        let caller = account(1_000);
        T::Currency::mint_into(&caller, amount * 2)?;
        let key = VoterKey::generate_pair(None);
        let proof = sign(&key, &voter_payload(Pallet::<T>::genesis_hash(), &caller))?;
        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), amount, key, proof);
        assert!(Bonds::<T>::contains_key(&caller));
        assert!(Bonds::<T>::get(&smallest).is_some_and(|bonded| bonded.left.is_some()));
        Ok(())
    }

    #[benchmark]
    fn raise_bond() -> Result<(), BenchmarkError> {
        let caller = crowd::<T>(some_key(0)?)?;
        let by = least_bond::<T>()? / 2;
        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), by);
        assert!(Bonds::<T>::get(&caller).is_some_and(|bonded| bonded.bond == by * 3));
        Ok(())
    }

    #[benchmark]
    fn set_key() -> Result<(), BenchmarkError> {
        let caller = crowd::<T>(some_key(0)?)?;
        let key = VoterKey::generate_pair(None);
        let proof = sign(&key, &voter_payload(Pallet::<T>::genesis_hash(), &caller))?;
        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), key.clone(), proof);
        assert_eq!(Keys::<T>::get(&key), Some(caller));
        Ok(())
    }

    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let caller = crowd::<T>(some_key(0)?)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()));
        assert!(Bonds::<T>::get(&caller).is_some_and(|bonded| bonded.left.is_some()));
        Ok(())
    }

    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        let key = some_key(0)?;
        let gone = bond::<T>(0, key.clone(), least_bond::<T>()?)?;
        let others = (1..MOST_VOTERS).map(some_key).collect::<Result<Vec<_>, _>>()?;
        seat::<T>(&others)?;
        Pallet::<T>::note_handed_over(SET);
        Candidates::<T>::kill();
        Bonds::<T>::mutate(&gone, |bonded| {
            if let Some(bonded) = bonded {
                (bonded.left, bonded.last) = (Some(1), Some(SET));
            }
        });
        let unbonding = Pallet::<T>::rules().map_err(|_| "genesis sets the parameters")?.unbonding_blocks;
        frame_system::Pallet::<T>::set_block_number((unbonding + 10).into());
        #[extrinsic_call]
        _(RawOrigin::Signed(account(1)), gone.clone());
        assert!(!Bonds::<T>::contains_key(&gone));
        Ok(())
    }

    #[benchmark]
    fn prove() -> Result<(), BenchmarkError> {
        let justification = justification::<T>(MOST_VOTERS * 2)?;
        T::Snapshots::set(&account(0), 1_000_000);
        #[extrinsic_call]
        _(RawOrigin::Authorized, justification);
        assert!(!Handover::<T>::exists());
        Ok(())
    }

    #[benchmark]
    fn authorize_prove(p: Linear<1, { MOST_VOTERS * 2 }>) -> Result<(), BenchmarkError> {
        let call = Call::<T>::prove { justification: justification::<T>(p)? };
        let authorized;
        #[block]
        {
            authorized = call.authorize(TransactionSource::External);
        }
        assert!(authorized.is_some_and(|it| it.is_ok()));
        Ok(())
    }

    #[benchmark]
    fn show_equivocation() -> Result<(), BenchmarkError> {
        let (culprit, proof) = equivocation::<T>()?;
        T::CurrentBlock::set_author(&account(2_000));
        T::Currency::mint_into(&account(2_000), REPORTER_SHARE * least_bond::<T>()?)?;
        #[extrinsic_call]
        _(RawOrigin::Authorized, proof);
        assert!(!Bonds::<T>::contains_key(&culprit));
        Ok(())
    }

    #[benchmark]
    fn authorize_show_equivocation() -> Result<(), BenchmarkError> {
        let (_, proof) = equivocation::<T>()?;
        let call = Call::<T>::show_equivocation { proof };
        let authorized;
        #[block]
        {
            authorized = call.authorize(TransactionSource::External);
        }
        assert!(authorized.is_some_and(|it| it.is_ok()));
        Ok(())
    }

    #[benchmark]
    fn end_stall() -> Result<(), BenchmarkError> {
        let voter = |number| Ok(Voter { account: account(number), key: some_key(number)?, weight: 1 });
        let voters = (0..MOST_VOTERS).map(voter).collect::<Result<Vec<_>, BenchmarkError>>()?;
        let voters = Voters::try_from(voters).map_err(|_| "there are too many voters")?;
        frame_system::Pallet::<T>::set_block_number(10u32.into());
        let governance = T::GovernanceOrigin::try_successful_origin().map_err(|()| "nobody may")?;
        let delay = Pallet::<T>::rules().map_err(|_| "genesis sets the parameters")?.snapshot_depth;
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, delay, 3, voters);
        assert!(ForcedChange::<T>::exists());
        Ok(())
    }

    #[benchmark]
    fn slash() -> Result<(), BenchmarkError> {
        let somebody = crowd::<T>(some_key(0)?)?;
        let governance = T::GovernanceOrigin::try_successful_origin().map_err(|()| "nobody may")?;
        let reason = BoundedVec::truncate_from(vec![b'x'; crate::MAX_REASON_BYTES as usize]);
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, somebody.clone(), Perbill::from_percent(50), reason);
        assert!(Bonds::<T>::get(&somebody).is_some_and(|bonded| bonded.left.is_some()));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
