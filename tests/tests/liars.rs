//! Those who lie about bandwidth, on a chain of real blocks that the real runtime makes: what each gains, and what the honest keep.
//!
//! Agents are their keys here, and what they say is made to order; what a line takes and sends is a number that these tests know. What lying packets
//! gain is shown elsewhere, with sockets (`scripts/bench measurement --part liars`).

use frame_support::traits::fungible::Inspect;
use sp_api::ProvideRuntimeApi;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie};
use sp_runtime::{transaction_validity::TransactionSource, OpaqueExtrinsic};
use sp_transaction_pool::runtime_api::TaggedTransactionQueue;
use std::collections::{HashMap, VecDeque};
use weir_consensus_testing::{
    agents::{self, at_best, challenger, provider, Agents, Population, Provider},
    Chain, Options,
};
use weir_primitives::{
    interfaces::{Epochs, Participants},
    measurement::{challenge::MemberReport, lottery::groups::Prefix},
    registry::Standing,
    runtime_api::OpenChallenge,
    AccountId, Balance, Hash,
};
use weir_runtime::{Bandwidth, Registry, Runtime, RuntimeCall, RuntimeEvent, System, Token};

const MBIT: u64 = 1_000_000;
const MILLISECONDS_APART: u64 = 6_000;
/// The blocks of an epoch on these chains.
const EPOCH: u32 = 96;
/// What a line takes and sends, and what its owner declares.
const LINE: u64 = 48 * MBIT;
const DECLARED: u64 = 100 * MBIT;
const CHALLENGERS: u32 = 64;

/// A line of that many bits per second, alone behind its prefix, of which as much is guaranteed as can be.
fn line(number: u32) -> Provider {
    // Of 16 members the 7 largest count nothing.
    let guaranteed = LINE * 9 / 16;
    Provider { declared: DECLARED, guaranteed, prefix: agents::prefix(number), mining_author: Alice.to_account_id() }
}

/// The same, of which nothing was proven yet.
fn unproven(number: u32) -> Provider {
    Provider { guaranteed: 0, ..line(number) }
}

/// An epoch of a tenth of an hour, with the rules of the preset `testnet`.
fn short_epochs(parameters: &mut serde_json::Value) {
    parameters["consensus"]["snapshotDepth"] = 8.into();
    parameters["consensus"]["creditCapBlocks"] = 8.into();
    parameters["measurement"]["epochBlocks"] = EPOCH.into();
}

/// The same, and everybody is drawn at each of four instants: so that what takes weeks there takes an hour.
fn all_drawn(parameters: &mut serde_json::Value) {
    short_epochs(parameters);
    parameters["measurement"]["instants"] = 4.into();
}

/// A chain, and what its agents do.
struct Game {
    chain: Chain,
    agents: Agents,
    best: Hash,
    to_come: VecDeque<(u32, Vec<OpenChallenge>)>,
}

impl Game {
    fn new(providers: Vec<Provider>, change: fn(&mut serde_json::Value)) -> Self {
        let agents = Agents::new(&Population { challengers: CHALLENGERS, providers, change });
        let chain = Chain::with(Options {
            genesis: Some(agents.state.clone()),
            first_timestamp: Some(weir_consensus::clock::now() - 10_000 * MILLISECONDS_APART),
            ..Options::default()
        });
        let best = chain.genesis();
        let mut game = Self { chain, agents, best, to_come: VecDeque::new() };
        // All join in the first epoch, and are drawn from the second one on.
        game.run(1, |_, _| vec![]);
        game
    }

    /// Makes a block, and notes what was drawn in it.
    fn block(&mut self, author: Sr25519Keyring, after: u64, extrinsics: Vec<OpaqueExtrinsic>) {
        let after = if self.chain.best_number() == 0 { 0 } else { after };
        let block = self.chain.block_of(self.best, author, after, extrinsics);
        self.chain.import(&block).unwrap();
        self.best = block.hash();
        assert_eq!(self.chain.best(), self.best);
        let open = agents::newly_drawn(&self.chain);
        if !open.is_empty() {
            let notice = (self.agents.parameters.measurement.notice / MILLISECONDS_APART) as u32;
            self.to_come.push_back((self.chain.best_number() + notice, open));
        }
    }

