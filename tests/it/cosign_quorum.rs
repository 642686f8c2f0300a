//! A log with a quorum of 2 of 3 real witnesses: with all of them, without one, without two, and
//! after they have come back.

use log_core::{SignedNote, WitnessPolicy};
use log_tests::{Acknowledged, ServerProcess, Submission, check_log};

use crate::cosign_scene::{
    LOG, Scene, assert_quorum, cosigners, metric, row, wait_for, wait_for_state, wait_for_witness,
    witness_row,
};

const TIMED_OUT: &str = "no checkpoint covered the entry";
const BACKLOG: &str = "entries wait for the witnesses";

/// A submission that gets 503 with Retry-After; gives what the log said.
#[track_caller]
fn refused(server: &ServerProcess, submission: &Submission) -> String {
    let answer = server.submit(&submission.json()).expect(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.json()["code"], 14);
    answer.json()["message"].as_str().expect("a message").to_owned()
}

fn checkpoint(server: &ServerProcess) -> String {
    server.get("/checkpoint").expect(200).text().to_owned()
}

#[test]
fn everything_that_is_published_and_answered_has_the_quorum() {
    let mut scene = Scene::new();
    let server = scene.start();
    assert_eq!(scene.assert_kept(&server).size.get(), 0, "the empty tree is published first");
    let mut last = None;
    for index in 0..5 {
        let said = scene.submit(&server);
        assert_eq!(said.index.get(), index);
        assert_quorum(&scene.policy, &checkpoint(&server));
        last = Some(said);
    }
    scene.assert_kept(&server);
    // The quorum is two; whoever comes third joins the note of the same head.
    let text = |note: &str| SignedNote::parse(note.as_bytes()).unwrap().text().to_owned();
    wait_for(&server, LOG, "cosigned by all", |_| {
        cosigners(&scene.policy, &checkpoint(&server)) == ["w1", "w2", "w3"]
    });
    let note = checkpoint(&server);
    assert_eq!(text(&note), text(&last.expect("five").note));
    for witness in &scene.witnesses {
        assert_eq!(witness.newest(&scene.origin()), scene.record.newest());
        assert_eq!(witness.running().evidence(&scene.origin()).len(), 0);
    }

    let shown = row(&server, LOG);
    assert_eq!((&shown["state"], &shown["size"]), (&"open".into(), &5.into()));
    assert_eq!(shown["witnessing"]["uncheckedStart"], false);
    for name in ["w1", "w2", "w3"] {
        let witness = witness_row(&shown, name);
        assert_eq!((&witness["state"], &witness["knownSize"]), (&"ok".into(), &5.into()));
        assert!(witness["cosignedAgeS"].as_u64().is_some_and(|age| age < 60), "{witness}");
        let labels = format!("{{log=\"{LOG}\",witness=\"{name}\"}}");
        for (sample, value) in [("up", 1.0), ("alarm", 0.0), ("known_size", 5.0)] {
            let sample = format!("cairn_witness_{sample}{labels}");
            assert_eq!(metric(&server, &sample), Some(value), "{sample}");
        }
    }
    for (sample, value) in [("committed_size", 5.0), ("unpublished_entries", 0.0)] {
        assert_eq!(metric(&server, &format!("cairn_{sample}{{log=\"{LOG}\"}}")), Some(value));
    }
    let rounds = format!("cairn_rounds_total{{log=\"{LOG}\",outcome=\"quorum\"}}");
    assert!(metric(&server, &rounds).is_some_and(|rounds| rounds >= 6.0), "five entries, genesis");
    let logs = server.get("/logs").expect(200).json();
    let listed = logs["logs"][0]["witnessPolicy"].as_str().expect("a policy").to_owned();
    assert_eq!(WitnessPolicy::parse(listed.as_bytes()), Ok(scene.policy.clone()));
    assert_eq!(logs["logs"][0]["state"], "open");

    assert!(server.terminate().status.success());
    scene.dir.assert_sound();
    let server = scene.start();
    assert_eq!(text(&checkpoint(&server)), text(&note));
    scene.assert_kept(&server);
}

#[test]
fn one_witness_may_be_missing() {
    let mut scene = Scene::new();
    let server = scene.start();
    scene.submit(&server);
    scene.witnesses[0].stop();
    for _ in 0..5 {
        scene.submit(&server);
    }
    scene.assert_kept(&server);
    wait_for_witness(&server, LOG, "w1", "down");
    assert_eq!(row(&server, LOG)["state"], "open");
    let up = format!("cairn_witness_up{{log=\"{LOG}\",witness=\"w1\"}}");
    assert_eq!(metric(&server, &up), Some(0.0));
    // It comes back without anybody's help, and without an entry to cosign.
    scene.witnesses[0].come_back();
    wait_for_witness(&server, LOG, "w1", "ok");
    wait_for(&server, LOG, "cosigned by all", |_| {
        cosigners(&scene.policy, &checkpoint(&server)).len() == 3
    });
    assert_eq!(scene.witnesses[0].newest(&scene.origin()), scene.record.newest());
    // It was never in the way of a start either.
    scene.witnesses[2].stop();
    assert!(server.terminate().status.success());
    let server = scene.start();
    scene.submit(&server);
    scene.assert_kept(&server);
}

