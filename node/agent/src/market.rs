//! What is sold and bought, by hand: offers, and the channels that are paid by.

use crate::{
    chain::{actor::Actor, Error, Node},
    rate,
    runtime::{
        self,
        runtime_types::{
            bounded_collections::bounded_vec::BoundedVec,
            weir_primitives::market::{terms as types, Receipt as ReceiptInCall},
        },
    },
    status::weir,
};
use serde::Serialize;
use sp_core::{ed25519, Pair};
use std::{fs, io::Write, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::Path, str::FromStr};
use subxt::utils::AccountId32;
use weir_primitives::{
    market::{receipt_payload, session_payload, Channel, ChannelId, Complaint, Listing, Reach, Receipt, Serves, Terms},
    measurement::{
        endpoint::{self, Service},
        Endpoints,
    },
    runtime_api::{Offer, Search},
    AccountId, Balance, BlockNumber,
};

/// How many offers are asked for at a time.
const PAGE: u32 = 100;
/// How many are shown at the most.
const MOST_OFFERS: usize = 1_000;

/// A country, as two capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(pub [u8; 2]);

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(format!("'{text}' is no country in two capital letters, such as CH")),
        }
    }
}

/// Something to do on the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deal {
    /// Sell on these terms.
    Offer(Listing),
    /// Sell no more, or take the listing of an account away that is no provider any more.
    Withdraw(AccountId),
    /// Open a channel to a provider with a deposit in planck.
    Open {
        /// The provider.
        provider: AccountId,
        /// The key that signs receipts.
        key: [u8; 32],
        /// That it agrees to.
        proof: [u8; 64],
        /// What receipts can spend, in planck.
        deposit: Balance,
        /// At the worst.
        at: Terms,
    },
    /// Put so many planck more behind a channel.
    TopUp(ChannelId, Balance),
    /// Have a channel pay what a receipt says.
    Settle(ChannelId, Receipt, [u8; 64]),
    /// Close a channel.
    Close(ChannelId, Option<Complaint>),
    /// Give back what is left of a channel whose time is over.
    Finish(ChannelId),
}

fn id(account: &AccountId) -> AccountId32 {
    AccountId32(*account.as_ref())
}

fn listing_in_call(listing: &Listing) -> types::Listing {
    let in_call = |endpoints: &Endpoints| BoundedVec(endpoints.iter().map(|it| BoundedVec(it.to_vec())).collect());
    types::Listing {
        per_gib: listing.per_gib,
        region: listing.region,
        serves: types::Serves { proxy: listing.serves.proxy, content: listing.serves.content },
        offered_bits_per_second: listing.offered_bits_per_second,
        reach: match &listing.reach {
            Reach::Direct(endpoints) => types::Reach::Direct(in_call(endpoints)),
            Reach::Relayed { relay, endpoints } => {
                types::Reach::Relayed { relay: relay.0, endpoints: in_call(endpoints) }
            },
        },
    }
}

fn complaint_in_call(complaint: Complaint) -> types::Complaint {
    match complaint {
        Complaint::Unreachable => types::Complaint::Unreachable,
        Complaint::Slow => types::Complaint::Slow,
        Complaint::Wrong => types::Complaint::Wrong,
        Complaint::Miscounted => types::Complaint::Miscounted,
    }
}

/// What somebody sells who is reached at these addresses.
///
/// # Errors
///
/// When there are more addresses than a listing holds, or none.
pub fn listing(
    per_gib: Balance,
    country: Country,
    serves: Serves,
    offered_bits_per_second: u64,
    addresses: &[SocketAddr],
) -> Result<Listing, String> {
    let endpoints = addresses.iter().map(|it| endpoint::encode(*it, Service::Control).try_into());
    let endpoints: Result<Vec<_>, _> = endpoints.collect();
    let endpoints = endpoints.ok().and_then(|all| all.try_into().ok());
    let listing = Listing {
        per_gib,
        region: country.0,
        serves,
        offered_bits_per_second,
        reach: Reach::Direct(endpoints.ok_or("a listing holds four addresses at the most")?),
    };
    if listing.makes_sense() {
        Ok(listing)
    } else {
        Err("a listing needs a price, something that is served, and an address that others can send to".into())
    }
}

