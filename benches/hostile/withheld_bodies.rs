//! Headers with valid work on the best block, announced by many peers none of which has the block.

use crate::{fresh::Fresh, lab::Lab, Attack};
use sc_network_common::sync::message::BlockState;
use std::time::{Duration, Instant};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, Claim, Header},
    Result,
};

const AT_ONCE: usize = 8;
/// Most leave soon, so that there are many; every fourth stays longer than a node waits for an answer.
const STAYS: Duration = Duration::from_secs(2);
const STAYS_LONG: Duration = Duration::from_secs(60);

pub struct WithheldBodies(Fresh<Header>);

impl Attack for WithheldBodies {
    const NAME: &'static str = "withheld-bodies";

    async fn prepare(lab: &Lab) -> Result<Self> {
        Ok(Self(Fresh::header(lab).await?))
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let fresh = self.0.clone();
        let script = move |index: usize| {
            let header = fresh.last();
            Some(Script {
                claim: Claim { number: header.number - 1, hash: header.parent_hash },
                announcements: vec![announcement(&header, BlockState::Best)],
                answer: Box::new(|_| None),
                stays: if index % 16 == 15 { STAYS_LONG } else { STAYS },
                comes_again: false,
            })
        };
        self.0.while_attacking(lab, until, crowd::attack(&lab.target, AT_ONCE, until, script)).await
    }
}
