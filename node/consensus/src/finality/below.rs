//! What leaves the chain at or below the last final block is refused, before it is executed.

use sp_blockchain::{tree_route, HeaderBackend, HeaderMetadata};
use sp_runtime::traits::{Block as BlockT, NumberFor, One, Saturating};

/// Whether block `number`, a child of `parent`, would leave the chain at or below the last final block.
///
/// # Errors
///
/// When the database cannot be read.
pub fn is_below_finality<Block, C>(
    client: &C,
    number: NumberFor<Block>,
    parent: Block::Hash,
) -> sp_blockchain::Result<bool>
where
    Block: BlockT,
    C: HeaderBackend<Block> + HeaderMetadata<Block, Error = sp_blockchain::Error>,
{
    let info = client.info();
    if parent == info.best_hash || parent == info.finalized_hash {
        return Ok(false);
    }
    if number <= info.finalized_number {
        return Ok(true);
    }
    // Of the best chain, at the final block or above it: the way there need not be walked.
    if let Some(parent_number) = client.number(parent)? {
        if parent_number >= info.finalized_number && client.hash(parent_number)? == Some(parent) {
            return Ok(false);
        }
        // A height that does not fit its parent's would make the way as long as its sender likes.
        if number != parent_number.saturating_add(One::one()) {
            return Ok(true);
        }
    }
    Ok(!tree_route(client, info.finalized_hash, parent)?.retracted().is_empty())
}
