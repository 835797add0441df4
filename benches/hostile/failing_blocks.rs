//! Blocks with a valid header and seal that fail: in execution, or since the body is not the header's.

use crate::{fresh::Fresh, lab::Lab, Attack};
use sc_network_common::sync::message::BlockState;
use sp_runtime::OpaqueExtrinsic;
use std::time::{Duration, Instant};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, response, Claim, Header, Sent, Start},
    Result,
};

const AT_ONCE: usize = 8;
const STAYS: Duration = Duration::from_secs(2);

pub struct FailingBlocks(Fresh<Header>);

impl Attack for FailingBlocks {
    const NAME: &'static str = "failing-blocks";
    // For each that fails the runtime is compiled anew, one at a time.
    const MOST_GROWTH_MIB: f64 = 80.0;

    async fn prepare(lab: &Lab) -> Result<Self> {
        Ok(Self(Fresh::header(lab).await?))
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let fresh = self.0.clone();
        let script = move |index: usize| {
            let header = fresh.last();
            // Of every two peers, one has another body.
            let body = if index.is_multiple_of(2) { Vec::new() } else { vec![OpaqueExtrinsic::from_blob(vec![0; 64])] };
            let block = Sent::new(header.clone(), body);
            Some(Script {
                claim: Claim { number: header.number - 1, hash: header.parent_hash },
                announcements: vec![announcement(&header, BlockState::Best)],
                answer: Box::new(move |request| {
                    let is_asked = matches!(request.from, Start::Hash(hash) if hash == block.hash)
                        || request.from == Start::Number(block.header.number);
                    is_asked.then(|| response([&block]))
                }),
                stays: STAYS,
                comes_again: false,
            })
        };
        self.0.while_attacking(lab, until, crowd::attack(&lab.target, AT_ONCE, until, script)).await
    }
}