    /// The challenges whose reports can be handed in with the next block.
    fn due(&mut self) -> Vec<OpenChallenge> {
        let next = self.chain.best_number() + 1;
        let mut due = Vec::new();
        while self.to_come.front().is_some_and(|(from, _)| *from <= next) {
            due.extend(self.to_come.pop_front().unwrap().1);
        }
        due
    }

    /// Goes on for so many epochs, in which `play` says what is handed in of each challenge. It is told how many are measured at the same time.
    fn run(&mut self, epochs: u32, mut play: impl FnMut(&Self, &[OpenChallenge]) -> Vec<RuntimeCall>) {
        for _ in 0..epochs * EPOCH {
            let due = self.due();
            let calls = play(self, &due);
            let calls = calls.into_iter().map(|call| self.chain.general(call));
            let extrinsics = calls.chain(self.chain.wanted_proof()).collect();
            self.block(Alice, MILLISECONDS_APART, extrinsics);
        }
    }

    /// A batch of what the members at all places say.
    fn batch(&self, open: &OpenChallenge, says: impl Fn(u8, &AccountId) -> Option<MemberReport>) -> RuntimeCall {
        let places = (0u8..).zip(&open.committee);
        let reports = places.filter_map(|(place, (account, ..))| {
            says(place, account).map(|report| self.agents.signed(&self.chain, open, place, report))
        });
        self.agents.batch(&self.chain, open, reports.collect())
    }

    fn guaranteed(&self, number: u32) -> u64 {
        at_best(&self.chain, || {
            weir_runtime::status::provider(&provider(number)).map_or(0, |it| it.guaranteed_bits_per_second)
        })
    }

    fn standing(&self, number: u32) -> Standing {
        at_best(&self.chain, || pallet_registry::Challengers::<Runtime>::get(challenger(number)).unwrap().standing)
    }

    fn is_jailed(&self, number: u32) -> bool {
        matches!(self.standing(number), Standing::Jailed { .. })
    }

    /// What an account has, vesting and owed rewards too.
    fn has(&self, account: &AccountId) -> Balance {
        at_best(&self.chain, || {
            <weir_runtime::Balances as Inspect<AccountId>>::total_balance(account) + Token::owed(account)
        })
    }

    fn earned(&self, account: &AccountId) -> Balance {
        self.has(account) - agents::ENDOWMENT
    }

    /// The events of the best block.
    fn events(&self) -> Vec<RuntimeEvent> {
        at_best(&self.chain, || System::read_events_no_consensus().map(|record| record.event).collect())
    }

    /// Whether a node would keep this for a block, or take it in one.
    fn is_taken(&self, call: RuntimeCall) -> bool {
        let extrinsic = self.chain.general(call);
        let source = TransactionSource::External;
        self.chain.client.runtime_api().validate_transaction(self.best, source, extrinsic, self.best).unwrap().is_ok()
    }
}

/// An honest report of a line all of whose members send and take the same part.
fn honest(open: &OpenChallenge, place: u8) -> MemberReport {
    let each = LINE / open.committee.len() as u64;
    agents::report(open, place, agents::prefix(open.challenge.slot), (each, each))
}

/// A fraction of an honest report.
fn part(open: &OpenChallenge, place: u8, percent: u64) -> MemberReport {
    let each = LINE / open.committee.len() as u64 * percent / 100;
    agents::report(open, place, agents::prefix(open.challenge.slot), (each, each))
}

/// What is guaranteed of a line whose committees are honest.
fn full() -> u64 {
    // Of 16 members the 7 largest count nothing, and a window is T_min and the tolerance of clocks.
    LINE * 9 / 16 * 500 / 520
}

fn assert_about(is: u64, expected: u64, percent: u64) {
    let off = is.abs_diff(expected) * 100 / expected.max(1);
    assert!(off <= percent, "{is} is not within {percent} % of {expected}");
}

