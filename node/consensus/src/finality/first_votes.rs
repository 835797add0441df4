//! Which precommit of a voter counts in a round: the first one that reaches this node. GRANDPA's voter never sees another one.
//!
//! A voter that signs two precommits in a round counts for every block there, and both go into the commit of what the round makes final. The SDK
//! makes a justification of that commit (`GrandpaJustification::from_commit`): it takes the lowest precommit for the root of all, and fails
//! where one does not descend from it. Then the voter's task ends, and the node with it. So one voter could end every node.
//!
//! # What is dropped
//!
//! A commit becomes final here in one of two ways. One that a peer sent is checked as it is (`validate_commit`), and only passes with such a
//! root: `from_commit` cannot fail on it. The other ones a round of this node puts together, from the precommits that it holds. It has
//! them from votes, from the catch-up that it was made of, and from commits that come while it waits to send its own. Hence:
//!
//! - A second precommit is dropped, and so is the first one with another signature, which GRANDPA takes for a second one.
//! - A commit or catch-up with two precommits of one voter is dropped. No node that drops them puts one together.
//! - A commit or catch-up with another precommit than the first is dropped if this node follows its round. What is lost is time: the round
//!   has the votes themselves, and commits of later ones come. Of rounds that it does not follow, it passes. Else a voter that shows a
//!   node other precommits than the rest, for rounds to come, could keep it from ever catching up.
//! - A commit with a precommit below its target is dropped. Without second precommits, no honest round puts one together. In a round that waits
//!   to send its own, a precommit below where the round began ends the voter too.
//!
//! Nothing is remembered or dropped because of a signature that is not the voter's, or a key that does not vote: who forges votes holds up no
//! honest ones and takes no memory.
//!
//! # Which rounds are followed
//!
//! Those that GRANDPA takes votes for: the one that it is in, the one before, and the next. Besides, the last few of these, and that of the last
//! catch-up that it asked for. Which round it is in, it tells its peers whenever that changes, and it asks them for catch-ups, both over
//! the service that is wrapped here: so it is read off what is sent. Votes for rounds far ahead drive nothing out.
//!
//! # Prevotes
//!
//! They are in no commit, so second ones pass. They have to: a round is completed because everybody comes to see the same prevotes. If some
//! held to one prevote of a voter and some to another, they could wait for each other forever.
//!
//! # Beware
//!
//! - One precommit is enough for a commit without a root: for a branch that begins above the last final block and below what everybody
//!   else votes for, while the others alone are no two thirds. Where it begins becomes final then, and nobody's precommit is for that very
//!   block. Nothing in such a vote tells it from an honest one; it passes.
//! - What the voter kept from before it was started is known here when it is sent on, not at once.
//! - The node's own precommits do not come in here: with the key of a voter on two machines, they may be second ones.

use codec::{Decode, DecodeAll, Encode};
use finality_grandpa::{Message, Precommit, Prevote};
use parking_lot::Mutex;
use sc_network::{
    error::Error, service::traits::NotificationEvent, types::ProtocolName, MessageSink, NotificationService,
};
use sc_network_types::PeerId;
use sp_consensus_grandpa::{
    check_message_signature, AuthorityId, AuthoritySignature, Equivocation, EquivocationProof, RoundNumber, SetId,
};
use sp_runtime::traits::{Block as BlockT, NumberFor};
use std::{
    collections::{btree_map::Entry, BTreeMap},
    fmt,
    sync::Arc,
};

/// The first votes of how many rounds are remembered. GRANDPA takes votes for three; a round may wait for one or two more to send its commit.
const ROUNDS: usize = 8;

/// Proof that a voter voted twice.
pub type Proof<Block> = EquivocationProof<<Block as BlockT>::Hash, NumberFor<Block>>;
/// Whether a key votes in a set.
pub type IsVoter = Arc<dyn Fn(SetId, &AuthorityId) -> bool + Send + Sync>;
/// Takes proofs, each voter's once for a round and kind of vote.
pub type OnEquivocation<Block> = Arc<dyn Fn(Proof<Block>) + Send + Sync>;

/// The service that GRANDPA sends and receives its messages over, without what the voter must not see.
pub struct FirstVotes<Block: BlockT> {
    inner: Box<dyn NotificationService>,
    filter: Arc<Filter<Block>>,
}

impl<Block: BlockT> FirstVotes<Block> {
    /// Wraps a service, with nothing remembered.
    pub fn new(inner: Box<dyn NotificationService>, is_voter: IsVoter, on_equivocation: OnEquivocation<Block>) -> Self {
        let memory = Mutex::new(Memory { here: None, asked: None, firsts: BTreeMap::new() });
        Self { inner, filter: Arc::new(Filter { is_voter, on_equivocation, memory }) }
    }
}

impl<Block: BlockT> fmt::Debug for FirstVotes<Block> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FirstVotes").field(&self.inner).finish()
    }
}

#[async_trait::async_trait]
impl<Block: BlockT> NotificationService for FirstVotes<Block> {
    async fn open_substream(&mut self, peer: PeerId) -> Result<(), ()> {
        self.inner.open_substream(peer).await
    }

    async fn close_substream(&mut self, peer: PeerId) -> Result<(), ()> {
        self.inner.close_substream(peer).await
    }

    fn send_sync_notification(&mut self, peer: &PeerId, notification: Vec<u8>) {
        self.filter.note_sent(peer, &notification);
        self.inner.send_sync_notification(peer, notification);
    }

