//! Peers that take every inbound slot and claim a great height in their handshakes, which nothing proves.

use crate::{lab::Lab, Attack};
use sp_core::H256;
use std::time::{Duration, Instant};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::Claim,
    Result,
};
use weir_primitives::BlockNumber;

/// More than a node has inbound slots.
const AT_ONCE: usize = 12;
/// By how much the claimed height is above the node's own.
const ABOVE: BlockNumber = 1_000_000;
/// Longer than a node waits for an answer.
const STAYS: Duration = Duration::from_secs(60);

pub struct ClaimedHeights {
    number: BlockNumber,
}

impl Attack for ClaimedHeights {
    const NAME: &'static str = "claimed-heights";

    async fn prepare(lab: &Lab) -> Result<Self> {
        Ok(Self { number: lab.best().await?.number + ABOVE })
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let number = self.number;
        let script = move |_| {
            Some(Script {
                claim: Claim { number, hash: H256::random() },
                announcements: Vec::new(),
                // What is asked for stays open until the node gives up, and the slot with it.
                answer: Box::new(|_| None),
                stays: STAYS,
                comes_again: false,
            })
        };
        Ok(crowd::attack(&lab.target, AT_ONCE, until, script).await)
    }
}
