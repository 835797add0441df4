//! The miner: threads that search, and the nodes that they search for.

use crate::{
    choice,
    node::{follow, submit, Event},
    protocol::{Answer, Work},
};
use jsonrpsee::ws_client::WsClient;
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use weir_pow::{
    searchers::{Found, Job, Searchers},
    Search,
};

/// What a miner is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The WebSocket addresses of the nodes.
    pub nodes: Vec<String>,
    /// How many threads search.
    pub threads: usize,
    /// For which part of the time they do, in percent: 1 to 100.
    pub intensity_percent: u8,
    /// How often it says what it does.
    pub report_every: Duration,
}

/// What a miner has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How long it has run.
    pub seconds: f64,
    /// How many nonces it searched.
    pub hashes: u64,
    /// How many of them in each second since the last report.
    pub hashes_per_second: f64,
    /// How many blocks were imported by their nodes.
    pub accepted: u64,
    /// How many came when there was another best block already.
    pub stale: u64,
    /// How many nodes did not take, or did not answer, or had a nonce for before.
    pub refused: u64,
    /// How many nodes are connected.
    pub nodes: usize,
    /// How many times the connection to a node was lost.
    pub lost_connections: u64,
}

/// A node, as it is now.
#[derive(Default)]
struct Known {
    client: Option<Arc<WsClient>>,
    work: Option<Work>,
    is_complained_of: bool,
}

/// How many jobs are remembered, so that a nonce which was found as its job was replaced is still handed in.
const REMEMBERED_JOBS: usize = 8;

/// How many nonces may be on their way at once: where a target is very easy, what is found until a node says that it has enough is of no use.
const MOST_ON_THEIR_WAY: usize = 16;

struct Miner {
    searchers: Arc<Searchers>,
    urls: Vec<String>,
    nodes: Vec<Known>,
    /// What the last jobs were, the newest last: id, node and work.
    jobs: Vec<(u64, usize, Work)>,
    /// Whose work is searched, and which.
    searching: Option<(usize, Work)>,
    on_their_way: usize,
    next_id: u64,
    report: Report,
}

