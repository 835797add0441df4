//! The SDK's own import queue for proof of work, set up to check the same of each header as ours.

use codec::DecodeAll;
use sc_consensus::{BasicQueue, LongestChain};
use sc_consensus_pow::{Error, PowAlgorithm, PowBlockImport};
use sp_api::ProvideRuntimeApi;
use sp_core::{sr25519, Pair, U256};
use sp_runtime::generic::BlockId;
use std::sync::Arc;
use weir_consensus_testing::{Chain, Client};
use weir_primitives::{
    consensus::{author_payload, seal_payload, PreDigest, Seal, Work},
    parameters::Consensus,
    runtime_api::ConsensusApi,
    AccountId, Hash,
};
use weir_runtime::opaque::Block;

/// The rules of a header as the SDK asks for them: the difficulty from the runtime, then work and signature. What is left out,
/// credit and timestamp, the runtime refuses when it executes the block.
#[derive(Clone)]
struct Rules {
    client: Arc<Client>,
    rules: Consensus,
}

impl PowAlgorithm<Block> for Rules {
    type Difficulty = U256;

    fn difficulty(&self, parent: Hash) -> Result<U256, Error<Block>> {
        // Of the author, which is not known here, only the credit depends.
        let next = self.client.runtime_api().next_block(parent, AccountId::new([0; 32]));
        let next = next.map_err(|error| Error::Runtime(error.to_string()))?;
        next.map(|next| next.base.0).ok_or_else(|| Error::Runtime("the chain has no parameters".into()))
    }

    fn verify(
        &self,
        _: &BlockId<Block>,
        pre_hash: &Hash,
        pre_digest: Option<&[u8]>,
        seal: &Vec<u8>,
        difficulty: U256,
    ) -> Result<bool, Error<Block>> {
        let claims = PreDigest::decode_all(&mut pre_digest.unwrap_or_default()).map_err(Error::Codec)?;
        let seal = Seal::decode_all(&mut seal.as_slice()).map_err(Error::Codec)?;
        let preimage = weir_pow::preimage(&seal_payload(pre_hash.as_ref(), &seal.signature));
        let work = Work::from_hash(weir_pow::work(&preimage, seal.nonce));
        let author = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&claims.author));
        Ok(claims.base == difficulty
            && claims.required(self.rules.boost).is_met_by(work)
            && sr25519::Pair::verify(&seal.signature, author_payload(pre_hash.as_ref()), &author))
    }
}

/// The queue, into the chain of a client.
///
/// # Panics
///
/// When its threads cannot be started.
pub fn queue(chain: &Chain, spawner: &impl sp_core::traits::SpawnEssentialNamed) -> BasicQueue<Block> {
    let rules = Rules { client: chain.client.clone(), rules: chain.rules.clone() };
    let import = PowBlockImport::<Block, _, _, _, _, _>::new(
        chain.client.clone(),
        chain.client.clone(),
        rules.clone(),
        0,
        LongestChain::new(chain.backend.clone()),
        |_, ()| async { Ok(sp_timestamp::InherentDataProvider::from_system_time()) },
    );
    sc_consensus_pow::import_queue(Box::new(import), None, rules, spawner, None).expect("threads can be started")
}