#[test]
fn without_its_quorum_a_log_publishes_nothing_and_loses_nothing() {
    let mut scene = Scene::new();
    let server = scene.start();
    let before = scene.submit(&server);
    // A late third line may still join: from here on the note changes no more.
    wait_for(&server, LOG, "cosigned by all", |_| {
        cosigners(&scene.policy, &checkpoint(&server)).len() == 3
    });
    let (note, known) = (checkpoint(&server), scene.maker.make());
    let before_submission = known.clone();
    scene.witnesses[0].stop();
    scene.witnesses[1].kill_9();

    // The entry gets into the tree and is never acknowledged. By now the backlog is too old for
    // others, which are refused before any work is done on them.
    let said = refused(&server, &known);
    assert!(said.contains(TIMED_OUT), "{said}");
    let others = scene.maker.make_many(3);
    for other in &others {
        let said = refused(&server, other);
        assert!(said.contains(BACKLOG), "{said}");
    }
    // What is known already waits for its publication all the same.
    let said = refused(&server, &before_submission);
    assert!(said.contains(TIMED_OUT), "{said}");
    let shown = wait_for_state(&server, LOG, "no-quorum");
    assert_eq!(shown["size"], 1);
    let reason = shown["reason"].as_str().expect("a reason");
    assert!(reason.contains("w1") && reason.contains("w2"), "{reason}");
    assert_eq!(server.get("/readyz").status, 503);
    assert_eq!(server.get("/healthz").status, 200);
    let sample = |name: &str| metric(&server, &format!("cairn_{name}{{log=\"{LOG}\"}}"));
    assert_eq!(sample("unpublished_entries"), Some(1.0));
    assert_eq!(sample("published_size"), Some(1.0));
    assert!(sample("oldest_unpublished_seconds").is_some_and(|age| age >= 3.0));

    // Readers have what they had.
    assert_eq!(checkpoint(&server), note);
    scene.record.assert_kept_by(&check_log(&server.url(), scene.key()));

    // One more is enough; nobody has to submit anything for what waits to be published.
    scene.witnesses[0].come_back();
    wait_for(&server, LOG, "published", |row| row["size"] == 2 && row["state"] == "open");
    let found = scene.submit_this(&server, &known);
    assert_eq!(found.index.get(), before.index.get() + 1);
    for (index, other) in (2..).zip(&others) {
        assert_eq!(scene.submit_this(&server, other).index.get(), index);
    }
    let again: Vec<Acknowledged> =
        others.iter().map(|other| scene.submit_this(&server, other)).collect();
    assert_eq!(again.len(), 3);
    assert_eq!(scene.assert_kept(&server).size.get(), 5, "the refused entries are there once");
    scene.witnesses[1].come_back();
    // An idle log would ask it less and less often; one with entries asks every two seconds.
    wait_for(&server, LOG, "w2 is back", |row| {
        scene.submit(&server);
        witness_row(row, "w2")["state"] == "ok"
    });
    assert_eq!(scene.witnesses[1].running().evidence(&scene.origin()).len(), 0);
}

#[test]
fn an_entry_that_waits_is_answered_when_the_quorum_comes_back_in_time() {
    let mut scene = Scene::new();
    let server = scene.start();
    scene.submit(&server);
    scene.witnesses[0].stop();
    scene.witnesses[1].stop();
    let submission = scene.maker.make();
    let json = submission.json();
    let answers = std::thread::scope(|scope| {
        // The same entry from several clients at once: all of them wait for one index.
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| server.submit(&json))).collect();
        wait_for(&server, LOG, "no quorum", |row| row["state"] == "no-quorum");
        scene.witnesses[0].come_back();
        clients.into_iter().map(|one| one.join().expect("no panic")).collect::<Vec<_>>()
    });
    for answer in answers {
        // A witness that needs longer than a ticket's life to start again is no fault of the log.
        if answer.status == 201 {
            let said = Acknowledged::verify(&answer.json(), scene.key());
            scene.record.acknowledge(&said);
            assert_quorum(&scene.policy, &said.note);
        } else {
            answer.expect(503);
        }
    }
    assert_eq!(scene.submit_this(&server, &submission).index.get(), 1);
    assert_eq!(scene.assert_kept(&server).size.get(), 2);
}
