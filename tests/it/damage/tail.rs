//! The write-ahead log without its end, or with a torn one. Whether an acknowledged batch was in
//! it only the anchor can tell; where it knows something newer, only the operator can decide.

use super::*;
use crate::cosign_scene::metric;

/// A scene whose last batch is one entry, with what is needed to take just that one away.
struct Tail {
    scene: Scene,
    /// The head before the last batch.
    before: TreeHead,
    /// The write-ahead log's length before and after the last batch.
    record: std::ops::Range<usize>,
    /// The anchor as it was before the last batch: what a power cut can leave, since it is synced
    /// after the answer.
    anchor: Vec<u8>,
}

impl Tail {
    fn new() -> Self {
        let scene = Scene::empty();
        let server = scene.dir.start();
        scene.add(&server, ENTRIES);
        let before = scene.assert_kept(&server);
        let length = |scene: &Scene| {
            let bytes = fs::metadata(scene.wal()).expect("the write-ahead log").len();
            usize::try_from(bytes).expect("a short file")
        };
        let (start, anchor) = (length(&scene), fs::read(scene.file("anchor")).expect("an anchor"));
        scene.add_one(&server);
        let record = start..length(&scene);
        assert!(record.len() > 64, "the last batch has no record of its own: {record:?}");
        server.kill_9();
        scene.back_up();
        Self { scene, before, record, anchor }
    }

    /// Cuts the whole last batch off, as if it had never been written.
    fn cut_off(&self) {
        edit(&self.scene.wal(), |bytes| bytes.truncate(self.record.start));
    }

    /// Leaves half of the last batch.
    fn cut_in_half(&self) {
        edit(&self.scene.wal(), |bytes| bytes.truncate(self.middle()));
    }

    /// Flips a bit in the last batch.
    fn tear(&self) {
        edit(&self.scene.wal(), |bytes| bytes[self.middle()] ^= 1);
    }

    fn middle(&self) -> usize {
        self.record.start.midpoint(self.record.end)
    }

    fn set_anchor_back(&self) {
        fs::write(self.scene.file("anchor"), &self.anchor).expect("the anchor");
    }

    /// From now on everybody who looks after this log sees what was given up.
    #[track_caller]
    fn assert_shown(&self) {
        let server = self.scene.dir.start();
        let ready = server.get("/readyz").expect(200).json();
        for row in ready["logs"].as_array().expect("logs") {
            let name = row["name"].as_str().expect("a name");
            let times = row["acceptedTails"].as_array().map_or(0, Vec::len);
            assert_eq!(times, usize::from(name == VICTIM), "{row}");
            let sample = format!("cairn_accepted_tails{{log=\"{name}\"}}");
            assert_eq!(metric(&server, &sample), Some(if times == 1 { 1.0 } else { 0.0 }));
            if name == VICTIM {
                let tail = &row["acceptedTails"][0];
                assert_eq!(tail["size"], self.before.size.get());
                assert_eq!(tail["root"], self.before.root_hash.to_string());
                assert!(
                    tail["accepted"].as_str().is_some_and(|time| time.ends_with('Z')),
                    "{tail}"
                );
            }
        }
    }

    fn named(&self) -> String {
        format!("{}:{}", self.before.size, self.before.root_hash)
    }
}

#[test]
fn an_acknowledged_batch_without_its_record_keeps_the_log_shut() {
    let tail = &Tail::new();
    let behind = "the store is behind its anchor";
    let lost_all =
        || tail.scene.store_files("log").iter().for_each(|f| fs::remove_file(f).expect("gone"));
    let old_record = || edit(&tail.scene.wal(), |bytes| bytes[tail.record.start / 2] ^= 1);
    let old_record_and_anchor = || {
        old_record();
        tail.set_anchor_back();
    };
    assert_all_shut(
        &tail.scene,
        vec![
            ("no write-ahead log", Box::new(lost_all), "write-ahead log is gone"),
            ("the last batch cut off", Box::new(|| tail.cut_off()), behind),
            ("half of it cut off", Box::new(|| tail.cut_in_half()), behind),
            ("torn in the middle", Box::new(|| tail.tear()), "the store's tail is torn"),
            ("torn far before", Box::new(old_record), "the store's tail is torn"),
            ("the same, with an older anchor", Box::new(old_record_and_anchor), "tail is torn"),
        ],
    );
}

#[test]
fn a_batch_that_the_anchor_never_saw_is_dropped_by_itself() {
    let tail = Tail::new();
    // Whole, it is simply there: an older anchor is no reason to lose anything.
    tail.set_anchor_back();
    tail.scene.assert_goes_on();
    // Torn, nobody can have been told: the answer comes after the anchor.
    for torn in [true, false] {
        let tail = Tail::new();
        tail.scene.said.give_up_after(&tail.before);
        tail.set_anchor_back();
        if torn {
            tail.tear()
        } else {
            tail.cut_in_half()
        }
        let said = tail.scene.assert_goes_on();
        assert_eq!(said.contains("the store's tail was torn"), torn, "{said}");
        assert_eq!(tail.scene.file("db.torn").exists(), torn, "the torn store is kept");
    }
}

