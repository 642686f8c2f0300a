//! Old and second copies of a log, with real witnesses: backups, an empty store under the old key,
//! two copies that know nothing of each other. At most one of them goes on.

use std::fs;
use std::path::{Path, PathBuf};

use log_core::{Evidence, EvidenceRole};
use log_tests::data_dir::copy_dir;
use log_tests::{Ended, Request, ServerProcess, SubmissionMaker, WitnessDir, check_log};

use crate::cosign_scene::{
    LOG, Scene, row, submit_until_taken, wait_for, wait_for_state, wait_for_witness,
    wait_until_published, witness_row,
};

/// A second log in the same process, without witnesses.
const OTHER: &str = "other";

/// A log that has published 3 entries, a backup of it, and then published 2 more.
fn outgrown_backup() -> (Scene, PathBuf) {
    let mut scene = Scene::new();
    scene.dir.add_log(OTHER, "raw", None);
    let server = scene.start();
    (0..3).for_each(|_| _ = scene.submit(&server));
    assert!(server.terminate().status.success());
    let backup = scene.dir.beside("backup");
    copy_dir(&scene.dir.path(), &backup);
    let server = scene.start();
    (0..2).for_each(|_| _ = scene.submit(&server));
    known_to_all(&scene, &server, 5);
    assert!(server.terminate().status.success());
    (scene, backup)
}

fn known_to_all(scene: &Scene, server: &ServerProcess, size: u64) {
    wait_for(server, LOG, "known to all", |row| {
        ["w1", "w2", "w3"].iter().all(|name| witness_row(row, name)["knownSize"] == size)
    });
    for witness in &scene.witnesses {
        assert_eq!(witness.newest(&scene.origin()).size.get(), size);
    }
}

fn serve(directory: &Path, flags: &[&str]) -> ServerProcess {
    ServerProcess::start(directory, flags).unwrap_or_else(|ended| panic!("{ended:?}"))
}

/// How a server ended that ends by itself, perhaps before it serves.
fn serve_to_the_end(directory: &Path, flags: &[&str]) -> Ended {
    match ServerProcess::start(directory, flags) {
        Ok(server) => server.wait(),
        Err(ended) => ended,
    }
}

/// The log says why it is shut, serves nothing and takes nothing; the other log of the process
/// serves.
#[track_caller]
fn assert_shut(server: &ServerProcess, why: &str) {
    let row = wait_for_state(server, LOG, "shut");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains(why), "{reason}");
    let refused = server.submit(&SubmissionMaker::new().make().json()).expect(503);
    assert!(refused.text().contains(why), "{}", refused.text());
    server.get("/checkpoint").expect(503);
    server.get(&format!("/logs/{LOG}/checkpoint")).expect(503);
    assert!(server.stderr().contains("log stays shut"), "{}", server.stderr());
    if server.get(&format!("/logs/{OTHER}/checkpoint")).status != 404 {
        server.send(&Request::post(&format!("/logs/{OTHER}/add"), "leaf")).expect(200);
    }
    assert_eq!(server.get("/readyz").status, 503);
}

/// How a process ends whose only log stays shut.
#[track_caller]
fn assert_ended_shut(ended: &Ended, why: &str) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("log stays shut"), "{}", ended.stderr);
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
}

