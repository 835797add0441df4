//! Signatures of extrinsics, verified ahead of execution on all processors.
//!
//! When the runtime executes a block, it verifies one signature after the other, each by a call of a host function. Here, those
//! of whole batches of blocks are verified before, many together. What passed is kept under the hash of its block
//! ([`VerifiedSignatures`]), and import hands it to the one call that executes the block, as an extension. The host functions
//! ([`HostFunctions`]) look there first, and verify what they do not find.
//!
//! So the result of a host function is always that of the SDK's own: only signatures that passed are kept, each under a hash
//! that commits to scheme, message, signature and key. What is read from an extrinsic wrongly, or for another state of the
//! chain, is not found, and costs time. A call without the extension verifies everything itself: those of block authoring, of
//! the transaction pool, and of a second execution of the same block.
//!
//! Only schemes whose host function answers yes or no are verified ahead. ECDSA has one that recovers a key.

mod host;
mod kept;

pub use host::HostFunctions;
pub use kept::{BlockSignatures, VerifiedSignatures, MOST_SIGNATURES};

use crate::{
    header::rules,
    sync::{
        parallel::Strategy,
        sr25519_batch::{self, Signed},
    },
};
use parking_lot::Mutex;
use sc_consensus::IncomingBlock;
use schnellru::{ByLength, LruMap};
use sp_api::CallApiAt;
use sp_blockchain::HeaderBackend;
use sp_core::{ed25519, sr25519, traits::CallContext, Pair};
use sp_runtime::{
    traits::{Block as BlockT, Header, NumberFor, UniqueSaturatedInto},
    AccountId32, MultiSignature,
};
use sp_version::RuntimeVersion;
use std::{cell::RefCell, sync::Arc};

/// Separates what is hashed here from what is hashed elsewhere.
const DOMAIN: &[u8] = b"weir:verified-signature:v1";

/// How many blocks that came are remembered, the last ones: as many as may wait for execution.
const MOST_BLOCKS: u32 = 1 << 14;

/// What a verified signature is kept under.
type Key = [u8; 32];

/// A signature scheme. The number is part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Sr25519 = 0,
    Ed25519 = 1,
}

/// The hash of all that a verification depends on. The length of the message keeps the parts apart; signature and public key
/// have one length each.
fn key(scheme: Scheme, message: &[u8], signature: &[u8; 64], signer: &[u8; 32]) -> Key {
    let parts: [&[u8]; 6] =
        [DOMAIN, &[scheme as u8], &(message.len() as u64).to_le_bytes(), message, signature, signer];
    sp_io::hashing::blake2_256(&parts.concat())
}

/// A signature that the runtime will verify.
#[derive(Clone, Debug)]
struct SignedMessage {
    message: Vec<u8>,
    signature: Signature,
}

/// A signature with the key whose it should be.
#[derive(Clone, Debug)]
enum Signature {
    Sr25519(sr25519::Signature, sr25519::Public),
    Ed25519(ed25519::Signature, ed25519::Public),
}

impl SignedMessage {
    /// Nothing for a scheme that is not verified ahead.
    fn new(message: Vec<u8>, signature: MultiSignature, signer: &AccountId32) -> Option<Self> {
        let signer: [u8; 32] = *signer.as_ref();
        let signature = match signature {
            MultiSignature::Sr25519(signature) => Signature::Sr25519(signature, signer.into()),
            MultiSignature::Ed25519(signature) => Signature::Ed25519(signature, signer.into()),
            MultiSignature::Ecdsa(_) | MultiSignature::Eth(_) => return None,
        };
        Some(Self { message, signature })
    }

    fn key(&self) -> Key {
        match &self.signature {
            Signature::Sr25519(signature, signer) => key(Scheme::Sr25519, &self.message, &signature.0, &signer.0),
            Signature::Ed25519(signature, signer) => key(Scheme::Ed25519, &self.message, &signature.0, &signer.0),
        }
    }
}

