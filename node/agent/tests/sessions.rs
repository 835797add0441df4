//! Challengers against provers that keep to the protocol, and against peers that do not: real streams over loopback.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};
use weir_agent::{
    chain::challenger::packet_port,
    identity::{peer_of, Identity},
    manual::answer,
    metrics,
    session::challenger::{Admission, Challenger, Clocks, Host, Measured},
    session::channel::{Broken, Channel},
    session::control::Control,
    session::prover::{pace_of, BothParts, BothWays, Failure, Part, Prover},
};
use weir_probe::{
    message::{
        Clock, Direction, Refusal, Reported, Subject, Terms, ToChallenger, ToProver, MAX_TO_CHALLENGER_BYTES,
        MAX_TO_PROVER_BYTES,
    },
    packet::IpBytes,
    port::{Limits, Port},
    time::UnixMicros,
};

const WITHIN: Duration = Duration::from_secs(10);
const MEGABIT: u64 = 1_000_000;

/// A challenger that answers for the rest of the test.
struct Answering {
    identity: Identity,
    listen: SocketAddr,
    _control: Option<Control>,
}

/// Two UDP ports in a row that nobody uses, of which this is the first.
fn free_ports() -> u16 {
    loop {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = first.local_addr().unwrap().port();
        if number < u16::MAX && UdpSocket::bind(("127.0.0.1", number + 1)).is_ok() {
            return number;
        }
    }
}

fn answering(class_bits_per_second: u64) -> Answering {
    let identity = Identity::for_once().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_ports()));
    let settings = answer::Settings {
        identity: identity.clone(),
        listen,
        capacity_bits_per_second: class_bits_per_second,
        allowed: Vec::new(),
        clock_tolerance_us: 20_000,
    };
    tokio::spawn(answer::run(settings));
    Answering { identity, listen, _control: None }
}

impl Answering {
    fn peer(&self) -> libp2p::PeerId {
        peer_of(&self.identity.public()).unwrap()
    }

