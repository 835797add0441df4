//! Agents that are nothing but their keys: what they sign is made to order. A public network of thousands in one process, on a chain of real blocks.

use crate::Chain;
use codec::Encode;
use pallet_bandwidth::types::{Batch, Plan, Results, SignedReport, Window};
use sc_client_api::{Backend as _, TrieCacheContext};
use serde_json::{json, Value};
use sp_core::{ed25519, Pair};
use sp_io::TestExternalities;
use sp_keyring::Ed25519Keyring;
use sp_runtime::{BoundedVec, Storage};
use std::{collections::HashMap, net::Ipv6Addr};
use weir_primitives::{
    finality::VoterKey,
    interfaces::Participants,
    measurement::{
        challenge::{batch_payload, commitment_payload, member_payload, MemberReport, LATEST_US},
        endpoint::{self, Service},
        lottery::groups::{Family, Prefix},
        peer_payload, PeerKey,
    },
    parameters::Parameters,
    runtime_api::OpenChallenge,
    AccountId, Balance, Epoch, Hash, PLANCK_PER_WEIR,
};
use weir_runtime::{genesis, Bandwidth, Registry, Runtime, RuntimeCall, RuntimeOrigin, System, WASM_BINARY};

/// What each account starts with.
pub const ENDOWMENT: Balance = 10_000 * PLANCK_PER_WEIR;
/// So quick to mine that it does not count.
const DIFFICULTY: &str = "0x8";

/// What a network is made of.
pub struct Population {
    /// How many challengers there are, all named by genesis.
    pub challengers: u32,
    /// The providers.
    pub providers: Vec<Provider>,
    /// Changes the parameters of the preset `testnet`, as JSON.
    pub change: fn(&mut Value),
}

/// A provider to be.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What it declares, in bits per second.
    pub declared: u64,
    /// What is guaranteed of it when it is first drawn, in bits per second.
    pub guaranteed: u64,
    /// Where it was seen.
    pub prefix: Prefix,
    /// The author whose blocks it boosts.
    pub mining_author: AccountId,
}

/// A network, and the keys of everybody in it.
pub struct Agents {
    /// The state before its first block.
    pub state: Storage,
    /// The parameters of the chain.
    pub parameters: Parameters,
    /// How many bytes of it each provider takes, keys and all.
    pub bytes_per_provider: f64,
    keys: HashMap<PeerKey, ed25519::Pair>,
}

/// The account of a provider.
pub fn provider(number: u32) -> AccountId {
    account(1, number)
}

/// The account of a challenger.
pub fn challenger(number: u32) -> AccountId {
    account(2, number)
}

/// The number of a challenger.
pub fn number_of(challenger: &AccountId) -> u32 {
    let [a, b, c, d, ..] = *<AccountId as AsRef<[u8; 32]>>::as_ref(challenger);
    u32::from_le_bytes([a, b, c, d])
}

/// A prefix that no challenger has, and nobody of another number.
pub fn prefix(number: u32) -> Prefix {
    Prefix::V4(numbered(100, number))
}

fn numbered(first: u8, number: u32) -> [u8; 3] {
    let [_, high, middle, low] = number.to_be_bytes();
    [first.wrapping_add(high), middle, low]
}

