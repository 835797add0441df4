//! Lies about what happened in blocks, each of which an audit must find.

use weir_agent::audit::books::{Block, Event, Reason, Reward};

/// A lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A member counted more.
    LargerReport,
    /// A member that reported did not.
    NoReport,
    /// A challenge showed more.
    BetterOutcome,
    /// More is guaranteed.
    HigherGuarantee,
    /// A challenge was not evaluated.
    NoChallenge,
    /// A provider got a planck more.
    MoreCapacity,
    /// A challenger got a planck less.
    LessDuties,
    /// An author got a planck more for a block.
    MoreForBlock,
    /// Somebody else was paid for a batch.
    StolenBatch,
    /// An epoch may issue a planck more.
    LargerBudget,
    /// There is more bandwidth behind authors.
    LargerSnapshot,
    /// An author spent credit that it did not have.
    UnearnedCredit,
    /// A block was rewarded twice.
    TwoBlockRewards,
    /// A reward went to somebody else.
    OtherPayee,
    /// An epoch is longer than epochs are.
    LongerEpoch,
    /// A challenger is a senior from the start.
    SeniorAtOnce,
    /// A provider got a planck more for traffic.
    MoreForTraffic,
    /// A planck of a payment was not burned, and the provider got it.
    LessBurned,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::LargerReport,
        Self::NoReport,
        Self::BetterOutcome,
        Self::HigherGuarantee,
        Self::NoChallenge,
        Self::MoreCapacity,
        Self::LessDuties,
        Self::MoreForBlock,
        Self::StolenBatch,
        Self::LargerBudget,
        Self::LargerSnapshot,
        Self::UnearnedCredit,
        Self::TwoBlockRewards,
        Self::OtherPayee,
        Self::LongerEpoch,
        Self::SeniorAtOnce,
        Self::MoreForTraffic,
        Self::LessBurned,
    ];

    /// Tells the lie about the first thing that it can be told of, and says whether there was one.
    pub fn tell(self, blocks: &mut [Block]) -> bool {
        let author = blocks.first().map(|block| block.author.clone());
        for block in blocks {
            if self == Self::UnearnedCredit {
                block.credit = 1_000_000_000;
                return true;
            }
            let told = block.events.iter_mut().position(|(_, event)| self.tell_of(event, author.as_ref()));
            let Some(index) = told else { continue };
            if self == Self::TwoBlockRewards {
                let twice = block.events[index].clone();
                block.events.insert(index, twice);
            }
            if matches!(self, Self::NoReport | Self::NoChallenge) {
                block.events.remove(index);
            }
            return true;
        }
        false
    }

    fn tell_of(self, event: &mut Event, other: Option<&weir_primitives::AccountId>) -> bool {
        match (self, event) {
            (Self::LargerReport, Event::Reported { report, .. }) => report.down_bytes += 10_000,
            (Self::NoReport, Event::Reported { .. }) => (),
            (Self::BetterOutcome, Event::Measured { outcome, .. }) => outcome.up.counted += 1,
            (Self::HigherGuarantee, Event::Measured { is, .. }) => *is += 1,
            (Self::NoChallenge, Event::Measured { .. }) => (),
            (Self::MoreCapacity, Event::Rewarded(reward)) if reward.reason == Reason::Capacity => change(reward, 1),
            (Self::LessDuties, Event::Rewarded(reward)) if reward.reason == Reason::Duties => change(reward, -1),
            (Self::MoreForBlock, Event::Rewarded(reward)) if reward.reason == Reason::Block => change(reward, 1),
            (Self::StolenBatch, Event::Rewarded(reward))
                if reward.reason == Reason::Batch && Some(&reward.account) != other =>
            {
                let Some(other) = other else { return false };
                reward.account = other.clone();
            },
            (Self::LargerBudget, Event::EpochBudget { capacity, .. }) => *capacity += 1,
            (Self::LargerSnapshot, Event::SnapshotTaken { total, .. }) if *total > 0 => *total += 1,
            (Self::TwoBlockRewards, Event::Rewarded(reward)) if reward.reason == Reason::Block => (),
            (Self::OtherPayee, Event::Rewarded(reward)) => reward.payee = [9; 32].into(),
            (Self::LongerEpoch, Event::EpochStarted { blocks, .. }) => *blocks += 1,
            (Self::MoreForTraffic, Event::Rewarded(reward)) if reward.reason == Reason::Traffic => change(reward, 1),
            (Self::LessBurned, Event::Settled(settled)) => {
                settled.burned -= 1;
                settled.net += 1;
            },
            (Self::SeniorAtOnce, Event::ChallengerActive { from, .. }) => *from = 0,
            _ => return false,
        }
        true
    }
}

/// Another reward, whose parts add up.
fn change(reward: &mut Reward, by: i128) {
    reward.gross = reward.gross.saturating_add_signed(by);
    reward.liquid = reward.gross / 5;
    reward.vesting = reward.gross - reward.liquid;
}
