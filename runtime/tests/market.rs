//! The market on the whole runtime: that nobody gains by buying from himself, whatever he does.

use frame_support::traits::fungible::Inspect;
use pallet_bandwidth::types::Plan;
use pallet_market::Event;
use pallet_registry::types::{Provider, ProviderSlot};
use proptest::prelude::*;
use sp_core::{ed25519, Pair};
use sp_runtime::BuildStorage;
use std::collections::BTreeMap;
use weir_primitives::{
    interfaces::{Epochs, Everybody, OnEpochBorder},
    market::{
        mintable, receipt_payload, session_payload, ChannelId, Listing, Reach, Receipt, ReceiptSignature, Serves, Terms,
    },
    measurement::{
        endpoint::{self, Service},
        lottery::groups::Family,
        PeerKey,
    },
    versions::Versions,
    AccountId, Balance, Epoch, PLANCK_PER_WEIR,
};
use weir_runtime::{
    genesis, Balances, BalancesConfig, Bandwidth, DifficultyConfig, Market, Runtime, RuntimeEvent,
    RuntimeGenesisConfig, RuntimeOrigin, System, Token,
};

const MBIT: u64 = 1_000_000;
const WEALTH: Balance = 1_000_000 * PLANCK_PER_WEIR;
/// All of one owner: the first sell, the others buy.
const SELLERS: u8 = 3;
const ACCOUNTS: u8 = 8;

fn account(id: u8) -> AccountId {
    AccountId::new([id + 1; 32])
}

fn key(seed: u8) -> ed25519::Pair {
    ed25519::Pair::from_seed(&[seed; 32])
}

fn signed(id: u8) -> RuntimeOrigin {
    RuntimeOrigin::signed(account(id))
}

/// That a key signs for a consumer.
fn prove(seed: u8, consumer: u8) -> ReceiptSignature {
    key(seed).sign(&session_payload(System::block_hash(0), &account(consumer)))
}

fn new_chain() -> sp_io::TestExternalities {
    let treasury = (pallet_token::Pallet::<Runtime>::treasury(), PLANCK_PER_WEIR);
    let balances = (0..ACCOUNTS).map(|id| (account(id), WEALTH)).chain([treasury]).collect();
    let genesis = RuntimeGenesisConfig {
        balances: BalancesConfig { balances, ..Default::default() },
        difficulty: DifficultyConfig { parameters: Some(genesis::testnet()), ..Default::default() },
        ..Default::default()
    };
    let mut ext = sp_io::TestExternalities::from(genesis.build_storage().unwrap());
    ext.execute_with(|| {
        System::set_block_number(1);
        begin_epoch();
    });
    ext
}

/// Begins the next epoch, in which nobody is paid for capacity.
fn begin_epoch() {
    let epoch = Bandwidth::current();
    let next = epoch.next(epoch.blocks);
    System::set_block_number(next.first);
    pallet_bandwidth::Plans::<Runtime>::put(Plan { epoch: next, instants: 2, one_in: 1 });
    Token::on_epoch_border(next, &Everybody::default(), false);
}

/// So much is guaranteed of a seller.
fn guarantee(id: u8, bits_per_second: u64) {
    let entry = |bits| ProviderSlot {
        guaranteed: Versions::new(bits),
        ..ProviderSlot::new(account(id), 0, PeerKey::default(), Family::V4, bits, bits, None)
    };
    pallet_registry::ProviderSlots::<Runtime>::insert(u32::from(id), entry(bits_per_second));
    let provider = Provider {
        slot: Some(id.into()),
        bond: 0,
        excess: None,
        leaves: None,
        identity: PeerKey::default(),
        former_identities: Default::default(),
    };
    pallet_registry::Providers::<Runtime>::insert(account(id), provider);
}

fn list(id: u8, per_gib: Balance, bits_per_second: u64) {
    let address = endpoint::encode(([10, 0, 0, 1], 4_000).into(), Service::Control);
    let listing = Listing {
        per_gib,
        region: *b"CH",
        serves: Serves { proxy: true, content: true },
        offered_bits_per_second: bits_per_second,
        reach: Reach::Direct(vec![address.try_into().unwrap()].try_into().unwrap()),
    };
    let _ = Market::list(signed(id), listing);
}