#[test]
fn the_silent_and_those_who_count_less_than_half_are_jailed_and_nobody_else() {
    const PROVIDERS: u32 = 24;
    let is_silent = |number| number < 12;
    let counts_little = |number| (12..18).contains(&number);
    let mut game = Game::new((0..PROVIDERS).map(line).collect(), all_drawn);
    let mut lowest = u64::MAX;
    for _ in 0..24 {
        game.run(1, |game, due| {
            let of = |open: &OpenChallenge| {
                game.batch(open, |place, account| match agents::number_of(account) {
                    number if is_silent(number) => None,
                    number if counts_little(number) => Some(part(open, place, 30)),
                    _ => Some(honest(open, place)),
                })
            };
            due.iter().map(of).collect()
        });
        lowest = lowest.min(game.guaranteed(0));
        for number in (0..CHALLENGERS).filter(|number| !is_silent(*number) && !counts_little(*number)) {
            assert!(!game.is_jailed(number), "an honest challenger is in jail");
        }
    }
    let free = (0..18).filter(|number| !game.is_jailed(*number)).count();
    assert_eq!(free, 0, "everybody who lies is in jail");
    // 28 % of the committees count little or nothing at first.
    assert!(lowest < full() * 9 / 10, "they had cost something: {lowest}");
    for number in 0..PROVIDERS {
        assert_about(game.guaranteed(number), full(), 3);
    }
    let of = |numbers: std::ops::Range<u32>| {
        let count = u128::from(numbers.end - numbers.start);
        numbers.map(|number| game.earned(&challenger(number))).sum::<Balance>() / count
    };
    let (silent, little, others) = (of(0..12), of(12..18), of(18..CHALLENGERS));
    // A challenge that was void, for want of reports, gives a little to each member.
    assert!((silent + little) * 100 < others, "{silent} and {little} of {others}");
}

#[test]
fn a_member_that_one_prover_leaves_out_for_ever_stays_and_the_prover_proves_no_more_for_it() {
    let mut game = Game::new((0..24).map(line).collect(), all_drawn);
    let victim = challenger(5);
    game.run(14, |game, due| {
        let of = |open: &OpenChallenge| {
            game.batch(open, |place, account| {
                let is_left_out = open.challenge.slot == 0 && *account == victim;
                (!is_left_out).then(|| honest(open, place))
            })
        };
        due.iter().map(of).collect()
    });
    assert!(matches!(game.standing(5), Standing::Active { .. }));
    assert!(game.guaranteed(0) <= game.guaranteed(1));
}

#[test]
fn who_signs_two_reports_of_one_challenge_loses_its_bond_to_anybody_and_who_signs_two_of_two_does_not() {
    let mut game = Game::new((0..4).map(line).collect(), all_drawn);
    game.run(1, |game, due| due.iter().map(|open| game.batch(open, |place, _| Some(honest(open, place)))).collect());
    // The chain stands still for an hour, and then blocks come as fast as they may: two instants are seconds apart.
    let least = game.agents.parameters.consensus.least_block_interval;
    game.block(Alice, 3_600_000, vec![]);
    game.to_come.clear();
    let mut of_one_provider = Vec::<OpenChallenge>::new();
    while of_one_provider.len() < 2 {
        game.block(Alice, least, vec![]);
        let drawn = game.to_come.drain(..).flat_map(|(_, open)| open);
        of_one_provider.extend(drawn.filter(|open| open.challenge.slot == 0));
    }
    let [first, second] = [&of_one_provider[0], &of_one_provider[1]];
    assert_ne!(first.seed, second.seed);
    assert!(second.start - first.start < 10_000, "within seconds of each other");
    // A challenger that sits in both committees.
    let place_in = |open: &OpenChallenge, member: &AccountId| {
        open.committee.iter().position(|(account, ..)| account == member).map(|place| place as u8)
    };
    let (member, identity, _) = first
        .committee
        .iter()
        .find(|(account, ..)| place_in(second, account).is_some())
        .expect("of 64 challengers some sit in both committees of 16");
    let (place, other_place) = (place_in(first, member).unwrap(), place_in(second, member).unwrap());
    let signed = |open: &OpenChallenge, place, percent| {
        let signed = game.agents.signed(&game.chain, open, place, part(open, place, percent));
        (signed.report, signed.signature)
    };
    let show = |one, other| {
        RuntimeCall::Bandwidth(pallet_bandwidth::Call::show_equivocation {
            identity: *identity,
            seed: first.seed,
            provider: first.provider.clone(),
            one,
            other,
        })
    };
    let honest = show(signed(first, place, 100), signed(second, other_place, 90));
    let lying = show(signed(first, place, 100), signed(first, place, 90));
    let member = member.clone();
    let bond = game.agents.parameters.registry.challenger_bond;
    let before = game.has(&member);
    let extrinsic = game.chain.signed_by(Bob, 0, honest);
    game.block(Alice, MILLISECONDS_APART, vec![extrinsic]);
    assert!(game.has(&member) >= before, "two reports of two challenges show nothing");
    let (bob, extrinsic) = (game.has(&Bob.to_account_id()), game.chain.signed_by(Bob, 1, lying));
    game.block(Alice, MILLISECONDS_APART, vec![extrinsic]);
    assert_eq!(before - game.has(&member), bond, "the whole bond");
    let gained = game.has(&Bob.to_account_id()) - bob;
    assert!(gained > bond / 10 * 99 / 100 && gained <= bond / 10, "a tenth of it, less a fee: {gained}");
    assert!(game.events().iter().any(|event| {
        matches!(event, RuntimeEvent::Bandwidth(pallet_bandwidth::Event::Equivocated { identity: it, .. }) if it == identity)
    }));
}

