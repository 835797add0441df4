//! What agents say to each other on control streams: SCALE, one request and one response per stream.

use codec::{Decode, DecodeAll, Encode};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{request_response, StreamProtocol};
use std::io;

/// The name of the protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/weir/measure/1");

/// The most bytes of one message: enough for the bitmap of half a million packets.
pub const MAX_MESSAGE_BYTES: u64 = 1 << 16;

/// What a prover asks of a challenger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// It is ready for a challenge, and dialled so that no port has to be open but that of the packets.
    Join {
        /// Of which chain.
        genesis: [u8; 32],
        /// The epoch of the challenge.
        epoch: u32,
        /// The prover's position in it.
        position: u32,
    },
    /// What it received.
    Proof {
        /// The epoch of the challenge.
        epoch: u32,
        /// The prover's position in it.
        position: u32,
        /// The Merkle root over the digests of the packets that arrived.
        root: [u8; 32],
        /// Which ones those are.
        bitmap: Vec<u8>,
        /// The prover's signature over [`proof_payload`].
        signature: [u8; 64],
    },
}

/// What a challenger answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// It will send at the start of the challenge.
    Joined {
        /// The mark of its packets.
        tag: [u8; 16],
        /// How many it will send.
        packets: u32,
    },
    /// It will report this.
    Counted {
        /// The bytes that were proven, as whole IP packets.
        bytes: u64,
        /// The time from the start until the proof was there.
        elapsed_us: u64,
    },
    /// It will not take part.
    Refused(Refusal),
}

/// Why a challenger does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Refusal {
    /// The prover is on another chain.
    OtherChain,
    /// It knows no such challenge, or not yet.
    UnknownChallenge,
    /// The peer is not the prover.
    NotTheProver,
    /// The endpoint on chain is not at the address that the prover dials from, and might be somebody else's.
    OtherAddress,
    /// The challenge has begun, or is over.
    TooLate,
    /// There is nothing to prove: the prover did not join, or proved already.
    NothingToProve,
    /// The proof is false.
    FalseProof,
    /// Something failed on the challenger's side.
    Internal,
}

/// What a prover signs: `"weir:proof:v1" ‖ SCALE(genesis, epoch, position, challenger's peer key, root, BLAKE3(bitmap))`.
pub fn proof_payload(
    genesis: [u8; 32],
    epoch: u32,
    position: u32,
    challenger: [u8; 32],
    root: [u8; 32],
    bitmap: &[u8],
) -> Vec<u8> {
    let mut payload = b"weir:proof:v1".to_vec();
    (genesis, epoch, position, challenger, root, *blake3::hash(bitmap).as_bytes()).encode_to(&mut payload);
    payload
}

/// Reads and writes messages, none longer than [`MAX_MESSAGE_BYTES`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

async fn read<T: Decode, S: AsyncRead + Unpin + Send>(stream: &mut S) -> io::Result<T> {
    let mut bytes = Vec::new();
    stream.take(MAX_MESSAGE_BYTES + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > MAX_MESSAGE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    T::decode_all(&mut bytes.as_slice())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the message does not decode"))
}

async fn write<T: Encode, S: AsyncWrite + Unpin + Send>(stream: &mut S, message: &T) -> io::Result<()> {
    stream.write_all(&message.encode()).await?;
    stream.close().await
}

#[async_trait::async_trait]
impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<S: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut S,
    ) -> io::Result<Request> {
        read(stream).await
    }

    async fn read_response<S: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut S,
    ) -> io::Result<Response> {
        read(stream).await
    }

    async fn write_request<S: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut S,
        message: Request,
    ) -> io::Result<()> {
        write(stream, &message).await
    }

    async fn write_response<S: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut S,
        message: Response,
    ) -> io::Result<()> {
        write(stream, &message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl std::future::Future<Output = T>) -> T {
        futures::executor::block_on(future)
    }

    #[test]
    fn the_encodings_never_change() {
        let join = Request::Join { genesis: [1; 32], epoch: 2, position: 3 };
        let mut expected = vec![0u8];
        expected.extend([1; 32]);
        expected.extend([2, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(join.encode(), expected);
        assert_eq!(Response::Refused(Refusal::UnknownChallenge).encode(), [2, 1]);
    }

    #[test]
    fn messages_that_are_too_long_or_have_trailing_bytes_are_refused() {
        let long = vec![0u8; MAX_MESSAGE_BYTES as usize + 10];
        assert!(block_on(read::<Request, _>(&mut futures::io::Cursor::new(long))).is_err());
        let mut trailing = Request::Join { genesis: [1; 32], epoch: 2, position: 3 }.encode();
        trailing.push(0);
        assert!(block_on(read::<Request, _>(&mut futures::io::Cursor::new(trailing))).is_err());
    }
}