fn account(kind: u8, number: u32) -> AccountId {
    let mut bytes = [kind; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    AccountId::new(bytes)
}

fn key(account: &AccountId) -> ed25519::Pair {
    ed25519::Pair::from_seed(account.as_ref())
}

impl Agents {
    /// A network in whose first epoch everybody joins. From the second one on all are measured, with full windows.
    ///
    /// # Panics
    ///
    /// When the chain has no room for one of them.
    pub fn new(population: &Population) -> Self {
        let everybody =
            (0..population.providers.len() as u32).map(provider).chain((0..population.challengers).map(challenger));
        let keys = everybody.map(|account| key(&account)).map(|key| (key.public(), key)).collect();
        let mut state = TestExternalities::new(with_challengers(population));
        let before = state.execute_with(bytes);
        let parameters = state.execute_with(|| {
            let parameters = pallet_difficulty::ChainParameters::<Runtime>::get().unwrap();
            join(&population.providers, &parameters);
            measure(&population.providers, &parameters);
            parameters
        });
        let after = state.execute_with(bytes);
        let mut state = state.execute_with(dump);
        // The externalities of tests have no code of their own.
        state.top.insert(sp_core::storage::well_known_keys::CODE.to_vec(), wasm().to_vec());
        let bytes_per_provider = (after - before) as f64 / population.providers.len() as f64;
        Self { state, parameters, bytes_per_provider, keys }
    }

    /// The report of the member at a place.
    pub fn signed(&self, chain: &Chain, open: &OpenChallenge, place: u8, report: MemberReport) -> SignedReport {
        let (_, member, _) = &open.committee[usize::from(place)];
        let payload = member_payload(chain.genesis(), &open.seed, &open.provider, &report);
        SignedReport { place, report, signature: self.keys[member].sign(&payload) }
    }

    /// What a prover hands in.
    pub fn batch(&self, chain: &Chain, open: &OpenChallenge, reports: Vec<SignedReport>) -> RuntimeCall {
        let batch = Batch::try_from(reports).unwrap();
        let payload = batch_payload(chain.genesis(), &open.seed, &open.provider, &batch.encode());
        let prover = self.keys[&open.identity].sign(&payload);
        RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit { challenge: open.challenge, batch, prover })
    }

    /// What a member hands in that its prover left out.
    pub fn own(&self, chain: &Chain, open: &OpenChallenge, signed: SignedReport) -> RuntimeCall {
        let (_, member, _) = &open.committee[usize::from(signed.place)];
        let payload = commitment_payload(chain.genesis(), &open.seed, member, &signed.report.commitment);
        let prover = self.keys[&open.identity].sign(&payload);
        let (challenge, member) = (open.challenge, *member);
        RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit_own { challenge, member, signed, prover })
    }
}

/// What an honest member says of a line that takes from each member and sends to each so many bits per second: all in time.
pub fn report(open: &OpenChallenge, place: u8, seen: Prefix, bits_per_second: (u64, u64)) -> MemberReport {
    let bytes = |bits_per_second: u64, us: u64| (bits_per_second * us / 8_000_000).min(open.budget_bytes);
    // A prover sends until the farthest member that counts has heard it for as long as trains are.
    let up_us = open.train_us + LATEST_US;
    MemberReport {
        seen,
        down_bytes: bytes(bits_per_second.0, open.train_us),
        down_elapsed_us: open.train_us + u64::from(place),
        up_bytes: bytes(bits_per_second.1, up_us),
        round_trip_us: 20_000,
        commitment: [place; 32],
    }
}

/// Does something with the state of the best block, natively.
pub fn at_best<R>(chain: &Chain, work: impl FnOnce() -> R) -> R {
    let state = chain.backend.state_at(chain.best(), TrieCacheContext::Untrusted).unwrap();
    let mut overlay = Default::default();
    let mut externalities = sp_state_machine::Ext::new(&mut overlay, &state, None);
    sp_externalities::set_and_run_with_externalities(&mut externalities, work)
}

/// The challenges whose draw is known since the best block.
pub fn newly_drawn(chain: &Chain) -> Vec<OpenChallenge> {
    at_best(chain, || {
        let number = System::block_number();
        let open = pallet_bandwidth::Instants::<Runtime>::get();
        let Some(instant) = open.iter().find(|it| it.block + 1 == number && it.seed.is_some()) else { return vec![] };
        let is_of_it =
            |open: &OpenChallenge| (open.challenge.epoch, open.challenge.instant) == (instant.epoch, instant.instant);
        // Nobody has to be reached.
        let of = |slot| Bandwidth::open_challenges(slot, |_, _| Some(BoundedVec::new()));
        (0..instant.slots).flat_map(of).filter(is_of_it).collect()
    })
}

