//! A disk that fills up. Below the headroom nothing is taken and nothing is lost; a commit that
//! runs into the end of the disk ends the process, and the next start has every acknowledged entry.
//!
//! The disk is a tmpfs of its own, which only root can mount: others skip these tests and say so.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use log_core::sha256;
use log_tests::data_dir::copy_dir;
use log_tests::disk::SmallDisk;
use log_tests::record::Record;
use log_tests::{
    Acknowledged, Connection, DataDir, Response, ServerProcess, SubmissionMaker, check_log, raw,
};

const LOG: &str = "small";
/// Large enough for what RocksDB reserves ahead.
const DISK_MIB: u64 = 128;
const HEADROOM_BYTES: u64 = 24 << 20;
/// Longest raw entry.
const BODY_BYTES: usize = 65_535;

/// A log on a small disk beside one on a large one. The disk goes first: fields drop in order.
struct Scene {
    disk: SmallDisk,
    dir: DataDir,
    said: Record,
    bodies: AtomicU64,
}

impl Scene {
    fn new(headroom_bytes: u64) -> Option<Self> {
        let mut dir = DataDir::init("localhost");
        dir.add_log(LOG, "raw", None);
        dir.set_log(LOG, "headroom_bytes", headroom_bytes);
        let aside = dir.beside("aside");
        copy_dir(&dir.log(LOG), &aside);
        let disk = SmallDisk::mount(&dir.log(LOG), DISK_MIB)?;
        copy_dir(&aside, &dir.log(LOG));
        Some(Self { disk, dir, said: Record::new(), bodies: AtomicU64::new(0) })
    }

    fn body(&self, length: usize) -> Vec<u8> {
        let number = self.bodies.fetch_add(1, Ordering::Relaxed);
        let mut body = sha256(&number.to_be_bytes()).as_bytes().repeat(length.div_ceil(32));
        body.truncate(length);
        body
    }

    /// One entry: recorded if it was acknowledged. `None` when the server went away.
    fn add(
        &self,
        connection: &mut Connection,
        body: &[u8],
    ) -> Option<Result<Acknowledged, Response>> {
        let answer = raw::add(connection, LOG, body, self.dir.key(LOG)).ok()?;
        if let Ok(said) = &answer {
            self.said.acknowledge(said);
        }
        Some(answer)
    }

    fn add_ok(&self, server: &ServerProcess) {
        let answer = self.add(&mut server.connect(), &self.body(500));
        answer.expect("an answer").expect("acknowledged");
    }

    fn assert_kept(&self, server: &ServerProcess) {
        let url = format!("{}/logs/{LOG}", server.url());
        self.said.assert_kept_by(&check_log(&url, self.dir.key(LOG)));
    }
}

#[test]
fn below_the_headroom_submissions_wait_for_space_and_nothing_is_lost() {
    let Some(scene) = Scene::new(HEADROOM_BYTES) else { return };
    let server = scene.dir.start();
    for _ in 0..20 {
        scene.add_ok(&server);
    }
    let refused = scene.body(500);
    // Space goes while clients submit: each of them gets one of the two answers.
    thread::scope(|scope| {
        let (scene, server) = (&scene, &server);
        for _ in 0..4 {
            scope.spawn(move || {
                let mut connection = server.connect();
                loop {
                    match scene.add(&mut connection, &scene.body(500)).expect("an answer") {
                        Ok(_) => {}
                        Err(answer) => return assert_no_space(answer),
                    }
                }
            });
        }
        scene.disk.fill(HEADROOM_BYTES / 2);
    });
    for _ in 0..10 {
        let answer = scene.add(&mut server.connect(), &refused).expect("an answer");
        assert_no_space(answer.expect_err("there is no space"));
    }
    // Reads go on, and so does a log with space.
    scene.assert_kept(&server);
    server.submit(&SubmissionMaker::new().make().json()).expect(201);

    scene.disk.make_room();
    let size = scene.said.newest().size.get();
    let again = scene.add(&mut server.connect(), &refused).expect("an answer").expect("space");
    assert_eq!(again.index.get(), size, "a refused entry had been written");
    scene.assert_kept(&server);
    assert!(server.terminate().status.success());
    scene.dir.assert_sound();
    scene.assert_kept(&scene.dir.start());
}

#[track_caller]
fn assert_no_space(answer: Response) {
    let answer = answer.expect(503);
    assert!(answer.text().contains("headroom_bytes"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
}

#[test]
fn a_commit_into_a_full_disk_ends_the_process_and_loses_nothing_acknowledged() {
    let Some(scene) = Scene::new(0) else { return };
    let server = scene.dir.start();
    for _ in 0..20 {
        scene.add_ok(&server);
    }
    scene.disk.fill(0);
    let address = server.listen();
    let unanswered: Vec<Vec<u8>> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..4).map(|_| scope.spawn(|| add_until_it_ends(&scene, address))).collect();
        clients.into_iter().map(|client| client.join().expect("a body")).collect()
    });
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("outcome of the commit unknown"), "{}", ended.stderr);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);

    // While the disk is full the log may stay shut; whatever it serves is what it served before.
    let server = scene.dir.start();
    let checkpoint = server.get(&format!("/logs/{LOG}/checkpoint"));
    match checkpoint.status {
        200 => scene.assert_kept(&server),
        _ => assert!(checkpoint.expect(503).text().contains("the log is shut")),
    }
    // It may also meet the end of the disk again.
    server.ask_to_stop();
    server.wait();

    scene.disk.make_room();
    let server = scene.dir.start();
    scene.assert_kept(&server);
    for body in unanswered {
        scene.add(&mut server.connect(), &body).expect("an answer").expect("acknowledged");
    }
    scene.assert_kept(&server);
    assert!(server.terminate().status.success());
    scene.dir.assert_sound();
}

/// Adds long entries; gives back the one that got no answer.
fn add_until_it_ends(scene: &Scene, address: std::net::SocketAddr) -> Vec<u8> {
    let mut connection = Connection::open(address).expect("the server accepts");
    // More than the disk can hold.
    for _ in 0..(DISK_MIB << 20) / BODY_BYTES as u64 {
        let body = scene.body(BODY_BYTES);
        match scene.add(&mut connection, &body) {
            Some(Ok(_)) => {}
            Some(Err(answer)) => {
                // The last words of a log that has just ended.
                answer.expect(503);
                return body;
            }
            None => return body,
        }
    }
    panic!("the disk does not end");
}

#[test]
fn the_small_disk_is_what_the_log_lies_on() {
    let Some(scene) = Scene::new(0) else { return };
    let device = |path: &Path| rustix::fs::stat(path).expect("it is there").st_dev;
    assert_ne!(device(&scene.dir.log(LOG).join("db")), device(&scene.dir.path()));
    assert!(scene.disk.free() < DISK_MIB << 20);
}