    async fn send_async_notification(&mut self, peer: &PeerId, notification: Vec<u8>) -> Result<(), Error> {
        self.filter.note_sent(peer, &notification);
        self.inner.send_async_notification(peer, notification).await
    }

    async fn set_handshake(&mut self, handshake: Vec<u8>) -> Result<(), ()> {
        self.inner.set_handshake(handshake).await
    }

    fn try_set_handshake(&mut self, handshake: Vec<u8>) -> Result<(), ()> {
        self.inner.try_set_handshake(handshake)
    }

    async fn next_event(&mut self) -> Option<NotificationEvent> {
        loop {
            let event = self.inner.next_event().await?;
            match &event {
                NotificationEvent::NotificationReceived { peer, notification }
                    if !self.filter.lets_in(peer, notification) => {},
                _ => return Some(event),
            }
        }
    }

    fn clone(&mut self) -> Result<Box<dyn NotificationService>, ()> {
        let filter = self.filter.clone();
        self.inner.clone().map(|inner| -> Box<dyn NotificationService> { Box::new(Self { inner, filter }) })
    }

    fn protocol(&self) -> &ProtocolName {
        self.inner.protocol()
    }

    fn message_sink(&self, peer: &PeerId) -> Option<Box<dyn MessageSink>> {
        self.inner.message_sink(peer)
    }
}

/// What a message is, in the order in which `sc-consensus-grandpa` encodes it (`GossipMessage` in `communication/gossip.rs`), which
/// keeps the type to itself.
#[derive(Debug, PartialEq, Decode)]
enum Gossip<H, N> {
    Vote(Vote<H, N>),
    Commit(Commit<H, N>),
    Neighbor(Neighbor<N>),
    CatchUpRequest(At),
    CatchUp(CatchUp<H, N>),
}

/// A round of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Decode)]
struct At {
    round: RoundNumber,
    set: SetId,
}

#[derive(Debug, PartialEq, Decode)]
struct Vote<H, N> {
    at: At,
    message: finality_grandpa::SignedMessage<H, N, AuthoritySignature, AuthorityId>,
}

#[derive(Debug, PartialEq, Decode)]
struct Commit<H, N> {
    at: At,
    message: finality_grandpa::CompactCommit<H, N, AuthoritySignature, AuthorityId>,
}

#[derive(Debug, PartialEq, Decode)]
enum Neighbor<N> {
    #[codec(index = 1)]
    V1 { at: At, _final: N },
}

#[derive(Debug, PartialEq, Decode)]
struct CatchUp<H, N> {
    set: SetId,
    message: finality_grandpa::CatchUp<H, N, AuthoritySignature, AuthorityId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Prevote,
    Precommit,
}

/// A prevote or precommit, whose signature may be anybody's.
#[derive(Clone)]
struct Signed<H, N> {
    kind: Kind,
    voter: AuthorityId,
    target: (H, N),
    signature: AuthoritySignature,
}

impl<H: Encode + Clone, N: Encode + Clone> Signed<H, N> {
    /// The vote that a message is; none, if it is the primary's proposal, which is no vote.
    fn of(message: finality_grandpa::SignedMessage<H, N, AuthoritySignature, AuthorityId>) -> Option<Self> {
        let (kind, target) = match message.message {
            Message::Prevote(vote) => (Kind::Prevote, (vote.target_hash, vote.target_number)),
            Message::Precommit(vote) => (Kind::Precommit, (vote.target_hash, vote.target_number)),
            Message::PrimaryPropose(_) => return None,
        };
        Some(Self { kind, voter: message.id, target, signature: message.signature })
    }

    fn precommit(vote: Precommit<H, N>, signature: AuthoritySignature, voter: AuthorityId) -> Self {
        Self { kind: Kind::Precommit, voter, target: (vote.target_hash, vote.target_number), signature }
    }

    fn is(&self, target: &(H, N), signature: &AuthoritySignature) -> bool
    where
        H: PartialEq,
        N: PartialEq,
    {
        self.target == *target && self.signature == *signature
    }

    fn is_signed(&self, at: At) -> bool {
        let (hash, number) = self.target.clone();
        let message = match self.kind {
            Kind::Prevote => Message::Prevote(Prevote::new(hash, number)),
            Kind::Precommit => Message::Precommit(Precommit::new(hash, number)),
        };
        check_message_signature(&message, &self.voter, &self.signature, at.round, at.set).is_valid()
    }
}

/// The first vote of a voter of a kind in a round.
struct First<H, N> {
    target: (H, N),
    signature: AuthoritySignature,
    /// Whether another one was reported.
    is_reported: bool,
}

type Firsts<H, N> = BTreeMap<(AuthorityId, Kind), First<H, N>>;

struct Memory<H, N> {
    /// The round that GRANDPA is in, as it told its peers last.
    here: Option<At>,
    /// Whom it asked for a catch-up last, and for which round or a later one.
    asked: Option<(PeerId, At)>,
    /// By set and round.
    firsts: BTreeMap<(SetId, RoundNumber), Firsts<H, N>>,
}

impl<H: Encode + Clone + PartialEq, N: Encode + Clone + PartialEq> Memory<H, N> {
    fn follows(&self, at: At) -> bool {
        let is_near = |here: At| here.set == at.set && here.round.abs_diff(at.round) <= 1;
        self.here.is_some_and(is_near) || self.firsts.contains_key(&(at.set, at.round))
    }