/// Does something on the market for an account, and says what came of it.
///
/// # Errors
///
/// As [`Actor::submit`].
pub async fn deal(node: &Node, actor: &Actor, deal: Deal) -> Result<String, Error> {
    let market = || runtime::tx().market();
    Ok(match deal {
        Deal::Offer(listing) => {
            actor.submit(node, &market().list(listing_in_call(&listing))).await?;
            format!(
                "sells {} at {} WEIR a GiB; channels that are open keep their price",
                rate::show(listing.offered_bits_per_second),
                weir(listing.per_gib)
            )
        },
        Deal::Withdraw(provider) => {
            actor.submit(node, &market().unlist(id(&provider))).await?;
            format!("{provider} sells no more; channels that are open stay so")
        },
        Deal::Open { provider, key, proof, deposit, at } => {
            let at = types::Terms { most_per_gib: at.most_per_gib, least_bits_per_second: at.least_bits_per_second };
            let call = market().open(id(&provider), key, proof, deposit, at);
            let events = actor.submit(node, &call).await?;
            match events.find_first::<runtime::market::events::Opened>().and_then(Result::ok) {
                Some(it) => format!(
                    "opened channel {} to {provider}, at {} WEIR a GiB, with {} WEIR, until block {}",
                    it.channel,
                    weir(it.per_gib),
                    weir(it.deposit),
                    it.expires
                ),
                None => format!("opened a channel to {provider}"),
            }
        },
        Deal::TopUp(channel, amount) => {
            let events = actor.submit(node, &market().top_up(channel, amount)).await?;
            let topped = events.find_first::<runtime::market::events::ToppedUp>().and_then(Result::ok);
            let (deposit, expires) = topped.map_or((0, 0), |it| (it.deposit, it.expires));
            format!("channel {channel} has {} WEIR behind it, until block {expires}", weir(deposit))
        },
        Deal::Settle(channel, receipt, signature) => {
            let in_call = ReceiptInCall { bytes: receipt.bytes, amount: receipt.amount };
            let events = actor.submit(node, &market().settle(channel, in_call, signature)).await?;
            let settled = events.find_first::<runtime::market::events::Settled>().and_then(Result::ok);
            match settled {
                Some(it) => format!(
                    "channel {channel} paid {} WEIR for {} bytes: {} to the provider, {} burned, {} to the treasury; {} went back",
                    weir(it.gross),
                    it.bytes,
                    weir(it.net),
                    weir(it.burned),
                    weir(it.fee),
                    weir(it.refunded)
                ),
                None => format!("channel {channel} was settled"),
            }
        },
        Deal::Close(channel, complaint) => {
            let call = market().close(channel, complaint.map(complaint_in_call));
            let events = actor.submit(node, &call).await?;
            match events.find_first::<runtime::market::events::Closing>().and_then(Result::ok) {
                Some(it) => format!(
                    "channel {channel} is closing: after block {} what was not signed for comes back with 'weir-agent channel finish'",
                    it.until
                ),
                None => format!("closed channel {channel}"),
            }
        },
        Deal::Finish(channel) => {
            let events = actor.submit(node, &market().finish(channel)).await?;
            let closed = events.find_first::<runtime::market::events::Closed>().and_then(Result::ok);
            format!("closed channel {channel}; {} WEIR came back", weir(closed.map_or(0, |it| it.returned)))
        },
    })
}

/// An offer, for people and as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownOffer {
    provider: AccountId,
    identity: String,
    region: String,
    weir_per_gib: f64,
    planck_per_gib: String,
    serves: Vec<&'static str>,
    offered_bits_per_second: u64,
    guaranteed_bits_per_second: u64,
    addresses: Vec<String>,
    channels: u32,
    closed_itself: u32,
    burned_planck: String,
    disputes: u32,
    complaints: u32,
}