#[test]
fn a_torn_tail_that_the_anchor_knows_is_given_up_only_by_name() {
    let tail = Tail::new();
    let scene = &tail.scene;
    tail.tear();
    scene.assert_shut(&tail.named());
    let wrong_root = format!("{}:{}", tail.before.size, sha256(b"another root"));
    let wrong_size = format!("{}:{}", tail.before.size.get() - 1, tail.before.root_hash);
    for (log, head) in [
        (VICTIM, wrong_root.as_str()),
        (VICTIM, &wrong_size),
        (VICTIM, "300"),
        (VICTIM, ""),
        ("nobody", &tail.named()),
    ] {
        let refused = scene.accept_tail(log, head);
        assert_eq!(refused.status.code(), Some(1), "{log} {head}: {refused:?}");
    }
    let refused = scene.accept_tail(VICTIM, &wrong_root);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains(&tail.named()), "the refusal names the last good head: {why}");
    scene.assert_shut(&tail.named());

    let server = scene.dir.start();
    let refused = scene.accept_tail(VICTIM, &tail.named());
    assert_eq!(refused.status.code(), Some(1), "accepted under a running server");
    server.terminate();

    let accepted = scene.accept_tail(VICTIM, &tail.named());
    assert!(accepted.status.success(), "{accepted:?}");
    scene.said.give_up_after(&tail.before);
    scene.assert_goes_on();
    assert!(scene.file("db.torn").exists(), "the torn store is kept");
}

#[test]
fn a_lost_batch_is_given_up_by_the_same_command() {
    let tail = Tail::new();
    tail.cut_off();
    // Where it cannot be written down that something is given up, nothing is.
    let record = tail.scene.file("accepted-tails");
    fs::write(&record, "nonsense\n").expect("a file");
    let refused = tail.scene.accept_tail(VICTIM, &tail.named());
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(why.contains("\"nonsense\" is not TIME SIZE:ROOT"), "{why}");
    assert!(!tail.scene.file("db.last-good").exists());
    fs::remove_file(&record).expect("it was there");
    tail.scene.assert_shut("the store is behind its anchor");

    let accepted = tail.scene.accept_tail(VICTIM, &tail.named());
    assert!(accepted.status.success(), "{accepted:?}");
    tail.scene.said.give_up_after(&tail.before);
    tail.scene.assert_goes_on();
    tail.assert_shown();
}

#[test]
fn a_lost_anchor_is_made_anew_by_the_same_command() {
    let tail = Tail::new();
    let scene = &tail.scene;
    fs::remove_file(scene.file("anchor")).expect("it was there");
    scene.assert_shut("is missing");
    let head = scene.said.newest();
    let accepted = scene.accept_tail(VICTIM, &format!("{}:{}", head.size, head.root_hash));
    assert!(accepted.status.success(), "{accepted:?}");
    scene.assert_goes_on();
}

#[test]
fn a_crash_between_the_two_renames_of_a_swap_is_finished_by_the_next_start() {
    let scene = Scene::killed();
    copy_dir(&scene.file("db"), &scene.file("db.last-good"));
    fs::rename(scene.file("db"), scene.file("db.torn")).expect("a rename");
    scene.assert_goes_on();
    assert!(!scene.file("db.last-good").exists());
}

#[test]
fn of_several_write_ahead_files_none_may_be_missing() {
    /// Longest raw entry.
    const BODY_BYTES: usize = 65_535;
    /// Four clients with so many each write several times a write buffer of 32 MiB.
    const EACH_MAX: usize = 512;
    let scene = &Scene::empty();
    let server = scene.dir.start();
    // More than a write buffer of leaves, so that RocksDB begins another file.
    thread::scope(|scope| {
        for _ in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for _ in 0..EACH_MAX {
                    if scene.store_files("log").len() > 1 {
                        return;
                    }
                    let body = scene.body().repeat(BODY_BYTES.div_ceil(64));
                    let answer = raw::add(&mut connection, VICTIM, &body[..BODY_BYTES], &scene.key);
                    scene.said.acknowledge(&answer.expect("an answer").expect("200"));
                }
            });
        }
    });
    assert_eq!(scene.store_files("log").len(), 2);
    scene.add(&server, 3);
    server.kill_9();
    scene.back_up();
    let remove =
        |at: usize| move || fs::remove_file(&scene.store_files("log")[at]).expect("it was there");
    assert_all_shut(
        scene,
        vec![
            ("the newest file", Box::new(remove(1)), "the store is behind its anchor"),
            ("the oldest file", Box::new(remove(0)), "write-ahead log is gone"),
        ],
    );
}
