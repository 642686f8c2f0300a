//! What only a Rekor v1 log does: committed times, promises, two keys, search keys.

use log_core::EntryTimestamp;
use log_core::note::SignedNote;

use super::witnesses::{three, two_of};
use super::*;

const V1_ORIGIN: &str = "log.example - 17";

fn disk() -> Disk {
    let keys = NewKeys::random(Personality::RekorV1).unwrap();
    Disk::of(Personality::RekorV1, V1_ORIGIN, &keys)
}

impl Process {
    async fn add_with_key(&self, text: &str, key: &str) -> Result<Answer, SubmitError> {
        let (leaf, search_keys) = (leaf(text), vec![SearchKey::of(key)]);
        self.log.submit(Submission { leaf, search_keys }).await
    }

    /// The time promised for the entry of an answer, whose promise verifies.
    fn promised_s(&self, answer: &Answer) -> u64 {
        let logged = self.log.logged(&answer.published, answer.index).unwrap().unwrap();
        let promise = self.log.promise(&answer.published, answer.index, &logged).unwrap();
        let timestamp = EntryTimestamp {
            body: logged.leaf.as_bytes(),
            integrated_time_s: logged.time_s,
            log_id: self.log.key().full_id_hash(),
            index: answer.index,
        };
        assert_eq!(timestamp.verify(self.log.key(), &promise), Ok(()));
        logged.time_s
    }

    fn found(&self, key: &str) -> Vec<u64> {
        let search = Search { keys: vec![SearchKey::of(key)], ..Search::default() };
        let found = self.log.search(&self.published(), &search).unwrap();
        for (index, hash) in &found {
            assert_eq!(self.log.find(&self.published(), hash).unwrap(), Some(*index));
        }
        found.into_iter().map(|(index, _)| index.get()).collect()
    }
}

#[tokio::test]
async fn an_entry_keeps_its_time_and_its_keys_over_restarts() {
    let disk = disk();
    let mut said = Vec::new();
    for (round, ms) in [1_700_000_000_999, 1_700_000_001_000, 1_700_000_060_000].iter().enumerate()
    {
        disk.clock_ms.store(*ms, Ordering::SeqCst);
        let process = disk.start();
        let text = format!("entry {round}");
        let answer = process.add_with_key(&text, &text).await.unwrap();
        let time_s = process.promised_s(&answer);
        assert_eq!(time_s, ms / 1000);
        said.push((text, answer.index.get(), time_s));
        assert_eq!(process.stop(), Vec::<String>::new());
        disk.assert_sound();
    }
    let process = disk.start();
    for (text, index, time_s) in said {
        let answer = process.add_with_key(&text, "another key").await.unwrap();
        assert!(answer.is_duplicate());
        assert_eq!((answer.index.get(), process.promised_s(&answer)), (index, time_s));
        assert_eq!(process.found(&text), [index]);
    }
    assert_eq!(process.found("another key"), [0_u64; 0], "a duplicate changes nothing");
}

#[tokio::test]
async fn nothing_is_promised_or_found_that_is_not_published() {
    let disk = disk();
    let process = disk.start();
    let before = process.published();
    let answer = process.add_with_key("a", "key").await.unwrap();
    let logged = process.log.logged(&answer.published, answer.index).unwrap().unwrap();
    assert_eq!(process.log.promise(&before, answer.index, &logged), None);
    assert_eq!(process.log.logged(&before, answer.index).unwrap(), None);
    assert_eq!(process.log.find(&before, &logged.leaf.hash()).unwrap(), None);
    let search = Search { keys: vec![SearchKey::of("key")], ..Search::default() };
    assert_eq!(process.log.search(&before, &search).unwrap(), []);
    assert_eq!(process.found("key"), [0]);
}

#[tokio::test]
async fn a_log_that_commits_times_takes_nothing_while_its_clock_jumps() {
    let disk = disk();
    let process = disk.start();
    let first = process.add("a").await.unwrap();
    for ms in [0, 10_000_000, 994_000] {
        disk.clock_ms.store(ms, Ordering::SeqCst);
        let refused = process.add("b").await.err();
        assert_eq!(refused, Some(SubmitError::Answer(AnswerError::Clock)), "{ms}");
        assert_eq!((disk.size(), process.promised_s(&first)), (1, 1000));
    }
    disk.clock_ms.store(1_002_000, Ordering::SeqCst);
    let answer = process.add("b").await.unwrap();
    assert_eq!(process.promised_s(&answer), 1002);
    assert_eq!(process.stop(), Vec::<String>::new());

    // A start with a clock that has not come to the committed time yet.
    disk.clock_ms.store(990_000, Ordering::SeqCst);
    let process = disk.start();
    let refused = process.add("c").await.err();
    assert_eq!(refused, Some(SubmitError::Answer(AnswerError::Clock)));
    process.stop();
    disk.clock_ms.store(998_000, Ordering::SeqCst);
    let process = disk.start();
    let answer = process.add("c").await.unwrap();
    assert_eq!(process.promised_s(&answer), 1002, "time stands still rather than go back");
    process.stop();
    disk.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_see_both_lines_and_clients_of_the_protocol_one() {
    let disk = disk();
    let stubs = three(&disk);
    let settings = two_of(&stubs);
    for round in 0..2 {
        let process = disk.start_witnessed(&settings);
        process.until_open().await;
        // At the second start this is the note of the first, before anything is signed again.
        process.until("published", |process| process.shown_size() == Some(round)).await;
        for _ in 0..2 {
            let published = process.published();
            disk.assert_cosigned(&published, &stubs, 2);
            let own = SignedNote::parse(published.log_note().as_bytes()).unwrap();
            let [line] = own.signatures() else { panic!("{}", published.log_note()) };
            let key = process.log.key();
            assert_eq!((&line.name, line.id), (key.name(), key.id()));
            assert_eq!(key.verify(own.text().as_bytes(), &line.signature), Ok(()));
            assert!(published.note().starts_with(own.text()));
            let for_witnesses = process.log.witness_key();
            assert!(published.note().contains(&format!("{} ", for_witnesses.name())));
            let origin = &disk.origin;
            let note = published.note().as_bytes();
            SignedCheckpoint::open(note, origin, &for_witnesses).unwrap();
            process.add(&format!("entry {round}")).await.unwrap();
        }
        assert_eq!(process.stop(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consistency_is_proved_between_any_two_published_sizes() {
    let disk = disk();
    let process = disk.start();
    process.add_all(texts("entry", 300)).await;
    let published = process.published();
    let head = |size: u64| disk.head_of(TreeSize::new(size));
    for (old, new) in [(1, 1), (1, 2), (7, 255), (255, 256), (256, 257), (3, 300), (300, 300)] {
        let (from, to) = (TreeSize::new(old), TreeSize::new(new));
        let proof = process.log.prove_consistency_between(&published, from, to).unwrap();
        assert_eq!(proof.verify(&head(old), &head(new)), Ok(()), "{old} {new}");
    }
    for (old, new) in [(0, 5), (6, 5), (1, 301), (301, 301)] {
        let (from, to) = (TreeSize::new(old), TreeSize::new(new));
        assert!(process.log.prove_consistency_between(&published, from, to).is_err());
    }
}