    fn is_catch_up_asked_of(&self, peer: &PeerId, at: At) -> bool {
        self.asked.is_some_and(|(asked, from)| asked == *peer && from.set == at.set && from.round <= at.round)
    }

    /// Forgets the rounds after those that votes are taken for: they are of an earlier catch-up.
    fn forget_rounds_ahead(&mut self) {
        if let Some(here) = self.here {
            let next = here.round.saturating_add(1);
            self.firsts.retain(|(set, round), _| *set != here.set || *round <= next);
        }
    }

    fn knows(&self, at: At, vote: &Signed<H, N>) -> bool {
        let first = self.firsts.get(&(at.set, at.round)).and_then(|round| round.get(&(vote.voter.clone(), vote.kind)));
        first.is_some_and(|first| vote.is(&first.target, &first.signature))
    }

    /// Remembers a vote if it is the first. Whether it is, and what it proves if not; nothing, if that was said before.
    fn note(&mut self, at: At, vote: Signed<H, N>) -> (bool, Option<EquivocationProof<H, N>>) {
        let noted = match self.firsts.entry((at.set, at.round)).or_default().entry((vote.voter.clone(), vote.kind)) {
            Entry::Vacant(place) => {
                place.insert(First { target: vote.target, signature: vote.signature, is_reported: false });
                (true, None)
            },
            Entry::Occupied(mut place) => {
                let first = place.get_mut();
                let is_other = first.target != vote.target;
                if is_other && !first.is_reported {
                    first.is_reported = true;
                    (false, Some(proof(at, first, vote)))
                } else {
                    (!is_other && first.signature == vote.signature, None)
                }
            },
        };
        while self.firsts.len() > ROUNDS {
            self.firsts.pop_first();
        }
        noted
    }
}

/// What two votes of a voter prove.
fn proof<H: Clone, N: Clone>(at: At, first: &First<H, N>, second: Signed<H, N>) -> EquivocationProof<H, N> {
    fn pair<H, N, V>(
        (round_number, identity): (RoundNumber, AuthorityId),
        vote: impl Fn(H, N) -> V,
        votes: [((H, N), AuthoritySignature); 2],
    ) -> finality_grandpa::Equivocation<AuthorityId, V, AuthoritySignature> {
        let [first, second] = votes.map(|((hash, number), signature)| (vote(hash, number), signature));
        finality_grandpa::Equivocation { round_number, identity, first, second }
    }
    let who = (at.round, second.voter);
    let votes = [(first.target.clone(), first.signature.clone()), (second.target, second.signature)];
    let equivocation = match second.kind {
        Kind::Prevote => Equivocation::Prevote(pair(who, Prevote::new, votes)),
        Kind::Precommit => Equivocation::Precommit(pair(who, Precommit::new, votes)),
    };
    EquivocationProof::new(at.set, equivocation)
}

/// What a vote turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    /// The first of its voter, new or again.
    First,
    /// Another one than the first, and signed.
    Second,
    /// Of no voter, or not signed by it: the SDK refuses it.
    Unsigned,
}

/// The memory that all copies of a service share, and whom they ask and tell.
struct Filter<Block: BlockT> {
    is_voter: IsVoter,
    on_equivocation: OnEquivocation<Block>,
    memory: Mutex<Memory<Block::Hash, NumberFor<Block>>>,
}

impl<Block: BlockT> Filter<Block> {
    /// Learns from what GRANDPA sends where it is, and how it votes itself.
    fn note_sent(&self, peer: &PeerId, notification: &[u8]) {
        match Gossip::decode_all(&mut &*notification) {
            Ok(Gossip::Neighbor(Neighbor::V1 { at, .. })) => self.memory.lock().here = Some(at),
            Ok(Gossip::CatchUpRequest(at)) => self.memory.lock().asked = Some((*peer, at)),
            // Its own, one that it kept from before it was started, or one that came in here.
            Ok(Gossip::Vote(Vote { at, message })) => {
                let Some(vote) = Signed::of(message) else { return };
                let is_followed = self.memory.lock().follows(at);
                if is_followed && (self.is_voter)(at.set, &vote.voter) {
                    self.note(at, vote);
                }
            },
            _ => {},
        }
    }

    /// Whether a message reaches the voter. What cannot be decoded does: the SDK holds it against its sender.
    fn lets_in(&self, peer: &PeerId, notification: &[u8]) -> bool {
        match Gossip::decode_all(&mut &*notification) {
            Ok(Gossip::Vote(Vote { at, message })) => {
                Signed::of(message).is_none_or(|vote| self.lets_vote_in(at, vote))
            },
            Ok(Gossip::Commit(commit)) => self.lets_commit_in(commit),
            Ok(Gossip::CatchUp(catch_up)) => self.lets_catch_up_in(peer, catch_up),
            Ok(Gossip::Neighbor(_) | Gossip::CatchUpRequest(_)) | Err(_) => true,
        }
    }

    fn lets_vote_in(&self, at: At, vote: Signed<Block::Hash, NumberFor<Block>>) -> bool {
        if !self.memory.lock().follows(at) {
            return true;
        }
        let kind = vote.kind;
        self.judge(at, vote) != Is::Second || kind == Kind::Prevote
    }

