//! What providers and challengers have in common when they register.

use crate::{
    chain::{Error, Node},
    identity::Identity,
    Fatal,
};
use weir_primitives::{
    measurement::{peer_payload, Endpoints, PeerKey},
    AccountId, BlockNumber,
};

/// Which chain the nodes are of.
///
/// # Errors
///
/// When none of them answers.
pub async fn genesis_of(nodes: &[String]) -> Result<[u8; 32], Fatal> {
    let node = Node::connect_any(nodes).await.map_err(|error| {
        Fatal(format!("no node can be reached ({error}); start one, or give its address with --node"))
    })?;
    Ok(node.genesis())
}

/// The identity's agreement to act for an account.
///
/// # Errors
///
/// Never, for keys of this kind.
pub fn proof(node: &Node, identity: &Identity, account: &AccountId) -> Result<[u8; 64], Error> {
    let payload = peer_payload(node.genesis().into(), account);
    identity.sign(&payload).map_err(|error| Error::Refused(error.to_string()))
}

/// That what the chain knows is this agent, and is to stay.
///
/// # Errors
///
/// [`Error::Refused`], with what to do.
pub fn check(identity: &Identity, peer: &PeerKey, leaving: Option<BlockNumber>) -> Result<(), Error> {
    if peer.0 != identity.public() {
        return Err(Error::Refused(
            "the account is registered with another identity; use the --base-path with its identity.key".into(),
        ));
    }
    if leaving.is_some() {
        return Err(Error::Refused("the account is leaving; withdraw its bond before it registers again".into()));
    }
    Ok(())
}

/// Whether the chain knows this endpoint, and no other.
pub fn is_only_endpoint(known: &Endpoints, endpoint: &[u8]) -> bool {
    matches!(known.as_slice(), [only] if only.as_slice() == endpoint)
}
