//! A block that wants a nonce: how it is built, and when it may be searched for.

use crate::{clock, fail_point, header::rules::claims_of};
use sc_consensus::{BlockImportParams, StateAction, StorageChanges};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus::{BlockOrigin, Environment, Proposal, ProposeArgs, Proposer};
use sp_core::{crypto::ByteArray, sr25519};
use sp_inherents::InherentDataProvider;
use sp_keystore::KeystorePtr;
use sp_runtime::{
    generic::Digest,
    traits::{Block as BlockT, Header, SaturatedConversion},
};
use std::time::Duration;
use weir_primitives::{
    consensus::{author_payload, dates::Dates, seal_payload, PreDigest, Seal},
    parameters::Consensus,
    runtime_api::ConsensusApi,
    AccountId, Milliseconds, UnixMilliseconds,
};

use super::{outside::Work, KEY_TYPE};
use crate::import::{Checked, CHECKED};

/// A block that wants a nonce.
pub(super) struct Template<Block: BlockT> {
    pub id: u64,
    pub parent: Block::Hash,
    pub claims: PreDigest,
    /// The rules of its parent's state.
    pub rules: Consensus,
    proposal: Proposal<Block>,
    signature: sr25519::Signature,
}

/// What came of building one.
pub(super) enum Built<Block: BlockT> {
    /// A block on the best one.
    Template(Box<Template<Block>>),
    /// A child of the best block may only be searched for after this time.
    Rest(Duration),
    /// There is nothing to build on.
    Nothing,
}

/// When a child of a block is searched for, and how it is dated: by [`Dates`], the rule that everybody follows; at a fail point as
/// far ahead as others still import it.
fn date(dates: Dates, parent: UnixMilliseconds, now: UnixMilliseconds) -> Option<UnixMilliseconds> {
    let date = dates.template(parent, now)?;
    Some(if fail_point::dates_ahead() { date.max(now.saturating_add(dates.limit)) } else { date })
}

/// How much goes into a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// What must be in a block, so that nobody waits for a template on a new best block.
    Least,
    /// Transactions too.
    Full,
}

impl Body {
    /// For how long transactions are put into it.
    fn longest(self, block_time: Milliseconds) -> Duration {
        match self {
            Self::Least => Duration::from_millis(1),
            Self::Full => Duration::from_millis(block_time / 4),
        }
    }
}

/// Builds a block of an author on the best one, and signs it with the key that signs for the author there.
pub(super) async fn build<Block, C, E>(
    client: &C,
    environment: &mut E,
    keystore: &KeystorePtr,
    author: &AccountId,
    (id, body): (u64, Body),
) -> Result<Built<Block>, String>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: ConsensusApi<Block>,
    E: Environment<Block>,
    E::Error: std::fmt::Debug,
{
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let best = client.info().best_hash;
    let Some(parent) = client.header(best).map_err(|error| text(&error))? else { return Ok(Built::Nothing) };
    let key = client.runtime_api().author_key(best, author.clone()).map_err(|error| text(&error))?;
    if !keystore.has_keys(&[(key.to_raw_vec(), KEY_TYPE)]) {
        return Err(format!("the key that signs blocks for {author} is {key}, which is not in the keystore"));
    }
    let next = client
        .runtime_api()
        .next_block(best, key.clone())
        .map_err(|error| text(&error))?
        .ok_or("the chain has no parameters")?;
    let dates = next.rules.dates();
    // Genesis has no date.
    let parent_date = claims_of(&parent).map_or(0, |claims| claims.timestamp);
    let now = clock::now();
    let Some(timestamp) = date(dates, parent_date, now) else {
        return Ok(Built::Rest(Duration::from_millis(dates.search_from(parent_date).saturating_sub(now).max(1))));
    };
    let claims = PreDigest { author: key, base: next.base.0, credit: next.spendable, timestamp };

    let inherent_data = sp_timestamp::InherentDataProvider::new(claims.timestamp.into())
        .create_inherent_data()
        .await
        .map_err(|error| text(&error))?;
    let proposer = environment.init(&parent).await.map_err(|error| format!("{error:?}"))?;
    let proposal = proposer
        .propose(ProposeArgs {
            inherent_data,
            inherent_digests: Digest { logs: vec![claims.to_item()] },
            max_duration: body.longest(next.rules.block_time),
            ..Default::default()
        })
        .await
        .map_err(|error| format!("{error:?}"))?;

    let key = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&claims.author));
    let signature = keystore
        .sr25519_sign(KEY_TYPE, &key, &author_payload(proposal.block.header().hash().as_ref()))
        .map_err(|error| text(&error))?
        .ok_or("the key that signed is no longer in the keystore")?;
    Ok(Built::Template(Box::new(Template { id, parent: best, claims, rules: next.rules, proposal, signature })))
}

/// The bytes of a hash, all of which have 32 of them here.
pub(super) fn bytes_of(hash: &impl AsRef<[u8]>) -> [u8; 32] {
    hash.as_ref().try_into().unwrap_or_default()
}

impl<Block: BlockT> Template<Block> {
    /// What is to be searched.
    pub fn work(&self) -> Work {
        let header = self.proposal.block.header();
        let payload = seal_payload(header.hash().as_ref(), &self.signature);
        Work {
            preimage: weir_pow::preimage(&payload),
            target: self.claims.required(self.rules.boost).target().to_big_endian(),
            height: (*header.number()).saturated_into(),
            parent: bytes_of(header.parent_hash()),
        }
    }

    /// The block with its nonce, for import.
    pub fn into_block(self, nonce: u64) -> BlockImportParams<Block> {
        let Self { claims, rules, proposal, signature, .. } = self;
        let (header, body) = proposal.block.deconstruct();
        let mut block = BlockImportParams::new(BlockOrigin::Own, header);
        block.post_digests.push(Seal { signature, nonce }.to_item());
        block.body = Some(body);
        block.state_action = StateAction::ApplyChanges(StorageChanges::Changes(proposal.storage_changes));
        block.insert_intermediate(CHECKED, Checked { claims, rules: Some(rules), is_body_checked: true });
        block.post_hash = Some(Header::hash(&block.post_header()));
        block
    }
}
