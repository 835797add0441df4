//! Weir networks of real processes, for people to look at and for tests to prove things on.
//!
//! - [`process`]: processes that end with their owner, and nothing else that is ended.
//! - [`network`]: nodes and agents, and the chain spec that they share.
//! - [`lab`]: a network of its own in network namespaces, whose links have a rate.
//! - [`peers`]: a few nodes that know no others but those that they are told.
//! - [`observer`]: what a network is doing.
//! - [`shares`]: miners side by side, and what part of the chain each of them makes.
//! - [`light`]: a check of proofs of finality that shares no code with the node.
//! - [`liar`]: a peer that keeps to no rule; [`crowd`]: many of them that attack one node.
//! - [`transfer`]: transactions as a wallet makes them.
//! - [`sale`]: a sale by hand.
//! - [`claims`]: what a network must show.
//! - [`mod@reference`]: the pages of `docs/reference/`.

pub mod claims;
pub mod crowd;
pub mod home;
pub mod lab;
pub mod liar;
pub mod lies;
pub mod light;
pub mod network;
pub mod observer;
pub mod peers;
pub mod process;
pub mod reference;
pub mod sale;
pub mod shares;
pub mod transfer;

/// Why something did not work, for a person.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What may not work.
pub type Result<T> = std::result::Result<T, Error>;

/// That something holds; otherwise an error that says this.
fn ensure(holds: bool, otherwise: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.into())
    }
}
