//! Challengers who would rather not work: a quarter of them does as little as it gets away with.
//!
//! Pay is for the bytes that were assigned in duties that were met, so *met* is what a challenger earns of what an
//! honest one does, and *sent* what it costs.

use super::{
    super::Outcome,
    world::{honest, Effort, World},
};
use crate::{
    challengers::Deed,
    table::{decimals, Table},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const CHALLENGERS: u32 = 128;
const PROVIDERS: u32 = 256;
const EPOCHS: usize = 96;
const COUNTED: usize = 24;

/// Of how many challengers one is idle.
const ONE_IN: u32 = 4;

/// What an idle challenger does with the line of a provider, where `long` is the line above which providers have a
/// third of what is paid for.
struct Strategy {
    name: &'static str,
    deed: fn(line: u64, long: u64, rng: &mut ChaCha8Rng) -> Deed,
}

const STRATEGIES: [Strategy; 9] = [
    Strategy { name: "honest", deed: |_, _, rng| honest(rng) },
    Strategy { name: "silent", deed: |_, _, _| Deed::Nothing },
    Strategy { name: "misses half by lot", deed: |_, _, rng| missing(0.5, rng) },
    Strategy { name: "misses 30 % by lot", deed: |_, _, rng| missing(0.3, rng) },
    Strategy { name: "misses 20 % by lot", deed: |_, _, rng| missing(0.2, rng) },
    Strategy {
        name: "misses the longest lines",
        deed: |line, long, _| if line >= long { Deed::Nothing } else { Deed::Sends(1.0) },
    },
    Strategy { name: "sends 55 %", deed: |_, _, _| Deed::Sends(0.55) },
    Strategy { name: "far and sends all", deed: |_, _, _| Deed::Far(1.0) },
    Strategy { name: "far and sends nothing", deed: |_, _, _| Deed::Far(0.0) },
];

fn missing(part: f64, rng: &mut ChaCha8Rng) -> Deed {
    if rng.gen_bool(part) {
        Deed::Nothing
    } else {
        Deed::Sends(1.0)
    }
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "strategy",
        "sent",
        "met",
        "idle_jailed",
        "honest_jailed",
        "first_out_after_epochs",
        "guaranteed_if_never_jailed",
        "guaranteed_after",
    ]);
    let is_idle = |slot: u32| slot.is_multiple_of(ONE_IN);
    for strategy in STRATEGIES {
        eprintln!("idle: {}", strategy.name);
        let mut world = World::new(CHALLENGERS, PROVIDERS, &mut rng);
        let lines = world.lines();
        let (mut above, all) = (0, lines.iter().sum::<u64>());
        let long = lines.into_iter().find(|line| {
            above += line;
            above * 3 >= all
        });
        let long = long.unwrap_or(u64::MAX);
        let deed = |slot, line, rng: &mut ChaCha8Rng| {
            if is_idle(slot) {
                (strategy.deed)(line, long, rng)
            } else {
                honest(rng)
            }
        };
        let mut first = None;
        let mut after = 0.0;
        for epoch in 1..=EPOCHS {
            world.epoch(&mut rng, deed);
            if (0..CHALLENGERS).any(|slot| is_idle(slot) && world.was_jailed(slot)) {
                first = first.or(Some(epoch));
            }
            if epoch > EPOCHS - COUNTED {
                after += world.guaranteed_part() / COUNTED as f64;
            }
        }
        let jailed = |idle: bool| {
            let those = (0..CHALLENGERS).filter(|slot| is_idle(*slot) == idle);
            let all = those.clone().count() as f64;
            decimals(those.filter(|slot| world.was_jailed(*slot)).count() as f64 / all, 2)
        };
        let effort = (0..CHALLENGERS).filter(|slot| is_idle(*slot)).fold(Effort::default(), |sum, slot| {
            let one = world.efforts[slot as usize];
            Effort { assigned: sum.assigned + one.assigned, sent: sum.sent + one.sent, met: sum.met + one.met }
        });
        let mut left = World::new(CHALLENGERS, PROVIDERS, &mut rng);
        left.jails = false;
        (0..COUNTED).for_each(|_| left.epoch(&mut rng, deed));
        let mut before = 0.0;
        for _ in 0..COUNTED {
            left.epoch(&mut rng, deed);
            before += left.guaranteed_part() / COUNTED as f64;
        }
        table.row(vec![
            strategy.name.into(),
            decimals(effort.sent / effort.assigned, 2),
            decimals(effort.met / effort.assigned, 2),
            jailed(true),
            jailed(false),
            first.map_or("never".into(), |epoch| epoch.to_string()),
            decimals(before, 3),
            decimals(after, 3),
        ]);
    }
    table.save(out, "idle")?;
    println!(
        "A quarter of {CHALLENGERS} challengers follows the strategy, for {EPOCHS} epochs; who is jailed does not come \
         back."
    );
    Ok(())
}
