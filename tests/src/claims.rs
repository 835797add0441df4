//! What a network must show, each claim with its figure.

use crate::{
    ensure,
    lies::Lie,
    network::{
        account, Network, NodeProcess, NodeSettings, Place, ProviderSettings, DECLARED_MBIT, PROVIDERS, VALIDATORS,
    },
    observer::{block_at, finalized, height_of, provider, supply, view, Ledger},
    sale::{agent, sell},
    transfer::signed_offline,
    Result,
};
use std::time::{Duration, Instant};
use subxt::{rpcs::rpc_params, utils::H256};
use weir_agent::{audit::History, chain::Node, rate, runtime};
use weir_primitives::{measurement::lottery::groups::Prefix, runtime_api::Supply};

/// The height that all must have finalized.
const FINALIZED_HEIGHT: u64 = 30;
/// What a provider may be above its limit at the most.
const ABOVE_LIMIT: f64 = 1.05;
/// The ratio of the two limits, and how far the measured one may be off.
const RATIO: f64 = 4.0;
const RATIO_OFF: f64 = 0.25;
/// How many results make a full window.
const WINDOW: usize = 3;
/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Prints claims as they are shown, and keeps the time.
pub struct Checker {
    begun: Instant,
    within: Duration,
    shown: u32,
}

impl Checker {
    /// With a time for all claims together.
    pub fn new(within: Duration) -> Self {
        Self { begun: Instant::now(), within, shown: 0 }
    }

    fn show(&mut self, claim: &str, figure: impl std::fmt::Display) {
        self.shown += 1;
        println!("shown  {:>4} s  {claim}: {figure}", self.begun.elapsed().as_secs());
    }