/// The keys of those of some signatures that are right, each with the number that came with it. Of sr25519 signatures that are
/// checked together, all or none: a block with a wrong signature is refused, whichever it is.
fn verify(messages: &[(usize, SignedMessage)]) -> Vec<Option<(usize, Key)>> {
    let mut verified = Vec::with_capacity(messages.len());
    for messages in messages.chunks(sr25519_batch::TOGETHER) {
        let batch: Vec<Signed<'_>> = messages
            .iter()
            .filter_map(|(_, signed)| match &signed.signature {
                Signature::Sr25519(signature, signer) => Some(Signed { message: &signed.message, signature, signer }),
                Signature::Ed25519(..) => None,
            })
            .collect();
        let is_batch_right = sr25519_batch::verify_all(&batch);
        verified.extend(messages.iter().map(|(index, signed)| {
            let is_right = match &signed.signature {
                Signature::Sr25519(..) => is_batch_right,
                Signature::Ed25519(signature, signer) => ed25519::Pair::verify(signature, &signed.message, signer),
            };
            is_right.then(|| (*index, signed.key()))
        }));
    }
    verified
}

/// What a signature can depend on beside its extrinsic: the chain as it is when the block of the extrinsic is executed.
pub struct Surroundings<'a, Block: BlockT> {
    /// The height of the block.
    pub number: u64,
    /// The hash of the genesis block.
    pub genesis: Block::Hash,
    /// The version of the runtime that executes it.
    pub version: &'a RuntimeVersion,
    ancestors: &'a dyn Fn(u64) -> Option<Block::Hash>,
}

impl<Block: BlockT> Surroundings<'_, Block> {
    /// The hash of the ancestor at a height below the block's own, if it is known.
    pub fn ancestor(&self, number: u64) -> Option<Block::Hash> {
        (self.ancestors)(number)
    }
}

