//! What is seen of the nodes over a time.

use crate::{
    lab::{now, resident_mib, Lab},
    log_lines::LogLines,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use subxt::utils::H256;
use tokio::task::JoinHandle;
use weir_agent::chain::Node;
use weir_e2e::{
    observer::{block_at, claims, hash_of, view, NodeView},
    Result,
};

/// How often the attacked node is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the nodes have for the last blocks after the end.
const SETTLE: Duration = Duration::from_secs(2);

/// What was seen.
pub struct Observation {
    /// For how long.
    pub seconds: f64,
    /// How long after the honest miner the attacked one had each block of the honest one that is on its best chain, in seconds.
    pub arrivals: Vec<f64>,
    /// How long after the first node the one behind the attacked had each block of the best chain, in seconds.
    pub relayed: Vec<f64>,
    /// How many blocks of the best chain the attacked miner made.
    pub own_blocks: usize,
    /// The longest time without one, in seconds, by the dates of its blocks.
    pub longest_gap: f64,
    /// The least hash rate of the attacked miner, as a part of the honest one's at the same time.
    pub least_hash_rate: f64,
    /// The part of the looks at which the attacked node said that it is in major sync.
    pub syncing: f64,
    /// The most blocks of the attacked node's best chain that were not final.
    pub most_not_final: u64,
    /// How much more memory the attacked node had at the most than at the beginning, in MiB.
    pub memory_growth: f64,
    /// The lines of the attacked node's log.
    pub log: LogLines,
}

/// When a node imported each block.
type Imports = Arc<Mutex<HashMap<H256, Instant>>>;

/// What is looked at again and again.
#[derive(Default)]
struct Looks {
    count: usize,
    syncing: usize,
    least_hash_rate: Option<f64>,
    most_not_final: u64,
    most_memory: f64,
}

/// Watches the nodes.
pub struct Watch {
    begun: Instant,
    begun_unix_ms: u64,
    first_height: u64,
    log_bytes: usize,
    memory: f64,
    /// Of the honest miner, the attacked one, and the one behind it.
    imports: [Imports; 3],
    looks: Arc<Mutex<Looks>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch.
    pub async fn start(lab: &Lab) -> Result<Self> {
        let nodes = [&lab.honest, &lab.attacked, &lab.relay];
        let imports: [Imports; 3] = Default::default();
        let mut tasks = Vec::new();
        for (node, imports) in nodes.into_iter().zip(&imports) {
            let (mut heads, imports) = (node.legacy().chain_subscribe_all_heads().await?, imports.clone());
            tasks.push(tokio::spawn(async move {
                while let Some(Ok(header)) = heads.next().await {
                    let hash = hash_of(&header);
                    lock(&imports).entry(hash).or_insert_with(Instant::now);
                }
            }));
        }
        let looks = Arc::new(Mutex::new(Looks::default()));
        tasks.push(tokio::spawn(look(lab.attacked.clone(), lab.honest.clone(), lab.attacked_id(), looks.clone())));
        Ok(Self {
            begun: Instant::now(),
            begun_unix_ms: now(),
            first_height: view(&lab.attacked).await?.height + 1,
            log_bytes: lab.log()?.len(),
            memory: resident_mib(lab.attacked_id())?,
            imports,
            looks,
            tasks,
        })
    }

    /// Sums up what was seen.
    pub async fn finish(self, lab: &Lab) -> Result<Observation> {
        let ended_unix_ms = now();
        let seconds = self.begun.elapsed().as_secs_f64();
        let last_memory = resident_mib(lab.attacked_id())?;
        let last_height = view(&lab.attacked).await?.height;
        let log = lab.log()?.get(self.log_bytes..).map_or_else(String::new, Into::into);
        tokio::time::sleep(SETTLE).await;
        for task in &self.tasks {
            task.abort();
        }
        let looks = std::mem::take(&mut *lock(&self.looks));

        let [of_honest, of_attacked, of_relay] = self.imports.each_ref().map(|imports| lock(imports).clone());
        let until_now = Instant::now();
        let after = |first: Instant, imports: &HashMap<H256, Instant>, hash: &H256| {
            imports.get(hash).unwrap_or(&until_now).saturating_duration_since(first).as_secs_f64()
        };
        let (mut arrivals, mut relayed, mut own_dates) = (Vec::new(), Vec::new(), Vec::new());
        for height in self.first_height..=last_height {
            let hash = block_at(&lab.attacked, height).await?;
            let claims = claims(&lab.attacked, hash).await?;
            let first =
                [&of_honest, &of_attacked, &of_relay].into_iter().filter_map(|imports| imports.get(&hash)).min();
            let first = *first.unwrap_or(&self.begun);
            if claims.author == lab.author {
                own_dates.push(claims.timestamp);
            } else {
                arrivals.push(after(first, &of_attacked, &hash));
            }
            relayed.push(after(first, &of_relay, &hash));
        }

        let own_blocks = own_dates.len();
        let ends: Vec<u64> = [self.begun_unix_ms].into_iter().chain(own_dates).chain([ended_unix_ms]).collect();
        let longest = ends.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(0);
        Ok(Observation {
            seconds,
            arrivals,
            relayed,
            own_blocks,
            longest_gap: longest as f64 / 1e3,
            least_hash_rate: looks.least_hash_rate.unwrap_or(0.0),
            syncing: looks.syncing as f64 / looks.count.max(1) as f64,
            most_not_final: looks.most_not_final,
            memory_growth: looks.most_memory.max(last_memory) - self.memory,
            log: LogLines::of(&log, seconds),
        })
    }
}

/// Looks at the attacked node, and beside it at the honest one, again and again.
async fn look(attacked: Node, honest: Node, process: u32, looks: Arc<Mutex<Looks>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (Ok(health), Ok(seen), Ok(beside)) =
            (attacked.legacy().system_health().await, view(&attacked).await, view(&honest).await)
        else {
            continue;
        };
        let memory = resident_mib(process).unwrap_or(0.0);
        lock(&looks).add(health.is_syncing, &seen, &beside, memory);
    }
}

impl Looks {
    fn add(&mut self, is_syncing: bool, attacked: &NodeView, honest: &NodeView, memory: f64) {
        self.count += 1;
        self.most_memory = self.most_memory.max(memory);
        self.syncing += usize::from(is_syncing);
        let rate = attacked.hashes_per_second / honest.hashes_per_second;
        if rate.is_finite() {
            self.least_hash_rate = Some(self.least_hash_rate.map_or(rate, |least| least.min(rate)));
        }
        self.most_not_final = self.most_not_final.max(attacked.height.saturating_sub(attacked.finalized));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