/// What a server did that ended because a note of its own key proves another history.
#[track_caller]
fn assert_contradicted(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("shows a note that this log's key signed"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn an_old_backup_stays_shut_and_the_newest_directory_goes_on() {
    let (mut scene, backup) = outgrown_backup();
    for _ in 0..2 {
        let server = serve(&backup, &[]);
        assert_shut(&server, "shows a note that this log's key signed over 5:");
        assert!(server.terminate().status.success());
    }
    // It makes no difference which witness still remembers.
    scene.witnesses[0].stop();
    scene.witnesses[2].stop();
    // What was kept would count by itself.
    let kept = backup.join("logs").join(LOG).join("evidence");
    fs::remove_dir_all(kept).expect("the notes were kept");
    let server = serve(&backup, &[]);
    assert_shut(&server, "witness w2 shows a note");
    assert!(server.terminate().status.success());
    scene.witnesses[0].come_back();
    scene.witnesses[2].come_back();

    let server = scene.start();
    scene.submit(&server);
    assert_eq!(scene.assert_kept(&server).size.get(), 6);
    for witness in &scene.witnesses {
        assert_eq!(witness.running().evidence(&scene.origin()).len(), 0, "nobody signed a fork");
    }
}

#[test]
fn an_old_backup_whose_network_comes_up_late_waits_and_stays_shut() {
    let (mut scene, backup) = outgrown_backup();
    scene.witnesses.iter_mut().for_each(crate::cosign_scene::Witness::stop);
    let server = serve(&backup, &[]);
    for name in ["w1", "w2", "w3"] {
        wait_for_witness(&server, LOG, name, "down");
    }
    let asking = row(&server, LOG);
    assert_eq!((&asking["state"], &asking["size"]), (&"asking".into(), &3.into()));
    server.submit(&scene.maker.make().json()).expect(503);
    // What it had published was published: that much it may show.
    assert_eq!(check_log(&server.url(), scene.key()).leaves.len(), 3);
    scene.witnesses[1].come_back();
    assert_shut(&server, "witness w2 shows a note that this log's key signed over 5:");
}

#[test]
fn an_empty_store_under_the_old_key_stays_shut() {
    let (scene, _) = outgrown_backup();
    let empty = Scene::empty_store();
    empty.set_policy(LOG, &scene.policy_text(2));
    assert_eq!(empty.default_key(), scene.key());
    // It has no other log to serve, so the process ends.
    assert_ended_shut(&serve_to_the_end(&empty.path(), &[]), "signed over 5:");
    empty.assert_sound();
}

#[test]
fn a_witness_that_was_installed_again_is_nobody_the_log_knows() {
    let mut scene = Scene::new();
    let server = scene.start();
    (0..3).for_each(|_| _ = scene.submit(&server));
    known_to_all(&scene, &server, 3);
    assert!(server.terminate().status.success());
    // Another key under the old name and URL, and another who was told of the log.
    scene.witnesses[0].stop();
    let again = WitnessDir::init("w1.example");
    again.add_log(scene.key(), None);
    scene.witnesses[0].replace(again);
    scene.witnesses[2].stop();
    let server = scene.dir.start();
    wait_for_witness(&server, LOG, "w2", "ok");
    let down = wait_for_witness(&server, LOG, "w1", "down");
    assert!(down["reason"].as_str().is_some_and(|why| why.contains("lost state")), "{down}");
    assert_eq!(row(&server, LOG)["state"], "asking");
    scene.witnesses[2].come_back();
    wait_until_published(&server, LOG);
    scene.submit(&server);
    scene.assert_kept(&server);
    // Its cosignatures are good, and count for nobody.
    let down = wait_for(&server, LOG, "w1 down", |row| {
        let why = &witness_row(row, "w1")["reason"];
        why.as_str().is_some_and(|why| why.contains("without a line that counts"))
    });
    assert_eq!(down["state"], "open");
}

/// A log of three entries that all its witnesses know, stopped, and a copy of its directory.
fn copied() -> (Scene, PathBuf) {
    let mut scene = Scene::new();
    let server = scene.start();
    (0..3).for_each(|_| _ = scene.submit(&server));
    known_to_all(&scene, &server, 3);
    assert!(server.terminate().status.success());
    let copy = scene.dir.beside("copy");
    copy_dir(&scene.dir.path(), &copy);
    (scene, copy)
}

#[test]
fn of_two_copies_that_share_witnesses_only_one_goes_on() {
    let (mut scene, copy) = copied();

    // At the same head nobody can tell them apart.
    let (first, second) = (scene.start(), serve(&copy, &[]));
    wait_until_published(&second, LOG);
    (0..2).for_each(|_| _ = scene.submit(&first));
    known_to_all(&scene, &first, 5);
    // An entry of the copy's own would make a second history.
    let lost = SubmissionMaker::new().make();
    let request = Request::post("/api/v2/log/entries", lost.json());
    if let Ok(answer) = second.connect().try_send(&request) {
        answer.expect(503);
    }
    assert_contradicted(&second.wait());
    scene.submit(&first);
    assert_eq!(scene.assert_kept(&first).size.get(), 6);
    known_to_all(&scene, &first, 6);

    // The copy committed its entry, never published it, and stays shut.
    assert_ended_shut(&serve_to_the_end(&copy, &[]), "signed over 5:");
    assert!(first.terminate().status.success());
    let server = scene.start();
    assert_eq!(scene.assert_kept(&server).size.get(), 6);
    // To the witnesses it is one key with two histories, and they can prove it.
    assert_convicted(&scene, scene.witnesses[0].running().evidence(&scene.origin()));
}

/// There are files, and each of them convicts the log's key.
#[track_caller]
fn assert_convicted(scene: &Scene, files: Vec<Vec<u8>>) {
    assert!(!files.is_empty(), "nobody kept the proof");
    let keys = [scene.key().clone()];
    for file in files {
        let evidence = Evidence::parse(&file).expect("evidence");
        let proven = evidence.verify(EvidenceRole::Log, &scene.origin(), &keys);
        assert!(proven.is_ok(), "{proven:?}: {evidence}");
    }
}

#[test]
fn two_copies_at_once_never_publish_two_histories() {
    let (scene, copy) = copied();
    let servers = [scene.start(), serve(&copy, &[])];
    wait_until_published(&servers[1], LOG);
    // Both are fed at once, with other entries each, until nobody is left or the time is over.
    std::thread::scope(|scope| {
        for server in &servers {
            let scene = &scene;
            scope.spawn(move || {
                let mut maker = SubmissionMaker::new();
                for _ in 0..10 {
                    let request = Request::post("/api/v2/log/entries", maker.make().json());
                    let answer = Request::get("/checkpoint");
                    let Ok(mut connection) = log_tests::Connection::open(server.listen()) else {
                        return;
                    };
                    let Ok(said) = connection.try_send(&request) else { return };
                    if said.status == 201 {
                        let said = log_tests::Acknowledged::verify(&said.json(), scene.key());
                        scene.record.acknowledge(&said);
                    } else {
                        said.expect(503);
                    }
                    // The record fails at a second root of any size.
                    let Ok(shown) = connection.try_send(&answer) else { return };
                    if shown.status == 200 {
                        scene.record.saw(shown.text(), scene.key());
                    }
                }
            });
        }
    });
    let stderr: Vec<String> = servers.into_iter().map(|server| server.kill_9().stderr).collect();
    assert!(!stderr.concat().contains("panicked"), "{stderr:?}");
    let shown: Vec<_> = scene.witnesses.iter().map(|one| one.newest(&scene.origin())).collect();
    assert!(shown.iter().any(|head| head.size.get() >= scene.record.newest().size.get()));
}

#[test]
fn an_old_backup_that_skips_the_question_is_stopped_by_the_witnesses() {
    let (mut scene, backup) = outgrown_backup();
    // Its first round asks about what it had published, and learns what it has missed.
    assert_contradicted(&serve_to_the_end(&backup, &["--unchecked-start", LOG]));
    let kept = fs::read_dir(backup.join("logs").join(LOG).join("evidence")).expect("kept");
    let names: Vec<_> = kept.map(|file| file.expect("an entry").file_name()).collect();
    assert!(names.iter().any(|name| name == "theirs-5.note"), "{names:?}");

    // With its witnesses out of sight it signs a second history, for itself alone.
    scene.witnesses.iter_mut().for_each(crate::cosign_scene::Witness::stop);
    let config = fs::read_to_string(backup.join("cairn.toml")).expect("cairn.toml");
    let alone = config.replace("\nwitness_policy = ", "\n# witness_policy = ");
    fs::write(backup.join("cairn.toml"), alone).expect("cairn.toml");
    let server = serve(&backup, &["--unchecked-start", LOG]);
    let mut maker = SubmissionMaker::new();
    (0..3).for_each(|_| _ = submit_until_taken(&server, &maker.make(), scene.key()));
    assert!(server.terminate().status.success());
    fs::write(backup.join("cairn.toml"), config).expect("cairn.toml");
    scene.witnesses.iter_mut().for_each(crate::cosign_scene::Witness::come_back);
    // Then it asks for their cosignatures, and is convicted.
    assert_contradicted(&serve_to_the_end(&backup, &["--unchecked-start", LOG]));
    let ours = fs::read_dir(backup.join("logs").join(LOG).join("evidence")).expect("kept");
    let mut files = ours.map(|file| file.expect("an entry").path());
    let file = files.find(|file| file.extension().is_some_and(|end| end == "tlog-evidence"));
    let file = fs::read(file.expect("evidence")).expect("readable");
    assert_convicted(&scene, vec![file]);
    let told = scene.witnesses.iter().flat_map(|one| one.running().evidence(&scene.origin()));
    assert_convicted(&scene, told.collect());
    // Without the question, too, it stays shut for ever now.
    let server = serve(&backup, &["--unchecked-start", LOG]);
    assert_shut(&server, "its key signed two histories");
    assert!(server.terminate().status.success());
}
