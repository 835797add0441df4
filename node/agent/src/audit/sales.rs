//! The books of what was sold: what each payment was split into, and what its traffic mints.
//!
//! As in [`super::books`], nothing here is the pallets' code: every provider's claims are kept by epoch, and looked at whenever they may be due.

use super::books::part;
use sp_core::U256;
use std::collections::BTreeMap;
use weir_primitives::{market::ChannelId, AccountId, Balance, BlockNumber, EpochIndex};

const BYTES_PER_GIB: u128 = 1 << 30;
/// A dispute window is this part of the unbonding time, and at least so many blocks.
const DISPUTES_PER_UNBONDING: BlockNumber = 14;
const LEAST_DISPUTE_BLOCKS: BlockNumber = 20;

/// A channel that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "it is an event of the market")]
pub struct Opened {
    pub channel: ChannelId,
    pub provider: AccountId,
    pub per_gib: Balance,
    pub promised: u64,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "it is an event of the market")]
pub struct Settled {
    pub channel: ChannelId,
    pub provider: AccountId,
    pub bytes: u64,
    pub gross: Balance,
    pub refunded: Balance,
    pub burned: Balance,
    pub fee: Balance,
    pub net: Balance,
}

/// When and by what a payment is judged.
pub struct Moment {
    /// The epoch.
    pub epoch: EpochIndex,
    /// The block.
    pub number: BlockNumber,
    /// What is guaranteed of the provider, in bits per second.
    pub guaranteed: u64,
    /// The unbonding time, in blocks.
    pub unbonding: BlockNumber,
    /// How long the epoch is, in milliseconds.
    pub epoch_ms: u64,
}

struct Channel {
    opened: Opened,
    judged_by: u64,
    /// The block that saw less first, and the most that was seen since.
    less: Option<(BlockNumber, u64)>,
}

#[derive(Default)]
struct Claims {
    budget: Balance,
    sum: Balance,
}

impl Claims {
    fn worth(&self) -> Balance {
        self.sum.min(self.budget)
    }
}

#[derive(Default)]
struct Sold {
    epoch: EpochIndex,
    bytes: u128,
    claims: BTreeMap<EpochIndex, Balance>,
}

/// What is open, what is claimed, and by whom.
#[derive(Default)]
pub struct Sales {
    channels: BTreeMap<ChannelId, Channel>,
    budget: Balance,
    claims: BTreeMap<EpochIndex, Claims>,
    sold: BTreeMap<AccountId, Sold>,
}

impl Sales {
    /// Begins an epoch of such an emission.
    pub fn begin_epoch(&mut self, emission: Balance) {
        self.budget = part(emission, 200_000_000);
    }

    /// Notes a channel.
    pub fn open(&mut self, opened: &Opened) {
        let channel = Channel { opened: opened.clone(), judged_by: opened.promised, less: None };
        self.channels.insert(opened.channel, channel);
    }

    /// Forgets a channel.
    pub fn close(&mut self, channel: ChannelId) {
        self.channels.remove(&channel);
    }

    /// Whether what a provider claimed may be due with a payment in an epoch.
    pub fn is_new_in(&self, provider: &AccountId, epoch: EpochIndex) -> bool {
        self.sold.get(provider).is_some_and(|sold| sold.epoch != epoch)
    }

    /// What a provider is owed for the epochs before one.
    pub fn owed(&self, provider: &AccountId, epoch: EpochIndex) -> Balance {
        let worth = |(of, claim): (&EpochIndex, &Balance)| {
            let claims = self.claims.get(of)?;
            let scaled = || (U256::from(*claim) * U256::from(claims.budget) / U256::from(claims.sum)).low_u128();
            Some(if claims.sum <= claims.budget { *claim } else { scaled() })
        };
        let before = self.sold.get(provider).into_iter().flat_map(|sold| sold.claims.range(..epoch));
        before.filter_map(worth).sum()
    }

    /// Notes that this was paid.
    pub fn paid(&mut self, provider: &AccountId, epoch: EpochIndex) {
        if let Some(sold) = self.sold.get_mut(provider) {
            sold.claims.retain(|of, _| *of >= epoch);
        }
    }

