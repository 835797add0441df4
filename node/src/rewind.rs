//! Going back to an earlier height, below what is finalized too.

use crate::service::{self, Engine};
use parking_lot::Mutex;
use sc_client_api::{BlockBackend, HeaderBackend};
use sc_consensus::{import_single_block, BlockImport, BlockImportError, IncomingBlock, Verifier};
use sc_service::{Configuration, DatabaseSource, PartialComponents, TaskManager};
use sp_consensus::BlockOrigin;
use sp_runtime::{traits::Block as _, Justifications};
use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use weir_primitives::{BlockNumber, Hash};
use weir_runtime::opaque::Block;

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Where the database is, where the new one was made, and what its chain ends at.
pub struct Rewound {
    path: PathBuf,
    made: PathBuf,
    end: Arc<Mutex<Option<(BlockNumber, Hash)>>>,
}

impl Rewound {
    /// Puts the new database in the place of the present one, which is kept under another name. Both must be closed.
    ///
    /// # Errors
    ///
    /// When the folders cannot be renamed.
    pub fn replace(self) -> sc_cli::Result<()> {
        let Some((number, hash)) = *self.end.lock() else {
            return Err("going back was interrupted; the database is as it was".into());
        };
        let kept = beside(&self.path, &format!("before-rewind-{}", weir_consensus::clock::now()));
        std::fs::rename(&self.path, &kept)?;
        if let Err(error) = std::fs::rename(&self.made, &self.path) {
            std::fs::rename(&kept, &self.path)?;
            return Err(error.into());
        }
        println!(
            "The chain in {} ends at block {number} ({hash:?}) now; the database from before is kept in {}",
            self.path.display(),
            kept.display(),
        );
        Ok(())
    }
}

/// Makes a database of the blocks of the best chain up to a height, to be put in the place of the present one.
///
/// # Errors
///
/// One sentence that says what to do. The present database stays as it is.
pub fn rewind(
    mut config: Configuration,
    to: BlockNumber,
) -> sc_cli::Result<(impl Future<Output = sc_cli::Result<()>>, TaskManager, Rewound)> {
    if matches!(config.database, DatabaseSource::Auto { .. }) {
        return Err("say which database it is: --database rocksdb or --database paritydb".into());
    }
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
    let PartialComponents { client, import_queue, other: Engine { verifier, import, .. }, task_manager, .. } =
        service::new_partial(&config)?;

    let end = Arc::new(Mutex::new(None));
    let rewound = Rewound { path, made, end: end.clone() };
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
            // What has made changes of the voters final makes them so again.
            let justifications = old.client.justifications(hash)?;
            import_again(&mut import, &verifier, hash, block.block, justifications)
                .await
                .map_err(|error| format!("block {number} cannot be imported again: {error}"))?;
            if shown.elapsed() >= PROGRESS_EVERY {
                log::info!("Rewound to a new database: {number} of {to} blocks");
                shown = Instant::now();
            }
        }
        let info = client.info();
        *end.lock() = Some((info.best_number, info.best_hash));
        // The tasks of the old node end before what they wait for does, or they would be missed.
        let PartialComponents { task_manager, .. } = old;
        drop(task_manager);
        drop(import_queue);
        Ok(())
    };
    Ok((work, task_manager, rewound))
}

async fn import_again<I, V>(
    import: &mut I,
    verifier: &V,
    hash: Hash,
    block: Block,
    justifications: Option<Justifications>,
) -> Result<(), BlockImportError>
where
    I: BlockImport<Block, Error = sp_consensus::Error>,
    V: Verifier<Block>,
{
    let (header, body) = block.deconstruct();
    let incoming = IncomingBlock {
        hash,
        header: Some(header),
        body: Some(body),
        indexed_body: None,
        justifications,
        origin: None,
        allow_missing_state: false,
        skip_execution: false,
        import_existing: false,
        state: None,
    };
    import_single_block(import, BlockOrigin::File, incoming, verifier).await.map(|_| ())
}

/// A folder beside a database.
fn beside(path: &Path, name: &str) -> PathBuf {
    let mut file = path.file_name().unwrap_or_default().to_os_string();
    file.push("-");
    file.push(name);
    path.with_file_name(file)
}
