//! What an answer to a request for blocks must be before anything is made of it.
//!
//! The SDK looks at the last block of an answer alone. What stands above it may be of any height, linked to nothing, and of any
//! size; it would be kept until the chain gets there, and one of the greatest height overflows the SDK's arithmetic. An answer that
//! is larger than any honest one is not decoded at all, since that takes its size three times over ([`BoundedDownloader`]).

use codec::Encode;
use futures::channel::oneshot;
use sc_network::{request_responses::RequestFailure, types::ProtocolName};
use sc_network_common::sync::message::{BlockData, BlockRequest, Direction, FromBlock};
use sc_network_sync::block_relay_protocol::{BlockDownloader, BlockResponseError};
use sc_network_types::PeerId;
use sp_runtime::traits::{Block as BlockT, Header, One, Saturating};
use std::sync::Arc;
use weir_primitives::finality::MOST_JUSTIFICATION_BYTES;

/// How many bytes the body of a block may have: twice what the runtime's largest block has.
const MOST_BODY_BYTES: usize = 4 << 20;
/// How many bytes a block may have in an answer beside its body.
const MOST_OTHER_BYTES: usize = 64 << 10;
/// How many extrinsics. Each takes more memory than an empty one takes bytes.
const MOST_EXTRINSICS: usize = 1 << 16;

/// Why an answer is a lie, whatever chain its sender is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// A header is missing, or is not that of the hash beside it.
    #[error("a header is missing or is another one's")]
    Header,
    /// The first block is not the one that was asked for.
    #[error("it does not begin with what was asked for")]
    Beginning,
    /// A block is not the child of the next one.
    #[error("its blocks are not each other's children")]
    Links,
    /// It does not decode, or has more bytes than so many blocks can have.
    #[error("it is no encoding of blocks, or too large for one")]
    Encoding,
    /// There is more than was asked for, or a body is larger than any can be.
    #[error("it is larger than any honest answer")]
    Size,
}

/// How many bytes its header and its justifications may have: several times a justification's most, which is larger than any header.
const MOST_VOUCHING_BYTES: usize = 4 * MOST_JUSTIFICATION_BYTES as usize;

/// Checks the blocks of an answer to a request for blocks downwards from one. An honest answer may end early, and at the lower end
/// only.
///
/// # Errors
///
/// Why it is forged.
pub fn check<B: BlockT>(request: &BlockRequest<B>, blocks: &[BlockData<B>]) -> Result<(), Forged> {
    let vouching = |block: &BlockData<B>| {
        let single = block.justification.as_ref().map_or(0, Vec::len);
        let all = block.justifications.iter().flat_map(|all| all.iter()).map(|(_, bytes)| bytes.len());
        let header = block.header.as_ref().map_or(0, Encode::encoded_size);
        all.fold(single.saturating_add(header), usize::saturating_add)
    };
    if blocks.iter().any(|block| vouching(block) > MOST_VOUCHING_BYTES) {
        return Err(Forged::Size);
    }
    if request.direction != Direction::Descending || blocks.is_empty() {
        return Ok(());
    }
    if request.max.is_some_and(|max| blocks.len() > max as usize) {
        return Err(Forged::Size);
    }
    let mut above: Option<&B::Header> = None;
    for block in blocks {
        let header = block.header.as_ref().filter(|header| header.hash() == block.hash).ok_or(Forged::Header)?;
        match above {
            Some(child) => {
                let is_parent =
                    *child.parent_hash() == block.hash && *child.number() == header.number().saturating_add(One::one());
                is_parent.then_some(()).ok_or(Forged::Links)?;
            },
            None => {
                let is_asked_for = match request.from {
                    FromBlock::Hash(hash) => block.hash == hash,
                    FromBlock::Number(number) => *header.number() == number,
                };
                is_asked_for.then_some(()).ok_or(Forged::Beginning)?;
            },
        }
        if let Some(body) = &block.body {
            if body.len() > MOST_EXTRINSICS || body.encoded_size() > MOST_BODY_BYTES {
                return Err(Forged::Size);
            }
        }
        above = Some(header);
    }
    Ok(())
}

/// Downloads blocks, and decodes no answer that is larger than any honest one.
#[derive(Debug)]
pub struct BoundedDownloader<B: BlockT>(Arc<dyn BlockDownloader<B>>);

impl<B: BlockT> BoundedDownloader<B> {
    /// By another downloader.
    pub fn new(inner: Arc<dyn BlockDownloader<B>>) -> Self {
        Self(inner)
    }
}

/// The most bytes of an answer.
fn most_bytes<B: BlockT>(request: &BlockRequest<B>) -> usize {
    let blocks = request.max.map_or(usize::MAX, |max| max as usize);
    blocks.saturating_mul(MOST_BODY_BYTES.saturating_add(MOST_OTHER_BYTES))
}

#[async_trait::async_trait]
impl<B: BlockT> BlockDownloader<B> for BoundedDownloader<B> {
    fn protocol_name(&self) -> &ProtocolName {
        self.0.protocol_name()
    }

    async fn download_blocks(
        &self,
        who: PeerId,
        request: BlockRequest<B>,
    ) -> Result<Result<(Vec<u8>, ProtocolName), RequestFailure>, oneshot::Canceled> {
        self.0.download_blocks(who, request).await
    }

    fn block_response_into_blocks(
        &self,
        request: &BlockRequest<B>,
        response: Vec<u8>,
    ) -> Result<Vec<BlockData<B>>, BlockResponseError> {
        if response.len() > most_bytes::<B>(request) {
            return Err(BlockResponseError::DecodeFailed(Forged::Encoding.to_string()));
        }
        self.0.block_response_into_blocks(request, response)
    }
}
