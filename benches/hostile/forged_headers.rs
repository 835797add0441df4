//! Headers with wrong work, signature or base, from many fresh peers.

use crate::{
    forger::{Draft, Forger, Lie},
    fresh::Fresh,
    lab::{Lab, Parent},
    Attack,
};
use sc_network_common::sync::message::BlockState;
use sp_core::U256;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use weir_bench::{Figures, Goal};
use weir_e2e::{
    crowd::{self, Script, Tally},
    liar::{announcement, Claim, Header},
    Result,
};
use weir_primitives::consensus::Difficulty;

const HEADERS: usize = 100_000;
/// How many of them an identity sends. The first should be the last that is looked at.
const EACH: usize = 100;
const AT_ONCE: usize = 8;
/// How long an identity stays if it is not dropped.
const STAYS: Duration = Duration::from_secs(5);

pub struct ForgedHeaders {
    forger: Arc<Forger>,
    floor: U256,
    announcements: Arc<Vec<Vec<u8>>>,
    best: Fresh<Parent>,
    genesis: Claim,
}

/// What is false about the headers of an identity.
fn forged(forger: &Forger, floor: U256, parent: &Parent, identity: usize) -> Header {
    let draft = |base| Draft { base, ..Draft::on(parent) };
    match identity % 4 {
        0 => forger.seal_falsely(&draft(floor), Lie::Work),
        1 => forger.seal_falsely(&draft(floor), Lie::Signature),
        // A base that only who knows the parent can see to be wrong.
        2 => forger.seal(&draft(floor + 1)),
        // The greatest base there can be, which nobody has the work for.
        _ => forger.seal_falsely(&draft(Difficulty::MAX.0), Lie::Work),
    }
}

impl Attack for ForgedHeaders {
    const NAME: &'static str = "forged-headers";

    async fn prepare(lab: &Lab) -> Result<Self> {
        eprintln!("{}: making {HEADERS} headers", Self::NAME);
        let (forger, floor) = (Forger::new(), lab.rules.floor_difficulty.0);
        let best = Fresh::attacked_best(lab).await?;
        let parent = best.last();
        let announcements = (0..HEADERS)
            .map(|index| announcement(&forged(&forger, floor, &parent, index / EACH), BlockState::Best))
            .collect();
        let genesis = Claim { number: 0, hash: lab.header(0).await?.hash() };
        Ok(Self { forger: Arc::new(forger), floor, announcements: Arc::new(announcements), best, genesis })
    }

    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally> {
        let Self { forger, floor, announcements, best, genesis } = self;
        let (forger, announcements, fresh) = (forger.clone(), announcements.clone(), best.clone());
        let (floor, claim) = (*floor, *genesis);
        let script = move |index: usize| {
            let mut own = announcements.chunks(EACH).nth(index)?.to_vec();
            // The first is on the best block: below what is final nobody looks at the base, and on a block that the node does not
            // know nobody can see that it is wrong.
            own[0] = announcement(&forged(&forger, floor, &fresh.last(), index), BlockState::Best);
            Some(Script {
                claim,
                announcements: own,
                answer: Box::new(|_| None),
                stays: STAYS,
                comes_again: index.is_multiple_of(10),
            })
        };
        best.while_attacking(lab, until, crowd::attack(&lab.target, AT_ONCE, until, script)).await
    }

    fn print(&self, lab: &Lab, tally: &Tally, figures: &mut Figures) {
        let mut figure = |what: &str, value: f64, unit: &str, goal: Goal| {
            figures.print(&format!("hostile/{}/{what}", Self::NAME), value, unit, goal);
        };
        let counter = |name: &str| lab.counter(name).unwrap_or(f64::NAN);
        let (banned, rejected) = (counter("weir_banned_peers_total"), counter("weir_rejected_blocks_total"));
        figure("banned-of-let-in", banned / tally.let_in as f64, "times", Goal::AtLeast(1.0));
        figure("rejected-for-each-ban", rejected / banned, "headers", Goal::AtMost(1.0));
        figure("refused-when-they-came-again", tally.refused_again as f64, "peers", Goal::None);
        figure("let-in-when-they-came-again", tally.let_in_again as f64, "peers", Goal::AtMost(0.0));
    }
}
