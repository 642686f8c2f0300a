//! Reads back from RocksDB's own OPTIONS file what FORMAT.md promises.

use std::collections::HashMap;

use super::{Place, fs};

/// Section and name of an option to its value, of the newest OPTIONS file of a store.
fn options(place: &Place, name: &str) -> HashMap<(String, String), String> {
    let entries = fs::read_dir(place.path(name)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let newest = paths.filter(|path| path.to_string_lossy().contains("OPTIONS-")).max().unwrap();
    let mut section = String::new();
    let mut options = HashMap::new();
    for line in fs::read_to_string(newest).unwrap().lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            options.insert((section.clone(), key.to_owned()), value.to_owned());
        }
    }
    options
}

#[test]
fn the_settings_are_those_that_rocksdb_wrote_down() {
    let place = Place::new();
    drop(place.create("db"));
    let created = options(&place, "db");
    drop(place.open("db").unwrap());
    let opened = options(&place, "db");
    for (section, settings) in WANTED {
        for (key, wanted) in *settings {
            let at = ((*section).to_owned(), (*key).to_owned());
            assert_eq!(opened.get(&at).map(String::as_str), Some(*wanted), "{section} {key}");
            if *key != "create_if_missing" {
                assert_eq!(created.get(&at), opened.get(&at), "{section} {key}");
            }
        }
    }
}

const ORDERED: &[(&str, &str)] = &[
    ("ttl", "0"),
    ("periodic_compaction_seconds", "0"),
    ("memtable_protection_bytes_per_key", "8"),
    ("paranoid_file_checks", "true"),
    ("enable_blob_files", "false"),
    ("compaction_style", "kCompactionStyleLevel"),
];

type Section = (&'static str, &'static [(&'static str, &'static str)]);

const WANTED: &[Section] = &[
    (
        "DBOptions",
        &[
            ("create_if_missing", "false"),
            ("wal_recovery_mode", "kTolerateCorruptedTailRecords"),
            ("track_and_verify_wals", "true"),
            ("paranoid_checks", "true"),
            ("max_bgerror_resume_count", "0"),
            ("avoid_flush_during_recovery", "false"),
            ("max_total_wal_size", "67108864"),
            ("recycle_log_file_num", "0"),
            ("atomic_flush", "false"),
            ("enable_pipelined_write", "false"),
            ("unordered_write", "false"),
            ("manual_wal_flush", "false"),
            ("allow_2pc", "false"),
            ("use_fsync", "false"),
            ("bytes_per_sync", "1048576"),
            ("wal_bytes_per_sync", "1048576"),
            ("max_open_files", "256"),
            ("best_efforts_recovery", "false"),
        ],
    ),
    ("CFOptions \"default\"", ORDERED),
    ("CFOptions \"leaves\"", ORDERED),
    ("CFOptions \"tiles\"", ORDERED),
    ("CFOptions \"identity\"", ORDERED),
    ("CFOptions \"keys\"", ORDERED),
    ("CFOptions \"heads\"", ORDERED),
    ("CFOptions \"leaves\"", &[("compression", "kLZ4Compression")]),
    ("CFOptions \"tiles\"", &[("compression", "kNoCompression")]),
    ("CFOptions \"identity\"", &[("compression", "kNoCompression")]),
    (
        "CFOptions \"keys\"",
        &[
            ("compression", "kLZ4Compression"),
            ("write_buffer_size", "16777216"),
            ("prefix_extractor", "rocksdb.FixedPrefix.16"),
        ],
    ),
    (
        "TableOptions/BlockBasedTable \"keys\"",
        &[
            ("block_size", "8192"),
            ("partition_filters", "true"),
            ("index_type", "kTwoLevelIndexSearch"),
            ("cache_index_and_filter_blocks", "true"),
            ("whole_key_filtering", "false"),
            ("filter_policy", "bloomfilter"),
        ],
    ),
    (
        "TableOptions/BlockBasedTable \"leaves\"",
        &[("block_size", "32768"), ("block_restart_interval", "128")],
    ),
    ("TableOptions/BlockBasedTable \"tiles\"", &[("block_size", "8192")]),
    (
        "TableOptions/BlockBasedTable \"identity\"",
        &[
            ("partition_filters", "true"),
            ("index_type", "kTwoLevelIndexSearch"),
            ("cache_index_and_filter_blocks", "true"),
            ("whole_key_filtering", "true"),
            ("filter_policy", "bloomfilter"),
        ],
    ),
];
