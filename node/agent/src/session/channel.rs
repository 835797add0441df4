//! One control stream: messages one after the other, each with a deadline.

use codec::{Decode, Encode};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::{io, time::Duration};
use tokio::time::timeout;
use weir_probe::{
    message::{self, Malformed},
    time::UnixMicros,
};

/// How long the other side may keep us from writing a message.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// Why a control stream is at its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The other side did not say in time what it had to.
    #[error("it did not answer in time")]
    Late,
    /// The other side is gone.
    #[error("the connection ended ({0})")]
    Closed(#[from] io::Error),
    /// The other side says what nobody would.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The other side says something at the wrong time.
    #[error("a message came out of turn")]
    OutOfTurn,
}

/// A control stream. After an error it is of no more use.
pub struct Channel<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Channel<S> {
    /// Of a stream that both sides agreed on.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// When the other side is gone, or takes nothing.
    pub async fn send(&mut self, message: &impl Encode) -> Result<(), Broken> {
        let bytes = message::encode(message);
        let write = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        Ok(timeout(WRITE_WITHIN, write).await.map_err(|_| Broken::Late)??)
    }

    /// Waits for a message of at most so many bytes, and says when it was there.
    ///
    /// # Errors
    ///
    /// When there is none in time, or it is none.
    pub async fn receive<M: Decode>(&mut self, most: usize, within: Duration) -> Result<(M, UnixMicros), Broken> {
        let read = async {
            let mut prefix = [0; 4];
            self.stream.read_exact(&mut prefix).await?;
            let mut bytes = vec![0; message::length(prefix, most)?];
            self.stream.read_exact(&mut bytes).await?;
            let at = UnixMicros::now();
            Ok::<_, Broken>((message::decode(&bytes)?, at))
        };
        timeout(within, read).await.map_err(|_| Broken::Late)?
    }

    /// Receives a message, and does something again and again until it comes.
    ///
    /// # Errors
    ///
    /// When there is none in time, or it is none.
    pub async fn receive_while<M: Decode>(
        &mut self,
        most: usize,
        within: Duration,
        every: Duration,
        mut again: impl FnMut(),
    ) -> Result<(M, UnixMicros), Broken> {
        let receiving = self.receive(most, within);
        tokio::pin!(receiving);
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                received = &mut receiving => return received,
                _ = ticks.tick() => again(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use weir_probe::message::{Refusal, ToProver, MAX_TO_PROVER_BYTES};

    async fn received(bytes: &[u8]) -> Result<ToProver, Broken> {
        let mut channel = Channel::new(Cursor::new(bytes.to_vec()));
        channel.receive(MAX_TO_PROVER_BYTES, Duration::from_secs(1)).await.map(|(message, _)| message)
    }

    #[tokio::test]
    async fn a_message_is_read_as_it_was_written() {
        let bytes = message::encode(&ToProver::Refused(Refusal::Busy));
        assert_eq!(received(&bytes).await.unwrap(), ToProver::Refused(Refusal::Busy));
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_message_or_ends_early_breaks_the_stream() {
        assert!(matches!(received(&u32::MAX.to_le_bytes()).await, Err(Broken::Malformed(Malformed::TooLong(_)))));
        assert!(matches!(received(&[1, 0, 0, 0, 99]).await, Err(Broken::Malformed(Malformed::Undecodable))));
        assert!(matches!(received(&[9, 0, 0, 0, 1]).await, Err(Broken::Closed(_))));
        assert!(matches!(received(&[]).await, Err(Broken::Closed(_))));
    }
}