    fn lets_commit_in(&self, Commit { at, message }: Commit<Block::Hash, NumberFor<Block>>) -> bool {
        if message.precommits.iter().any(|vote| vote.target_number < message.target_number) {
            return false;
        }
        let signed = message.precommits.into_iter().zip(message.auth_data);
        let votes = signed.map(|(vote, (signature, voter))| Signed::precommit(vote, signature, voter)).collect();
        let is_followed = self.memory.lock().follows(at);
        self.let_precommits_in(at, votes, is_followed)
    }

    fn lets_catch_up_in(&self, peer: &PeerId, catch_up: CatchUp<Block::Hash, NumberFor<Block>>) -> bool {
        let CatchUp { set, message } = catch_up;
        let at = At { set, round: message.round_number };
        let signed = message.precommits.into_iter();
        let votes = signed.map(|it| Signed::precommit(it.precommit, it.signature, it.id)).collect();
        let mut memory = self.memory.lock();
        // The SDK takes no other one.
        let is_asked = memory.is_catch_up_asked_of(peer, at);
        if is_asked {
            // The votes of a catch-up that came before are no reason to refuse this one.
            memory.forget_rounds_ahead();
        }
        drop(memory);
        self.let_precommits_in(at, votes, is_asked)
    }

    /// Whether a message with these precommits reaches the voter: not, if one of them is another than the first. They are looked at alone,
    /// unless the message is of a round that this node follows or comes to follow by it.
    fn let_precommits_in(&self, at: At, votes: Vec<Signed<Block::Hash, NumberFor<Block>>>, is_followed: bool) -> bool {
        let mut by_voter = BTreeMap::<_, Signed<_, _>>::new();
        for vote in votes {
            match by_voter.entry(vote.voter.clone()) {
                Entry::Vacant(place) => {
                    place.insert(vote);
                },
                Entry::Occupied(first) => {
                    if vote.is(&first.get().target, &first.get().signature) {
                        continue;
                    }
                    if is_followed {
                        self.judge(at, first.remove());
                        self.judge(at, vote);
                    }
                    return false;
                },
            }
        }
        if !is_followed {
            return true;
        }
        for vote in by_voter.into_values() {
            match self.judge(at, vote) {
                Is::First => {},
                Is::Second => return false,
                // The SDK refuses the whole message.
                Is::Unsigned => return true,
            }
        }
        true
    }

    fn judge(&self, at: At, vote: Signed<Block::Hash, NumberFor<Block>>) -> Is {
        if self.memory.lock().knows(at, &vote) {
            return Is::First;
        }
        if !(self.is_voter)(at.set, &vote.voter) || !vote.is_signed(at) {
            return Is::Unsigned;
        }
        if self.note(at, vote) {
            Is::First
        } else {
            Is::Second
        }
    }

