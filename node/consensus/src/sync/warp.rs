//! Proofs by which a new node comes to what is final without the blocks below.
//!
//! The SDK checks that each set of voters made final the block that hands over to the next one. Here three things are checked beside that:
//!
//! - *Work.* Each header has the work that it claims, and its author's signature. It claims what it likes, since nothing below it is known; but a proof
//!   costs something to make, whoever holds old keys.
//! - *Checkpoint.* If the chain spec names a block, the proof leads through it; and that block is younger than the time that bonds take to be free. Its hash is
//!   pinned, so its date is what it was. A date that a proof claims otherwise is whatever its maker likes: voters whose bonds are gone can sign another
//!   history for nothing, and only a checkpoint keeps them out.
//! - *Age.* The last block is as new as one is while something becomes final. Of older ones nodes have no state any more, and a proof that was cut short
//!   would lead nowhere.
//!
//! What is wrong costs its sender what the SDK takes for a false proof, and the next peer is asked from the beginning.

use crate::{
    clock,
    header::rules::{self, claims_of, HeaderRules},
};
use sc_network_sync::strategy::warp::{EncodedProof, VerificationResult, Verifier, WarpSyncProvider};
use sp_runtime::traits::{Block as BlockT, Header, NumberFor};
use std::sync::Arc;
use weir_primitives::{Milliseconds, UnixMilliseconds};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Why a proof whose votes are right is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header has not the work or the signature that it claims.
    #[error("a header of the proof has not the work that it claims")]
    Work,
    /// It ends too long ago.
    #[error(
        "the proof ends {age_ms} ms ago: it was cut short, or nothing becomes final; sync in full if no other comes"
    )]
    Old {
        /// How old its last block is.
        age_ms: Milliseconds,
    },
    /// The checkpoint is too old.
    #[error("the checkpoint is {age_ms} ms old, and bonds vouch for less: get a newer one, or sync in full")]
    OldCheckpoint {
        /// How old it is.
        age_ms: Milliseconds,
    },
    /// It does not lead through the checkpoint.
    #[error("the proof does not lead through the checkpoint of the chain spec")]
    Checkpoint,
}

/// What proofs are held to beside the votes in them.
#[derive(Clone, Debug)]
pub struct Demands<B: BlockT> {
    /// The rules that headers follow, leniently: an upgrade may have changed them.
    pub rules: HeaderRules,
    /// How long ago the last block of a proof may be dated.
    pub oldest_end: Milliseconds,
    /// How long ago the checkpoint may be: as long as bonds are held.
    pub oldest_checkpoint: Milliseconds,
    /// A block that changes the voters, through which proofs lead.
    pub checkpoint: Option<(NumberFor<B>, B::Hash)>,
}

/// Makes proofs as another provider does, and checks more of them.
pub struct CheckedProofs<B: BlockT> {
    inner: Arc<dyn WarpSyncProvider<B>>,
    demands: Demands<B>,
}

impl<B: BlockT> CheckedProofs<B> {
    /// Around a provider that checks the votes.
    pub fn new(inner: Arc<dyn WarpSyncProvider<B>>, demands: Demands<B>) -> Self {
        Self { inner, demands }
    }
}

impl<B: BlockT> WarpSyncProvider<B> for CheckedProofs<B> {
    fn generate(&self, start: B::Hash) -> Result<EncodedProof, Error> {
        self.inner.generate(start)
    }

    fn create_verifier(&self) -> Box<dyn Verifier<B>> {
        let (provider, demands) = (self.inner.clone(), self.demands.clone());
        let inner = provider.create_verifier();
        Box::new(CheckingVerifier { provider, inner, demands, has_passed_checkpoint: false })
    }
}

struct CheckingVerifier<B: BlockT> {
    provider: Arc<dyn WarpSyncProvider<B>>,
    inner: Box<dyn Verifier<B>>,
    demands: Demands<B>,
    has_passed_checkpoint: bool,
}

impl<B: BlockT> CheckingVerifier<B> {
    fn check(&mut self, result: &VerificationResult<B>, now: UnixMilliseconds) -> Result<(), Refused> {
        let (headers, last) = match result {
            VerificationResult::Partial(headers) => (headers, None),
            VerificationResult::Complete(last, headers) => (headers, Some(last)),
        };
        for (header, _) in headers {
            rules::context_free(header, self.demands.rules).map_err(|_| Refused::Work)?;
            if let Some((number, hash)) = self.demands.checkpoint.filter(|(number, _)| header.number() == number) {
                if header.hash() != hash {
                    tracing::debug!(target: "weir", ?number, "a proof leads past the checkpoint");
                    return Err(Refused::Checkpoint);
                }
                let age_ms = now.saturating_sub(date_of(header));
                if age_ms > self.demands.oldest_checkpoint {
                    return Err(Refused::OldCheckpoint { age_ms });
                }
                self.has_passed_checkpoint = true;
            }
        }
        let Some(last) = last else { return Ok(()) };
        if self.demands.checkpoint.is_some() && !self.has_passed_checkpoint {
            return Err(Refused::Checkpoint);
        }
        let age_ms = now.saturating_sub(date_of(last));
        if age_ms > self.demands.oldest_end {
            return Err(Refused::Old { age_ms });
        }
        Ok(())
    }

    /// Begins anew: with the next peer, from the beginning.
    fn reset(&mut self) {
        self.inner = self.provider.create_verifier();
        self.has_passed_checkpoint = false;
    }
}

fn date_of<H: Header>(header: &H) -> UnixMilliseconds {
    claims_of(header).map_or(0, |claims| claims.timestamp)
}

impl<B: BlockT> Verifier<B> for CheckingVerifier<B> {
    fn verify(&mut self, proof: &EncodedProof) -> Result<VerificationResult<B>, Error> {
        // Of a proof whose first part was false nobody else has the rest.
        let refused = match self.inner.verify(proof) {
            Ok(result) => match self.check(&result, clock::now()) {
                Ok(()) => return Ok(result),
                Err(refused) => Box::new(refused) as Error,
            },
            Err(error) => error,
        };
        tracing::debug!(target: "weir", %refused, "a proof of what is final is refused");
        self.reset();
        Err(refused)
    }

    fn next_proof_context(&self) -> B::Hash {
        self.inner.next_proof_context()
    }

    fn status(&self) -> Option<String> {
        self.inner.status()
    }
}