#[test]
fn two_lines_behind_one_identity_prove_less_than_one() {
    let elsewhere = agents::prefix(1_000);
    let mut game = Game::new((0..2).map(line).collect(), all_drawn);
    game.run(4, |game, due| {
        let of = |open: &OpenChallenge| {
            game.batch(open, |place, _| {
                // Nine members share one line, seven another one.
                let (seen, each) = if place < 9 { (agents::prefix(0), LINE / 9) } else { (elsewhere, LINE / 7) };
                match open.challenge.slot {
                    0 => Some(agents::report(open, place, seen, (each, each))),
                    _ => Some(honest(open, place)),
                }
            })
        };
        due.iter().map(of).collect()
    });
    assert_about(game.guaranteed(1), full(), 3);
    assert!(game.guaranteed(0) < full(), "two lines prove {} of the {} that one does", game.guaranteed(0), full());
}

/// What `identities` are guaranteed together that share one line, in lines: those that are measured at the same instant share it equally.
fn lent(prefix_of: fn(u32) -> Prefix, identities: u32) -> f64 {
    const OTHERS: u32 = 40;
    let of = |number| Provider { prefix: prefix_of(number), ..unproven(number) };
    let providers = (0..identities).map(of).chain((0..OTHERS).map(|number| line(2_000 + number))).collect();
    let mut game = Game::new(providers, short_epochs);
    game.run(14, |game, due| {
        let is_lent = |open: &OpenChallenge| open.challenge.slot < identities;
        let sharing = due.iter().filter(|open| is_lent(open)).count() as u64;
        let of = |open: &OpenChallenge| {
            game.batch(open, |place, _| {
                if !is_lent(open) {
                    return Some(honest(open, place));
                }
                let each = LINE / sharing / open.committee.len() as u64;
                let seen = at_best(&game.chain, || {
                    let status = weir_runtime::status::provider(&open.provider).unwrap();
                    status.prefix.unwrap()
                });
                Some(agents::report(open, place, seen, (each, each)))
            })
        };
        due.iter().map(of).collect()
    });
    let together: u64 = (0..identities).map(|number| game.guaranteed(number)).sum();
    together as f64 / full() as f64
}

#[test]
fn ten_identities_behind_one_line_and_one_prefix_are_paid_for_one_line() {
    let lines = lent(|_| agents::prefix(0), 10);
    assert!(lines < 1.1, "{lines}");
}

#[test]
fn ten_identities_behind_one_line_with_a_prefix_each_are_paid_for_no_more_than_the_instants_of_an_epoch() {
    // Two instants: one line is lent to whoever is drawn alone. *lending* of `scripts/simulate committee` prints 2.0 for 96 at K = 2.
    let lines = lent(agents::prefix, 10);
    assert!((1.0..2.2).contains(&lines), "{lines}");
}

