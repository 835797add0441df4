//! A long fork from far below what is final, cheap but for its announced tip, served by many peers.

use crate::{
    forger::{Draft, Forger},
    lab::Lab,
    Attack,
};
use sc_network_common::sync::message::BlockState;
use sp_core::H256;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, response, BlockRequest, Claim, Sent, Start},
    Result,
};
use weir_primitives::BlockNumber;

const AT_ONCE: usize = 8;
const STAYS: Duration = Duration::from_secs(2);
/// The last block that the fork has in common with the chain.
const COMMON: BlockNumber = 3;
/// How far above the best block at the beginning the tip is: more than the chain grows by during the attack.
const ABOVE: BlockNumber = 120;
/// How much easier the tip is than the best block: a sixteenth of what is expected at its height is plausible.
const TIP_DIVISOR: u64 = 2;

/// A chain that a peer serves.
struct Fork {
    by_number: BTreeMap<BlockNumber, Sent>,
    tip: Sent,
}

impl Fork {
    /// Answers a request as an honest node on this chain would.
    fn answer(&self, request: BlockRequest) -> Option<Vec<u8>> {
        let start = match request.from {
            Start::Number(number) => number,
            Start::Hash(hash) => *self.by_number.iter().find(|(_, block)| block.hash == hash)?.0,
        };
        let blocks: Vec<&Sent> = if request.is_descending {
            self.by_number.range(..=start).rev().take(request.most).map(|(_, block)| block).collect()
        } else {
            self.by_number.range(start..).take(request.most).map(|(_, block)| block).collect()
        };
        Some(response(blocks))
    }
}

pub struct OldForks(Arc<Fork>);

impl Attack for OldForks {
    const NAME: &'static str = "old-forks";

    async fn prepare(lab: &Lab) -> Result<Self> {
        let (common, best) = (lab.block(COMMON).await?, lab.best().await?);
        let forger = Forger::new();
        let mut by_number = BTreeMap::new();
        for number in 0..=COMMON {
            by_number.insert(number, Sent::new(lab.header(number).await?, Vec::new()));
        }
        let (mut parent, mut timestamp, mut tip) = (common.hash, common.next.earliest, None);
        for number in COMMON + 1..=best.number + ABOVE {
            // The first block claims what it must; what those above it must claim, nobody can say without their state.
            let base = match number {
                _ if number == COMMON + 1 => common.next.base.0,
                _ if number == best.number + ABOVE => best.next.base.0 / TIP_DIVISOR,
                _ => lab.rules.floor_difficulty.0,
            };
            let draft = Draft { parent, number, base, timestamp, state_root: H256::random(), body: Vec::new() };
            let block = Sent::new(forger.seal(&draft), Vec::new());
            (parent, timestamp) = (block.hash, timestamp + lab.rules.least_block_interval);
            by_number.insert(number, block.clone());
            tip = Some(block);
        }
        Ok(Self(Arc::new(Fork { by_number, tip: tip.ok_or("the fork has no blocks")? })))
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let fork = self.0.clone();
        let script = move |_| {
            let (fork, tip) = (fork.clone(), &fork.tip);
            Some(Script {
                claim: Claim { number: tip.header.number, hash: tip.hash },
                announcements: vec![announcement(&tip.header, BlockState::Best)],
                answer: Box::new(move |request| fork.answer(request)),
                stays: STAYS,
                comes_again: false,
            })
        };
        Ok(crowd::attack(&lab.target, AT_ONCE, until, script).await)
    }
}
