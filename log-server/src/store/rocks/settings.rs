//! What RocksDB is told, and why. A test reads all of it back from RocksDB's own OPTIONS file.

use std::thread::available_parallelism;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType,
    DBRecoveryMode, Env, LogLevel, Options, SliceTransform, WriteBufferManager,
};

use crate::store::{OpenError, SearchKey};

/// What all stores of a process share: memory for blocks and write buffers, and threads.
pub struct RocksShared {
    cache: Cache,
    write_buffers: WriteBufferManager,
    env: Env,
    background_jobs: i32,
}

impl RocksShared {
    /// Shares `memory_bytes` between all stores: cached blocks and, up to half of it, write
    /// buffers, which are charged to the cache.
    ///
    /// # Errors
    /// [`OpenError::Other`] if RocksDB has no environment for this system.
    pub fn new(memory_bytes: usize) -> Result<Self, OpenError> {
        let cache = Cache::new_lru_cache(memory_bytes);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            memory_bytes / 2,
            WRITERS_ARE_STALLED,
            cache.clone(),
        );
        let mut env = Env::new().map_err(|error| OpenError::Other(error.to_string()))?;
        let cores = available_parallelism().map_or(1, |cores| cores.get());
        let background_jobs = cores.clamp(BACKGROUND_JOBS_MIN, BACKGROUND_JOBS_MAX);
        let background_jobs = i32::try_from(background_jobs).expect("invariant: clamped");
        env.set_background_threads(background_jobs);
        // A flush waits behind no compaction, and neither takes a core from the requests.
        env.set_high_priority_background_threads(1);
        env.lower_thread_pool_cpu_priority();
        Ok(Self { cache, write_buffers, env, background_jobs })
    }
}

/// What to do about a write-ahead log that does not end well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Drop a last record that was never written to its end; refuse everything else.
    TolerateTornTail,
    /// Stop before the first damage, whatever is lost by it. Only for copies.
    LastGoodPoint,
}

/// The column families; FORMAT.md says what is in them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Default,
    Leaves,
    Tiles,
    Identity,
    Keys,
    Heads,
}

impl Family {
    pub(super) const ALL: [Self; 6] =
        [Self::Default, Self::Leaves, Self::Tiles, Self::Identity, Self::Keys, Self::Heads];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Leaves => "leaves",
            Self::Tiles => "tiles",
            Self::Identity => "identity",
            Self::Keys => "keys",
            Self::Heads => "heads",
        }
    }
}

/// The options of a whole store. It is opened, never made, unless the caller says otherwise.
pub(super) fn database(shared: &RocksShared, recovery: Recovery) -> Result<Options, OpenError> {
    let mut options = parsed(DATABASE_STRING)?;
    options.create_if_missing(false);
    options.set_env(&shared.env);
    options.set_write_buffer_manager(&shared.write_buffers);
    options.set_max_background_jobs(shared.background_jobs);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(match recovery {
        Recovery::TolerateTornTail => DBRecoveryMode::TolerateCorruptedTailRecords,
        Recovery::LastGoodPoint => DBRecoveryMode::PointInTime,
    });
    options.set_recycle_log_file_num(0);
    options.set_atomic_flush(false);
    options.set_enable_pipelined_write(false);
    options.set_unordered_write(false);
    options.set_manual_wal_flush(false);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_wal_bytes_per_sync(BYTES_PER_SYNC);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(TEXT_LOGS_KEPT);
    options.set_max_log_file_size(TEXT_LOG_BYTES_MAX);
    Ok(options)
}

/// All families with their options.
pub(super) fn families(shared: &RocksShared) -> Result<Vec<ColumnFamilyDescriptor>, OpenError> {
    let describe = |family: Family| {
        Ok(ColumnFamilyDescriptor::new(family.name(), family_options(family, shared)?))
    };
    Family::ALL.into_iter().map(describe).collect()
}

/// The options of one family.
pub(super) fn family_options(family: Family, shared: &RocksShared) -> Result<Options, OpenError> {
    let mut options = parsed(FAMILY_STRING)?;
    // Rows are for ever and arrive in order: nothing is gained by rewriting them by age.
    options.set_ttl(0);
    options.set_periodic_compaction_seconds(0);
    options.set_write_buffer_size(match family {
        Family::Leaves => 32 << 20,
        // Several rows an entry at random places: fewer and larger tables to merge.
        Family::Keys => 16 << 20,
        Family::Tiles | Family::Identity => 8 << 20,
        Family::Heads | Family::Default => 1 << 20,
    });
    options.set_compression_type(match family {
        // A search row is a digest, which does not compress, and the zeros of a small index.
        Family::Leaves | Family::Heads | Family::Keys => DBCompressionType::Lz4,
        // Hashes do not compress.
        Family::Tiles | Family::Identity | Family::Default => DBCompressionType::None,
    });
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&shared.cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    match family {
        Family::Leaves => {
            // A bundle is 256 leaves in a row, and larger blocks compress better. One full key in
            // 128 costs a look-up a short walk, and saves a byte an entry.
            table.set_block_size(32 << 10);
            table.set_block_restart_interval(128);
        }
        // A tile is a block of its own.
        Family::Tiles => table.set_block_size(8 << 10),
        Family::Identity => {
            // Most look-ups are for something new: the filter answers those without a read.
            partition_filter(&mut table);
        }
        Family::Keys => {
            // A search asks for all rows of one key: the filter holds the keys without the leaves
            // and answers those that nothing has without a read.
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(SearchKey::LEN));
            table.set_whole_key_filtering(false);
            table.set_block_size(8 << 10);
            partition_filter(&mut table);
        }
        Family::Heads | Family::Default => {}
    }
    options.set_block_based_table_factory(&table);
    Ok(options)
}

/// A filter that is cut into blocks, so that one larger than the cache still works.
fn partition_filter(table: &mut BlockBasedOptions) {
    table.set_bloom_filter(10.0, false);
    table.set_optimize_filters_for_memory(true);
    table.set_partition_filters(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_pin_top_level_index_and_filter(true);
}

/// Options that the binding can set by their names only.
fn parsed(text: &str) -> Result<Options, OpenError> {
    let unknown = |error: rocksdb::Error| OpenError::Other(format!("RocksDB options: {error}"));
    Options::default().get_options_from_string(text).map_err(unknown)
}

/// A write-ahead log that is gone is an error, not an empty store. RocksDB never resumes after an
/// error: the process ends. What was recovered is rewritten into synced tables at once.
const DATABASE_STRING: &str = "track_and_verify_wals=true;max_bgerror_resume_count=0;\
    avoid_flush_during_recovery=false";
/// Rows in memory carry a checksum until they are written, and tables are read back when made.
const FAMILY_STRING: &str = "memtable_protection_bytes_per_key=8;paranoid_file_checks=true";
/// What a start has to replay at most, about.
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Background writes reach the disk evenly instead of in one sync.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Of one store; a process has 1,024 descriptors on many systems.
const OPEN_FILES_MAX: i32 = 256;
const BACKGROUND_JOBS_MIN: usize = 2;
const BACKGROUND_JOBS_MAX: usize = 8;
/// Flushes start early enough; a commit never waits for another log's memory.
const WRITERS_ARE_STALLED: bool = false;
const TEXT_LOGS_KEPT: usize = 4;
const TEXT_LOG_BYTES_MAX: usize = 4 << 20;
