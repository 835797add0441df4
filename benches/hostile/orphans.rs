//! Headers without a known parent, with the least work that is looked at, made once and replayed by fresh peers.

use crate::{
    forger::{Draft, Forger},
    lab::Lab,
    Attack,
};
use sc_network_common::sync::message::BlockState;
use sp_core::{H256, U256};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, response, Claim, Sent, Start},
    Result,
};
use weir_primitives::BlockNumber;

const AT_ONCE: usize = 8;
const STAYS: Duration = Duration::from_secs(1);
/// Of a header that is above the best block: a sixteenth of the expected base is plausible, and what is expected changes.
const PLAUSIBLE_DIVISOR: u64 = 8;
/// How far above the best block at the beginning the highest orphan is: about what the chain grows by during the attack.
const ABOVE: BlockNumber = 60;
const STEP: usize = 2;

pub struct Orphans {
    blocks: Arc<Vec<Sent>>,
    claim: Claim,
}

impl Attack for Orphans {
    const NAME: &'static str = "orphans";

    async fn prepare(lab: &Lab) -> Result<Self> {
        let best = lab.best().await?;
        let forger = Forger::new();
        let orphan = |number: BlockNumber, base: U256| {
            let draft = Draft { parent: H256::random(), number, base, ..Draft::on(&best) };
            Sent::new(forger.seal(&draft), draft.body)
        };
        // While the chain passes these heights the floor is enough for some rules, and a part of the base for others.
        let heights = best.number - 2..best.number + ABOVE;
        let blocks = heights.step_by(STEP).flat_map(|number| {
            [lab.rules.floor_difficulty.0, best.next.base.0 / PLAUSIBLE_DIVISOR].map(|base| orphan(number, base))
        });
        let blocks = Arc::new(blocks.collect());
        Ok(Self { blocks, claim: Claim { number: best.number, hash: best.hash } })
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let (blocks, claim) = (self.blocks.clone(), self.claim);
        let by_hash: Arc<HashMap<H256, Vec<u8>>> =
            Arc::new(blocks.iter().map(|block| (block.hash, response([block]))).collect());
        let script = move |_| {
            let by_hash = by_hash.clone();
            Some(Script {
                claim,
                announcements: blocks.iter().map(|block| announcement(&block.header, BlockState::Normal)).collect(),
                answer: Box::new(move |request| match request.from {
                    Start::Hash(hash) => by_hash.get(&hash).cloned(),
                    Start::Number(_) => None,
                }),
                stays: STAYS,
                comes_again: false,
            })
        };
        Ok(crowd::attack(&lab.target, AT_ONCE, until, script).await)
    }
}
