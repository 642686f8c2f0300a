//! What a witness cosigned, kept outside it: whatever it cosigns later must go on from there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log_core::cosignature::Cosignature;
use log_core::note::parse_signature_lines;
use log_core::{Checkpoint, Hash, Origin, SignedNote, TreeHead, TreeSize, VerifierKey};

use crate::http::Response;
use crate::signed_log::History;

/// Every cosignature that one witness ever released. Threads may share it.
pub struct Cosigned {
    keys: Vec<VerifierKey>,
    rows: Mutex<BTreeMap<Origin, BTreeMap<TreeSize, Row>>>,
}

/// What was cosigned of one size.
struct Row {
    root_hash: Hash,
    earliest_s: u64,
    latest_s: u64,
}

impl Cosigned {
    /// A record of nothing, of the witness with these keys.
    pub fn by(keys: &[VerifierKey]) -> Self {
        Self { keys: keys.to_vec(), rows: Mutex::default() }
    }

    /// Takes the answer 200 to a request about this checkpoint.
    ///
    /// # Panics
    /// When it is no such answer: each key of the witness must have one valid line, and nobody else
    /// any. When another root of this size was cosigned before.
    #[track_caller]
    pub fn accept(&self, checkpoint: &str, answer: Response) -> TreeHead {
        let answer = answer.expect(200);
        let lines = parse_signature_lines(&answer.body).expect("signature lines and nothing else");
        assert_eq!(lines.len(), self.keys.len(), "one line a key: {}", answer.text());
        let note = SignedNote::parse(checkpoint.as_bytes()).expect("the note that was sent");
        let cosigned = SignedNote::new(note.text().to_owned(), lines).expect("a note");
        self.saw(&cosigned)
    }

    /// Takes the checkpoint that the witness shows, which it cosigned with every key.
    ///
    /// # Panics
    /// When a cosignature is missing, or another root of this size was cosigned before.
    #[track_caller]
    pub fn saw(&self, note: &SignedNote) -> TreeHead {
        let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
        for key in &self.keys {
            let found = Cosignature::find(note, key);
            let time_s = found.unwrap_or_else(|| panic!("no line of {key}: {note}")).time_s();
            self.insert(&checkpoint, time_s);
        }
        checkpoint.head
    }

    #[track_caller]
    fn insert(&self, checkpoint: &Checkpoint, time_s: u64) {
        let TreeHead { size, root_hash } = checkpoint.head;
        let mut rows = self.rows();
        let sizes = rows.entry(checkpoint.origin.clone()).or_default();
        let new = Row { root_hash, earliest_s: time_s, latest_s: time_s };
        let row = sizes.entry(size).or_insert(new);
        assert_eq!(row.root_hash, root_hash, "two heads of size {size} were cosigned");
        row.earliest_s = row.earliest_s.min(time_s);
        row.latest_s = row.latest_s.max(time_s);
    }

    /// Takes the checkpoint that the witness shows now, after whatever befell it.
    ///
    /// # Panics
    /// When it is behind a cosignature that was released before, in size or in time.
    #[track_caller]
    pub fn saw_latest(&self, note: &SignedNote) -> TreeHead {
        let origin = Checkpoint::parse(note.text()).expect("a checkpoint").origin;
        let before = self.newest(&origin);
        let released_s = before.map_or(0, |head| self.rows()[&origin][&head.size].latest_s);
        let head = self.saw(note);
        let kept = before.is_none_or(|before| before.size <= head.size);
        assert!(kept, "the state is behind: {head:?} is shown, {before:?} was cosigned");
        let shown_s = Cosignature::find(note, &self.keys[0]).map_or(0, Cosignature::time_s);
        assert!(released_s <= shown_s, "the time went back");
        head
    }

    /// The largest head of this origin that was cosigned.
    pub fn newest(&self, origin: &Origin) -> Option<TreeHead> {
        let rows = self.rows();
        let (size, row) = rows.get(origin)?.last_key_value()?;
        Some(TreeHead { size: *size, root_hash: row.root_hash })
    }

    /// How many different heads of this origin were cosigned.
    pub fn heads(&self, origin: &Origin) -> usize {
        self.rows().get(origin).map_or(0, BTreeMap::len)
    }