#[test]
fn an_author_that_leaves_rivals_batches_out_takes_nothing_from_their_providers_and_less_for_itself() {
    let owners = [Alice, Bob, Charlie];
    let of = |number: u32| Provider {
        mining_author: owners[number as usize % owners.len()].to_account_id(),
        ..line(number)
    };
    let mut game = Game::new((0..24).map(of).collect(), all_drawn);
    let mut waiting = Vec::<OpenChallenge>::new();
    let mut paid = HashMap::<AccountId, Balance>::new();
    for number in 0..6 * EPOCH {
        waiting.extend(game.due());
        // Each is first at every third instant.
        let author = owners[(number + number / 24) as usize % owners.len()];
        let is_left_out = |open: &OpenChallenge| author == Alice && open.challenge.slot as usize % owners.len() == 1;
        let (left, taken): (Vec<_>, Vec<_>) = waiting.drain(..).partition(is_left_out);
        waiting = left;
        let batches = taken.iter().map(|open| game.batch(open, |place, _| Some(honest(open, place))));
        let extrinsics = batches.map(|call| game.chain.general(call)).collect();
        game.block(author, MILLISECONDS_APART, extrinsics);
        for event in game.events() {
            if let RuntimeEvent::Token(pallet_token::Event::Rewarded { account, reason, gross, .. }) = event {
                if reason == pallet_token::Reason::Batch {
                    *paid.entry(account).or_default() += gross;
                }
            }
        }
    }
    for number in 0..24 {
        assert_about(game.guaranteed(number), full(), 3);
    }
    let [alice, bob, charlie] = owners.map(|owner| paid.get(&owner.to_account_id()).copied().unwrap_or(0));
    assert!(alice > 0 && alice < (bob + charlie) / 2, "{alice} of {bob} and {charlie}");
}

#[test]
fn a_declaration_without_a_line_behind_it_raises_the_number_of_instants_by_its_first_step_alone() {
    let instants = |declared| {
        let large = |number: u32| Provider { declared, ..unproven(1_000 + number) };
        let providers = (0..20).map(line).chain((0..20).map(large)).collect();
        let game = Game::new(providers, short_epochs);
        at_best(&game.chain, || pallet_bandwidth::Plans::<Runtime>::get().unwrap().instants)
    };
    // The most that can be declared, and what a first challenge can show at the most.
    assert_eq!(instants(2_000 * MBIT), instants(25 * MBIT));
}

#[test]
fn a_crowd_behind_one_prefix_is_not_measured_all_at_once_and_takes_nothing_from_the_others() {
    const CROWD: u32 = 160;
    let crowd = |number| Provider { prefix: agents::prefix(5_000), ..unproven(number) };
    let others = (0..20).map(|number| line(2_000 + number));
    let mut game = Game::new((0..CROWD).map(crowd).chain(others).collect(), short_epochs);
    let (mut instants, mut in_pieces) = (0, 0);
    game.run(10, |game, due| {
        let drawn = due.iter().filter(|open| open.challenge.slot < CROWD).count();
        instants += u32::from(!due.is_empty());
        in_pieces += u32::from(drawn > 0 && drawn < CROWD as usize);
        // The crowd shows nothing.
        let others = due.iter().filter(|open| open.challenge.slot >= CROWD);
        others
            .map(|open| {
                let seen = agents::prefix(2_000 + open.challenge.slot - CROWD);
                game.batch(open, |place, _| Some(MemberReport { seen, ..honest(open, place) }))
            })
            .collect()
    });
    // Of its seven pieces all or none are drawn at one of 64 instants.
    assert!(instants >= 20 && in_pieces * 4 >= instants * 3, "in pieces at {in_pieces} of {instants} instants");
    for number in 0..20 {
        assert_about(game.guaranteed(CROWD + number), full(), 3);
    }
}

#[test]
fn a_quarter_of_all_challengers_cannot_give_bandwidth_to_a_provider_of_their_own() {
    let is_owned = |account: &AccountId| agents::number_of(account) < CHALLENGERS / 4;
    let mut game =
        Game::new((0..8).map(|number| if number == 0 { unproven(0) } else { line(number) }).collect(), all_drawn);
    let mut most = 0;
    for _ in 0..12 {
        game.run(1, |game, due| {
            let of = |open: &OpenChallenge| {
                game.batch(open, |place, account| match open.challenge.slot {
                    // Nothing is behind it. Its own challengers say that all they were to send came, and the others that nothing did.
                    0 if is_owned(account) => {
                        let all = open.bits_per_second;
                        Some(agents::report(open, place, agents::prefix(0), (all, all)))
                    },
                    0 => Some(agents::report(open, place, agents::prefix(0), (0, 0))),
                    _ => Some(honest(open, place)),
                })
            };
            due.iter().map(of).collect()
        });
        most = most.max(game.guaranteed(0));
    }
    // More than seven of sixteen are needed, in five of eight challenges.
    assert_eq!(most, 0);
}