impl From<&Offer> for ShownOffer {
    fn from(offer: &Offer) -> Self {
        let Offer { provider, identity, listing, guaranteed_bits_per_second, reputation } = offer;
        let (Reach::Direct(endpoints) | Reach::Relayed { endpoints, .. }) = &listing.reach;
        let served = [(listing.serves.proxy, "proxy"), (listing.serves.content, "content")];
        let complaints = [reputation.unreachable, reputation.slow, reputation.wrong, reputation.miscounted];
        Self {
            provider: provider.clone(),
            identity: format!("0x{}", hex::encode(identity.0)),
            region: String::from_utf8_lossy(&listing.region).into_owned(),
            weir_per_gib: listing.per_gib as f64 / weir_primitives::PLANCK_PER_WEIR as f64,
            planck_per_gib: listing.per_gib.to_string(),
            serves: served.into_iter().filter_map(|(serves, name)| serves.then_some(name)).collect(),
            offered_bits_per_second: listing.offered_bits_per_second,
            guaranteed_bits_per_second: *guaranteed_bits_per_second,
            addresses: endpoints
                .iter()
                .filter_map(|bytes| endpoint::decode(bytes))
                .map(|(address, _)| address.to_string())
                .collect(),
            channels: reputation.channels,
            closed_itself: reputation.closed_itself,
            burned_planck: reputation.burned.to_string(),
            disputes: reputation.disputes,
            complaints: complaints.iter().fold(0, |sum, it| sum.saturating_add(it.channels)),
        }
    }
}

/// All offers that fit, the cheapest first, as far as a thousand of them go.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn offers(node: &Node, search: &Search) -> Result<Vec<Offer>, Error> {
    let (mut found, mut after) = (Vec::<Offer>::new(), None::<AccountId>);
    loop {
        let page: (Vec<Offer>, Option<AccountId>) = node.ask("MarketApi_offers", (after, PAGE, search), None).await?;
        found.extend(page.0);
        after = page.1;
        if after.is_none() || found.len() >= MOST_OFFERS {
            break;
        }
    }
    found.sort_by_key(|offer| offer.listing.per_gib);
    Ok(found)
}

/// A table for people.
pub fn offers_table(offers: &[Offer]) -> String {
    let mut lines = vec![format!(
        "{:<48}  {:<2}  {:>14}  {:>12}  {:>12}  {:<13}  {:>8}  {:>10}",
        "provider", "in", "WEIR a GiB", "offered", "guaranteed", "serves", "channels", "complaints"
    )];
    for offer in offers {
        let shown = ShownOffer::from(offer);
        lines.push(format!(
            "{:<48}  {:<2}  {:>14}  {:>12}  {:>12}  {:<13}  {:>8}  {:>10}",
            shown.provider.to_string(),
            shown.region,
            weir(offer.listing.per_gib),
            rate::show(shown.offered_bits_per_second),
            rate::show(shown.guaranteed_bits_per_second),
            shown.serves.join(","),
            shown.channels,
            shown.complaints
        ));
    }
    lines.join("\n")
}

/// A channel, for people and as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownChannel {
    channel: ChannelId,
    consumer: AccountId,
    provider: AccountId,
    key: String,
    planck_per_gib: String,
    deposit_planck: String,
    paid_planck: String,
    paid_bytes: u64,
    promised_bits_per_second: u64,
    expires: BlockNumber,
    receipts_until: BlockNumber,
    is_closing: bool,
}

impl ShownChannel {
    /// Who is paid.
    pub fn provider(&self) -> &AccountId {
        &self.provider
    }

    /// Some lines for people.
    pub fn lines(&self) -> String {
        let planck = |text: &str| weir(text.parse().unwrap_or(0));
        [
            format!("channel {}{}", self.channel, if self.is_closing { ", closing" } else { "" }),
            format!("  from      {}", self.consumer),
            format!("  to        {}", self.provider),
            format!(
                "  price     {} WEIR a GiB, {} promised",
                planck(&self.planck_per_gib),
                rate::show(self.promised_bits_per_second)
            ),
            format!("  paid      {} of {} WEIR", planck(&self.paid_planck), planck(&self.deposit_planck)),
            format!("  receipts  until block {}", self.receipts_until),
        ]
        .join("\n")
    }
}

