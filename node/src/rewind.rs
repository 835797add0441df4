//! Going back to an earlier height, below what is finalized too.

use crate::service::{self, Engine};
use sc_client_api::{BlockBackend, HeaderBackend};
use sc_consensus::{import_single_block, BlockImportStatus, IncomingBlock};
use sc_service::{Configuration, PartialComponents, TaskManager};
use sp_consensus::BlockOrigin;
use sp_runtime::traits::{Block as _, SaturatedConversion};
use std::{
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use weir_primitives::BlockNumber;

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Makes a database of the blocks of the best chain up to a height, and puts it in the place of the present one, which is
/// kept under another name.
///
/// # Errors
///
/// One sentence that says what to do. The present database is then left as it was.
pub fn rewind(
    mut config: Configuration,
    to: BlockNumber,
) -> sc_cli::Result<(impl Future<Output = sc_cli::Result<()>>, TaskManager)> {
    let path = config.database.path().ok_or("a database in memory cannot go back")?.to_path_buf();
    // Two nodes in one process would register their metrics twice.
    config.prometheus_config = None;
    let old = service::new_partial(&config)?;
    let best = old.client.info().best_number;
    if to >= best {
        return Err(format!(
            "the chain in {} has only come to height {best}; there is nothing to take back",
            path.display()
        )
        .into());
    }
    let made = beside(&path, "rewound");
    if made.exists() {
        std::fs::remove_dir_all(&made)?;
    }
    config.database.set_path(&made);
    let PartialComponents { client, other: Engine { verifier, import, .. }, task_manager, .. } =
        service::new_partial(&config)?;

    let work = async move {
        let mut import = import;
        let mut shown = Instant::now();
        for number in 1..=to {
            let hash = old.client.hash(number)?.ok_or_else(|| format!("block {number} is not in the database"))?;
            let block = old.client.block(hash)?.ok_or_else(|| {
                format!(
                    "the body of block {number} was pruned; delete the database with purge-chain, and sync again with the \
                     right block under forkBlocks in the chain spec"
                )
            })?;
            let (header, body) = block.block.deconstruct();
            let incoming = IncomingBlock {
                hash,
                header: Some(header),
                body: Some(body),
                indexed_body: None,
                justifications: None,
                origin: None,
                allow_missing_state: false,
                skip_execution: false,
                import_existing: false,
                state: None,
            };
            match import_single_block(&mut import, BlockOrigin::File, incoming, &verifier).await {
                Ok(BlockImportStatus::ImportedUnknown(..) | BlockImportStatus::ImportedKnown(..)) => (),
                Err(error) => return Err(format!("block {number} cannot be imported again: {error}").into()),
            }
            if shown.elapsed() >= PROGRESS_EVERY {
                log::info!("Rewound to a new database: {number} of {to} blocks");
                shown = Instant::now();
            }
        }
        let info = client.info();
        // Both are closed when they are let go of. What is renamed while it is open stays open.
        drop((old, client, import, verifier));
        let kept = beside(&path, &format!("before-rewind-{}", weir_consensus::clock::now()));
        std::fs::rename(&path, &kept)?;
        std::fs::rename(&made, &path)?;
        println!(
            "The chain in {} ends at block {} ({:?}) now; the database from before is kept in {}",
            path.display(),
            info.best_number.saturated_into::<u64>(),
            info.best_hash,
            kept.display(),
        );
        Ok(())
    };
    Ok((work, task_manager))
}

/// A folder beside a database.
fn beside(path: &Path, name: &str) -> PathBuf {
    let mut file = path.file_name().unwrap_or_default().to_os_string();
    file.push("-");
    file.push(name);
    path.with_file_name(file)
}
