//! Handing in what was measured, in calls that their contents authorize: without account, nonce or fee.

use crate::{
    chain::{follower::Heads, Error, Node},
    now_ms,
    runtime::{
        self,
        runtime_types::{
            bounded_collections::bounded_vec::BoundedVec, pallet_bandwidth::types::SignedReport as Signed,
            weir_primitives::measurement as types,
        },
    },
};
use codec::Encode;
use std::time::Duration;
use weir_primitives::{
    measurement::{
        challenge::{Challenge, MemberReport},
        lottery::groups::Prefix,
    },
    runtime_api::OpenChallenge,
    AccountId,
};

/// The version of general extrinsics, with its kind in the highest two bits.
const GENERAL: u8 = 0b0100_0000 | 5;
/// What a general extrinsic says beside its call: the version of the extensions; an immortal era, no nonce, no tip, no hash of the metadata.
const EXTENSIONS: [u8; 5] = [0, 0, 0, 0, 0];

/// A member's report, with its place in the committee and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedReport {
    /// The place of the member in the committee.
    pub place: u8,
    /// What it says.
    pub report: MemberReport,
    /// Its signature.
    pub signature: [u8; 64],
}

/// The same as the chain has it, in its encoding, whose bytes a prover signs.
#[derive(Encode)]
struct Encoded(u8, MemberReport, [u8; 64]);

/// The bytes of a batch, as a prover signs them.
pub fn encoded(reports: &[SignedReport]) -> Vec<u8> {
    reports.iter().map(|it| Encoded(it.place, it.report, it.signature)).collect::<Vec<_>>().encode()
}

/// The same in the types that are made from the metadata.
fn in_call(signed: &SignedReport) -> Signed {
    let SignedReport { place, report, signature } = *signed;
    let seen = match report.seen {
        Prefix::V4(bytes) => types::lottery::groups::Prefix::V4(bytes),
        Prefix::V6(bytes) => types::lottery::groups::Prefix::V6(bytes),
    };
    let report = types::challenge::MemberReport {
        seen,
        down_bytes: report.down_bytes,
        down_elapsed_us: report.down_elapsed_us,
        up_bytes: report.up_bytes,
        round_trip_us: report.round_trip_us,
        commitment: report.commitment,
    };
    Signed { place, report, signature }
}

/// What is to be on chain.
pub enum Submission {
    /// All that a prover has.
    Batch(Vec<SignedReport>, [u8; 64]),
    /// What a prover left out: the member's identity, its report, and the prover's signature of the commitment.
    Own([u8; 32], SignedReport, [u8; 64]),
}

impl Submission {
    fn places(&self) -> Vec<u8> {
        match self {
            Self::Batch(reports, _) => reports.iter().map(|report| report.place).collect(),
            Self::Own(_, report, _) => vec![report.place],
        }
    }

    /// The call, encoded.
    async fn call(&self, node: &Node, challenge: Challenge) -> Result<Vec<u8>, Error> {
        let Challenge { epoch, instant, slot } = challenge;
        let challenge = types::challenge::Challenge { epoch, instant, slot };
        match self {
            Self::Batch(reports, prover) => {
                let batch = BoundedVec(reports.iter().map(in_call).collect());
                node.encode_call(&runtime::tx().bandwidth().submit(challenge, batch, *prover)).await
            },
            Self::Own(member, report, prover) => {
                let call = runtime::tx().bandwidth().submit_own(challenge, *member, in_call(report), *prover);
                node.encode_call(&call).await
            },
        }
    }
}

/// The open challenge of a provider that a seed names.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn open_challenge(
    node: &Node,
    provider: &AccountId,
    seed: &[u8; 32],
) -> Result<Option<OpenChallenge>, Error> {
    let open: Vec<OpenChallenge> = node.ask("MeasurementApi_challenges", provider, None).await?;
    Ok(open.into_iter().find(|it| it.seed == *seed))
}

/// Hands something in, and again whenever the best block does not have it, until the deadline. Says whether it was there then.
pub async fn hand_in(name: &str, open: &OpenChallenge, submission: &Submission, mut heads: Heads) -> bool {
    let wanted = submission.places();
    let mut was_there = false;
    let attempts = async {
        loop {
            let node = heads.borrow_and_update().clone();
            if let Some(node) = node {
                match attempt(&node, open, submission, &wanted).await {
                    Ok(is_there) if is_there != was_there => {
                        was_there = is_there;
                        if is_there {
                            let level = if wanted.len() > 1 { log::Level::Info } else { log::Level::Debug };
                            log::log!(level, "{name}: the reports of {} members are on chain", wanted.len());
                        }
                    },
                    Ok(_) => (),
                    Err(error) => log::debug!("{name}: the reports did not get through: {error}"),
                }
            }
            if heads.changed().await.is_err() {
                return;
            }
        }
    };
    let left = Duration::from_millis(open.deadline.saturating_sub(now_ms()));
    let _ = tokio::time::timeout(left, attempts).await;
    was_there
}

/// Whether all is on chain; if not, hands it in.
async fn attempt(node: &Node, open: &OpenChallenge, submission: &Submission, wanted: &[u8]) -> Result<bool, Error> {
    let Some(now) = open_challenge(node, &open.provider, &open.seed).await? else {
        return Err(Error::Connection("the best block does not know the challenge".into()));
    };
    if wanted.iter().all(|place| now.taken.contains(place)) {
        return Ok(true);
    }
    let call = submission.call(node, now.challenge).await?;
    let body = [[GENERAL].as_slice(), &EXTENSIONS, &call].concat();
    node.submit_general(&[codec::Compact(body.len() as u32).encode(), body].concat()).await?;
    Ok(false)
}