    /// Everything that was cosigned of this origin lies in one history, and a larger tree was
    /// never cosigned before a smaller one.
    ///
    /// # Panics
    /// When that is not so: the witness has convicted itself.
    #[track_caller]
    pub fn assert_one_history(&self, origin: &Origin, history: &History) {
        let rows = self.rows();
        let mut latest_s = 0;
        for (&size, row) in rows.get(origin).into_iter().flatten() {
            let head = TreeHead { size, root_hash: row.root_hash };
            assert!(history.had(&head), "size {size} of another history was cosigned");
            assert!(row.earliest_s >= latest_s, "size {size} was cosigned before a smaller one");
            latest_s = row.latest_s;
        }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Origin, BTreeMap<TreeSize, Row>>> {
        // A thread that found a difference panics with the rows in its hand; they are whole.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed_log::SignedLog;
    use log_core::KeyName;
    use log_core::cosignature::CosignerKey;

    struct Scene {
        log: SignedLog,
        cosigner: CosignerKey,
        record: Cosigned,
    }

    impl Scene {
        fn new() -> Self {
            let name = KeyName::parse("witness.example").unwrap();
            let cosigner = CosignerKey::ed25519(name, [7; 32]);
            let record = Cosigned::by(&[cosigner.verifier_key().clone()]);
            Self { log: SignedLog::new("log.example"), cosigner, record }
        }

        fn cosign(&self, head: TreeHead, time_s: u64) {
            let note = self.log.sign(head);
            let checkpoint = Checkpoint::parse(note.text()).unwrap();
            let line = self.cosigner.cosign(&checkpoint, time_s).unwrap();
            let body = format!("{line}\n").into_bytes();
            let answer = Response { status: 200, headers: Vec::new(), body };
            assert_eq!(self.record.accept(&note.to_string(), answer), head);
        }

        fn fails(&self, check: impl FnOnce(&Self)) -> bool {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(self))).is_err()
        }
    }

    #[test]
    fn one_history_is_one_history() {
        let (scene, history) = (Scene::new(), History::new("a", 9));
        for (size, time_s) in [(3, 10), (5, 10), (5, 12), (9, 12)] {
            scene.cosign(history.head_at(size), time_s);
        }
        scene.record.assert_one_history(scene.log.origin(), &history);
        assert_eq!(scene.record.newest(scene.log.origin()), Some(history.head()));
        assert_eq!(scene.record.heads(scene.log.origin()), 3);
    }

    #[test]
    fn a_second_history_is_found() {
        let (scene, history) = (Scene::new(), History::new("a", 9));
        let fork = history.fork(4, "b", 9);
        scene.cosign(history.head_at(5), 10);
        assert!(scene.fails(|scene| scene.cosign(fork.head_at(5), 11)), "of the same size");
        scene.cosign(fork.head_at(7), 11);
        for history in [&history, &fork] {
            let origin = scene.log.origin();
            assert!(scene.fails(|scene| scene.record.assert_one_history(origin, history)));
        }
    }

    #[test]
    fn a_time_that_goes_back_is_found() {
        let (scene, history) = (Scene::new(), History::new("a", 9));
        scene.cosign(history.head_at(5), 10);
        scene.cosign(history.head_at(7), 9);
        let check = |s: &Scene| s.record.assert_one_history(s.log.origin(), &history);
        assert!(scene.fails(check));
    }

    #[test]
    fn a_state_that_is_behind_is_found() {
        let (scene, history) = (Scene::new(), History::new("a", 9));
        let note = |size, time_s| {
            let note = scene.log.sign(history.head_at(size));
            let checkpoint = Checkpoint::parse(note.text()).unwrap();
            let line = scene.cosigner.cosign(&checkpoint, time_s).unwrap();
            SignedNote::new(note.text().to_owned(), vec![line]).unwrap()
        };
        scene.cosign(history.head_at(5), 10);
        scene.record.saw_latest(&note(5, 10));
        for (size, time_s) in [(4, 10), (5, 9)] {
            let check = |s: &Scene| {
                s.record.saw_latest(&note(size, time_s));
            };
            assert!(scene.fails(check), "size {size} at {time_s}");
        }
        scene.record.saw_latest(&note(6, 11));
    }

    #[test]
    fn lines_of_others_do_not_count() {
        let (scene, history) = (Scene::new(), History::new("a", 2));
        let note = scene.log.sign(history.head());
        let line = &note.signatures()[0];
        let body = format!("{line}\n").into_bytes();
        let answer = Response { status: 200, headers: Vec::new(), body };
        let accept = |scene: &Scene| {
            scene.record.accept(&note.to_string(), answer.clone());
        };
        assert!(scene.fails(accept));
    }
}
