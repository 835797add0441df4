//! What the pallet's calls and hooks cost, each where it does the most.

use crate::{
    sweep::FORGOTTEN_AT_A_TIME,
    types::{Batch, Instant, Results, SignedReport, Window},
    Batches, Call, Config, Instants, JailCandidates, Pallet, Records, Reports, Windows, MAX_INSTANTS,
    MAX_JAIL_CANDIDATES,
};
use alloc::{vec, vec::Vec};
use codec::Encode;
use core::cell::Cell;
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{Authorize, Get, Hooks},
    BoundedVec,
};
use frame_system::RawOrigin;
use sp_arithmetic::Perbill;
use sp_core::{crypto::KeyTypeId, ed25519};
use sp_runtime::{transaction_validity::TransactionSource, DispatchError};
use weir_primitives::{
    interfaces::{CurrentBlock, EpochProvider, Epochs, OnDuty, Participants},
    measurement::{
        challenge::{batch_payload, commitment_payload, member_payload, Challenge, MemberReport},
        duties::{Attendance, Entry, Record, ENTRIES},
        lottery::{
            committee::{committee, Candidate, DrawnProvider, Rules, Table, CANDIDATES_PER_MEMBER, JUNIOR_EPOCHS},
            groups::{Family, Prefix},
            Seed,
        },
        PeerKey,
    },
    parameters::{Parameters, MAX_COMMITTEE, MAX_WINDOW},
    AccountId, Epoch, EpochIndex,
};

/// Sets up what is not this pallet's.
pub trait Scene {
    /// Sets the parameters of the chain.
    fn set_parameters(parameters: Parameters);
    /// Makes an account a challenger that is a senior.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn seat_challenger(number: u32, account: &AccountId, identity: PeerKey) -> Result<(), DispatchError>;
    /// Makes a senior a junior that is active from an epoch on.
    ///
    /// # Errors
    ///
    /// When it is no challenger.
    fn make_junior(account: &AccountId, from: EpochIndex) -> Result<(), DispatchError>;
    /// Makes an account a challenger that waits to be admitted, which is the most work.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn queue_challenger(number: u32, account: &AccountId, identity: PeerKey) -> Result<(), DispatchError>;
    /// Makes an account a provider that is drawn already, with something guaranteed, alone behind its prefix, and leaves as much as possible
    /// to tidy up when it is seen behind another one. Says in which slot it is.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn seat_provider(account: &AccountId, identity: PeerKey, prefix: Prefix) -> Result<u32, DispatchError>;
    /// Makes the next reward of an account the most work.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn earn(account: &AccountId) -> Result<(), DispatchError>;
}

const KEYS: KeyTypeId = KeyTypeId(*b"weir");
/// The epoch in which everything happens: so late that there are juniors of many epochs.
const EPOCH: EpochIndex = 400;
const SEED: Seed = [7; 32];
/// How many challengers there are for each member of a committee, so that it does not take many looks to find one.
const CHALLENGERS_PER_MEMBER: u32 = 4;
/// How many challengers are admitted when an epoch begins.
const ADMITTED: u32 = 16;