/// What all accounts have, held or owed to them.
fn wealth() -> Balance {
    (0..ACCOUNTS).map(|id| Balances::total_balance(&account(id)) + Token::owed(&account(id))).sum()
}

#[derive(Clone, Debug)]
enum Step {
    Guarantee(u8, u64),
    List(u8, Balance, u64),
    Open(u8, u8, u8, Balance),
    Pay(ChannelId, u64, Balance),
    TopUp(u8, ChannelId, Balance),
    Close(u8, ChannelId),
    Finish(ChannelId),
    Claim(u8),
    Epoch,
    /// Longer than a dispute window.
    Window,
}

fn step() -> impl Strategy<Value = Step> {
    let (seller, anybody, channel) = (|| 0..SELLERS, || 0..ACCOUNTS, || 0u64..12);
    let amount = || (0u32..60).prop_flat_map(|bits| 0u128..=1 << bits);
    prop_oneof![
        1 => (seller(), 0..2_000 * MBIT).prop_map(|(id, bits)| Step::Guarantee(id, bits)),
        1 => (seller(), amount(), 1..2_000 * MBIT).prop_map(|(id, price, bits)| Step::List(id, price, bits)),
        2 => (anybody(), seller(), any::<u8>(), amount()).prop_map(|(id, of, key, it)| Step::Open(id, of, key, it)),
        6 => (channel(), any::<u64>(), 0u32..64, amount()).prop_map(|(at, bytes, by, it)| Step::Pay(at, bytes >> by, it)),
        1 => (anybody(), channel(), amount()).prop_map(|(id, at, it)| Step::TopUp(id, at, it)),
        1 => (anybody(), channel()).prop_map(|(id, at)| Step::Close(id, at)),
        1 => channel().prop_map(Step::Finish),
        1 => anybody().prop_map(Step::Claim),
        1 => Just(Step::Epoch),
        1 => Just(Step::Window),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever somebody with any number of accounts pays himself, in whatever parts, at whatever price and time: in the end he has less by a tenth of
    /// what was burned, and by what the treasury got, at the least.
    #[test]
    fn who_buys_from_himself_loses_whatever_he_does(steps in proptest::collection::vec(step(), 40..120)) {
        new_chain().execute_with(|| {
            for id in 0..SELLERS {
                guarantee(id, 500 * MBIT);
                list(id, PLANCK_PER_WEIR, 100 * MBIT);
            }
            let before = wealth();
            let (mut lost, mut keys) = (0, BTreeMap::<ChannelId, u8>::new());
            for step in steps {
                match step {
                    Step::Guarantee(id, bits) => guarantee(id, bits),
                    Step::List(id, price, bits) => list(id, price, bits),
                    Step::Open(id, of, seed, deposit) => {
                        let next = pallet_market::NextChannel::<Runtime>::get();
                        let deposit = deposit.max(PLANCK_PER_WEIR);
                        let key_of = key(seed).public();
                        let at = Terms { most_per_gib: Balance::MAX, least_bits_per_second: 0 };
                        if Market::open(signed(id), account(of), key_of, prove(seed, id), deposit, at).is_ok() {
                            keys.insert(next, seed);
                        }
                    },
                    Step::Pay(at, bytes, amount) => {
                        // On top of what was paid, or the whole deposit.
                        let Some(channel) = Market::channel(at) else { continue };
                        let receipt = Receipt {
                            bytes: channel.paid.bytes.saturating_add(bytes),
                            amount: channel.paid.amount.saturating_add(amount).min(channel.deposit),
                        };
                        let payload = receipt_payload(System::block_hash(0), &channel.provider, at, &receipt);
                        let _ = Market::settle(signed(0), at, receipt, key(keys[&at]).sign(&payload));
                    },
                    Step::TopUp(id, at, amount) => drop(Market::top_up(signed(id), at, amount)),
                    Step::Close(id, at) => drop(Market::close(signed(id), at, None)),
                    Step::Finish(at) => drop(Market::finish(signed(0), at)),
                    Step::Claim(id) => drop(Token::claim(signed(0), account(id))),
                    Step::Epoch => begin_epoch(),
                    Step::Window => (0..25).for_each(|_| begin_epoch()),
                }
                for record in System::read_events_no_consensus() {
                    if let RuntimeEvent::Market(Event::Settled { burned, fee, .. }) = record.event {
                        lost += burned - mintable(burned) + fee;
                    }
                }
                System::reset_events();
            }
            begin_epoch();
            assert!(wealth() + lost <= before, "{} of {before} are left, and {lost} should be lost", wealth());
            // All that is owed to sellers is there to be paid.
            for id in 0..ACCOUNTS {
                let _ = Token::claim(signed(0), account(id));
            }
            assert!(wealth() + lost <= before);
        });
    }
}

/// What comes back is neither burned nor minted.
#[test]
fn what_goes_back_to_a_consumer_mints_nothing() {
    new_chain().execute_with(|| {
        guarantee(0, 500 * MBIT);
        list(0, PLANCK_PER_WEIR, 100 * MBIT);
        let at = Terms { most_per_gib: PLANCK_PER_WEIR, least_bits_per_second: 100 * MBIT };
        Market::open(signed(5), account(0), key(1).public(), prove(1, 5), 200 * PLANCK_PER_WEIR, at).unwrap();
        let settle = |weir| {
            let receipt = Receipt { bytes: 0, amount: weir * PLANCK_PER_WEIR };
            let payload = receipt_payload(System::block_hash(0), &account(0), 0, &receipt);
            Market::settle(signed(7), 0, receipt, key(1).sign(&payload)).unwrap();
        };
        guarantee(0, 25 * MBIT);
        settle(1);
        (0..25).for_each(|_| begin_epoch());
        settle(9);
        // A quarter of the promise is left.
        assert_eq!(Balances::total_balance(&account(5)), WEALTH - 3 * PLANCK_PER_WEIR);
        begin_epoch();
        Token::claim(signed(7), account(0)).unwrap();
        let got = Balances::total_balance(&account(0)) - WEALTH;
        assert_eq!(got, 3 * PLANCK_PER_WEIR * 98 / 100);
    });
}

/// The most that is minted is what was burned for it, less a tenth: not a planck is kept from who pays honestly as long as all claims fit.
#[test]
fn an_honest_sale_mints_nine_tenths_of_its_burn_and_each_planck_arrives() {
    new_chain().execute_with(|| {
        guarantee(0, 500 * MBIT);
        list(0, PLANCK_PER_WEIR, 100 * MBIT);
        let deposit = 200 * PLANCK_PER_WEIR;
        let at = Terms { most_per_gib: PLANCK_PER_WEIR, least_bits_per_second: 100 * MBIT };
        Market::open(signed(5), account(0), key(1).public(), prove(1, 5), deposit, at).unwrap();
        let receipt = Receipt { bytes: 100 << 30, amount: 100 * PLANCK_PER_WEIR };
        let payload = receipt_payload(System::block_hash(0), &account(0), 0, &receipt);
        Market::settle(signed(7), 0, receipt, key(1).sign(&payload)).unwrap();
        Market::close(signed(0), 0, None).unwrap();
        begin_epoch();
        Token::claim(signed(7), account(0)).unwrap();
        assert_eq!(Balances::total_balance(&account(5)), WEALTH - 100 * PLANCK_PER_WEIR);
        // 89 are paid, and nine of the ten that were burned are minted again.
        assert_eq!(Balances::total_balance(&account(0)), WEALTH + 98 * PLANCK_PER_WEIR);
        assert_eq!(Balances::total_balance(&Token::treasury()), 2 * PLANCK_PER_WEIR);
        let epoch: Epoch = Bandwidth::current();
        assert_eq!(epoch.index, 2);
    });
}
