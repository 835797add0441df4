//! Peers that announce a header with valid work, and answer the request for its block with something else.

use crate::{fresh::Fresh, lab::Lab, Attack};
use sc_network_common::sync::message::BlockState;
use sp_core::H256;
use sp_runtime::OpaqueExtrinsic;
use std::time::{Duration, Instant};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, response, Claim, Header, Sent},
    Result,
};

const AT_ONCE: usize = 8;
const STAYS: Duration = Duration::from_secs(2);
/// Above what any honest response has.
const MANY_BLOCKS: usize = 2_000;
/// A response as large as the node takes one.
const LARGE_BYTES: usize = 15 << 20;

/// What a peer answers.
fn forged(index: usize, header: &Header) -> Vec<u8> {
    let asked = Sent::new(header.clone(), Vec::new());
    let mut other = asked.clone();
    other.header.state_root = H256::random();
    match index % 6 {
        // No response at all, as the protocol has it.
        0 => vec![0xff; 64],
        1 => response([]),
        // Another block, under its own hash and under the one that was asked for.
        2 => response([&Sent::new(other.header, Vec::new())]),
        3 => response([&other]),
        4 => response(std::iter::repeat_n(&asked, MANY_BLOCKS)),
        _ => {
            let body = vec![OpaqueExtrinsic::from_blob(vec![0; LARGE_BYTES])];
            response([&Sent { body, ..asked }])
        },
    }
}

pub struct ForgedResponses(Fresh<Header>);

impl Attack for ForgedResponses {
    const NAME: &'static str = "forged-responses";
    // The SDK reads 16 MiB of an answer before anybody can look at it, of each peer that it has asked.
    const MOST_GROWTH_MIB: f64 = (AT_ONCE * 16) as f64;

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
                answer: Box::new(move |_| Some(forged(index, &header))),
                stays: STAYS,
                comes_again: false,
            })
        };
        self.0.while_attacking(lab, until, crowd::attack(&lab.target, AT_ONCE, until, script)).await
    }
}
