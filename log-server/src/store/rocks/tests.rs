//! x
use super::*;
use crate::store::contract::{Writer, check_store, leaf};
use log_core::{Leaf, sha256};
use std::fs;
use std::path::{Path, PathBuf};

fn shared() -> RocksShared {
    RocksShared::new(64 << 20).unwrap()
}

fn wal(dir: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension() == Some("log".as_ref()))
        .collect();
    logs.sort();
    logs
}
fn random(seed: usize, len: usize) -> Vec<u8> {
    (0..len.div_ceil(32))
        .flat_map(|i| *sha256(format!("{seed} {i}").as_bytes()).as_bytes())
        .take(len)
        .collect()
}
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for e in fs::read_dir(from).unwrap() {
        let e = e.unwrap();
        fs::copy(e.path(), to.join(e.file_name())).unwrap();
    }
}
#[test]
fn experiment() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let path = dir.path().join("db");
    let store = RocksStore::create(&path, &shared).unwrap();
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    let mut ends = vec![];
    for b in 0..4 {
        let leaves = (0..6).map(|i| Leaf::new(random(b * 10 + i, 50_000)).unwrap()).collect();
        store.commit(&writer.leaves(leaves)).unwrap();
        let w = wal(&path);
        ends.push(fs::metadata(w.last().unwrap()).unwrap().len());
    }
    println!("{:?} {ends:?}", wal(&path));
    let killed = dir.path().join("killed");
    copy(&path, &killed);
    let try_ = |name: &str, f: &dyn Fn(&Path)| {
        let p = dir.path().join("try");
        copy(&killed, &p);
        f(&p);
        let r = RocksStore::open(&p, &shared)
            .map(|s| s.head().unwrap().map(|h| (h.batch, s.last_leaf().unwrap())));
        println!("{name}: {r:?}");
        if r.is_err() {
            let c = dir.path().join("copy");
            let _ = fs::remove_dir_all(&c);
            let r = RocksStore::open_copy_at_last_good_point(&p, &c, &shared)
                .map(|s| s.head().unwrap().map(|h| (h.batch, s.last_leaf().unwrap())));
            println!("    copy: {r:?} {:?}", wal(&c));
            let r = RocksStore::open(&c, &shared)
                .map(|s| s.head().unwrap().map(|h| (h.batch, s.last_leaf().unwrap())));
            println!("    reopened: {r:?}");
            let r = RocksStore::open(&p, &shared)
                .map(|s| s.head().unwrap().map(|h| (h.batch, s.last_leaf().unwrap())));
            println!("    original again: {r:?}");
        }
    };
    let edit = |f: &dyn Fn(&mut Vec<u8>), p: &Path| {
        let w = wal(p);
        let w = w.last().unwrap();
        let mut b = fs::read(w).unwrap();
        f(&mut b);
        fs::write(w, b).unwrap();
    };
    let e = ends.clone();
    let (e2, e3) = (e[2] as usize, e[3] as usize);
    try_("plain", &|_| {});
    try_("truncated by a batch", &|p| edit(&|b| b.truncate(e2), p));
    try_("truncated in the last batch", &|p| edit(&|b| b.truncate(e3 - 1000), p));
    try_("truncated to header+3", &|p| edit(&|b| b.truncate(e2 + 3), p));
    try_("truncated e2+7+..", &|p| edit(&|b| b.truncate(e2 + 7), p));
    try_("zero page in last", &|p| edit(&|b| b[e2 + 100_000..e2 + 104_096].fill(0), p));
    try_("zero tail half of last", &|p| edit(&|b| b[e2 + 150_000..].fill(0), p));
    try_("zero first page of last", &|p| edit(&|b| b[e2..e2 + 4096].fill(0), p));
    try_("zero 32k block", &|p| {
        edit(
            &|b| {
                let s = (e2 + 100_000) / 32768 * 32768;
                b[s..s + 32768].fill(0)
            },
            p,
        )
    });
    try_("flip payload last", &|p| edit(&|b| b[e2 + 100_000] ^= 1, p));
    try_("flip payload second", &|p| edit(&|b| b[e[0] as usize + 100_000] ^= 1, p));
    try_("flip in first fragment header crc", &|p| edit(&|b| b[e2] ^= 1, p));
    try_("flip length of first fragment", &|p| edit(&|b| b[e2 + 4] ^= 1, p));
    for at in 4..6 {
        try_(&format!("flip length of last fragment {at}"), &|p| {
            edit(
                &|b| {
                    let s = (e3 - 1) / 32768 * 32768;
                    b[s + at] ^= 1
                },
                p,
            )
        });
    }
    try_("wal emptied", &|p| edit(&|b| b.clear(), p));
    try_("wal deleted", &|p| fs::remove_file(wal(p).last().unwrap()).unwrap());
    try_("current deleted", &|p| fs::remove_file(p.join("CURRENT")).unwrap());
    try_("manifest flip", &|p| {
        let m = fs::read_dir(p)
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.to_string_lossy().contains("MANIFEST"))
            .unwrap();
        let mut b = fs::read(&m).unwrap();
        b[100] ^= 1;
        fs::write(m, b).unwrap()
    });
    println!("second: {:?}", RocksStore::open(&path, &shared).err());
    // several wals
    drop(store);
    let store = RocksStore::open(&path, &shared).unwrap();
    println!("wals after reopen {:?}", wal(&path));
    for b in 10..14 {
        let leaves = (0..6).map(|i| Leaf::new(random(b * 10 + i, 50_000)).unwrap()).collect();
        store.commit(&writer.leaves(leaves)).unwrap();
        if b == 11 {
            store.db.flush_cf(store.family(Family::Leaves)).unwrap();
        }
        if b == 12 {
            store.db.flush_cf(store.family(Family::Tiles)).unwrap();
            store.db.flush_cf(store.family(Family::Identity)).unwrap();
        }
    }
    println!("wals {:?}", wal(&path));
    copy(&path, &killed);
    try_("plain", &|_| {});
    let n = wal(&killed).len();
    for i in 0..n {
        try_(&format!("wal {i} deleted"), &|p| fs::remove_file(&wal(p)[i]).unwrap());
        try_(&format!("wal {i} truncated by 1000"), &|p| {
            let w = &wal(p)[i];
            let mut b = fs::read(w).unwrap();
            let l = b.len();
            b.truncate(l - 1000);
            fs::write(w, b).unwrap()
        });
        try_(&format!("wal {i} flip"), &|p| {
            let w = &wal(p)[i];
            let mut b = fs::read(w).unwrap();
            b[100_000] ^= 1;
            fs::write(w, b).unwrap()
        });
    }
    try_("all wals deleted", &|p| {
        for w in wal(p) {
            fs::remove_file(w).unwrap()
        }
    });
    let sst = |p: &Path| {
        let mut v: Vec<PathBuf> = fs::read_dir(p)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension() == Some("sst".as_ref()))
            .collect();
        v.sort();
        v
    };
    println!("{:?}", sst(&killed));
    try_("sst deleted", &|p| fs::remove_file(&sst(p)[0]).unwrap());
    try_("sst footer flipped", &|p| {
        let w = &sst(p)[1];
        let mut b = fs::read(w).unwrap();
        let l = b.len();
        b[l - 3] ^= 1;
        fs::write(w, b).unwrap()
    });
    try_("sst truncated", &|p| {
        let w = &sst(p)[1];
        let mut b = fs::read(w).unwrap();
        let l = b.len();
        b.truncate(l - 10);
        fs::write(w, b).unwrap()
    });
    let _ = (check_store as fn(fn() -> Box<dyn Store>), leaf(0));
}
