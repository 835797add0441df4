//! Which of a prover's challenges comes first with a challenger, who takes one of a prover at a time.
//!
//! Where blocks come fast after an outage, the next instant may be seconds after one. If its session took the challenger first, the earlier one would miss it.

use libp2p::PeerId;
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};
use weir_probe::time::UnixMicros;

/// The sessions that a prover has before it or under way, with whom, and when their trains start.
#[derive(Clone, Default)]
pub(crate) struct Order(Arc<Mutex<BTreeSet<(PeerId, UnixMicros)>>>);

/// A place in the order, until it is dropped.
pub(crate) struct Place {
    order: Order,
    peer: PeerId,
    start: UnixMicros,
}

impl Order {
    /// Takes a place. There is one with a challenger for each start.
    pub fn enter(&self, peer: PeerId, start: UnixMicros) -> Place {
        self.0.lock().insert((peer, start));
        Place { order: self.clone(), peer, start }
    }
}

impl Place {
    /// Whether no earlier session with the challenger is to come or under way.
    pub fn is_first(&self) -> bool {
        let all = self.order.0.lock();
        all.range((self.peer, UnixMicros(0))..(self.peer, self.start)).next().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.order.0.lock().remove(&(self.peer, self.start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_challenge_comes_first_whichever_was_heard_of_first() {
        let order = Order::default();
        let [one, other] = [PeerId::random(), PeerId::random()];
        let late = order.enter(one, UnixMicros(2_000));
        assert!(late.is_first());
        let early = order.enter(one, UnixMicros(1_000));
        let elsewhere = order.enter(other, UnixMicros(3_000));
        assert!(early.is_first() && !late.is_first());
        assert!(elsewhere.is_first(), "another challenger is free");
        drop(early);
        assert!(late.is_first());
        drop((late, elsewhere));
        assert!(order.0.lock().is_empty());
    }
}
