//! Tells the chain what is final: with each new best block, the proof that the chain waits for goes into the pool, as a transaction that nobody
//! signs or pays for, until it is in a block.
//!
//! Every node does it; the pool takes one of them. About once in an epoch there is something to prove. So go the proofs that a voter voted
//! twice, whenever one is found.

use crate::service::FullClient;
use codec::{DecodeAll, Encode};
use futures::StreamExt;
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_transaction_pool_api::{TransactionPool, TransactionSource};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus_grandpa::{GrandpaJustification, GRANDPA_ENGINE_ID};
use sp_runtime::{traits::Header as _, BoundedVec, OpaqueExtrinsic};
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_consensus::finality::first_votes;
use weir_primitives::{finality::Wanted, runtime_api::FinalityApi, Hash};
use weir_runtime::{
    general,
    opaque::{Block, Header},
    Runtime, RuntimeCall,
};

/// How far above its block a vote may be for a proof to carry it. Votes for a change of the voters are for its very block; farther ones, with all
/// headers up to them, would only make the proof too long for the chain, as a voter that lies may want.
const MOST_ABOVE: u32 = 128;

/// Carries proofs, until the chain ends its notifications.
pub async fn carry<P: TransactionPool<Block = Block>>(client: Arc<FullClient>, pool: Arc<P>) {
    let mut imports = client.import_notification_stream();
    while let Some(import) = imports.next().await {
        if !import.is_new_best {
            continue;
        }
        let Some(justification) = wanted(&client, import.hash) else { continue };
        let Ok(justification) = BoundedVec::try_from(shortened(justification).encode()) else {
            log::warn!(target: "weir", "a justification that the chain waits for is larger than it takes");
            continue;
        };
        // Refused where it is in the pool already, or the justification is of a set that the chain does not ask.
        submit(&*pool, import.hash, pallet_finality::Call::prove { justification }).await;
    }
}

/// Hands in the proofs that a voter voted twice, as they are found, until nobody looks for them any more.
pub async fn carry_equivocations<P: TransactionPool<Block = Block>>(
    client: Arc<FullClient>,
    pool: Arc<P>,
    mut found: mpsc::Receiver<first_votes::Proof<Block>>,
) {
    while let Some(proof) = found.recv().await {
        // Refused where one is in the pool already, or the voter has no bond.
        let call = pallet_finality::Call::show_equivocation { proof: Box::new(proof) };
        submit(&*pool, client.info().best_hash, call).await;
    }
}

/// Hands in a call that what it contains authorizes.
async fn submit<P: TransactionPool<Block = Block>>(pool: &P, at: Hash, call: pallet_finality::Call<Runtime>) {
    let transaction = general(RuntimeCall::Finality(call)).encode();
    let Ok(transaction) = OpaqueExtrinsic::try_from_encoded_extrinsic(&transaction) else { return };
    if let Err(error) = pool.submit_one(at, TransactionSource::Local, transaction).await {
        log::debug!(target: "weir", "a proof was not taken: {error}");
    }
}

/// The justification that the chain waits for at a block, if it is there: that of the block which changed the voters, or else the newest one.
fn wanted(client: &Arc<FullClient>, at: Hash) -> Option<GrandpaJustification<Header>> {
    match client.runtime_api().wanted(at).ok()?? {
        Wanted::Handover { hash, .. } => {
            let encoded = client.justifications(hash).ok()??.into_justification(GRANDPA_ENGINE_ID)?;
            GrandpaJustification::decode_all(&mut encoded.as_slice()).ok()
        },
        Wanted::Snapshot { number, .. } => {
            let newest = sc_consensus_grandpa::best_justification::<_, Block>(&**client).ok()??.justification;
            Some(newest).filter(|it| it.commit.target_number >= number)
        },
    }
}

/// A justification without what is far above its block.
fn shortened(mut justification: GrandpaJustification<Header>) -> GrandpaJustification<Header> {
    let highest = justification.commit.target_number.saturating_add(MOST_ABOVE);
    justification.commit.precommits.retain(|signed| signed.precommit.target_number <= highest);
    justification.votes_ancestries.retain(|header| *header.number() <= highest);
    justification
}