fn account(kind: u8, number: u32) -> AccountId {
    let mut bytes = [kind; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    AccountId::new(bytes)
}

/// An identity of which nobody has the key.
fn nobodys(kind: u8, number: u32) -> PeerKey {
    PeerKey::from_raw(account(kind, number).into())
}

fn prefix(number: u32) -> Prefix {
    let [_, high, middle, low] = number.to_be_bytes();
    Prefix::V4([128u8.wrapping_add(high), middle, low])
}

fn sign(key: &PeerKey, payload: &[u8]) -> Result<ed25519::Signature, BenchmarkError> {
    sp_io::crypto::ed25519_sign(KEYS, key, payload).ok_or(BenchmarkError::Stop("the key is in no store"))
}

/// A challenge of a whole committee of providers that is open.
struct Stage {
    challenge: Challenge,
    instant: Instant,
    provider: EpochProvider,
    /// The accounts and identities of the committee.
    members: Vec<(AccountId, PeerKey)>,
}

/// Goes to the epoch in which everything happens, with committees of so many members and the rules of a public network.
fn begin<T: Config>(members: u32) -> Result<Parameters, BenchmarkError> {
    let mut parameters = T::Parameters::get().ok_or("genesis sets the parameters")?;
    let measurement = &mut parameters.measurement;
    measurement.committee = members;
    measurement.byzantine = members.saturating_sub(1) / 3;
    measurement.groups_prefixes = true;
    measurement.window = MAX_WINDOW;
    measurement.rank = MAX_WINDOW / 2;
    measurement.instants = 2;
    T::Scene::set_parameters(parameters.clone());
    let blocks = parameters.measurement.epoch_blocks;
    let epoch = Epoch { index: EPOCH, first: EPOCH.saturating_mul(blocks), blocks };
    frame_system::Pallet::<T>::set_block_number(epoch.first.saturating_add(1).into());
    <Pallet<T> as Epochs>::set_current(epoch);
    T::CurrentBlock::set_author(&account(9, 0));
    Ok(parameters)
}

fn an_instant(number: u32) -> Instant {
    Instant {
        epoch: EPOCH,
        instant: number,
        one_in: 1,
        block: 0,
        start: 0,
        seed: Some(SEED),
        slots: 1,
        next_slot: 0,
        blocks: u32::MAX / 2,
        is_void: false,
    }
}

/// Stages a challenge with so many members. The provider's reward is due, and each member has had a duty in the epoch.
fn stage<T: Config>(members: u32) -> Result<Stage, BenchmarkError> {
    let parameters = begin::<T>(members)?;
    for number in 0..members.saturating_mul(CHALLENGERS_PER_MEMBER) {
        let challenger = account(1, number);
        T::Scene::seat_challenger(number, &challenger, sp_io::crypto::ed25519_generate(KEYS, None))?;
    }
    let identity = sp_io::crypto::ed25519_generate(KEYS, None);
    let slot = T::Scene::seat_provider(&account(2, 0), identity, prefix(0))?;
    T::Scene::earn(&account(2, 0))?;
    let instant = Instant { start: T::CurrentBlock::timestamp(), ..an_instant(0) };
    Instants::<T>::put(BoundedVec::truncate_from(vec![instant]));
    let provider = T::Participants::provider(slot, EPOCH).ok_or("it was seated just now")?;
    let (committee, _) = Pallet::<T>::committee_of(&provider, &instant, &SEED, &parameters.measurement);
    let committee = committee.ok_or("there are enough challengers")?;
    let members: Option<Vec<_>> = committee.iter().map(|slot| T::Participants::challenger(*slot, EPOCH)).collect();
    let members = members.ok_or("each has its slot")?;
    for (member, _) in &members {
        T::OnDuty::on_duty(member, 1);
    }
    Ok(Stage { challenge: Challenge { epoch: EPOCH, instant: 0, slot }, instant, provider, members })
}

impl Stage {
    /// What a member says: the provider was seen behind another prefix than before.
    fn report(&self, place: usize) -> MemberReport {
        MemberReport {
            seen: prefix(1),
            down_bytes: 1_250_000u64.saturating_add(place as u64) as _,
            down_elapsed_us: 500_000,
            up_bytes: 1_250_000,
            round_trip_us: 20_000,
            commitment: [7; 32],
        }
    }

    fn signed<T: Config>(&self, place: usize, report: MemberReport) -> Result<SignedReport, BenchmarkError> {
        let payload = member_payload(Pallet::<T>::genesis_hash(), &SEED, &self.provider.account, &report);
        let signature = sign(&self.members[place].1, &payload)?;
        Ok(SignedReport { place: place as u8, report, signature })
    }

    /// All that the prover has, and its signature.
    fn batch<T: Config>(&self, reports: u32) -> Result<(Batch, ed25519::Signature), BenchmarkError> {
        let signed: Result<Vec<_>, _> = (0..reports as usize).map(|it| self.signed::<T>(it, self.report(it))).collect();
        let batch = Batch::truncate_from(signed?);
        let genesis = Pallet::<T>::genesis_hash();
        let payload = batch_payload(genesis, &SEED, &self.provider.account, &batch.encode());
        Ok((batch, sign(&self.provider.identity, &payload)?))
    }

    /// The report of the last member, and the prover's word for it.
    fn single<T: Config>(&self) -> Result<(SignedReport, ed25519::Signature), BenchmarkError> {
        let place = self.members.len().saturating_sub(1);
        let signed = self.signed::<T>(place, self.report(place))?;
        let genesis = Pallet::<T>::genesis_hash();
        let payload = commitment_payload(genesis, &SEED, &self.members[place].1, &signed.report.commitment);
        Ok((signed, sign(&self.provider.identity, &payload)?))
    }
}

/// Challengers none of which can be a member, since all are the provider's neighbours. They are looked at in turn, whichever is drawn: none is in a
/// cache.
struct Neighbours<C> {
    table: C,
    looks: Cell<u32>,
    prefix: Prefix,
}

impl<C: Table> Table for Neighbours<C> {
    fn slots(&self) -> u32 {
        self.table.slots()
    }

    fn seniors(&self) -> u32 {
        self.table.seniors()
    }

    fn candidate(&self, _: u32) -> Option<Candidate> {
        let slot = self.looks.get();
        self.looks.set(slot.saturating_add(1));
        self.table.candidate(slot).map(|candidate| Candidate { prefixes: vec![self.prefix], ..candidate })
    }
}

/// A record of which everything was missed and counts.
fn full_record() -> Record {
    let missed = Entry::of(&[Attendance::Missed, Attendance::Met], 0, 1_000_000);
    let mut record = Record::default();
    for entry in core::iter::repeat_n(missed, ENTRIES as usize).flatten() {
        record.add(entry);
    }
    record
}

/// As many as there can be of those that are to be jailed, from so many challengers that all of them are.
fn jail_candidates<T: Config>() {
    let worst = (0..MAX_JAIL_CANDIDATES).map(|number| (account(1, number), Perbill::one())).collect();
    JailCandidates::<T>::put(BoundedVec::truncate_from(worst));
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn on_initialize() -> Result<(), BenchmarkError> {
        let parameters = begin::<T>(MAX_COMMITTEE)?;
        let epoch = <Pallet<T> as Epochs>::current();
        // Nothing is due, all that can be open is, one gets its seed, and one more opens.
        let open = (0..MAX_INSTANTS.saturating_sub(1)).map(|number| Instant {
            start: u64::MAX / 2,
            block: epoch.first.saturating_add(number).saturating_sub(1),
            seed: None,
            ..an_instant(number)
        });
        Instants::<T>::put(BoundedVec::truncate_from(open.collect()));
        let block = weir_primitives::measurement::lottery::instants::height(
            epoch.first,
            epoch.blocks,
            parameters.measurement.instants,
            0,
        );
        frame_system::Pallet::<T>::set_block_number(block.into());

        #[block]
        {
            Pallet::<T>::on_initialize(block.into());
        }

        assert_eq!(Instants::<T>::get().len() as u32, MAX_INSTANTS);
        Ok(())
    }

    #[benchmark]
    fn start_epoch() -> Result<(), BenchmarkError> {
        let parameters = begin::<T>(MAX_COMMITTEE)?;
        for number in 0..MAX_JAIL_CANDIDATES.saturating_mul(16) {
            T::Scene::seat_challenger(number, &account(1, number), nobodys(1, number))?;
        }
        // Those that are to be jailed are juniors, each of another epoch, and one of an epoch whose juniors grow up now.
        for number in 0..MAX_JAIL_CANDIDATES {
            T::Scene::make_junior(&account(1, number), EPOCH.saturating_sub(number))?;
        }
        T::Scene::make_junior(&account(1, MAX_JAIL_CANDIDATES), EPOCH.saturating_add(2).saturating_sub(JUNIOR_EPOCHS))?;
        // For each that is admitted the last one takes its place, and it is another one each time.
        for number in 0..2 * ADMITTED {
            let number = number.saturating_add(1_000_000);
            T::Scene::queue_challenger(number, &account(1, number), nobodys(1, number))?;
        }
        T::Scene::seat_provider(&account(2, 0), nobodys(2, 0), prefix(0))?;
        jail_candidates::<T>();
        let next = <Pallet<T> as Epochs>::current().next(parameters.measurement.epoch_blocks);
        frame_system::Pallet::<T>::set_block_number(next.first.into());

        #[block]
        {
            Pallet::<T>::start_epoch(next, &parameters);
        }

        let left = T::Participants::everybody(next.index.saturating_add(1)).challengers;
        assert_eq!(left, MAX_JAIL_CANDIDATES.saturating_mul(15).saturating_add(ADMITTED));
        assert!(JailCandidates::<T>::get().is_empty());
        Ok(())
    }

    /// A committee that cannot be found, and takes 64 looks for each of its members, none at the same challenger.
    #[benchmark]
    fn walk(m: Linear<1, 16>) -> Result<(), BenchmarkError> {
        begin::<T>(m)?;
        let looks = m.saturating_mul(CANDIDATES_PER_MEMBER);
        for number in 0..looks {
            T::Scene::seat_challenger(number, &account(1, number), nobodys(1, number))?;
        }
        let table = Neighbours { table: T::Participants::challengers(EPOCH), looks: Cell::new(0), prefix: prefix(0) };
        let provider = DrawnProvider { account: account(2, 0), family: Family::V4, prefix: Some(prefix(0)) };
        let rules = Rules { members: m, prefixes_differ: true, limits_juniors: true };
        let found;

        #[block]
        {
            found = committee(&SEED, EPOCH, &provider, &rules, &table);
        }

        assert_eq!((found, table.looks.get()), (None, looks));
        Ok(())
    }

    #[benchmark]
    fn pass_slots(s: Linear<1, 250>) -> Result<(), BenchmarkError> {
        let parameters = begin::<T>(MAX_COMMITTEE)?;
        for number in 0..s {
            T::Scene::seat_provider(&account(2, number), nobodys(2, number), prefix(number))?;
        }
        let instant = Instant { one_in: u32::MAX, ..an_instant(0) };
        let mut passed = 0u32;

        #[block]
        {
            for slot in 0..s {
                let evaluated = Pallet::<T>::evaluate_slot(slot, &instant, &parameters.measurement);
                passed = passed.saturating_add(u32::from(evaluated.is_none()));
            }
        }

        assert_eq!(passed, s);
        Ok(())
    }

    #[benchmark]
    fn evaluate(m: Linear<1, MAX_COMMITTEE>) -> Result<(), BenchmarkError> {
        let stage = stage::<T>(m)?;
        let measurement = T::Parameters::get().ok_or("the parameters were set")?.measurement;
        let key = (EPOCH, 0);
        let slot = stage.challenge.slot;
        let taken = (0..m as usize).map(|place| (place as u8, stage.report(place))).collect();
        Reports::<T>::insert(key, slot, BoundedVec::truncate_from(taken));
        Batches::<T>::insert(key, slot, ());
        let full = || Results::truncate_from(vec![1_000_000; MAX_WINDOW as usize]);
        Windows::<T>::insert(
            slot,
            Window {
                down: full(),
                up: full(),
                ..Window::new(stage.provider.account.clone(), stage.provider.from, EPOCH)
            },
        );
        jail_candidates::<T>();
        for (member, _) in &stage.members {
            Records::<T>::insert(member, (0, full_record()));
        }

        #[block]
        {
            Pallet::<T>::evaluate_slot(slot, &stage.instant, &measurement);
        }

        assert!(Windows::<T>::get(slot).is_some_and(|it| it.last.is_some()));
        assert!(!Reports::<T>::contains_key(key, slot));
        // Two members make no quorum.
        assert!(m < 3 || stage.members.iter().any(|(member, _)| Records::<T>::contains_key(member)));
        Ok(())
    }

    /// A first duty in an epoch, and the pay for those of the last one.
    #[benchmark]
    fn pay_duties() -> Result<(), BenchmarkError> {
        begin::<T>(MAX_COMMITTEE)?;
        let challenger = account(1, 0);
        T::Scene::seat_challenger(0, &challenger, nobodys(1, 0))?;
        T::Scene::earn(&challenger)?;

        #[block]
        {
            T::OnDuty::on_duty(&challenger, 1);
        }

        Ok(())
    }

    #[benchmark]
    fn evict() -> Result<(), BenchmarkError> {
        begin::<T>(1)?;
        let slot = T::Scene::seat_provider(&account(2, 0), nobodys(2, 0), prefix(0))?;

        #[block]
        {
            assert!(Pallet::<T>::may_evict());
            T::Participants::evict(slot);
        }

        assert!(T::Participants::provider(slot, EPOCH.saturating_add(1)).is_none());
        Ok(())
    }

    #[benchmark]
    fn forget() -> Result<(), BenchmarkError> {
        let stage = stage::<T>(MAX_COMMITTEE)?;
        let taken: Vec<_> = (0..MAX_COMMITTEE as usize).map(|place| (place as u8, stage.report(place))).collect();
        for slot in 0..FORGOTTEN_AT_A_TIME.saturating_add(1) {
            Reports::<T>::insert((EPOCH, 0), slot, BoundedVec::truncate_from(taken.clone()));
            Batches::<T>::insert((EPOCH, 0), slot, ());
        }
        let is_all;

        #[block]
        {
            is_all = Pallet::<T>::forget(&stage.instant);
        }

        assert!(Reports::<T>::iter_prefix((EPOCH, 0)).count() <= FORGOTTEN_AT_A_TIME as usize);
        let _ = is_all;
        Ok(())
    }

    #[benchmark]
    fn submit(r: Linear<1, MAX_COMMITTEE>) -> Result<(), BenchmarkError> {
        let stage = stage::<T>(r)?;
        // Few enough are wanted that its author is paid.
        let mut parameters = T::Parameters::get().ok_or("the parameters were set")?;
        parameters.measurement.committee = 1;
        parameters.measurement.byzantine = 0;
        T::Scene::set_parameters(parameters);
        T::Scene::earn(&account(9, 0))?;
        let (batch, prover) = stage.batch::<T>(r)?;
        let challenge = stage.challenge;

        #[extrinsic_call]
        _(RawOrigin::Authorized, challenge, batch, prover);

        assert_eq!(Reports::<T>::get((EPOCH, 0), challenge.slot).len() as u32, r);
        assert!(Batches::<T>::contains_key((EPOCH, 0), challenge.slot));
        Ok(())
    }

    #[benchmark]
    fn authorize_submit(r: Linear<1, MAX_COMMITTEE>) -> Result<(), BenchmarkError> {
        let stage = stage::<T>(MAX_COMMITTEE)?;
        let (batch, prover) = stage.batch::<T>(r)?;
        let call = Call::<T>::submit { challenge: stage.challenge, batch, prover };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("it is authorized by what it says")?
                .map_err(|_| "it is true")?;
        }

        Ok(())
    }

    #[benchmark]
    fn submit_own() -> Result<(), BenchmarkError> {
        let stage = stage::<T>(MAX_COMMITTEE)?;
        let (signed, prover) = stage.single::<T>()?;
        let challenge = stage.challenge;
        // All others came before.
        let taken = (0..MAX_COMMITTEE as usize).map(|place| (place as u8, stage.report(place)));
        let others: Vec<_> = taken.filter(|(place, _)| *place != signed.place).collect();
        Reports::<T>::insert((EPOCH, 0), challenge.slot, BoundedVec::truncate_from(others));

        #[extrinsic_call]
        _(RawOrigin::Authorized, challenge, stage.members[usize::from(signed.place)].1, signed, prover);

        assert_eq!(Reports::<T>::get((EPOCH, 0), challenge.slot).len() as u32, MAX_COMMITTEE);
        Ok(())
    }

    #[benchmark]
    fn authorize_submit_own() -> Result<(), BenchmarkError> {
        let stage = stage::<T>(MAX_COMMITTEE)?;
        let (signed, prover) = stage.single::<T>()?;
        let member = stage.members[usize::from(signed.place)].1;
        let call = Call::<T>::submit_own { challenge: stage.challenge, member, signed, prover };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("it is authorized by what it says")?
                .map_err(|_| "it is true")?;
        }

        Ok(())
    }

    #[benchmark]
    fn show_equivocation() -> Result<(), BenchmarkError> {
        let stage = stage::<T>(MAX_COMMITTEE)?;
        let (one, other) = (stage.signed::<T>(0, stage.report(0))?, stage.signed::<T>(0, stage.report(1))?);
        let identity = stage.members[0].1;
        let provider = stage.provider.account.clone();
        T::Scene::earn(&account(9, 0))?;

        #[extrinsic_call]
        _(
            RawOrigin::Signed(account(9, 0)),
            identity,
            SEED,
            provider,
            (one.report, one.signature),
            (other.report, other.signature),
        );

        let next = EPOCH.saturating_add(1);
        let before = MAX_COMMITTEE.saturating_mul(CHALLENGERS_PER_MEMBER);
        assert_eq!(T::Participants::everybody(next).challengers, before.saturating_sub(1));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
