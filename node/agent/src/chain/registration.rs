//! What providers and challengers have in common when they register.

use crate::{
    chain::{Error, Node},
    identity::Identity,
    Fatal,
};
use weir_primitives::{
    measurement::{peer_payload, PeerKey},
    parameters::Parameters,
    AccountId, BlockNumber,
};

/// What an agent must know of its chain before it takes part.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// The hash of genesis, which names it.
    pub genesis: [u8; 32],
    /// How far the clocks of two honest agents may differ: ε.
    pub clock_tolerance_us: u64,
    /// The shortest time that a result is divided by: T_min.
    pub least_time_us: u64,
}

/// Which chain the nodes are of.
///
/// # Errors
///
/// When none of them answers.
pub async fn chain_of(nodes: &[String]) -> Result<Chain, Fatal> {
    let unreachable =
        |error: Error| Fatal(format!("no node can be reached ({error}); start one, or give its address with --node"));
    let node = Node::connect_any(nodes).await.map_err(unreachable)?;
    let parameters: Option<Parameters> = node.ask("ConsensusApi_parameters", (), None).await.map_err(unreachable)?;
    let parameters = parameters.ok_or_else(|| Fatal("the chain has no parameters in its genesis".into()))?;
    let measurement = parameters.measurement;
    Ok(Chain {
        genesis: node.genesis(),
        clock_tolerance_us: measurement.clock_tolerance_us,
        least_time_us: measurement.least_time_us,
    })
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

/// Checks that the identity which the chain has for the account is this agent's, and that the account is not leaving.
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
