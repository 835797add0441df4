//! What an attack needs of the best block, made anew again and again while the chain grows.

use crate::{
    forger::{Draft, Forger},
    lab::{Lab, Parent},
};
use futures::future::BoxFuture;
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use weir_e2e::{liar::Header, Result};

/// Makes something on the best block.
type Make<T> = fn(&Lab) -> BoxFuture<'_, Result<T>>;

/// What was made last.
#[derive(Clone)]
pub struct Fresh<T> {
    made: Arc<Mutex<T>>,
    make: Make<T>,
    every: Duration,
}

impl Fresh<Parent> {
    /// The best block of the attacked node, which so surely knows it.
    pub async fn attacked_best(lab: &Lab) -> Result<Self> {
        Self::new(lab, |lab| Box::pin(lab.attacked_best()), Duration::from_millis(500)).await
    }
}

impl Fresh<Header> {
    /// A header on it with valid work, which costs as much as an honest block. Its body is empty and has no inherents, so that
    /// execution fails.
    pub async fn header(lab: &Lab) -> Result<Self> {
        Self::new(lab, |lab| Box::pin(mine(lab)), Duration::from_secs(4)).await
    }
}

impl<T: Clone> Fresh<T> {
    async fn new(lab: &Lab, make: Make<T>, every: Duration) -> Result<Self> {
        Ok(Self { made: Arc::new(Mutex::new(make(lab).await?)), make, every })
    }

    /// The last one.
    pub fn last(&self) -> T {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew(&self, lab: &Lab) -> Result<()> {
        let made = (self.make)(lab).await?;
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = made;
        Ok(())
    }

    /// Makes new ones until an attack is over, or a moment.
    pub async fn while_attacking<A>(&self, lab: &Lab, until: Instant, attack: impl Future<Output = A>) -> Result<A> {
        // What was made before is old by now.
        self.renew(lab).await?;
        let making = async {
            while Instant::now() < until {
                tokio::time::sleep(self.every).await;
                self.renew(lab).await?;
            }
            std::future::pending::<Result<A>>().await
        };
        tokio::select! {
            outcome = attack => Ok(outcome),
            failed = making => failed,
        }
    }
}

async fn mine(lab: &Lab) -> Result<Header> {
    let parent = lab.best().await?;
    // Beside everything else.
    Ok(tokio::task::spawn_blocking(move || Forger::new().seal(&Draft::on(&parent))).await?)
}
