//! One flipped byte in what carries the newest head: found before anything is signed.

use log_core::{Hash, Leaf};

use super::*;

/// Flips one byte in every table that holds these bytes.
fn flip_in_tables(scene: &Scene, wanted: &[u8]) {
    let mut flipped = 0;
    for table in scene.store_files("sst") {
        edit(&table, |bytes| {
            let places: Vec<usize> = (0..bytes.len().saturating_sub(wanted.len()))
                .filter(|at| bytes[*at..].starts_with(wanted))
                .collect();
            for at in places {
                bytes[at + wanted.len() / 2] ^= 0x10;
                flipped += 1;
            }
        });
    }
    assert!(flipped > 0, "no table holds these bytes");
}

#[test]
fn a_flipped_byte_in_tile_leaves_or_head_is_found_before_anything_is_signed() {
    let scene = &Scene::killed();
    // A start brings everything from the write-ahead log into tables.
    let server = scene.dir.start();
    let log = check_log(&format!("{}/logs/{VICTIM}", server.url()), &scene.key);
    assert!(server.terminate().status.success());
    scene.back_up();
    let hashes: Vec<Hash> = log.leaves.iter().map(Leaf::hash).collect();
    let pair = |at: usize| [hashes[at].as_bytes().as_slice(), hashes[at + 1].as_bytes()].concat();
    let body = |at: usize| log.leaves[at].as_bytes()[8..56].to_vec();
    let newest = log.leaves.len() - 1;
    // The head rows are compressed, and a match may reach into the ends of the root.
    let root = &log.head.root_hash.as_bytes()[4..28];
    let corrupt = "corrupt in the store";
    assert_all_shut(
        scene,
        vec![
            ("start of the newest tile", Box::new(|| flip_in_tables(scene, &pair(0))), corrupt),
            ("end of the newest tile", Box::new(|| flip_in_tables(scene, &pair(254))), corrupt),
            ("the newest leaf", Box::new(|| flip_in_tables(scene, &body(newest))), corrupt),
            ("the leaves below the edge", Box::new(|| flip_in_tables(scene, &body(256))), corrupt),
            ("the newest tile's leaves", Box::new(|| flip_in_tables(scene, &body(0))), corrupt),
            ("the head", Box::new(|| flip_in_tables(scene, root)), corrupt),
        ],
    );
}