/// Reads from an extrinsic what its signature covers, the signature, and whose it should be. Nothing if the extrinsic has no
/// signature, or what it covers is not known. The runtime knows what its extrinsics are, the engine does not.
pub type Extract<Block> =
    fn(&<Block as BlockT>::Extrinsic, &Surroundings<'_, Block>) -> Option<(Vec<u8>, MultiSignature, AccountId32)>;

/// A block that came.
struct Came<H> {
    /// Its parent, so that ancestors are found that wait for execution.
    parent: H,
    /// Whether its signatures were verified. They are not again, whatever came of it: who sends a block once more, under whatever
    /// name, costs us nothing.
    is_verified: bool,
}

/// Verifies the signatures of extrinsics ahead of execution.
pub struct ExtrinsicVerifier<Block: BlockT, C, S> {
    client: Arc<C>,
    strategy: S,
    extract: Extract<Block>,
    verified: VerifiedSignatures<Block::Hash>,
    /// By the hashes of their headers.
    came: Mutex<LruMap<Block::Hash, Came<Block::Hash>>>,
}

impl<Block, C, S> ExtrinsicVerifier<Block, C, S>
where
    Block: BlockT,
    C: HeaderBackend<Block> + CallApiAt<Block>,
    S: Strategy,
{
    /// For the chain of `client`. What passes is put into `verified`.
    pub fn new(
        client: Arc<C>,
        strategy: S,
        extract: Extract<Block>,
        verified: VerifiedSignatures<Block::Hash>,
    ) -> Self {
        let came = Mutex::new(LruMap::new(ByLength::new(MOST_BLOCKS)));
        Self { client, strategy, extract, verified, came }
    }

    /// Verifies the signatures of some blocks, and returns how many are kept for them until they are executed.
    ///
    /// The headers must have passed the context-free stage: a signature costs some tens of microseconds, and only the work in
    /// the header makes a sender pay for that. Blocks come in the order in which they are executed.
    pub fn verify(&self, blocks: &[&IncomingBlock<Block>]) -> usize {
        if !self.verified.is_enabled() {
            return 0;
        }
        let info = self.client.info();
        // Blocks that a runtime upgrade separates from the best one are not helped, if the upgrade changed what is signed.
        let version = match self.client.runtime_version_at(info.best_hash, CallContext::Offchain) {
            Ok(version) => version,
            Err(error) => {
                tracing::debug!(target: "weir", %error, "no signatures are verified ahead");
                return 0;
            },
        };
        {
            let mut came = self.came.lock();
            for header in blocks.iter().filter_map(|block| block.header.as_ref()) {
                let (hash, parent) = (header.hash(), *header.parent_hash());
                if came.peek(&hash).is_none() {
                    came.insert(hash, Came { parent, is_verified: false });
                }
            }
        }
        let read = self
            .strategy
            .map(blocks, |blocks| blocks.iter().map(|block| self.read(block, info.genesis_hash, &version)).collect());

        let (mut hashes, mut messages) = (Vec::new(), Vec::new());
        for (index, (hash, signed)) in read.into_iter().flatten().enumerate() {
            hashes.push(hash);
            messages.extend(signed.into_iter().map(|signed| (index, signed)));
        }
        let mut keys: Vec<Vec<Key>> = hashes.iter().map(|_| Vec::new()).collect();
        for (index, key) in self.strategy.map(&messages, verify).into_iter().flatten() {
            if let Some(keys) = keys.get_mut(index) {
                keys.push(key);
            }
        }
        hashes.into_iter().zip(keys).map(|(hash, keys)| self.verified.insert(hash, keys)).sum()
    }

    /// What will be verified when a block is executed, and its hash.
    fn read(
        &self,
        block: &IncomingBlock<Block>,
        genesis: Block::Hash,
        version: &RuntimeVersion,
    ) -> Option<(Block::Hash, Vec<SignedMessage>)> {
        let (header, body) = (block.header.as_ref()?, block.body.as_ref()?);
        // The work in the header pays for this body and no other.
        rules::body::<Block>(header, body, version.extrinsics_root_state_version()).ok()?;
        let hash = header.hash();
        if self.came.lock().peek_mut(&hash).is_some_and(|came| std::mem::replace(&mut came.is_verified, true)) {
            return None;
        }
        let number: u64 = (*header.number()).unique_saturated_into();
        let ancestors = RefCell::new(vec![*header.parent_hash()]);
        let surroundings = Surroundings {
            number,
            genesis,
            version,
            ancestors: &|wanted| self.ancestor(&mut ancestors.borrow_mut(), number, wanted, genesis),
        };
        let signed = body
            .iter()
            .filter_map(|extrinsic| (self.extract)(extrinsic, &surroundings))
            .filter_map(|(message, signature, signer)| SignedMessage::new(message, signature, &signer))
            .collect();
        Some((hash, signed))
    }

    /// The ancestor of a block at a height. `ancestors` are those that were looked up, from the parent down.
    fn ancestor(
        &self,
        ancestors: &mut Vec<Block::Hash>,
        number: u64,
        wanted: u64,
        genesis: Block::Hash,
    ) -> Option<Block::Hash> {
        if wanted == 0 {
            return Some(genesis);
        }
        // The parent is at 0.
        let index = usize::try_from(number.checked_sub(wanted)?.checked_sub(1)?).ok()?;
        if ancestors.len() <= index {
            let came = self.came.lock();
            while ancestors.len() <= index {
                let Some(last) = ancestors.last().and_then(|last| came.peek(last)) else { break };
                ancestors.push(last.parent);
            }
        }
        if let Some(found) = ancestors.get(index) {
            return Some(*found);
        }
        // The last one did not come lately: it was imported. Whether it is on the best chain decides whose ancestors are asked for.
        let height = number.checked_sub(ancestors.len() as u64)?;
        let at = |height: u64| self.client.hash(height_of::<Block>(height)?).ok().flatten();
        let is_on_best_chain = at(height) == ancestors.last().copied();
        is_on_best_chain.then(|| at(wanted)).flatten()
    }
}

/// A height as the block's own type, if that can hold it.
fn height_of<Block: BlockT>(height: u64) -> Option<NumberFor<Block>> {
    height.try_into().ok()
}
