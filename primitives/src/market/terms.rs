//! What is agreed on the market: listings, channels, and what is known of providers.

use super::{Receipt, Region, SessionKey};
use crate::{
    measurement::{endpoint, Endpoints, PeerKey},
    AccountId, Balance, BlockNumber,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// What a provider serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Serves {
    /// It connects to the internet for its consumers.
    pub proxy: bool,
    /// It serves files, addressed by their hash.
    pub content: bool,
}

/// How a provider is reached.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Reach {
    /// At addresses of its own.
    Direct(Endpoints),
    /// By way of somebody who relays, at whose addresses that is reached.
    Relayed {
        /// The identity of who relays.
        relay: PeerKey,
        /// Where it is reached.
        endpoints: Endpoints,
    },
}

impl Reach {
    /// Whether there is an endpoint, and each is one of control streams.
    pub fn makes_sense(&self) -> bool {
        let (Self::Direct(endpoints) | Self::Relayed { endpoints, .. }) = self;
        let is_control = |bytes: &[u8]| matches!(endpoint::decode(bytes), Some((_, endpoint::Service::Control)));
        !endpoints.is_empty() && endpoints.iter().all(|bytes| is_control(bytes))
    }
}

/// What a provider sells.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Listing {
    /// What a GiB costs, both ways added, in planck.
    pub per_gib: Balance,
    /// The country that it says its line is in.
    pub region: Region,
    /// What it serves.
    pub serves: Serves,
    /// How much of its line it offers, in bits per second.
    pub offered_bits_per_second: u64,
    /// How it is reached.
    pub reach: Reach,
}

impl Listing {
    /// Whether what it says makes sense, whatever is guaranteed.
    pub fn makes_sense(&self) -> bool {
        self.per_gib > 0
            && self.region.iter().all(u8::is_ascii_uppercase)
            && (self.serves.proxy || self.serves.content)
            && self.reach.makes_sense()
    }
}

/// What a channel is opened on at the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Terms {
    /// The most that a GiB may cost, in planck.
    pub most_per_gib: Balance,
    /// The least that must be promised, in bits per second.
    pub least_bits_per_second: u64,
}

/// What a consumer complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Complaint {
    /// The provider could not be reached any more.
    Unreachable,
    /// It was far slower than what it offers.
    Slow,
    /// What it sent was not what was asked for.
    Wrong,
    /// It counted more than there was.
    Miscounted,
}

/// A payment channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Channel {
    /// Who pays.
    pub consumer: AccountId,
    /// Who is paid.
    pub provider: AccountId,
    /// The key that signs its receipts.
    pub key: SessionKey,
    /// All that was put behind it for receipts to spend.
    pub deposit: Balance,
    /// What is held for its rows in the state, which no receipt spends.
    pub row_deposit: Balance,
    /// The last receipt that was paid.
    pub paid: Receipt,
    /// What was burned of that.
    pub burned: Balance,
    /// What a GiB costs, in planck.
    pub per_gib: Balance,
    /// What was promised when it was opened, in bits per second.
    pub promised_bits_per_second: u64,
    /// What payments are judged by, in bits per second: the promise, or what was guaranteed of it a dispute window ago.
    pub guaranteed_bits_per_second: u64,
    /// The block of the first settlement that saw less, and the most that one has seen since, in bits per second.
    pub less: Option<(BlockNumber, u64)>,
    /// The block from which on it serves no more, and can be closed by anybody.
    pub expires: BlockNumber,
    /// The block up to which receipts must be submitted, and what the consumer complains about, once that has closed it.
    pub closes: Option<(BlockNumber, Option<Complaint>)>,
    /// Whether something was paid after that.
    pub was_disputed: bool,
}

impl Channel {
    /// What is still held for it.
    pub fn held(&self) -> Balance {
        self.deposit.saturating_sub(self.paid.amount).saturating_add(self.row_deposit)
    }

    /// What a payment is judged by, in bits per second, where so much is guaranteed in a block; at most what was promised. And what is
    /// remembered of that.
    ///
    /// Less than before counts only when a dispute window has passed since a settlement saw it first, and then as the most that a settlement
    /// saw in that window: until then a provider is paid by what was guaranteed when it served, whoever settles, when, and how often.
    pub fn judge(&mut self, guaranteed_bits_per_second: u64, now: BlockNumber, dispute_blocks: BlockNumber) -> u64 {
        // What is more than the promise leaves room, and its changes mean nothing.
        let current = guaranteed_bits_per_second.min(self.promised_bits_per_second);
        if current >= self.guaranteed_bits_per_second {
            self.guaranteed_bits_per_second = current;
            self.less = None;
            return current;
        }
        let (since, best) = self.less.unwrap_or((now, current));
        let best = best.max(current);
        if now.saturating_sub(since) > dispute_blocks {
            self.guaranteed_bits_per_second = best;
            // What is less still begins a window of its own.
            self.less = (current < best).then_some((now, current));
        } else {
            self.less = Some((since, best));
        }
        self.guaranteed_bits_per_second
    }

    /// The block up to which receipts must be submitted, and after which what is left goes back.
    pub fn until(&self, dispute_blocks: BlockNumber) -> BlockNumber {
        let expired = self.expires.saturating_add(dispute_blocks);
        self.closes.map_or(expired, |(closes, _)| closes.min(expired))
    }
}

/// How often consumers complained about something, and what they had paid before they did. Who paid nothing is not heard.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Complaints {
    /// How many channels were closed with it.
    pub channels: u32,
    /// What was burned by these channels: what complaining costs.
    pub burned: Balance,
}

/// What is known of a provider. What it has sold to itself is in it as well, and has cost it a tenth of what was burned and the fees.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Reputation {
    /// How many channels to it are gone.
    pub channels: u32,
    /// How many of them it closed itself, before the consumer did. Of these nobody can complain afterwards.
    pub closed_itself: u32,
    /// How many bytes it was paid for, by the prices of the channels. It sets them: bytes for nothing cost nothing.
    pub bytes: u64,
    /// What was burned of all payments to it.
    pub burned: Balance,
    /// What went back to consumers, since less was guaranteed than was promised.
    pub refunded: Balance,
    /// How many channels paid more while they were closing: a consumer had left without saying what it owed.
    pub disputes: u32,
    /// It could not be reached.
    pub unreachable: Complaints,
    /// It was slow.
    pub slow: Complaints,
    /// It sent what was not asked for.
    pub wrong: Complaints,
    /// It counted more than there was.
    pub miscounted: Complaints,
}

impl Reputation {
    /// The complaints of a kind.
    pub fn complaints(&mut self, kind: Complaint) -> &mut Complaints {
        match kind {
            Complaint::Unreachable => &mut self.unreachable,
            Complaint::Slow => &mut self.slow,
            Complaint::Wrong => &mut self.wrong,
            Complaint::Miscounted => &mut self.miscounted,
        }
    }
}
