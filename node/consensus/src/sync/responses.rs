//! What an answer to a request for blocks must be before anything is made of it.
//!
//! The SDK looks at the last block of an answer alone. What stands above it may be of any height, linked to nothing, and of any
//! size; it would be kept until the chain gets there, and one of the greatest height overflows the SDK's arithmetic.

use codec::Encode;
use sc_network_common::sync::message::{BlockData, BlockRequest, Direction, FromBlock};
use sp_runtime::traits::{Block as BlockT, Header, One, Saturating};

/// How many bytes the body of a block may have: twice what the runtime's largest block has.
const MOST_BODY_BYTES: usize = 4 << 20;
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
    /// There is more than was asked for, or a body is larger than any can be.
    #[error("it is larger than any honest answer")]
    Size,
}

/// Checks the blocks of an answer to a request for blocks downwards from one. An honest answer may end early, and at the lower end
/// only.
///
/// # Errors
///
/// Why it is forged.
pub fn check<B: BlockT>(request: &BlockRequest<B>, blocks: &[BlockData<B>]) -> Result<(), Forged> {
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