    /// Takes a payment. Gives what it adds to all that is promised, and what is wrong with it.
    pub fn settle(&mut self, settled: &Settled, at: &Moment) -> (Balance, Vec<String>) {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, chain: Balance, own: Balance| {
            if chain != own {
                wrong.push(format!(
                    "{what} of channel {}: the chain has {chain}, and it should be {own}",
                    settled.channel
                ));
            }
        };
        let Some(channel) = self.channels.get_mut(&settled.channel) else {
            return (0, vec![format!("channel {} is paid from, and is not open", settled.channel)]);
        };
        let window = (at.unbonding / DISPUTES_PER_UNBONDING).max(LEAST_DISPUTE_BLOCKS);
        let promised = channel.opened.promised;
        let now = at.guaranteed.min(promised);
        let (since, best) = channel.less.unwrap_or((at.number, 0));
        let best = best.max(now);
        (channel.judged_by, channel.less) = match now < channel.judged_by {
            false => (now, None),
            true if at.number - since <= window => (channel.judged_by, Some((since, best))),
            true => (best, Some((at.number, now)).filter(|_| now < best)),
        };
        let paid = match channel.judged_by < promised {
            true => (U256::from(settled.gross) * U256::from(channel.judged_by) / U256::from(promised)).low_u128(),
            false => settled.gross,
        };
        expect("what went back to the consumer", settled.refunded, settled.gross - paid);
        let (tenth, hundredth) = (paid.div_ceil(10), paid.div_ceil(100).min(paid - paid.div_ceil(10)));
        // A treasury that is not there cannot take anything.
        let is_burned = settled.fee == 0;
        expect("what was burned", settled.burned, tenth + if is_burned { hundredth } else { 0 });
        expect("the fee", settled.fee, if is_burned { 0 } else { hundredth });
        expect("what the provider got", settled.net, paid - tenth - hundredth);
        let bytes = U256::from(paid) * U256::from(BYTES_PER_GIB) / U256::from(channel.opened.per_gib.max(1));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        expect("the bytes", settled.bytes.into(), bytes.into());
        if settled.provider != channel.opened.provider {
            wrong.push(format!("channel {} pays {}, who is not its provider", settled.channel, settled.provider));
        }

        let sold = self.sold.entry(settled.provider.clone()).or_default();
        if sold.epoch != at.epoch {
            (sold.epoch, sold.bytes) = (at.epoch, 0);
        }
        let carries = at.guaranteed.max(channel.judged_by);
        let room = (u128::from(carries) * u128::from(at.epoch_ms) / 8_000).saturating_sub(sold.bytes);
        let counts = u128::from(bytes).min(room);
        sold.bytes += counts;
        let claim = match bytes {
            0 => 0,
            bytes => (U256::from(tenth * 9 / 10) * U256::from(counts) / U256::from(bytes)).low_u128(),
        };
        if claim == 0 {
            return (0, wrong);
        }
        *sold.claims.entry(at.epoch).or_default() += claim;
        let budget = self.budget;
        let claims = self.claims.entry(at.epoch).or_insert_with(|| Claims { budget, sum: 0 });
        let before = claims.worth();
        claims.sum += claim;
        (claims.worth() - before, wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIR: Balance = weir_primitives::PLANCK_PER_WEIR;

    fn provider() -> AccountId {
        AccountId::new([1; 32])
    }

    fn sales() -> Sales {
        let mut sales = Sales::default();
        sales.begin_epoch(1_000 * WEIR);
        let opened = Opened { channel: 3, provider: provider(), per_gib: WEIR, promised: 100 };
        sales.open(&opened);
        sales
    }

    fn at(epoch: EpochIndex) -> Moment {
        Moment { epoch, number: epoch * 10, guaranteed: 1_000_000_000, unbonding: 20, epoch_ms: 20_000 }
    }

    /// Ten WEIR for as many GiB, of which 2.5 GB fit into the epoch.
    fn payment() -> Settled {
        Settled {
            channel: 3,
            provider: provider(),
            bytes: 10 << 30,
            gross: 10 * WEIR,
            refunded: 0,
            burned: WEIR,
            fee: WEIR / 10,
            net: 10 * WEIR - WEIR - WEIR / 10,
        }
    }

    #[test]
    fn a_payment_as_the_rules_have_it_claims_what_its_bytes_fit_for() {
        let mut sales = sales();
        let (promised, wrong) = sales.settle(&payment(), &at(1));
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(promised, WEIR * 9 / 10 * 2_500_000_000 / (10 << 30));
        assert_eq!((sales.owed(&provider(), 1), sales.owed(&provider(), 2)), (0, promised));
        // In the same epoch nothing more fits.
        assert_eq!(sales.settle(&payment(), &at(1)).0, 0);
        sales.paid(&provider(), 2);
        assert_eq!(sales.owed(&provider(), 9), 0);
    }

    #[test]
    fn every_part_of_a_payment_that_is_off_by_a_planck_is_found() {
        let changes: [fn(&mut Settled); 6] = [
            |it| it.refunded += 1,
            |it| it.burned -= 1,
            |it| it.fee += 1,
            |it| it.net += 1,
            |it| it.bytes += 1,
            |it| it.provider = AccountId::new([2; 32]),
        ];
        for change in changes {
            let mut settled = payment();
            change(&mut settled);
            assert_eq!(sales().settle(&settled, &at(1)).1.len(), 1, "{settled:?}");
        }
        assert_eq!(sales().settle(&Settled { channel: 4, ..payment() }, &at(1)).1.len(), 1);
    }

    #[test]
    fn claims_beyond_the_budget_are_scaled_down_together() {
        let mut sales = sales();
        sales.begin_epoch(WEIR);
        let fits = Moment { epoch_ms: u64::MAX >> 10, ..at(1) };
        let promised: Balance = (0..10).map(|_| sales.settle(&payment(), &fits).0).sum();
        assert_eq!(promised, WEIR / 5);
        assert_eq!(sales.owed(&provider(), 2), WEIR / 5);
    }
}