    /// Looks at something until it is there.
    async fn wait<T, F: std::future::Future<Output = Result<Option<T>>>>(
        &self,
        network: &mut Network,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> Result<T> {
        loop {
            // A node that is being started again does not answer for a while.
            let looked = look().await;
            if let Ok(Some(found)) = looked {
                return Ok(found);
            }
            network.is_alive()?;
            if self.begun.elapsed() > self.within {
                let last = looked.err().map(|error| format!(" ({error})")).unwrap_or_default();
                return Err(format!("not shown in {} s: {what}{last}", self.within.as_secs()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Shows all claims, and says how many there were.
    ///
    /// # Errors
    ///
    /// The first claim that does not hold, or is not shown in time.
    pub async fn check_all(mut self, network: &mut Network) -> Result<u32> {
        let mut nodes = Vec::new();
        for node in &mut network.nodes {
            nodes.push(node.connect().await?);
        }
        self.agreement(network, &nodes).await?;
        self.guaranteed_bandwidth(network, &nodes[0]).await?;
        self.credit(network, &nodes[0]).await?;
        self.sale(network, &nodes[0]).await?;
        self.change_lines(network).await?;
        self.transfer(network, &nodes[0]).await?;
        self.rewards(network, &nodes[0]).await?;
        self.power_failure(network, &nodes[0]).await?;
        self.late_node(network, &nodes[0]).await?;
        self.changed_lines(network, &nodes[0]).await?;
        self.traffic(network, &nodes[0]).await?;
        self.books(&nodes[0]).await?;
        network.is_alive()?;
        Ok(self.shown)
    }

    async fn agreement(&mut self, network: &mut Network, nodes: &[Node]) -> Result<()> {
        let height = self
            .wait(network, "every node finalizes height 30", || async {
                let mut lowest = u64::MAX;
                for node in nodes {
                    lowest = lowest.min(height_of(node, finalized(node).await?).await?);
                }
                Ok((lowest >= FINALIZED_HEIGHT).then_some(lowest))
            })
            .await?;
        let hash = block_at(&nodes[0], height).await?;
        for node in &nodes[1..] {
            ensure(block_at(node, height).await? == hash, "the nodes disagree on a finalized block")?;
        }
        self.show("the three nodes agree on a finalized block", format!("height {height}, {hash:?}"));

        let authors: Vec<_> = VALIDATORS.iter().map(|(_, secret)| account(secret)).collect::<Result<_>>()?;
        let counts = self
            .wait(network, "every node authors a block", || async {
                let mut ledger = Ledger::default();
                ledger.update(&nodes[0]).await?;
                let counts: Vec<u64> =
                    authors.iter().map(|author| ledger.authors.get(author).map_or(0, |it| it.blocks)).collect();
                Ok((!counts.contains(&0)).then_some(counts))
            })
            .await?;
        self.show("every node authored at least one finalized block", format!("{counts:?}"));
        Ok(())
    }

    async fn guaranteed_bandwidth(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        // What a window that is not full yet is missing counts as zero.
        let (statuses, ratio) = self
            .wait(
                network,
                "all providers have a full window of results, and the ratio of the first two is within 25 % of 4",
                || async {
                    let mut statuses = Vec::new();
                    for ProviderSettings { name, secret, limits_mbit, .. } in PROVIDERS {
                        let Some(status) = provider(node, secret).await? else { return Ok(None) };
                        is_within(name, status.directions_bits_per_second, limits_mbit)?;
                        statuses.push(status);
                    }
                    let ratio = statuses[1].guaranteed_bits_per_second as f64
                        / statuses[0].guaranteed_bits_per_second.max(1) as f64;
                    let holds = statuses.iter().all(|status| status.results.0.len() == WINDOW)
                        && statuses.iter().all(|status| status.guaranteed_bits_per_second > 0)
                        && (ratio / RATIO - 1.0).abs() <= RATIO_OFF;
                    Ok(holds.then_some((statuses, ratio)))
                },
            )
            .await?;
        for (provider, status) in PROVIDERS.iter().zip(statuses) {
            let (_, last) = status.last.ok_or("there is a guarantee without a challenge")?;
            let (down, up) = status.directions_bits_per_second;
            let (limit_down, limit_up) = provider.limits_mbit;
            ensure(status.guaranteed_bits_per_second == down.min(up), "what is paid for is not the lower direction")?;
            let is_at_home = provider.is_at_home && network.home_seen_at().is_some();
            let place = if is_at_home { ", behind a router that forwards nothing," } else { "" };
            self.show(
                &format!(
                    "{}{place} has guaranteed bandwidth above zero and within its limits of {limit_down} Mbit/s down and {limit_up} up, + 5 %",
                    provider.name
                ),
                format!(
                    "{} down and {} up, raw {} and {}, {} reports",
                    rate::show(down),
                    rate::show(up),
                    rate::show(last.down.raw),
                    rate::show(last.up.raw),
                    last.reports
                ),
            );
        }
        self.show("the ratio of the first two is within 25 % of 4", format!("{ratio:.2}"));
        Ok(())
    }

    /// Has a provider sell something by hand.
    async fn sale(&mut self, network: &Network, node: &Node) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (seller, buyer, other) = (PROVIDERS[1].secret, "//Ferdie", "//Dave");
        let sold = sell(node, &network.nodes[0].url(), folder.path(), seller, buyer, other).await?;
        self.show(
            "a consumer pays for traffic with receipts that anybody hands in, each once, to the last planck",
            sold,
        );
        Ok(())
    }

    /// Shows that the traffic has minted something by now.
    async fn traffic(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        let seller = account(PROVIDERS[1].secret)?;
        let url = network.nodes[0].url();
        let height = height_of(node, node.best().await?).await?;
        let said = agent(&url, &["claim", &seller.to_string(), "--suri", "//Ferdie"])?;
        self.wait(network, "the claim is final", || async {
            Ok((height_of(node, finalized(node).await?).await? > height + 1).then_some(()))
        })
        .await?;
        self.show("what traffic mints is paid when its epoch is over", said);
        Ok(())
    }

    /// Has one provider halve its line, one come back under another address, and one go away.
    async fn change_lines(&mut self, network: &mut Network) -> Result<()> {
        let (halved, moved, leaving) = (1, 0, 2);
        for provider in [halved, moved, leaving] {
            network.stop_provider(provider);
        }
        let (down, up) = PROVIDERS[halved].limits_mbit;
        network.start_provider(halved, (down / 2, up / 2), Place::Here)?;
        network.start_provider(moved, PROVIDERS[moved].limits_mbit, Place::Home)?;
        let said = agent(&network.nodes[0].url(), &["leave", "provider", "--suri", PROVIDERS[leaving].secret])?;
        self.show(&format!("{} leaves", PROVIDERS[leaving].name), said);
        Ok(())
    }

    /// Shows what came of that.
    async fn changed_lines(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        let (halved, moved, leaving) = (PROVIDERS[1], PROVIDERS[0], PROVIDERS[2]);
        let limits = (halved.limits_mbit.0 / 2, halved.limits_mbit.1 / 2);
        let now = self
            .wait(network, &format!("what is guaranteed of {} follows its line", halved.name), || async {
                let status = provider(node, halved.secret).await?.ok_or("it left")?;
                let bits = status.guaranteed_bits_per_second;
                let follows = is_within(halved.name, status.directions_bits_per_second, limits).is_ok();
                Ok((follows && bits > limits.0 * 1_000_000 / 2).then_some(status.directions_bits_per_second))
            })
            .await?;
        self.show(
            &format!(
                "what is guaranteed of {} follows, within its new limits + 5 %, when its line is halved",
                halved.name
            ),
            format!("{} down and {} up", rate::show(now.0), rate::show(now.1)),
        );
        if let Some(address) = network.home_seen_at() {
            let [a, b, c, _] = address.octets();
            let (down, up) = self
                .wait(network, &format!("{} is measured under its new address", moved.name), || async {
                    let status = provider(node, moved.secret).await?.ok_or("it left")?;
                    let is_there = status.prefix == Some(Prefix::V4([a, b, c]));
                    let (down, up) = status.directions_bits_per_second;
                    let is_measured = status.last.is_some_and(|(_, last)| last.down.counted > 0 && last.up.counted > 0);
                    Ok((is_there && is_measured && down.min(up) > 0).then_some((down, up)))
                })
                .await?;
            self.show(
                &format!("{} goes on to be measured when it comes back under another address", moved.name),
                format!("{} down and {} up from {a}.{b}.{c}.0/24", rate::show(down), rate::show(up)),
            );
        }
        let free_at =
            provider(node, leaving.secret).await?.and_then(|status| status.leaving).ok_or("it did not leave")?;
        self.wait(network, &format!("the bond of {} is free", leaving.name), || async {
            Ok((height_of(node, node.best().await?).await? > u64::from(free_at)).then_some(()))
        })
        .await?;
        let said = agent(&network.nodes[0].url(), &["withdraw", "provider", "--suri", leaving.secret])?;
        ensure(
            said.contains(&format!("got {} WEIR back", DECLARED_MBIT + 10)),
            &format!("it got another bond back: {said}"),
        )?;
        ensure(provider(node, leaving.secret).await?.is_none(), "it is a provider still")?;
        self.show(&format!("{} gets its whole bond back", leaving.name), said);
        Ok(())
    }

    /// Works out again from the blocks what was measured and paid, and again with blocks that lie.
    async fn books(&mut self, node: &Node) -> Result<()> {
        let until = u32::try_from(height_of(node, finalized(node).await?).await?)?;
        let history = History::read(node, until).await?;
        let audited = history.audit(node).await?;
        ensure(audited.differences.is_empty(), &format!("the chain and its blocks differ:\n{}", audited.lines()))?;
        let looked = audited.looked;
        ensure(looked.challenges > 0 && looked.credits > 0 && looked.epochs > 0, "there was nothing to audit")?;
        self.show(
            "everything that was measured, emitted, paid and credited follows from the blocks, to the last planck",
            audited.lines(),
        );
        let mut found = Vec::new();
        for lie in Lie::ALL {
            let mut lying = history.clone();
            ensure(lie.tell(&mut lying.blocks), &format!("there is nothing to lie about: {lie:?}"))?;
            let audited = lying.audit(node).await?;
            ensure(!audited.differences.is_empty(), &format!("a lie was not found: {lie:?}"))?;
            found.push(format!("{lie:?}"));
        }
        self.show("an audit finds each of the lies that are told in a copy of the blocks", found.join(", "));
        Ok(())
    }

    async fn credit(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        let (name, secret) = VALIDATORS[PROVIDERS[1].validator];
        let author = account(secret)?;
        // The other nodes finalized it: they accepted it.
        let spent = self
            .wait(network, &format!("{name} spends credit"), || async {
                let mut ledger = Ledger::default();
                ledger.update(node).await?;
                Ok(ledger.authors.get(&author).copied().filter(|it| it.credit > 0.0))
            })
            .await?;
        self.show(
            &format!(
                "{name}, with the larger provider behind it, spends credit on blocks that the other nodes finalize"
            ),
            format!("{:.2} credits by then", spent.credit),
        );
        Ok(())
    }

    async fn transfer(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        let bytes = signed_offline(node, "//Ferdie").await?;
        let hexed = subxt::utils::to_hex(&bytes);
        // From a block that no reorganisation can take back.
        let from = height_of(node, finalized(node).await?).await?;
        let submitted: H256 = node.rpc().request("author_submitExtrinsic", rpc_params![hexed]).await?;
        let (height, events) = self
            .wait(network, "the transfer is finalized", || async {
                let last = height_of(node, finalized(node).await?).await?;
                for height in from..=last {
                    let block = node.legacy().chain_get_block(Some(block_at(node, height).await?)).await?;
                    let found = block.is_some_and(|block| block.block.extrinsics.iter().any(|it| it.0 == bytes));
                    if found {
                        return Ok(Some((height, Money::of(node, height).await?)));
                    }
                }
                Ok(None)
            })
            .await?;
        self.show(
            "a transfer signed offline and submitted through JSON-RPC is finalized",
            format!("{submitted:?} at height {height}"),
        );

        let (before, after) = (supply_at(node, height - 1).await?, supply_at(node, height).await?);
        ensure(events.burned > 0, "no part of the fee was burned")?;
        ensure(after.burned - before.burned == events.burned, "what was burned is not what the fee's split says")?;
        ensure(
            before.existing - events.burned + events.rewarded == after.existing,
            "issuance did not fall by just what was burned before new emission",
        )?;
        ensure(
            events.gross == events.burned + events.to_author + events.to_treasury,
            "a fee is not the sum of its parts",
        )?;
        self.show(
            "a part of its fee is burned, and issuance falls by exactly that before new emission",
            format!(
                "fee {} = burned {} + author {} + treasury {} planck; issuance {} - {} + {} = {}",
                events.gross,
                events.burned,
                events.to_author,
                events.to_treasury,
                before.existing,
                events.burned,
                events.rewarded,
                after.existing
            ),
        );
        Ok(())
    }

    async fn rewards(&mut self, network: &mut Network, node: &Node) -> Result<()> {
        let mut seen = 0;
        let mut all = Money::default();
        loop {
            let last = height_of(node, finalized(node).await?).await?;
            while seen < last {
                seen += 1;
                all.add(&Money::of(node, seen).await?);
            }
            if all.capacity_rewards > 0 && all.duty_rewards > 0 && all.batch_rewards > 0 {
                break;
            }
            self.wait(network, "a provider, a challenger and an author of batches are rewarded", || async {
                Ok((height_of(node, finalized(node).await?).await? > last).then_some(()))
            })
            .await?;
        }
        ensure(all.block_rewards >= seen, "there is a block without a reward")?;
        self.show(
            "each reward of an author, a provider and a challenger splits into a fifth that is liquid and the rest that vests",
            format!(
                "{} rewards of blocks, {} of batches, {} of capacity, {} of duties, {} of traffic: {} planck = {} liquid + {} vesting",
                all.block_rewards,
                all.batch_rewards,
                all.capacity_rewards,
                all.duty_rewards,
                all.traffic_rewards,
                all.rewarded,
                all.liquid,
                all.vesting
            ),
        );
        let supply = supply(node, None).await?;
        ensure(supply.issued <= supply.scheduled && supply.scheduled <= supply.cap, "more was issued than scheduled")?;
        ensure(
            supply.existing == supply.issued - supply.burned,
            "what exists is not what was issued less what was burned",
        )?;
        self.show(
            "issued is at most the schedule, and that at most the cap",
            format!("{} <= {} <= {} planck", supply.issued, supply.scheduled, supply.cap),
        );
        Ok(())
    }

    async fn power_failure(&mut self, network: &mut Network, witness: &Node) -> Result<()> {
        let victim = 1;
        let before = network.nodes[victim].connect().await?;
        let known = height_of(&before, finalized(&before).await?).await?;
        let known_hash = block_at(&before, known).await?;
        let measured = provider(witness, PROVIDERS[1].secret)
            .await?
            .and_then(|status| status.last)
            .map_or(0, |(last, _)| last.epoch);
        network.nodes[victim].kill_and_restart()?;
        let node = network.nodes[victim].connect().await?;
        ensure(block_at(&node, known).await? == known_hash, "a finalized block is gone after the power failure")?;
        let height = self
            .wait(network, "the killed node catches up and mines again", || async {
                let (own, other) = (view(&node).await?, view(witness).await?);
                Ok((own.height + 2 >= other.height && own.authored > 0).then_some(own.height))
            })
            .await?;
        let agreed = self
            .wait(network, "the killed node finalizes again what the others do", || async {
                let own = height_of(&node, finalized(&node).await?).await?;
                Ok((own > known && block_at(&node, own).await? == block_at(witness, own).await?).then_some(own))
            })
            .await?;
        self.show(
            "a node ended with SIGKILL while mining and started again catches up and mines again, its data intact",
            format!("at height {height} after it had finalized {known}; it then finalized {agreed}"),
        );
        let (epoch, reports) = self
            .wait(network, "measurement goes on after the power failure", || async {
                let last = provider(witness, PROVIDERS[1].secret).await?.and_then(|status| status.last);
                Ok(last
                    .filter(|(challenge, last)| challenge.epoch > measured + 1 && last.reports > 0)
                    .map(|(challenge, last)| (challenge.epoch, last.reports)))
            })
            .await?;
        self.show(
            "the agents that followed it went on through another node",
            format!("{reports} reports in epoch {epoch}, after epoch {measured}"),
        );
        Ok(())
    }

    async fn late_node(&mut self, network: &mut Network, witness: &Node) -> Result<()> {
        let boot_node = Some(network.nodes[0].address().await?);
        let mut late = NodeProcess::start(NodeSettings {
            name: "late".into(),
            chain: network.chain.clone(),
            base_path: network.folder.join("late"),
            author: None,
            boot_node,
            state_pruning: Some(256),
            clock_offset_ms: 0,
            more: vec![],
        })?;
        let node = late.connect().await?;
        let target = height_of(witness, finalized(witness).await?).await?;
        let reached = self
            .wait(network, "a late node syncs from genesis", || async {
                let own = height_of(&node, finalized(&node).await?).await?;
                Ok((own >= target).then_some(own))
            })
            .await?;
        let own = block_at(&node, target).await?;
        ensure(own == block_at(witness, target).await?, "the late node is on another chain")?;
        self.show(
            "a fourth node that joins late syncs from genesis and agrees",
            format!("finalized {reached}, {own:?} at {target}"),
        );
        Ok(())
    }
}

/// Whether what is guaranteed is within limits.
fn is_within(name: &str, guaranteed: (u64, u64), limits_mbit: (u64, u64)) -> Result<()> {
    for (bits, limit) in [(guaranteed.0, limits_mbit.0), (guaranteed.1, limits_mbit.1)] {
        ensure(
            bits as f64 <= limit as f64 * 1e6 * ABOVE_LIMIT,
            &format!("{name} has {} guaranteed, above its limit of {limit} Mbit/s", rate::show(bits)),
        )?;
    }
    Ok(())
}

async fn supply_at(node: &Node, height: u64) -> Result<Supply> {
    supply(node, Some(block_at(node, height).await?)).await
}

/// What happened to tokens in blocks, by their events.
#[derive(Clone, Copy, Debug, Default)]
struct Money {
    gross: u128,
    burned: u128,
    to_author: u128,
    to_treasury: u128,
    rewarded: u128,
    liquid: u128,
    vesting: u128,
    block_rewards: u64,
    capacity_rewards: u64,
    duty_rewards: u64,
    batch_rewards: u64,
    traffic_rewards: u64,
}

impl Money {
    async fn of(node: &Node, height: u64) -> Result<Self> {
        let at = node.at(block_at(node, height).await?).await?;
        let mut money = Self::default();
        for event in at.events().fetch().await?.iter() {
            let event = event?;
            if let Some(split) = event.decode_fields_as::<runtime::token::events::FeesSplit>() {
                let split = split?;
                money.gross += split.gross + split.tips;
                money.burned += split.burned;
                money.to_author += split.author;
                money.to_treasury += split.treasury;
            }
            if let Some(reward) = event.decode_fields_as::<runtime::token::events::Rewarded>() {
                let reward = reward?;
                ensure(reward.liquid == reward.gross / 5, "a reward's liquid part is not a fifth")?;
                ensure(reward.liquid + reward.vesting == reward.gross, "a reward is not the sum of its parts")?;
                money.rewarded += reward.gross;
                money.liquid += reward.liquid;
                money.vesting += reward.vesting;
                match reward.reason {
                    runtime::runtime_types::pallet_token::Reason::Block => money.block_rewards += 1,
                    runtime::runtime_types::pallet_token::Reason::Capacity => money.capacity_rewards += 1,
                    runtime::runtime_types::pallet_token::Reason::Duties => money.duty_rewards += 1,
                    runtime::runtime_types::pallet_token::Reason::Batch => money.batch_rewards += 1,
                    runtime::runtime_types::pallet_token::Reason::Traffic => money.traffic_rewards += 1,
                }
            }
        }
        Ok(money)
    }

    fn add(&mut self, other: &Self) {
        self.gross += other.gross;
        self.burned += other.burned;
        self.to_author += other.to_author;
        self.to_treasury += other.to_treasury;
        self.rewarded += other.rewarded;
        self.liquid += other.liquid;
        self.vesting += other.vesting;
        self.block_rewards += other.block_rewards;
        self.capacity_rewards += other.capacity_rewards;
        self.duty_rewards += other.duty_rewards;
        self.batch_rewards += other.batch_rewards;
        self.traffic_rewards += other.traffic_rewards;
    }
}
