//! Makes headers that are valid, cheap, or false in one way.

use crate::lab::{now, Parent};
use sp_core::{sr25519, Pair, H256, U256};
use sp_runtime::{
    generic::Digest,
    traits::{BlakeTwo256, Hash, Header as _},
    OpaqueExtrinsic, Perbill, StateVersion,
};
use weir_e2e::liar::Header;
use weir_primitives::{
    consensus::{author_payload, seal_payload, Difficulty, PreDigest, Seal, Work},
    AccountId, BlockNumber, UnixMilliseconds,
};

/// What a header is made of.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The hash of its parent.
    pub parent: H256,
    /// Its height.
    pub number: BlockNumber,
    /// The base difficulty that it claims.
    pub base: U256,
    /// Its date.
    pub timestamp: UnixMilliseconds,
    /// The state that it claims to come to; any will do.
    pub state_root: H256,
    /// What its body is said to be.
    pub body: Vec<OpaqueExtrinsic>,
}

impl Draft {
    /// A header on a block that claims what it must, with an empty body, of which no block can be made: it has no inherents.
    pub fn on(parent: &Parent) -> Self {
        Self {
            parent: parent.hash,
            number: parent.number + 1,
            base: parent.next.base.0,
            timestamp: now().max(parent.next.earliest),
            state_root: H256::random(),
            body: Vec::new(),
        }
    }

    /// The header without its seal.
    fn unsealed(&self, author: AccountId) -> Header {
        let claims = PreDigest { author, base: self.base, credit: Perbill::zero(), timestamp: self.timestamp };
        let extrinsics = self.body.iter().map(codec::Encode::encode).collect();
        let root = BlakeTwo256::ordered_trie_root(extrinsics, StateVersion::V1);
        let digest = Digest { logs: vec![claims.to_item()] };
        Header::new(self.number, root, self.state_root, self.parent, digest)
    }
}

/// What is false about a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Its work.
    Work,
    /// Its signature.
    Signature,
}

/// Makes headers under one key.
pub struct Forger(sr25519::Pair);

impl Forger {
    /// With a key that nobody else has.
    pub fn new() -> Self {
        Self(sr25519::Pair::generate().0)
    }

    /// Seals a header with all the work that its base asks for.
    pub fn seal(&self, draft: &Draft) -> Header {
        self.seal_with(draft, None)
    }

    /// Seals a header with a false seal.
    pub fn seal_falsely(&self, draft: &Draft, lie: Lie) -> Header {
        self.seal_with(draft, Some(lie))
    }

    fn seal_with(&self, draft: &Draft, lie: Option<Lie>) -> Header {
        let mut header = draft.unsealed(AccountId::new(self.0.public().0));
        let signature = match lie {
            Some(Lie::Signature) => self.0.sign(b"something else"),
            _ => self.0.sign(&author_payload(header.hash().as_ref())),
        };
        let preimage = weir_pow::preimage(&seal_payload(header.hash().as_ref(), &signature));
        let required = Difficulty(draft.base);
        let nonce = match lie {
            Some(Lie::Work) => {
                (0..).find(|nonce| !required.is_met_by(Work::from_hash(weir_pow::work(&preimage, *nonce))))
            },
            _ => weir_pow::Search::new(preimage, required.target().to_big_endian()).find(0..u64::MAX),
        };
        header.digest_mut().push(Seal { signature, nonce: nonce.expect("some nonce fits") }.to_item());
        header
    }
}