    /// Whether a vote that its voter signed is its first one; reports it if it is not.
    fn note(&self, at: At, vote: Signed<Block::Hash, NumberFor<Block>>) -> bool {
        let (kind, voter) = (vote.kind, vote.voter.clone());
        let (is_first, proof) = self.memory.lock().note(at, vote);
        if let Some(proof) = proof {
            tracing::warn!(target: "weir", %voter, ?kind, round = at.round, set = at.set, "a voter voted twice");
            (self.on_equivocation)(proof);
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use finality_grandpa::{CompactCommit, PrimaryPropose, SignedMessage, SignedPrecommit, SignedPrevote};
    use futures::executor::block_on;
    use sp_consensus_grandpa::{check_equivocation_proof, localized_payload, AuthorityPair};
    use sp_core::{Pair, H256};
    use sp_runtime::{generic, traits::BlakeTwo256, OpaqueExtrinsic};
    use std::collections::VecDeque;

    type Block = generic::Block<generic::Header<u32, BlakeTwo256>, OpaqueExtrinsic>;
    type Target = (H256, u32);

    /// The set of the voters, and the round that the node is in.
    const HERE: At = At { round: 5, set: 1 };
    /// The children of block 9 on two branches, and a child of the first.
    const A: Target = (H256([1; 32]), 10);
    const B: Target = (H256([2; 32]), 10);
    const C: Target = (H256([3; 32]), 11);

    fn at(round: RoundNumber) -> At {
        At { round, ..HERE }
    }

    fn key(name: &str) -> AuthorityPair {
        AuthorityPair::from_string(&format!("//{name}"), None).unwrap()
    }

    fn precommit((hash, number): Target) -> Message<H256, u32> {
        Message::Precommit(Precommit::new(hash, number))
    }

    fn prevote((hash, number): Target) -> Message<H256, u32> {
        Message::Prevote(Prevote::new(hash, number))
    }

    fn sign(at: At, key: &AuthorityPair, message: &Message<H256, u32>) -> AuthoritySignature {
        key.sign(&localized_payload(at.round, at.set, message))
    }

    // `GossipMessage` of sc-consensus-grandpa cannot be made from outside. What follows has its fields in its order, and the SDK's public types
    // within them.

    fn vote_by(at: At, id: AuthorityId, signature: AuthoritySignature, message: Message<H256, u32>) -> Vec<u8> {
        (0u8, at.round, at.set, SignedMessage { message, signature, id }).encode()
    }

    fn vote(at: At, key: &AuthorityPair, message: Message<H256, u32>) -> Vec<u8> {
        vote_by(at, key.public(), sign(at, key, &message), message)
    }

    fn commit(at: At, target: Target, precommits: &[(&AuthorityPair, Target)]) -> Vec<u8> {
        let compact = CompactCommit {
            target_hash: target.0,
            target_number: target.1,
            precommits: precommits.iter().map(|(_, (hash, number))| Precommit::new(*hash, *number)).collect(),
            auth_data: precommits.iter().map(|(key, to)| (sign(at, key, &precommit(*to)), key.public())).collect(),
        };
        (1u8, at.round, at.set, compact).encode()
    }

    fn neighbor(at: At) -> Vec<u8> {
        (2u8, 1u8, at.round, at.set, 9u32).encode()
    }

    fn catch_up_request(at: At) -> Vec<u8> {
        (3u8, at.round, at.set).encode()
    }

    fn catch_up(at: At, prevotes: &[(&AuthorityPair, Target)], precommits: &[(&AuthorityPair, Target)]) -> Vec<u8> {
        let message = finality_grandpa::CatchUp {
            round_number: at.round,
            prevotes: prevotes
                .iter()
                .map(|(key, to)| SignedPrevote {
                    prevote: Prevote::new(to.0, to.1),
                    signature: sign(at, key, &prevote(*to)),
                    id: key.public(),
                })
                .collect(),
            precommits: precommits
                .iter()
                .map(|(key, to)| SignedPrecommit {
                    precommit: Precommit::new(to.0, to.1),
                    signature: sign(at, key, &precommit(*to)),
                    id: key.public(),
                })
                .collect(),
            base_hash: H256::zero(),
            base_number: 0u32,
        };
        (4u8, at.set, message).encode()
    }

    /// Peers whose messages wait to be received.
    #[derive(Clone, Debug, Default)]
    struct Wire(Arc<Mutex<VecDeque<NotificationEvent>>>);

    #[async_trait::async_trait]
    impl NotificationService for Wire {
        async fn open_substream(&mut self, _: PeerId) -> Result<(), ()> {
            Ok(())
        }

        async fn close_substream(&mut self, _: PeerId) -> Result<(), ()> {
            Ok(())
        }

        fn send_sync_notification(&mut self, _: &PeerId, _: Vec<u8>) {}

        async fn send_async_notification(&mut self, _: &PeerId, _: Vec<u8>) -> Result<(), Error> {
            Ok(())
        }

        async fn set_handshake(&mut self, _: Vec<u8>) -> Result<(), ()> {
            Ok(())
        }

        fn try_set_handshake(&mut self, _: Vec<u8>) -> Result<(), ()> {
            Ok(())
        }

        async fn next_event(&mut self) -> Option<NotificationEvent> {
            self.0.lock().pop_front()
        }

        fn clone(&mut self) -> Result<Box<dyn NotificationService>, ()> {
            Ok(Box::new(Clone::clone(self)))
        }

        fn protocol(&self) -> &ProtocolName {
            unreachable!("nobody asks")
        }

        fn message_sink(&self, _: &PeerId) -> Option<Box<dyn MessageSink>> {
            None
        }
    }

    /// A node whose voters are Alice, Bob, Charlie, and Dave.
    struct Node {
        wire: Wire,
        service: FirstVotes<Block>,
        reported: Arc<Mutex<Vec<Proof<Block>>>>,
        peer: PeerId,
    }

    impl Node {
        fn new() -> Self {
            let voters = ["Alice", "Bob", "Charlie", "Dave"].map(|name| key(name).public());
            let (wire, reported) = (Wire::default(), Arc::new(Mutex::new(Vec::new())));
            let reports = reported.clone();
            let mut service = FirstVotes::new(
                Box::new(Clone::clone(&wire)),
                Arc::new(move |set, key| set == HERE.set && voters.contains(key)),
                Arc::new(move |proof| reports.lock().push(proof)),
            );
            let peer = PeerId::random();
            service.send_sync_notification(&peer, neighbor(HERE));
            Self { wire, service, reported, peer }
        }

        fn send(&mut self, message: Vec<u8>) {
            self.service.send_sync_notification(&self.peer, message);
        }

        /// Whether a message that comes in reaches the voter.
        fn gets(&mut self, message: Vec<u8>) -> bool {
            let received = NotificationEvent::NotificationReceived { peer: self.peer, notification: message.clone() };
            self.wire.0.lock().push_back(received);
            match block_on(self.service.next_event()) {
                Some(NotificationEvent::NotificationReceived { notification, .. }) => {
                    assert_eq!(notification, message);
                    true
                },
                Some(event) => panic!("{event:?}"),
                None => false,
            }
        }

        fn reports(&self) -> usize {
            let reported = self.reported.lock();
            assert!(reported.iter().all(|proof| check_equivocation_proof(proof.clone())));
            reported.len()
        }

        /// How many rounds and votes are remembered.
        fn remembered(&self) -> (usize, usize) {
            let memory = self.service.filter.memory.lock();
            (memory.firsts.len(), memory.firsts.values().map(BTreeMap::len).sum())
        }
    }

    #[test]
    fn the_first_precommit_passes_and_others_are_dropped_and_reported_once() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        for round in [HERE.round - 1, HERE.round, HERE.round + 1] {
            assert!(node.gets(vote(at(round), &alice, precommit(A))));
            assert!(!node.gets(vote(at(round), &alice, precommit(B))));
            assert!(!node.gets(vote(at(round), &alice, precommit(C))));
            assert!(node.gets(vote(at(round), &key("Bob"), precommit(B))));
        }
        assert_eq!(node.reports(), 3);
        let proof = node.reported.lock()[1].clone();
        assert_eq!((proof.set_id(), proof.round(), proof.offender()), (HERE.set, HERE.round, &alice.public()));
    }

    #[test]
    fn a_vote_that_comes_again_passes() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        assert!(!node.gets(vote(HERE, &alice, precommit(B))));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
    }

