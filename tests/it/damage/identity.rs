//! A log whose key, state id, store or anchor is another's, or gone.

use log_core::{Hash, Origin};
use log_server::log::directory::LogDirectory;
use log_server::store::rocks::RocksShared;

use super::*;

fn remove(path: &Path) {
    fs::remove_file(path).expect("it was there");
}

fn remove_dir(path: &Path) {
    fs::remove_dir_all(path).expect("it was there");
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).expect("a copy");
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file that can be written");
}

#[test]
fn a_key_or_a_state_id_of_another_log_keeps_the_log_shut() {
    let scene = &Scene::killed();
    let (key, state_id) = (scene.file("key.pem"), scene.file("state-id"));
    assert_all_shut(
        scene,
        vec![
            (
                "another log's key",
                Box::new(|| copy(&scene.other_file("key.pem"), &key)),
                "belongs to another log",
            ),
            ("no key", Box::new(|| remove(&key)), "key.pem"),
            ("a key cut short", Box::new(|| edit(&key, |b| b.truncate(60))), "not a PKCS#8 PEM"),
            (
                "another state id",
                Box::new(|| copy(&scene.other_file("state-id"), &state_id)),
                "state id",
            ),
            ("no state id", Box::new(|| remove(&state_id)), "state-id"),
            ("an odd state id", Box::new(|| write(&state_id, "0")), "not a state id"),
        ],
    );
}

/// The same key and origin once more, with a life of its own.
fn newborn(scene: &Scene) -> PathBuf {
    let newborn = scene.dir.beside("newborn");
    let birth = Birth { keys: NewKeys::Ed25519(VICTIM_SEED), state_id: [3; 16] };
    let rocks = RocksShared::new(16 << 20).expect("RocksDB");
    let origin = Origin::parse(VICTIM_ORIGIN).expect("an origin");
    let directory = LogDirectory::new(&newborn, VICTIM);
    directory.create(Personality::Raw, &origin, &birth, &rocks).expect("a new log");
    newborn.join("logs").join(VICTIM)
}

#[test]
fn the_head_of_a_foreign_store_cannot_be_accepted_by_name() {
    let scene = &Scene::killed();
    let anchor = fs::read(scene.file("anchor")).expect("the anchor");
    remove_dir(&scene.file("db"));
    copy_dir(&newborn(scene).join("db"), &scene.file("db"));
    let refused = scene.accept_tail(VICTIM, &format!("0:{}", Hash::EMPTY_ROOT));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("state id"), "{why}");
    assert_eq!(fs::read(scene.file("anchor")).expect("the anchor"), anchor);
    assert!(!scene.file("db.last-good").exists());
}

#[test]
fn a_store_that_is_gone_or_foreign_is_never_replaced_by_an_empty_log() {
    let scene = &Scene::killed();
    let db = &scene.file("db");
    let newborn = newborn(scene);
    let put_newborn = |names: &[&str]| {
        remove_dir(db);
        for name in names {
            match *name {
                "db" => copy_dir(&newborn.join("db"), db),
                file => copy(&newborn.join(file), &scene.file(file)),
            }
        }
    };
    let foreign = || {
        remove_dir(db);
        copy_dir(&scene.other_file("db"), db);
    };
    let emptied = || {
        remove_dir(db);
        fs::create_dir(db).expect("a directory");
    };
    assert_all_shut(
        scene,
        vec![
            ("no store", Box::new(|| remove_dir(db)), "no store"),
            ("an empty directory", Box::new(emptied), "no store"),
            ("no CURRENT", Box::new(|| remove(&db.join("CURRENT"))), "no store"),
            ("another log's store", Box::new(foreign), "belongs to another log"),
            ("an empty log of the same key", Box::new(|| put_newborn(&["db"])), "state id"),
            (
                "the same with its state id",
                Box::new(|| put_newborn(&["db", "state-id"])),
                "the anchor is that of another log",
            ),
            ("nothing but the name", Box::new(|| remove_dir(&scene.dir.log(VICTIM))), "key.pem"),
        ],
    );
}

#[test]
fn serving_creates_nothing_where_a_log_was() {
    let scene = Scene::killed();
    remove_dir(&scene.file("db"));
    scene.assert_shut("no store");
    assert!(!scene.file("db").exists());
    remove_dir(&scene.dir.log(VICTIM));
    scene.assert_shut("key.pem");
    assert!(!scene.dir.log(VICTIM).exists());
}

#[test]
fn an_old_copy_of_the_store_is_found_by_the_anchor() {
    let scene = &Scene::killed();
    let (db, old) = (&scene.file("db"), scene.dir.beside("old"));
    copy_dir(db, &old);
    for graceful in [true, false] {
        let server = scene.dir.start();
        scene.add_one(&server);
        if graceful {
            assert!(server.terminate().status.success());
        } else {
            server.kill_9();
        }
        scene.back_up();
        let put_back = || {
            remove_dir(db);
            copy_dir(&old, db);
        };
        assert_all_shut(
            scene,
            vec![("an old copy", Box::new(put_back), "the store is behind its anchor")],
        );
    }
}

#[test]
fn without_a_readable_anchor_of_its_own_the_log_stays_shut() {
    let scene = &Scene::killed();
    let anchor = &scene.file("anchor");
    let flip = |slots: &'static [usize]| {
        move || edit(anchor, |bytes| slots.iter().for_each(|slot| bytes[slot * 512 + 70] ^= 1))
    };
    let foreign_slot = || {
        let foreign = fs::read(scene.other_file("anchor")).expect("an anchor");
        edit(anchor, |bytes| bytes[..512].copy_from_slice(&foreign[..512]));
    };
    assert_all_shut(
        scene,
        vec![
            ("no anchor", Box::new(|| remove(anchor)), "is missing"),
            ("an empty file", Box::new(|| write(anchor, "")), "neither of its slots can be read"),
            ("two bad slots", Box::new(flip(&[0, 1])), "neither of its slots can be read"),
            ("one slot of another log", Box::new(foreign_slot), "contradict each other"),
            (
                "another log's anchor",
                Box::new(|| copy(&scene.other_file("anchor"), anchor)),
                "the anchor is that of another log",
            ),
        ],
    );
    for slot in [&[0][..], &[1]] {
        scene.back_up();
        edit(anchor, |bytes| bytes[slot[0] * 512 + 70] ^= 1);
        scene.assert_goes_on();
    }
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let scene = Scene::empty();
    let server = scene.dir.start();
    scene.add_one(&server);
    let ended = scene.dir.try_start().map(|_| ()).expect_err("two servers");
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("in use by another cairn-server"), "{}", ended.stderr);
    scene.add_one(&server);
    scene.assert_kept(&server);
}