    /// A stream of a peer of its own.
    async fn open(&self) -> (Control, Channel<libp2p::Stream>) {
        let (control, _) = Control::start(&Identity::for_once().unwrap(), &[]).unwrap();
        // It may not listen yet.
        for _ in 0..20 {
            if let Ok((channel, _)) = control.open(self.peer(), &[self.listen]).await {
                return (control, channel);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the challenger cannot be reached");
    }
}

fn prover() -> Prover {
    let identity = Identity::for_once().unwrap();
    let (control, _) = Control::start(&identity, &[]).unwrap();
    let port = || Arc::new(Port::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap());
    Prover { control, port: port(), outgoing: port(), identity }
}

fn terms(direction: Direction, megabits: u64, start: UnixMicros) -> Terms {
    Terms { direction, start, train_us: 300_000, bits_per_second: megabits * MEGABIT }
}

fn soon() -> UnixMicros {
    UnixMicros::now().after(Duration::from_millis(1_500))
}

fn by_hand(terms: Terms) -> Subject {
    Subject::ByHand { id: rand::random(), terms, endpoint: None }
}

async fn measure(prover: &Prover, challenger: &Answering, terms: Terms) -> Result<Part, Failure> {
    let mut session = prover.dial(challenger.peer(), &[challenger.listen]).await?;
    let pace = pace_of(terms.bits_per_second);
    prover.measure(&mut session, &by_hand(terms), &terms, &pace).await
}

async fn answer_to(channel: &mut Channel<libp2p::Stream>) -> Result<ToProver, Broken> {
    channel.receive(MAX_TO_PROVER_BYTES, WITHIN).await.map(|(message, _)| message)
}

/// Exchanges clocks as one whose own is ahead.
async fn compare_clocks(channel: &mut Channel<libp2p::Stream>, ahead: Duration) {
    let mut heard = UnixMicros::now().after(ahead);
    for _ in 0..4 {
        let sent = UnixMicros::now().after(ahead);
        channel.send(&ToChallenger::Clock(Clock { heard, sent })).await.unwrap();
        assert!(matches!(answer_to(channel).await.unwrap(), ToProver::Clock(_)));
        heard = UnixMicros::now().after(ahead);
    }
}

fn is_about(part: &Part, megabits: u64) -> bool {
    let bits_per_second = part.counted.bytes * 8 * 1_000_000 / part.counted.elapsed_us.max(1);
    (megabits * MEGABIT * 8 / 10..megabits * MEGABIT * 11 / 10).contains(&bits_per_second)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_counted_both_ways_on_one_stream() {
    let challenger = answering(100 * MEGABIT);
    challenger.open().await;
    let prover = prover();
    let mut session = prover.dial(challenger.peer(), &[challenger.listen]).await.unwrap();
    assert!(session.clock.ahead_us.abs() < 5_000, "one machine has one clock: {:?}", session.clock);
    for direction in [Direction::Down, Direction::Up] {
        let terms = terms(direction, 20, soon());
        let pace = pace_of(terms.bits_per_second);
        let part = prover.measure(&mut session, &by_hand(terms), &terms, &pace).await.unwrap();
        assert!(is_about(&part, 20), "{part:?}");
        assert!(part.is_fair());
        assert_eq!(part.size, IpBytes::MAX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provers_at_one_instant_share_the_class_of_a_challenger_fairly() {
    let challenger = answering(20 * MEGABIT);
    challenger.open().await;
    for direction in [Direction::Down, Direction::Up] {
        let terms = terms(direction, 20, soon());
        let (first, second) = (prover(), prover());
        let parts = tokio::join!(measure(&first, &challenger, terms), measure(&second, &challenger, terms));
        for part in [parts.0.unwrap(), parts.1.unwrap()] {
            assert!(is_about(&part, 10), "{direction:?}: {part:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_close_the_stream_and_others_are_still_served() {
    let challenger = answering(100 * MEGABIT);
    let proof = ToChallenger::Proof { root: [0; 32], bitmap: Vec::new(), signature: [0; 64] };
    let path = ToChallenger::Path { size: IpBytes::MAX, digest: [0; 16] };
    for out_of_turn in [proof, path] {
        let (_control, mut channel) = challenger.open().await;
        channel.send(&out_of_turn).await.unwrap();
        assert!(matches!(answer_to(&mut channel).await, Err(Broken::Closed(_))), "{out_of_turn:?}");
    }
    // Behind its length each: no such message; and one that is longer than any.
    let (_control, mut channel) = challenger.open().await;
    channel.send(&[0xffu8; 40]).await.unwrap();
    assert!(matches!(answer_to(&mut channel).await, Err(Broken::Closed(_))));
    let (_control, mut channel) = challenger.open().await;
    channel.send(&vec![0u8; MAX_TO_CHALLENGER_BYTES]).await.unwrap();
    assert!(matches!(answer_to(&mut channel).await, Err(Broken::Closed(_))));

    let part = measure(&prover(), &challenger, terms(Direction::Down, 10, soon())).await.unwrap();
    assert!(is_about(&part, 10), "{part:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_nobody_would_take_are_refused_and_the_stream_goes_on() {
    let challenger = answering(100 * MEGABIT);
    let (_control, mut channel) = challenger.open().await;
    compare_clocks(&mut channel, Duration::ZERO).await;
    let sensible = terms(Direction::Down, 10, soon());
    for (terms, refusal) in [
        (Terms { train_us: 60_000_000, ..sensible }, Refusal::Terms),
        (Terms { bits_per_second: u64::MAX, ..sensible }, Refusal::Terms),
        (Terms { start: UnixMicros(0), ..sensible }, Refusal::TooLate),
    ] {
        channel.send(&ToChallenger::Invite(by_hand(terms))).await.unwrap();
        assert_eq!(answer_to(&mut channel).await.unwrap(), ToProver::Refused(refusal));
    }
    let chain = Subject::Chain { genesis: [0; 32], seed: [0; 32], provider: [0; 32] };
    channel.send(&ToChallenger::Invite(chain)).await.unwrap();
    assert_eq!(answer_to(&mut channel).await.unwrap(), ToProver::Refused(Refusal::UnknownChallenge));
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_never_sent_to_an_address_that_the_prover_does_not_dial_from() {
    let challenger = answering(100 * MEGABIT);
    let (_control, mut channel) = challenger.open().await;
    compare_clocks(&mut channel, Duration::ZERO).await;
    let terms = terms(Direction::Down, 10, soon());
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], 9));
    let subject = Subject::ByHand { id: [0; 32], terms, endpoint: Some(elsewhere.into()) };
    channel.send(&ToChallenger::Invite(subject)).await.unwrap();
    assert_eq!(answer_to(&mut channel).await.unwrap(), ToProver::Refused(Refusal::OtherAddress));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_whose_packets_do_not_come_through_is_told_so() {
    let challenger = answering(100 * MEGABIT);
    let (_control, mut channel) = challenger.open().await;
    compare_clocks(&mut channel, Duration::ZERO).await;
    channel.send(&ToChallenger::Invite(by_hand(terms(Direction::Up, 10, soon())))).await.unwrap();
    assert!(matches!(answer_to(&mut channel).await.unwrap(), ToProver::Accepted { .. }));
    assert_eq!(answer_to(&mut channel).await.unwrap(), ToProver::Refused(Refusal::NoPath));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_whose_clock_differs_too_much_takes_no_part_and_is_told_so() {
    let challenger = answering(100 * MEGABIT);
    for (ahead_ms, is_off) in [(15, false), (50, true)] {
        let ahead = Duration::from_millis(ahead_ms);
        let (_control, mut channel) = challenger.open().await;
        compare_clocks(&mut channel, ahead).await;
        channel.send(&ToChallenger::Invite(by_hand(terms(Direction::Up, 10, soon())))).await.unwrap();
        let answer = answer_to(&mut channel).await.unwrap();
        assert_eq!(answer == ToProver::Refused(Refusal::ClockIsOff), is_off, "{ahead_ms} ms: {answer:?}");
    }
    // Without a comparison there is no measurement.
    let (_control, mut channel) = challenger.open().await;
    channel.send(&ToChallenger::Invite(by_hand(terms(Direction::Up, 10, soon())))).await.unwrap();
    assert!(matches!(answer_to(&mut channel).await, Err(Broken::Closed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_is_in_one_measurement_at_a_time() {
    let challenger = answering(100 * MEGABIT);
    let (control, mut first) = challenger.open().await;
    let (mut second, _) = control.open(challenger.peer(), &[challenger.listen]).await.unwrap();
    for (channel, is_first) in [(&mut first, true), (&mut second, false)] {
        compare_clocks(channel, Duration::ZERO).await;
        channel.send(&ToChallenger::Invite(by_hand(terms(Direction::Up, 10, soon())))).await.unwrap();
        let answer = answer_to(channel).await.unwrap();
        assert_eq!(answer != ToProver::Refused(Refusal::Busy), is_first, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_has_two_streams_at_most_and_one_that_is_silent_loses_its_place() {
    let challenger = answering(100 * MEGABIT);
    let (control, first) = challenger.open().await;
    let open = || async { control.open(challenger.peer(), &[challenger.listen]).await.unwrap().0 };
    let clock = ToChallenger::Clock(Clock { heard: UnixMicros(0), sent: UnixMicros(0) });
    // A stream that comes while the challenger is busy can be dropped before anybody has seen it. Then it is dialled again.
    let answered = async |mut channel: Channel<libp2p::Stream>| {
        for _ in 0..20 {
            if channel.send(&clock).await.is_ok() && answer_to(&mut channel).await.is_ok() {
                return channel;
            }
            channel = open().await;
        }
        panic!("a stream within the limit is not answered");
    };
    let mut first = answered(first).await;
    let _second = answered(open().await).await;
    let mut third = open().await;
    let _ = third.send(&clock).await;
    assert!(matches!(answer_to(&mut third).await, Err(Broken::Closed(_))));

    // A measurement that nobody goes on with is given up.
    compare_clocks(&mut first, Duration::ZERO).await;
    first.send(&ToChallenger::Invite(by_hand(terms(Direction::Up, 10, soon())))).await.unwrap();
    assert!(matches!(answer_to(&mut first).await.unwrap(), ToProver::Accepted { .. }));
    assert_eq!(answer_to(&mut first).await.unwrap(), ToProver::Refused(Refusal::NoPath));
}

/// A host that lets everybody into one measurement in both directions, and keeps what was measured.
#[derive(Clone)]
struct OneChallenge {
    both: BothWays,
    reported: Arc<Mutex<Vec<Measured>>>,
}

impl Host for OneChallenge {
    async fn admit(&self, _: libp2p::PeerId, _: &[IpAddr], _: &Subject) -> Result<Admission, Refusal> {
        Ok(Admission {
            terms: self.both.down,
            then_up: Some(self.both.up),
            endpoint: None,
            clocks: Clocks::Colleagues(20_000),
        })
    }

    fn report(&self, _: &Subject, measured: Measured) -> Result<Reported, Refusal> {
        self.reported.lock().unwrap().push(measured.clone());
        Ok(Reported { report: vec![1, 2, 3], signature: [4; 64], down: measured.down, up: measured.up })
    }
}

/// A challenge of a megabit in both directions that starts soon, as a chain draws it.
fn both_ways(megabits: u64) -> BothWays {
    let start = soon();
    let after = |milliseconds| start.after(Duration::from_millis(milliseconds));
    BothWays {
        down: Terms { train_us: 500_000, ..terms(Direction::Down, megabits, start) },
        up: Terms { train_us: 650_000, ..terms(Direction::Up, megabits, after(1_000)) },
        proven_by: after(650),
    }
}

/// A challenger for a challenge, and what it measured.
fn challenging(both: BothWays) -> (Answering, Arc<Mutex<Vec<Measured>>>) {
    let identity = Identity::for_once().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_ports()));
    let (control, incoming) = Control::start(&identity, &[listen]).unwrap();
    let port = packet_port(listen).unwrap();
    let reported = Arc::<Mutex<Vec<Measured>>>::default();
    let host = OneChallenge { both, reported: reported.clone() };
    let announced = port.address().port();
    let challenger = Challenger::new(
        host,
        identity.clone(),
        port,
        announced,
        1_000 * MEGABIT,
        Arc::default(),
        metrics::serve(None).unwrap(),
    );
    tokio::spawn(Arc::new(challenger).serve(incoming));
    (Answering { identity, listen, _control: Some(control) }, reported)
}

async fn measure_both_ways(challenger: &Answering, both: &BothWays) -> Result<BothParts, Failure> {
    let prover = prover();
    let prover = Prover { outgoing: prover.port.clone(), ..prover };
    let mut session = prover.dial(challenger.peer(), &[challenger.listen]).await?;
    let subject = Subject::Chain { genesis: [1; 32], seed: [2; 32], provider: [3; 32] };
    let pace = pace_of(both.up.bits_per_second);
    prover.measure_both_ways(&mut session, &subject, both, &pace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_of_one_session_are_counted_and_what_is_reported_is_what_the_prover_saw() {
    let both = both_ways(20);
    let (challenger, reported) = challenging(both);
    let parts = measure_both_ways(&challenger, &both).await.unwrap();
    let measured = reported.lock().unwrap().pop().unwrap();
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    assert_eq!((measured.from, measured.commitment), (loopback, parts.commitment));
    assert_eq!((&measured.down, &measured.up), (&parts.down.counted, &parts.up.counted));
    assert!(parts.down.is_fair());
    // A budget of half a second down; up the prover paces itself to the rate for the window.
    let (down, up) = (both.down.budget_bytes(), both.up.budget_bytes());
    assert!(measured.down.bytes > down * 8 / 10 && measured.down.bytes <= down, "{} of {down}", measured.down.bytes);
    assert!(measured.up.bytes > up * 8 / 10 && measured.up.bytes <= up * 11 / 10, "{} of {up}", measured.up.bytes);
    assert!(measured.down.elapsed_us <= 650_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_proves_in_time_whatever_is_still_under_way() {
    let both = both_ways(20);
    let (challenger, reported) = challenging(both);
    // One that would wait for a train of two seconds.
    let patient = BothWays { down: Terms { train_us: 2_000_000, ..both.down }, ..both };
    measure_both_ways(&challenger, &patient).await.unwrap();
    let measured = reported.lock().unwrap().pop().unwrap();
    assert!(measured.down.elapsed_us <= 650_000, "{} µs", measured.down.elapsed_us);
    assert!(measured.down.bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_only_when_the_way_up_has_begun_gets_no_report() {
    let both = both_ways(5);
    let (challenger, reported) = challenging(both);
    let late = both.down.start.after(Duration::from_secs(2));
    let slow = BothWays { down: Terms { train_us: 1_200_000, ..both.down }, proven_by: late, ..both };
    assert!(measure_both_ways(&challenger, &slow).await.is_err());
    assert!(reported.lock().unwrap().is_empty());
}