    #[test]
    fn a_second_prevote_passes_and_is_reported_once() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        for target in [A, B, B, C, A] {
            assert!(node.gets(vote(HERE, &alice, prevote(target))));
        }
        assert_eq!(node.reports(), 1);
    }

    #[test]
    fn a_proposal_is_no_vote() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        for (target_hash, target_number) in [A, B] {
            let proposal = Message::PrimaryPropose(PrimaryPropose { target_hash, target_number });
            assert!(node.gets(vote(HERE, &alice, proposal)));
        }
        assert_eq!((node.reports(), node.remembered()), (0, (0, 0)));
    }

    #[test]
    fn a_forged_vote_is_left_to_the_sdk_and_holds_up_no_honest_one() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        let forged = vote_by(HERE, alice.public(), sign(HERE, &key("Bob"), &precommit(B)), precommit(B));
        // Signed by the voter, for another round.
        let moved = vote_by(HERE, alice.public(), sign(at(4), &alice, &precommit(B)), precommit(B));
        for message in [forged.clone(), moved.clone(), vote(HERE, &alice, precommit(A)), forged, moved] {
            assert!(node.gets(message));
        }
        assert_eq!((node.reports(), node.remembered()), (0, (1, 1)));
        assert!(!node.gets(vote(HERE, &alice, precommit(B))));
    }

    #[test]
    fn the_same_precommit_with_another_signature_is_a_second_one_that_proves_nothing() {
        let mut memory = Memory { here: None, asked: None, firsts: BTreeMap::new() };
        let signed = |name| Signed {
            kind: Kind::Precommit,
            voter: key("Alice").public(),
            target: A,
            signature: sign(HERE, &key(name), &precommit(A)),
        };
        assert!(memory.note(HERE, signed("Alice")).0);
        // Whoever has the key can sign one message in many ways. For what is tested here, any other signature does.
        let (is_first, proof) = memory.note(HERE, signed("Bob"));
        assert!(!is_first && proof.is_none());
        assert!(memory.note(HERE, signed("Alice")).0);
    }

    #[test]
    fn the_votes_of_others_pass_and_take_no_memory() {
        let mut node = Node::new();
        for number in 0..100 {
            let stranger = key(&format!("Stranger{number}"));
            assert!(node.gets(vote(HERE, &stranger, precommit(A))));
            assert!(node.gets(vote(HERE, &stranger, precommit(B))));
        }
        // Of a voter, but of a set that it is not known to be in.
        assert!(node.gets(vote(At { set: 2, ..HERE }, &key("Alice"), precommit(A))));
        assert_eq!((node.reports(), node.remembered()), (0, (0, 0)));
    }

    #[test]
    fn memory_stays_small_over_many_rounds() {
        let (mut node, voters) = (Node::new(), ["Alice", "Bob"].map(key));
        for round in 6..10_006 {
            node.send(neighbor(at(round)));
            for voter in &voters {
                node.gets(vote(at(round + 1), voter, precommit(A)));
            }
            assert!(node.remembered().0 <= ROUNDS && node.remembered().1 <= ROUNDS * voters.len());
        }
        assert_eq!(node.remembered(), (ROUNDS, ROUNDS * voters.len()));
        // The set changes, and rounds begin anew.
        node.send(neighbor(At { round: 1, set: 2 }));
        assert!(node.gets(vote(At { round: 1, set: 2 }, &voters[0], precommit(A))));
        assert_eq!(node.remembered(), (ROUNDS, ROUNDS * voters.len()));
    }

    #[test]
    fn votes_for_rounds_far_ahead_drive_nothing_out() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        for ahead in 2..1_000 {
            assert!(node.gets(vote(at(HERE.round + ahead), &alice, precommit(A))));
            assert!(node.gets(catch_up(at(HERE.round + ahead), &[], &[(&alice, A)])));
        }
        assert!(!node.gets(vote(HERE, &alice, precommit(B))));
        assert_eq!(node.remembered(), (1, 1));
    }

    #[test]
    fn a_commit_with_two_precommits_of_one_voter_is_dropped_whatever_its_round() {
        let (mut node, [alice, bob, charlie]) = (Node::new(), ["Alice", "Bob", "Charlie"].map(key));
        for round in [HERE.round, 50] {
            assert!(node.gets(commit(at(round), A, &[(&alice, A), (&bob, A)])));
            assert!(!node.gets(commit(at(round), A, &[(&alice, A), (&bob, A), (&charlie, A), (&charlie, B)])));
            // Twice the same one is no second one.
            assert!(node.gets(commit(at(round), A, &[(&alice, A), (&bob, A), (&charlie, A), (&charlie, A)])));
        }
        assert_eq!((node.reports(), node.remembered()), (1, (1, 3)));
        // What came in a commit counts as what came alone.
        assert!(node.gets(vote(HERE, &bob, precommit(A))));
        assert!(!node.gets(vote(HERE, &bob, precommit(C))));
    }

    #[test]
    fn a_commit_with_another_precommit_than_the_first_is_dropped_if_its_round_is_followed() {
        let (mut node, [alice, bob]) = (Node::new(), ["Alice", "Bob"].map(key));
        for round in [HERE.round, 50] {
            assert!(node.gets(vote(at(round), &alice, precommit(A))));
        }
        assert!(!node.gets(commit(HERE, B, &[(&alice, B), (&bob, B)])));
        assert!(node.gets(commit(HERE, A, &[(&alice, A), (&bob, A)])));
        assert!(node.gets(commit(at(50), B, &[(&alice, B), (&bob, B)])));
        assert_eq!((node.reports(), node.remembered()), (1, (1, 2)));
    }

    #[test]
    fn a_commit_with_a_forged_precommit_is_left_to_the_sdk_and_nothing_forged_is_remembered() {
        let (mut node, [alice, bob]) = (Node::new(), ["Alice", "Bob"].map(key));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        let compact = CompactCommit {
            target_hash: B.0,
            target_number: B.1,
            precommits: vec![Precommit::new(B.0, B.1); 2],
            auth_data: [&alice, &bob].map(|key| (sign(HERE, key, &precommit(C)), key.public())).to_vec(),
        };
        assert!(node.gets((1u8, HERE.round, HERE.set, compact).encode()));
        assert_eq!((node.reports(), node.remembered()), (0, (1, 1)));
    }

    #[test]
    fn a_commit_with_a_precommit_below_its_target_is_dropped() {
        let (mut node, [alice, bob]) = (Node::new(), ["Alice", "Bob"].map(key));
        for round in [HERE.round, 50] {
            assert!(!node.gets(commit(at(round), C, &[(&alice, C), (&bob, A)])));
            assert!(node.gets(commit(at(round), A, &[(&alice, C), (&bob, A)])));
        }
    }

    #[test]
    fn a_catch_up_with_two_precommits_of_one_voter_is_dropped_and_two_prevotes_pass() {
        let (mut node, [alice, bob], asked) = (Node::new(), ["Alice", "Bob"].map(key), at(20));
        node.send(catch_up_request(asked));
        assert!(!node.gets(catch_up(asked, &[(&alice, A), (&bob, A)], &[(&alice, A), (&bob, A), (&alice, B)])));
        assert!(node.gets(catch_up(asked, &[(&alice, A), (&bob, A), (&alice, B)], &[(&alice, A), (&bob, A)])));
        assert_eq!(node.reports(), 1);
    }

    #[test]
    fn the_precommits_of_a_catch_up_that_was_asked_for_are_the_first_ones_of_its_round() {
        let (mut node, [alice, bob], asked) = (Node::new(), ["Alice", "Bob"].map(key), at(20));
        // Of a voter that shows this node what it shows nobody else, before its round comes.
        assert!(node.gets(vote(asked, &alice, precommit(B))));
        node.send(catch_up_request(asked));
        // That of an earlier one is no reason to refuse it.
        assert!(node.gets(catch_up(at(21), &[(&alice, B)], &[(&alice, B)])));
        assert!(node.gets(catch_up(at(21), &[(&alice, A), (&bob, A)], &[(&alice, A), (&bob, A)])));
        node.send(neighbor(at(22)));
        assert!(node.gets(vote(at(21), &alice, precommit(A))));
        assert!(!node.gets(vote(at(21), &alice, precommit(B))));
        assert!(!node.gets(commit(at(21), B, &[(&alice, B), (&bob, B)])));
    }

    #[test]
    fn a_catch_up_that_was_not_asked_of_its_sender_is_not_remembered() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        assert!(node.gets(catch_up(at(20), &[(&alice, A)], &[(&alice, A)])));
        node.send(catch_up_request(at(20)));
        node.peer = PeerId::random();
        assert!(node.gets(catch_up(at(20), &[(&alice, A)], &[(&alice, A)])));
        assert_eq!(node.remembered(), (0, 0));
    }

    #[test]
    fn a_catch_up_of_a_round_that_is_followed_is_dropped_for_another_precommit_than_the_first() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        node.send(catch_up_request(at(HERE.round + 3)));
        node.send(neighbor(at(HERE.round + 2)));
        assert!(node.gets(vote(at(HERE.round + 3), &alice, precommit(A))));
        assert!(!node.gets(catch_up(at(HERE.round + 3), &[(&alice, B)], &[(&alice, B)])));
        assert!(node.gets(catch_up(at(HERE.round + 3), &[(&alice, A)], &[(&alice, A)])));
        assert_eq!(node.reports(), 1);
    }

    #[test]
    fn what_the_node_sends_counts_as_what_it_receives() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        node.send(vote(HERE, &alice, precommit(A)));
        assert!(!node.gets(vote(HERE, &alice, precommit(B))));
        assert_eq!(node.reports(), 1);
    }

    #[test]
    fn before_the_round_is_known_nothing_is_remembered() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        node.service.filter.memory.lock().here = None;
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        assert_eq!(node.remembered(), (0, 0));
    }

    #[test]
    fn copies_share_their_memory() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        assert!(node.gets(vote(HERE, &alice, precommit(A))));
        let mut copy = NotificationService::clone(&mut node.service).unwrap();
        for (target, passes) in [(B, false), (A, true)] {
            let notification = vote(HERE, &alice, precommit(target));
            node.wire.0.lock().push_back(NotificationEvent::NotificationReceived { peer: node.peer, notification });
            assert_eq!(block_on(copy.next_event()).is_some(), passes);
        }
    }

    #[test]
    fn what_cannot_be_decoded_and_what_is_no_message_passes() {
        let (mut node, alice) = (Node::new(), key("Alice"));
        let whole = vote(HERE, &alice, precommit(A));
        let (short, long) = (whole[..whole.len() - 1].to_vec(), [whole.clone(), vec![0]].concat());
        for message in [Vec::new(), vec![5], vec![2, 0], short, long] {
            assert!(node.gets(message));
        }
        assert_eq!(node.remembered(), (0, 0));
        let closed = NotificationEvent::NotificationStreamClosed { peer: node.peer };
        node.wire.0.lock().extend([
            NotificationEvent::NotificationReceived { peer: node.peer, notification: whole.clone() },
            NotificationEvent::NotificationReceived { peer: node.peer, notification: vote(HERE, &alice, precommit(B)) },
            closed,
        ]);
        // The event after one that is dropped is the next one.
        let mut next = || block_on(node.service.next_event());
        assert!(matches!(next(), Some(NotificationEvent::NotificationReceived { .. })));
        assert!(matches!(next(), Some(NotificationEvent::NotificationStreamClosed { .. })));
        assert!(next().is_none());
    }

    #[test]
    fn messages_are_decoded_as_the_sdk_encodes_them() {
        // By hand from the layout: the number of the variant, the round before the set, both in eight bytes, the lowest first.
        let (id, signature) = (key("Alice").public(), sign(HERE, &key("Alice"), &precommit(A)));
        let head = |variant: u8| [vec![variant], vec![5, 0, 0, 0, 0, 0, 0, 0], vec![1, 0, 0, 0, 0, 0, 0, 0]].concat();
        let target = [A.0.as_bytes(), &[10, 0, 0, 0]].concat();
        let (auth, key) = (AsRef::<[u8]>::as_ref(&signature).to_vec(), AsRef::<[u8]>::as_ref(&id).to_vec());
        let decoded = |bytes: &[Vec<u8>]| Gossip::<H256, u32>::decode_all(&mut &*bytes.concat()).unwrap();

        let signed = SignedMessage { message: precommit(A), signature: signature.clone(), id: id.clone() };
        let bytes = [head(0), vec![1], target.clone(), auth.clone(), key.clone()];
        assert_eq!(decoded(&bytes), Gossip::Vote(Vote { at: HERE, message: signed }));
        let signed = SignedMessage { message: prevote(A), signature: signature.clone(), id: id.clone() };
        let bytes = [head(0), vec![0], target.clone(), auth.clone(), key.clone()];
        assert_eq!(decoded(&bytes), Gossip::Vote(Vote { at: HERE, message: signed }));

        let compact = CompactCommit {
            target_hash: A.0,
            target_number: A.1,
            precommits: vec![Precommit::new(A.0, A.1)],
            auth_data: vec![(signature.clone(), id.clone())],
        };
        let bytes = [head(1), target.clone(), vec![4], target.clone(), vec![4], auth.clone(), key.clone()];
        assert_eq!(decoded(&bytes), Gossip::Commit(Commit { at: HERE, message: compact }));

        let bytes = [vec![2], head(1), vec![9, 0, 0, 0]];
        assert_eq!(decoded(&bytes), Gossip::Neighbor(Neighbor::V1 { at: HERE, _final: 9 }));
        assert_eq!(decoded(&[head(3)]), Gossip::CatchUpRequest(HERE));

        let message = finality_grandpa::CatchUp {
            round_number: 5,
            prevotes: vec![SignedPrevote {
                prevote: Prevote::new(A.0, A.1),
                signature: signature.clone(),
                id: id.clone(),
            }],
            precommits: vec![SignedPrecommit { precommit: Precommit::new(A.0, A.1), signature, id }],
            base_hash: A.0,
            base_number: A.1,
        };
        let (set, round) = (vec![1, 0, 0, 0, 0, 0, 0, 0], vec![5, 0, 0, 0, 0, 0, 0, 0]);
        let votes = [vec![4], target.clone(), auth, key].concat();
        let bytes = [vec![4], set, round, votes.clone(), votes, target];
        assert_eq!(decoded(&bytes), Gossip::CatchUp(CatchUp { set: 1, message }));
    }

    #[test]
    fn a_commit_that_a_node_has_sent_is_decoded_and_its_signature_is_right() {
        // Taken from the log of a development chain with sc-consensus-grandpa 0.45.0.
        let bytes = sp_core::bytes::from_hex(
            "0x\
             0130000000000000000000000000000000e4abe178764947dc004bad0e985c4b7ab139368feb73722729586405f6ea735b07\
             00000004e4abe178764947dc004bad0e985c4b7ab139368feb73722729586405f6ea735b070000000492ac795fe55fefbe1c\
             b99855c1fb2f0529bb61769fafa8a6ae78012c786859e94cf020bcd981dfb8dce65d813a0252b45402d5a2365ed7e0cfa462\
             3432efa00688dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee",
        );
        let Gossip::Commit(Commit { at, message }) = Gossip::<H256, u32>::decode_all(&mut &*bytes.unwrap()).unwrap()
        else {
            panic!("it is another message");
        };
        assert_eq!((at.set, message.precommits.len(), message.auth_data.len()), (0, 1, 1));
        let (signature, voter) = message.auth_data[0].clone();
        let vote = Signed::precommit(message.precommits[0].clone(), signature, voter);
        assert!(vote.is_signed(at) && !vote.is_signed(At { round: at.round + 1, ..at }));
    }
}