/// Ends the threads however the miner ends.
struct StopOnDrop(Arc<Searchers>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Mines until it is dropped, and reports meanwhile.
///
/// # Errors
///
/// When the threads cannot be started.
pub async fn run(settings: Settings, mut told: impl FnMut(&Report)) -> Result<(), String> {
    let (events_sender, mut events) = mpsc::channel(64);
    for (place, url) in settings.nodes.iter().enumerate() {
        tokio::spawn(follow(place, url.clone(), events_sender.clone()));
    }
    let (found_sender, mut found) = mpsc::unbounded_channel();
    let searchers = Arc::<Searchers>::default();
    let _stop = StopOnDrop(searchers.clone());
    let tell = move |found| {
        let _ = found_sender.send(found);
    };
    searchers
        .start(settings.threads, settings.intensity_percent, rand::random(), tell)
        .map_err(|error| format!("no more threads can be started: {error}"))?;
    let (answers_sender, mut answers) = mpsc::unbounded_channel();

    let nodes = settings.nodes.iter().map(|_| Known::default()).collect();
    let mut miner = Miner {
        searchers,
        urls: settings.nodes,
        nodes,
        jobs: Vec::new(),
        searching: None,
        on_their_way: 0,
        next_id: 1,
        report: Report::default(),
    };
    let begun = Instant::now();
    let mut last = (begun, 0);
    let mut report = tokio::time::interval(settings.report_every);
    report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    report.tick().await;
    loop {
        tokio::select! {
            Some((place, event)) = events.recv() => miner.heard(place, event),
            Some(Found { job, nonce }) = found.recv() => {
                let Some((client, work, place)) = miner.found(job) else { continue };
                let answers = answers_sender.clone();
                tokio::spawn(async move {
                    let _ = answers.send((place, work, submit(&client, &work, nonce).await));
                });
            },
            Some((place, work, answer)) = answers.recv() => miner.answered(place, &work, answer),
            _ = report.tick() => {
                let hashes = miner.searchers.hashes();
                let (since, before) = last;
                miner.report = Report {
                    seconds: begun.elapsed().as_secs_f64(),
                    hashes,
                    hashes_per_second: hashes.saturating_sub(before) as f64 / since.elapsed().as_secs_f64(),
                    nodes: miner.nodes.iter().filter(|node| node.client.is_some()).count(),
                    ..miner.report
                };
                last = (Instant::now(), hashes);
                told(&miner.report);
            },
        }
    }
}

impl Miner {
    fn heard(&mut self, place: usize, event: Event) {
        let (url, node) = (&self.urls[place], &mut self.nodes[place]);
        match event {
            Event::Connected(client) => {
                log::info!("{url} gives work");
                *node = Known { client: Some(client), ..Known::default() };
            },
            Event::Work(work) => node.work = work,
            Event::Gone(why) => {
                // Once, and not at each try.
                if !node.is_complained_of {
                    log::warn!("{url} gives no work ({why}); it is tried again");
                }
                self.report.lost_connections += u64::from(node.client.is_some());
                *node = Known { is_complained_of: true, ..Known::default() };
            },
        }
        self.choose();
    }

    /// Has the threads search what is worth most, and nothing where there is nothing.
    fn choose(&mut self) {
        let works: Vec<_> = self.nodes.iter().map(|node| node.work).collect();
        let chosen = choice::best(&works).and_then(|place| works[place].map(|work| (place, work)));
        if self.searching == chosen {
            return;
        }
        self.searching = chosen;
        let Some((place, work)) = chosen else { return self.searchers.post(None) };
        let id = self.next_id;
        self.next_id += 1;
        self.jobs.push((id, place, work));
        if self.jobs.len() > REMEMBERED_JOBS {
            self.jobs.remove(0);
        }
        self.searchers.post(Some(Job { id, search: Search::new(work.preimage.0, work.target.0) }));
    }

    /// Whom to hand a nonce to. The search goes on until the node says otherwise: a node does so at once, and a pool wants more than one.
    fn found(&mut self, job: u64) -> Option<(Arc<WsClient>, Work, usize)> {
        if self.on_their_way >= MOST_ON_THEIR_WAY {
            return None;
        }
        let (_, place, work) = *self.jobs.iter().find(|(id, ..)| *id == job)?;
        let client = self.nodes[place].client.clone();
        if client.is_none() {
            log::warn!("a nonce was found for {}, which is gone", self.urls[place]);
            self.report.refused += 1;
        }
        self.on_their_way += usize::from(client.is_some());
        client.map(|client| (client, work, place))
    }

    fn answered(&mut self, place: usize, work: &Work, answer: Result<Answer, String>) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
        // Nobody needs more of what is not needed.
        let is_over = !matches!(answer, Ok(Answer::Accepted { .. } | Answer::AboveTarget));
        if is_over && self.nodes[place].work == Some(*work) {
            self.nodes[place].work = None;
            self.choose();
        }
        let (url, height) = (&self.urls[place], work.height);
        match answer {
            Ok(Answer::Accepted { block, is_best }) => {
                self.report.accepted += 1;
                let beside = if is_best { "" } else { ", which is not the best one" };
                log::info!("{url} imported block {height}, 0x{}{beside}", hex::encode(block.0));
            },
            Ok(Answer::Stale) => {
                self.report.stale += 1;
                log::info!("the nonce for block {height} of {url} came too late");
            },
            Ok(Answer::Duplicate) => self.report.refused += 1,
            other => {
                self.report.refused += 1;
                log::warn!("{url} did not take the nonce for block {height}: {other:?}");
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Hex32, VERSION};

    fn miner(nodes: usize) -> Miner {
        Miner {
            searchers: Arc::default(),
            urls: vec![String::new(); nodes],
            nodes: (0..nodes).map(|_| Known::default()).collect(),
            jobs: Vec::new(),
            searching: None,
            on_their_way: 0,
            next_id: 1,
            report: Report::default(),
        }
    }

    fn work(number: u8, height: u32) -> Work {
        let (preimage, parent) = (Hex32([number; 32]), Hex32([0; 32]));
        Work { version: VERSION, preimage, target: Hex32([1; 32]), height, parent }
    }

    #[test]
    fn a_work_is_searched_until_its_node_says_otherwise() {
        let mut miner = miner(1);
        miner.heard(0, Event::Work(Some(work(1, 5))));
        assert_eq!(miner.searching, Some((0, work(1, 5))));
        // A pool takes one nonce after the other.
        miner.found(1);
        let accepted = Answer::Accepted { block: Hex32([9; 32]), is_best: true };
        miner.answered(0, &work(1, 5), Ok(accepted));
        assert_eq!(miner.searching, Some((0, work(1, 5))));
        miner.answered(0, &work(1, 5), Ok(Answer::Duplicate));
        assert_eq!(miner.searching, None);
        miner.heard(0, Event::Work(None));
        // The same once more, after a reconnection.
        miner.heard(0, Event::Work(Some(work(1, 5))));
        assert_eq!(miner.searching, Some((0, work(1, 5))));
        assert_eq!(miner.jobs.len(), 2);
    }

    #[test]
    fn what_is_left_is_searched_when_the_better_work_is_gone() {
        let mut miner = miner(2);
        miner.heard(1, Event::Work(Some(work(2, 5))));
        miner.heard(0, Event::Work(Some(work(1, 6))));
        assert_eq!(miner.searching, Some((0, work(1, 6))));
        miner.answered(0, &work(1, 6), Ok(Answer::Stale));
        assert_eq!(miner.searching, Some((1, work(2, 5))));
        miner.heard(0, Event::Work(Some(work(3, 6))));
        miner.heard(0, Event::Gone("gone".into()));
        assert_eq!(miner.searching, Some((1, work(2, 5))));
        miner.heard(1, Event::Gone("gone".into()));
        assert_eq!(miner.searching, None);
    }

    #[test]
    fn an_answer_about_older_work_leaves_the_newer_one() {
        let mut miner = miner(1);
        miner.heard(0, Event::Work(Some(work(1, 5))));
        miner.heard(0, Event::Work(Some(work(2, 5))));
        miner.answered(0, &work(1, 5), Ok(Answer::Stale));
        assert_eq!(miner.searching, Some((0, work(2, 5))));
        // A nonce of the older one is still handed in where the node is there; here it is not.
        assert!(miner.found(1).is_none());
        assert_eq!(miner.report.refused, 1);
    }
}