#[test]
fn forged_replayed_foreign_copied_and_late_reports_enter_no_block() {
    let mut game = Game::new((0..4).map(line).collect(), all_drawn);
    let mut due = Vec::new();
    while due.is_empty() {
        due = game.due();
        if due.is_empty() {
            game.block(Alice, MILLISECONDS_APART, vec![]);
        }
    }
    let [open, other] = [&due[0], &due[1]];
    let honest_batch = |game: &Game| game.batch(open, |place, _| Some(honest(open, place)));
    let RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit { challenge, batch, prover }) = honest_batch(&game)
    else {
        unreachable!("it is a batch")
    };
    let submit = |challenge, batch: &pallet_bandwidth::types::Batch, prover| {
        RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit { challenge, batch: batch.clone(), prover })
    };
    assert!(game.is_taken(submit(challenge, &batch, prover)));
    // One report says more than its member signed.
    let mut forged = batch.clone().into_inner();
    forged[3].report.down_bytes *= 2;
    assert!(!game.is_taken(game.agents.batch(&game.chain, open, forged)), "forged");
    // Of another challenge, with its prover's own signature over it.
    assert!(!game.is_taken(submit(other.challenge, &batch, prover)), "of another challenge");
    assert!(!game.is_taken(game.agents.batch(&game.chain, other, batch.clone().into_inner())), "for another provider");
    // Signed for a chain of another genesis.
    let elsewhere = Game::new((0..3).map(line).collect(), all_drawn);
    assert_ne!(elsewhere.chain.genesis(), game.chain.genesis());
    let foreign = elsewhere.agents.batch(&elsewhere.chain, open, batch.clone().into_inner());
    assert!(!game.is_taken(foreign), "foreign");
    // An idle member says what a colleague has said: the prover committed to nothing of its own.
    let copied = MemberReport { commitment: honest(open, 0).commitment, ..honest(open, 1) };
    let RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit_own { prover: word, .. }) =
        game.agents.own(&game.chain, open, game.agents.signed(&game.chain, open, 0, honest(open, 0)))
    else {
        unreachable!("it is of one member")
    };
    let own = |place: u8, word, member: u8| {
        let signed = game.agents.signed(&game.chain, open, place, copied);
        let (challenge, member) = (open.challenge, open.committee[usize::from(member)].1);
        RuntimeCall::Bandwidth(pallet_bandwidth::Call::submit_own { challenge, member, signed, prover: word })
    };
    assert!(!game.is_taken(own(1, word, 1)) && !game.is_taken(own(1, word, 0)), "copied");
    assert!(game.is_taken(own(0, word, 0)), "who did the work can hand it in");
    // Once it is in a block, it is in no other.
    let extrinsic = game.chain.general(submit(challenge, &batch, prover));
    game.block(Alice, MILLISECONDS_APART, vec![extrinsic]);
    assert!(!game.is_taken(submit(challenge, &batch, prover)), "replayed");
    // After the deadline nothing is.
    let late = game.batch(other, |place, _| Some(honest(other, place)));
    assert!(game.is_taken(late.clone()));
    let blocks = game.agents.parameters.measurement.report_deadline / MILLISECONDS_APART + 1;
    for _ in 0..blocks {
        game.block(Alice, MILLISECONDS_APART, vec![]);
    }
    assert!(!game.is_taken(late), "late");
}

/// That the model of these tests is that of the chain: who is honest among the honest is guaranteed what the estimator says.
#[test]
fn honest_lines_are_guaranteed_what_honest_committees_prove() {
    let mut game = Game::new((0..4).map(unproven).collect(), all_drawn);
    // What can be shown at a time grows with what was shown before.
    game.run(12, |game, due| due.iter().map(|open| game.batch(open, |place, _| Some(honest(open, place)))).collect());
    for number in 0..4 {
        assert_about(game.guaranteed(number), full(), 2);
    }
    let epoch = at_best(&game.chain, || Bandwidth::current().index);
    let everybody = at_best(&game.chain, || Registry::everybody(epoch + 1));
    assert_about(everybody.guaranteed as u64, 4 * full(), 2);
}
