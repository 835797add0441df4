//! What an account does by hand: it leaves, takes its bond back, claims, pauses, and comes back.

use crate::{
    chain::{actor::Actor, Error, Node},
    rate,
    runtime::{
        self,
        runtime_types::{
            sp_consensus_grandpa::app::{Public, Signature},
            weir_primitives::registry::Role as InCall,
        },
    },
    status::weir,
};
use subxt::utils::AccountId32;
use weir_primitives::{
    registry::{Role, Standing},
    runtime_api::{ChallengerStatus, ProviderStatus},
    AccountId, Balance,
};

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take no part any more.
    Leave(Role),
    /// Give an account back what is due of its bond.
    Withdraw(AccountId, Role),
    /// Pay an account what it has earned, and release what has vested.
    Claim(AccountId),
    /// Be drawn no more as a challenger, until the account comes back.
    Pause,
    /// Be drawn again as a challenger.
    ComeBack,
    /// Declare another capacity, in bits per second.
    Declare(u64),
    /// Have rewards go to another account, or to itself again.
    Payee(Option<AccountId>),
    /// Have another key sign blocks, or none but the account's own.
    AuthorKey(Option<ProvenKey>),
    /// Stand for election as a voter on what is final, with a bond in planck.
    JoinVoters(Balance, ProvenKey),
    /// Make a voter's bond larger by so many planck.
    RaiseVoterBond(Balance),
    /// Have another key vote.
    VoterKey(ProvenKey),
    /// Stand for election no more.
    LeaveVoters,
    /// Give an account its voter bond back.
    WithdrawVoterBond(AccountId),
}

/// A key that a node made (`weir_newAuthorKey`, `weir_newVoterKey`), and its agreement to sign for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    /// The public key.
    pub key: [u8; 32],
    /// Its signature.
    pub proof: [u8; 64],
}

fn in_call(role: Role) -> InCall {
    match role {
        Role::Provider => InCall::Provider,
        Role::Challenger => InCall::Challenger,
    }
}

fn id(account: &AccountId) -> AccountId32 {
    AccountId32(*account.as_ref())
}

/// Does something for an account, and says what came of it.
///
/// # Errors
///
/// As [`Actor::submit`].
pub async fn act(node: &Node, actor: &Actor, action: Action) -> Result<String, Error> {
    let (registry, finality) = (|| runtime::tx().registry(), || runtime::tx().finality());
    let said = match action {
        Action::Leave(role) => {
            actor.submit(node, &registry().leave(in_call(role))).await?;
            // What was done is done, whether or not more can be said of it.
            match leaves_at(node, actor.account(), role).await.unwrap_or_default() {
                Some((bond, block)) => format!(
                    "left; its bond of {} WEIR can be taken back from block {block} on, with 'weir-agent withdraw {}'",
                    weir(bond),
                    name(role)
                ),
                None => "left; a challenger that only waited has its bond back".into(),
            }
        },
        Action::Withdraw(account, role) => {
            let events = actor.submit(node, &registry().withdraw(id(&account), in_call(role))).await?;
            let paid = events.find_first::<runtime::registry::events::PaidBack>().and_then(Result::ok);
            format!("{account} got {} WEIR back", weir(paid.map_or(0, |it| it.amount)))
        },
        Action::Claim(account) => {
            let events = actor.submit(node, &runtime::tx().token().claim(id(&account))).await?;
            let paid =
                events.find::<runtime::token::events::Rewarded>().flatten().fold(0u128, |sum, it| sum + it.gross);
            let released = events.find_first::<runtime::token::events::Claimed>().and_then(Result::ok);
            format!(
                "{account} was paid {} WEIR, most of which vests, and {} WEIR that had vested",
                weir(paid),
                weir(released.map_or(0, |it| it.amount))
            )
        },
        Action::Pause => {
            actor.submit(node, &registry().pause()).await?;
            "pauses: it is drawn in this epoch still, and no more from the next one on".into()
        },
        Action::ComeBack => {
            actor.submit(node, &registry().come_back()).await?;
            "comes back: it is drawn from the next epoch on, as a junior".into()
        },
        Action::Declare(bits_per_second) => {
            actor.submit(node, &registry().set_declared(bits_per_second)).await?;
            let status: Option<ProviderStatus> =
                node.ask("MeasurementApi_provider", actor.account(), None).await.unwrap_or_default();
            format!(
                "declares {} from the next epoch on, with a bond of {} WEIR",
                rate::show(bits_per_second),
                weir(status.map_or(0, |it| it.bond))
            )
        },
        Action::Payee(payee) => {
            actor.submit(node, &runtime::tx().token().set_payee(payee.as_ref().map(id))).await?;
            match payee {
                Some(payee) => format!("has what it earns from now on paid to {payee}"),
                None => "has what it earns from now on paid to itself".into(),
            }
        },
        Action::AuthorKey(key) => {
            let named = key.as_ref().map(|it| (it.key, it.proof));
            actor.submit(node, &runtime::tx().difficulty().set_author_key(named)).await?;
            match key {
                Some(it) => format!("has its blocks signed by the key {} from the next one on", AccountId::new(it.key)),
                None => "signs its blocks itself from the next one on".into(),
            }
        },
        Action::JoinVoters(bond, ProvenKey { key, proof }) => {
            actor.submit(node, &finality().join(bond, Public(key), Signature(proof))).await?;
            format!("stands for election as a voter, with a bond of {} WEIR", weir(bond))
        },
        Action::RaiseVoterBond(by) => {
            let events = actor.submit(node, &finality().raise_bond(by)).await?;
            let raised = events.find_first::<runtime::finality::events::BondRaised>().and_then(Result::ok);
            format!("stands for election as a voter, with a bond of {} WEIR", weir(raised.map_or(0, |it| it.bond)))
        },
        Action::VoterKey(ProvenKey { key, proof }) => {
            actor.submit(node, &finality().set_key(Public(key), Signature(proof))).await?;
            "votes with the new key from the next set of voters on; keep the old one until then".into()
        },
        Action::LeaveVoters => {
            actor.submit(node, &finality().leave()).await?;
            "left; it goes on to vote until another set takes the place of the one that it is in, and its bond can be taken back when the unbonding time \
             has passed after that, with 'weir-agent voter withdraw'"
                .into()
        },
        Action::WithdrawVoterBond(account) => {
            let events = actor.submit(node, &finality().withdraw(id(&account))).await?;
            let paid = events.find_first::<runtime::finality::events::PaidBack>().and_then(Result::ok);
            format!("{account} got {} WEIR back", weir(paid.map_or(0, |it| it.amount)))
        },
    };
    Ok(said)
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Provider => "provider",
        Role::Challenger => "challenger",
    }
}

/// The bond of an account that is leaving, and the block from which on it can be taken back.
async fn leaves_at(node: &Node, account: &AccountId, role: Role) -> Result<Option<(u128, u32)>, Error> {
    Ok(match role {
        Role::Provider => {
            let status: Option<ProviderStatus> = node.ask("MeasurementApi_provider", account, None).await?;
            status.and_then(|it| Some((it.bond, it.leaving?)))
        },
        Role::Challenger => {
            let status: Option<ChallengerStatus> = node.ask("MeasurementApi_challenger", account, None).await?;
            status.and_then(|it| match it.standing {
                Standing::Leaving { until } => Some((it.bond, until)),
                _ => None,
            })
        },
    })
}
