//! Who acts for an account: the account's own key, or that of a proxy which the account named.

use crate::chain::{client::Events, Error, Node};
use subxt::{
    ext::scale_encode::{self, EncodeAsFields, FieldIter, TypeResolver},
    tx::Payload,
};
use subxt_signer::sr25519::Keypair;
use weir_primitives::AccountId;

/// A key, and the account that it acts for.
#[derive(Clone)]
pub struct Actor {
    key: Keypair,
    account: AccountId,
}

impl Actor {
    /// A key that acts for its own account.
    pub fn own(key: Keypair) -> Self {
        let account = AccountId::new(key.public_key().0);
        Self { key, account }
    }

    /// A key that acts for an account as its proxy, if it is not the account's own.
    pub fn on_behalf_of(key: Keypair, account: AccountId) -> Self {
        Self { key, account }
    }

    /// The account that everything is done for.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    fn is_proxy(&self) -> bool {
        let own: &[u8] = self.account.as_ref();
        own != self.key.public_key().0
    }

    /// Has a call made by the account, and waits until it is in the best block and went well. Says what came of it.
    ///
    /// # Errors
    ///
    /// As [`Node::submit`]; [`Error::Refused`] also if the account has not named the key's account as a proxy for such calls.
    pub async fn submit(&self, node: &Node, call: &impl Payload) -> Result<Events, Error> {
        if !self.is_proxy() {
            return node.submit(&self.key, call).await;
        }
        let proxied = Proxied(Arguments { account: self.account.clone(), call: node.encode_call(call).await? });
        let events = node.submit(&self.key, &proxied).await?;
        // The proxy's call goes well even where that of the account does not.
        let executed = events
            .iter()
            .flatten()
            .find(|event| (event.pallet_name(), event.event_name()) == ("Proxy", "ProxyExecuted"))
            .ok_or_else(|| Error::Refused("the proxy did nothing".into()))?;
        match executed.field_bytes().split_first() {
            Some((0, _)) => Ok(events),
            Some((_, error)) => {
                let why = node.explain_dispatch(error).await;
                Err(Error::Refused(why.unwrap_or_else(|_| "the call was made for the account, and failed".into())))
            },
            None => Err(Error::Connection("the node tells of an event that is cut off".into())),
        }
    }
}

/// `proxy.proxy` around a call that is encoded already.
struct Proxied(Arguments);

struct Arguments {
    account: AccountId,
    call: Vec<u8>,
}

impl Payload for Proxied {
    type CallData = Arguments;

    fn pallet_name(&self) -> &str {
        "Proxy"
    }

    fn call_name(&self) -> &str {
        "proxy"
    }

    fn call_data(&self) -> &Arguments {
        &self.0
    }
}

impl EncodeAsFields for Arguments {
    /// `real` by its account, no type that the proxy must be of, and the call.
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        _: &mut dyn FieldIter<'_, R::TypeId>,
        _: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), scale_encode::Error> {
        out.push(0);
        out.extend_from_slice(self.account.as_ref());
        out.push(0);
        out.extend_from_slice(&self.call);
        Ok(())
    }
}