/// A channel by its number.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn channel(node: &Node, number: ChannelId) -> Result<Option<ShownChannel>, Error> {
    let found: Option<(Channel, BlockNumber)> = node.ask("MarketApi_channel", number, None).await?;
    Ok(found.map(|(it, until)| ShownChannel {
        channel: number,
        consumer: it.consumer,
        provider: it.provider,
        key: format!("0x{}", hex::encode(it.key.0)),
        planck_per_gib: it.per_gib.to_string(),
        deposit_planck: it.deposit.to_string(),
        paid_planck: it.paid.amount.to_string(),
        paid_bytes: it.paid.bytes,
        promised_bits_per_second: it.promised_bits_per_second,
        expires: it.expires,
        receipts_until: until,
        is_closing: it.closes.is_some(),
    }))
}

/// The number of the channel that a key signs for.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn channel_of(node: &Node, key: [u8; 32]) -> Result<Option<ChannelId>, Error> {
    node.ask("MarketApi_channel_of", key, None).await
}

/// A key that signs for one channel, as a file of 64 hexadecimal digits.
pub struct Session(ed25519::Pair);

impl Session {
    /// Makes a key in a file that is not there yet.
    ///
    /// # Errors
    ///
    /// When the file is there, or cannot be written.
    pub fn make(file: &Path) -> Result<Self, String> {
        let secret: [u8; 32] = rand::random();
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut it| it.write_all(hex::encode(secret).as_bytes()).and_then(|()| it.sync_all()));
        written.map_err(|error| format!("the session key {} cannot be written: {error}", file.display()))?;
        Ok(Self(ed25519::Pair::from_seed(&secret)))
    }

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// When the file holds none.
    pub fn read(file: &Path) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("the session key {} cannot be read: {what}", file.display());
        let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
        let mut secret = [0; 32];
        hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| wrong(&"it is not 64 hexadecimal digits"))?;
        Ok(Self(ed25519::Pair::from_seed(&secret)))
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.public().0
    }

    /// That it agrees to sign for a consumer on a chain.
    pub fn proof(&self, genesis: [u8; 32], consumer: &AccountId) -> [u8; 64] {
        self.0.sign(&session_payload(genesis.into(), consumer)).0
    }

    /// Signs a receipt.
    pub fn sign(&self, genesis: [u8; 32], provider: &AccountId, channel: ChannelId, receipt: &Receipt) -> [u8; 64] {
        self.0.sign(&receipt_payload(genesis.into(), provider, channel, receipt)).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let made = Session::make(&file).unwrap();
        assert!(Session::make(&file).is_err(), "a key was overwritten");
        assert_eq!(Session::read(&file).unwrap().public(), made.public());
        fs::write(&file, "no key").unwrap();
        assert!(Session::read(&file).is_err());
    }

    #[test]
    fn what_a_session_key_signs_verifies_against_it() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::make(&folder.path().join("key")).unwrap();
        let (genesis, account) = ([7; 32], AccountId::new([3; 32]));
        let public = ed25519::Public::from_raw(session.public());
        let receipt = Receipt { bytes: 5, amount: 6 };
        let signature = session.sign(genesis, &account, 9, &receipt).into();
        assert!(ed25519::Pair::verify(&signature, receipt_payload(genesis.into(), &account, 9, &receipt), &public));
        let proof = session.proof(genesis, &account).into();
        assert!(ed25519::Pair::verify(&proof, session_payload(genesis.into(), &account), &public));
    }

    #[test]
    fn countries_are_two_capital_letters() {
        assert_eq!("CH".parse(), Ok(Country(*b"CH")));
        for wrong in ["", "C", "ch", "CHE", "C1", "Ü"] {
            assert!(wrong.parse::<Country>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_listing_that_the_chain_would_refuse_is_refused_before() {
        let serves = Serves { proxy: true, content: false };
        let address = SocketAddr::from(([198, 51, 100, 7], 40_400));
        assert!(listing(1, Country(*b"CH"), serves, 1_000_000, &[address]).is_ok());
        assert!(listing(0, Country(*b"CH"), serves, 1_000_000, &[address]).is_err());
        assert!(listing(1, Country(*b"CH"), serves, 1_000_000, &[]).is_err());
        assert!(listing(1, Country(*b"CH"), serves, 1_000_000, &[address; 5]).is_err());
        let nothing = Serves { proxy: false, content: false };
        assert!(listing(1, Country(*b"CH"), nothing, 1_000_000, &[address]).is_err());
    }
}
