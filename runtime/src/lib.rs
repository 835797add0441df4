//! The state machine of the Weir chain.
//!
//! - [`configs`]: what each pallet is configured with.
//! - [`apis`]: what the node and wallets call.
//! - [`genesis`]: the presets that chain specs are made from.
//! - [`migrations`]: what an upgrade to this runtime does to the state.
//! - `allocator`: the memory of the WASM.
//! - `signed_extrinsics`: what signatures cover, for nodes that verify them ahead.
//! - [`status`]: what agents and people are told of who takes part.
//! - [`tunables`]: what can be changed while the chain runs, and how far.

#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "512"]
#![cfg_attr(
    not(any(test, feature = "try-runtime")),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)
)]
// The macros that put the runtime together write items that cannot be documented.
#![allow(missing_docs)]

extern crate alloc;

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

#[cfg(any(test, target_arch = "wasm32"))]
mod allocator;
pub mod apis;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarks;
pub mod configs;
pub mod genesis;
pub mod migrations;
#[cfg(feature = "std")]
pub mod signed_extrinsics;
pub mod status;
pub mod tunables;

#[cfg(feature = "std")]
pub use apis::RuntimeApi;

use alloc::vec::Vec;
use sp_runtime::{generic, traits::BlakeTwo256, MultiAddress};
use sp_version::RuntimeVersion;
pub use weir_primitives::{AccountId, Balance, BlockNumber, Hash, Nonce, Signature};

/// Types of the node, which moves transactions without knowing what is in them.
pub mod opaque {
    use super::{generic, BlakeTwo256, BlockNumber};
    use sp_runtime::OpaqueExtrinsic;

    /// The header of a block.
    pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
    /// A block.
    pub type Block = generic::Block<Header, OpaqueExtrinsic>;
}

/// How an account is named in a transaction.
pub type Address = MultiAddress<AccountId, ()>;
/// The header of a block.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// What every transaction carries besides its call, in the order in which it is signed.
pub type TxExtension = (
    frame_system::AuthorizeCall<Runtime>,
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckEra<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
    frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
    frame_system::WeightReclaim<Runtime>,
);
/// A transaction as it comes from outside.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// What the signature of a transaction covers.
pub type SignedPayload = generic::SignedPayload<RuntimeCall, TxExtension>;
/// Executes blocks.
pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

/// A transaction that nobody signs: what its call contains authorizes it.
pub fn general(call: RuntimeCall) -> UncheckedExtrinsic {
    let extension = (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(generic::Era::Immortal),
        frame_system::CheckNonce::from(0),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    );
    UncheckedExtrinsic::new_transaction(call, extension)
}

/// The version of the runtime.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: alloc::borrow::Cow::Borrowed("weir"),
    impl_name: alloc::borrow::Cow::Borrowed("weir"),
    authoring_version: 1,
    spec_version: 5,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 2,
    system_version: 2,
};

// The order of the indices is the order of the hooks: difficulty reads the claims of a block before anyone asks who made it
// and when; bandwidth starts an epoch after the block's author was noted; finality chooses voters by what that epoch found, and does what is
// left to do after GRANDPA's pallet has changed them.
#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Timestamp = pallet_timestamp;
    #[runtime::pallet_index(2)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(3)]
    pub type TransactionPayment = pallet_transaction_payment;
    #[runtime::pallet_index(4)]
    pub type Difficulty = pallet_difficulty;
    // Where bandwidth was, which held the bonds: the reasons of holds are numbered by pallet.
    #[runtime::pallet_index(5)]
    pub type Registry = pallet_registry;
    #[runtime::pallet_index(6)]
    pub type Token = pallet_token;
    #[runtime::pallet_index(7)]
    pub type Utility = pallet_utility;
    #[runtime::pallet_index(8)]
    pub type Multisig = pallet_multisig;
    #[runtime::pallet_index(9)]
    pub type Proxy = pallet_proxy;
    #[runtime::pallet_index(10)]
    pub type Sudo = pallet_sudo;
    #[runtime::pallet_index(11)]
    pub type MultiBlockMigrations = pallet_migrations;
    #[runtime::pallet_index(12)]
    pub type Parameters = pallet_parameters;
    #[runtime::pallet_index(13)]
    pub type Bandwidth = pallet_bandwidth;
    // Its calls need sessions, which this chain does not have: those of finality stand in their place.
    #[runtime::pallet_index(14)]
    #[runtime::disable_call]
    #[runtime::disable_unsigned]
    pub type Grandpa = pallet_grandpa;
    #[runtime::pallet_index(15)]
    pub type Finality = pallet_finality;
    #[runtime::pallet_index(16)]
    pub type Market = pallet_market;
}