/// The preset `testnet` with challengers, and accounts that are to be providers.
fn with_challengers(population: &Population) -> Storage {
    let preset = genesis::get_preset(&genesis::TESTNET_PRESET.into()).unwrap();
    let mut patch: Value = serde_json::from_slice(&preset).unwrap();
    let parameters = &mut patch["difficulty"]["parameters"];
    parameters["consensus"]["initialDifficulty"] = DIFFICULTY.into();
    parameters["consensus"]["floorDifficulty"] = DIFFICULTY.into();
    // All join at once.
    let providers = population.providers.len() as u32;
    parameters["registry"]["mostJoining"] = providers.max(1).into();
    (population.change)(parameters);
    let alice = Ed25519Keyring::Alice;
    patch["finality"]["voters"] = json!([[alice.to_account_id(), VoterKey::from(alice.public())]]);
    let balances = patch["balances"]["balances"].as_array_mut().unwrap();
    let authors = sp_keyring::Sr25519Keyring::well_known().map(|key| key.to_account_id());
    let everybody = (0..providers).map(provider).chain((0..population.challengers).map(challenger)).chain(authors);
    balances.extend(everybody.map(|account| serde_json::json!([account, ENDOWMENT as u64])));
    let first: Vec<_> = (0..population.challengers)
        .map(|number| {
            let [a, b, c] = numbered(10, number);
            let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from_be_bytes([b, c]), 0, 0, 0, 0, 1);
            let addresses = [([a, b, c, 1], 30_401).into(), (ipv6, 30_401).into()];
            let endpoints = addresses.map(|address| endpoint::encode(address, Service::Control));
            let account = challenger(number);
            serde_json::json!([account, key(&account).public(), endpoints])
        })
        .collect();
    patch["registry"] = serde_json::json!({ "challengers": first });
    sc_chain_spec::GenesisConfigBuilderRuntimeCaller::<'_, ()>::new(wasm()).get_storage_for_patch(patch).unwrap()
}

fn wasm() -> &'static [u8] {
    WASM_BINARY.expect("tests need the WASM runtime")
}

/// Everybody joins by the call that they would make, if there is room for them.
fn join(providers: &[Provider], parameters: &Parameters) {
    let instants = weir_primitives::measurement::lottery::instants::MOST;
    let epoch = Epoch::initial(parameters.measurement.epoch_blocks);
    pallet_bandwidth::Plans::<Runtime>::put(Plan { epoch, instants, one_in: instants });
    // Of a chain that has no blocks yet.
    let genesis: Hash = System::block_hash(0);
    for (number, it) in (0..).zip(providers) {
        let (account, key) = (provider(number), key(&provider(number)));
        let proof = key.sign(&peer_payload(genesis, &account));
        let (origin, author) = (RuntimeOrigin::signed(account), Some(it.mining_author.clone()));
        let joined = Registry::register_provider(origin, it.declared, Family::V4, key.public(), proof, author);
        if let Err(error) = joined {
            panic!("there is no room for provider {number} of {}: {error:?}", providers.len());
        }
    }
    pallet_bandwidth::Plans::<Runtime>::kill();
}

/// Gives everybody a full window, what is guaranteed by it, and a prefix at which it was seen.
fn measure(providers: &[Provider], parameters: &Parameters) {
    for (slot, it) in (0..).zip(providers) {
        let entry = Registry::provider(slot, 1).unwrap();
        let results = || Results::truncate_from(vec![it.guaranteed; parameters.measurement.window as usize]);
        let new = Window::new(entry.account, entry.from, entry.from);
        let guaranteed = (it.guaranteed, it.guaranteed);
        let window = Window { down: results(), up: results(), guaranteed, ..new };
        pallet_bandwidth::Windows::<Runtime>::insert(slot, window);
        Registry::set_measured(slot, it.guaranteed, Some(it.prefix));
    }
}

fn rows() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let keys = std::iter::successors(Some(Vec::new()), |key: &Vec<u8>| sp_io::storage::next_key(key));
    keys.skip(1).filter_map(|key| sp_io::storage::get(&key).map(|value| (key, value.to_vec())))
}

fn bytes() -> usize {
    rows().map(|(key, value)| key.len() + value.len()).sum()
}

fn dump() -> Storage {
    Storage { top: rows().collect(), children_default: Default::default() }
}
