//! A challenger for measurements that others start by hand. It knows no chain, and nobody is paid.

use crate::{
    chain::challenger::packet_port,
    identity::Identity,
    metrics,
    session::challenger::{Admission, Challenger, Clocks, Host, Measured, MAX_AHEAD},
    session::control::Control,
    Fatal,
};
use libp2p::PeerId;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use weir_probe::{
    message::{Refusal, Reported, Subject, Terms},
    packet::IpBytes,
    reception::MAX_PACKETS,
    time::{micros, UnixMicros},
};

/// The longest train: ten round trips around the world, and some.
pub const MAX_TRAIN: Duration = Duration::from_secs(10);

/// What a challenger for measurements by hand is started with.
#[derive(Clone)]
pub struct Settings {
    /// The key of the agent.
    pub identity: Identity,
    /// Where control streams are taken. Packets are taken at the port after it.
    pub listen: SocketAddr,
    /// What measurements at one instant share.
    pub capacity_bits_per_second: u64,
    /// Whom it measures; anybody, if this is empty.
    pub allowed: Vec<PeerId>,
    /// How far clocks may differ.
    pub clock_tolerance_us: u64,
}

struct ByHand {
    allowed: Vec<PeerId>,
    clock_tolerance_us: u64,
}

impl Host for ByHand {
    async fn admit(&self, peer: PeerId, _: &[IpAddr], subject: &Subject) -> Result<Admission, Refusal> {
        let Subject::ByHand { terms, endpoint, .. } = subject else { return Err(Refusal::UnknownChallenge) };
        if !self.allowed.is_empty() && !self.allowed.contains(&peer) {
            return Err(Refusal::NotAllowed);
        }
        if !is_sensible(terms, UnixMicros::now()) {
            return Err(Refusal::Terms);
        }
        let clocks = Clocks::Pair(self.clock_tolerance_us);
        Ok(Admission { terms: *terms, then_up: None, endpoint: endpoint.map(Into::into), clocks })
    }

    fn report(&self, _: &Subject, _: Measured) -> Result<Reported, Refusal> {
        Err(Refusal::UnknownChallenge)
    }
}

/// Whether a challenger would take part on such terms.
fn is_sensible(terms: &Terms, now: UnixMicros) -> bool {
    let packets = IpBytes::MIN.packets_in(terms.budget_bytes());
    terms.start < now.after(MAX_AHEAD) && (1..=micros(MAX_TRAIN)).contains(&terms.train_us) && packets <= MAX_PACKETS
}

/// Answers until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let (_control, incoming) = match Control::start(&settings.identity, &[settings.listen]) {
        Ok(started) => started,
        Err(error) => return error,
    };
    let port = match packet_port(settings.listen) {
        Ok(port) => port,
        Err(error) => return error,
    };
    let metrics = match metrics::serve(None) {
        Ok(metrics) => metrics,
        Err(error) => return error,
    };
    let announced_port = port.address().port();
    log::info!("packets are taken at UDP port {announced_port}");
    let host = ByHand { allowed: settings.allowed, clock_tolerance_us: settings.clock_tolerance_us };
    let challenger = Challenger::new(
        host,
        settings.identity,
        port,
        announced_port,
        settings.capacity_bits_per_second,
        Arc::default(),
        metrics,
    );
    Arc::new(challenger).serve(incoming).await;
    Fatal("the control streams have ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_probe::message::Direction;

    const NOW: UnixMicros = UnixMicros(1_000_000_000);
    const TERMS: Terms = Terms {
        direction: Direction::Down,
        start: UnixMicros(1_001_000_000),
        train_us: 500_000,
        bits_per_second: 1_000_000_000,
    };

    fn host(allowed: Vec<PeerId>) -> ByHand {
        ByHand { allowed, clock_tolerance_us: 20_000 }
    }

    #[test]
    fn terms_that_would_bind_memory_or_time_are_refused() {
        assert!(is_sensible(&TERMS, NOW));
        for terms in [
            Terms { train_us: 0, ..TERMS },
            Terms { train_us: 10_000_001, ..TERMS },
            Terms { train_us: 10_000_000, bits_per_second: 2_000_000_000, ..TERMS },
            Terms { bits_per_second: u64::MAX, ..TERMS },
            Terms { start: NOW.after(MAX_AHEAD), ..TERMS },
        ] {
            assert!(!is_sensible(&terms, NOW), "{terms:?}");
        }
    }

    #[tokio::test]
    async fn only_those_that_are_named_are_measured_and_never_for_a_chain() {
        let (friend, stranger) = (PeerId::random(), PeerId::random());
        let terms = Terms { start: UnixMicros::now().after(Duration::from_secs(1)), ..TERMS };
        let subject = Subject::ByHand { id: [0; 32], terms, endpoint: None };
        assert!(host(vec![]).admit(stranger, &[], &subject).await.is_ok());
        assert!(host(vec![friend]).admit(friend, &[], &subject).await.is_ok());
        assert_eq!(host(vec![friend]).admit(stranger, &[], &subject).await.err(), Some(Refusal::NotAllowed));
        let chain = Subject::Chain { genesis: [0; 32], seed: [0; 32], provider: [0; 32] };
        assert_eq!(host(vec![]).admit(stranger, &[], &chain).await.err(), Some(Refusal::UnknownChallenge));
    }
}
