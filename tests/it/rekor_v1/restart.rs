//! What was said of an entry is said of it by every later process: time, id, index, and where.

use super::*;

#[test]
fn entries_keep_their_times_and_ids_over_restarts() {
    let Scene { dir, mut server, log, entries, submissions } = Scene::of(6);
    for graceful in [true, false] {
        if graceful {
            assert!(server.terminate().status.success());
        } else {
            server.kill_9();
        }
        server = dir.start();
        let mut connection = server.connect();
        for (known, submission) in entries.iter().zip(&submissions) {
            for path in [
                format!("{ENTRIES}?logIndex={}", known.said.index),
                below(ENTRIES, &known.id),
                below(ENTRIES, &known.id[16..]),
            ] {
                let answer = connection.send(&Request::get(&path)).expect(200).json();
                let entry = log.verify(&answer);
                assert_eq!((&entry.id, entry.time_s), (&known.id, known.time_s), "{path}");
                assert_eq!(entry.said.index, known.said.index, "{path}");
            }
            let again = connection.send(&post(ENTRIES, &submission.request)).expect(409);
            assert_eq!(again.header("location"), Some(below(ENTRIES, &known.id).as_str()));
            for search in &submission.searches {
                let found = connection.send(&post(SEARCH, search)).expect(200).json();
                let ids: Vec<String> = serde_json::from_value(found).expect("ids");
                assert!(ids.contains(&known.id), "{search}");
            }
        }
        // Later entries are not older.
        let next = SubmissionMakerV1::new().dsse();
        let answer = connection.send(&post(ENTRIES, &next.request)).expect(201).json();
        assert!(log.verify(&answer).time_s >= entries[5].time_s);
    }
}
