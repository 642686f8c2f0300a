//! The steps of a log, in the order in which its entries travel. `None`: not possible now.

use super::{Action, Disk, Head, Log, Mistake, Phase, State, World};

impl World {
    /// What a log that serves may do.
    pub(super) fn actions_while_open(&self, log: usize, disk: &Disk, actions: &mut Vec<Action>) {
        let committed = disk.committed;
        actions.push(Action::Round(log, committed));
        if committed.size() < self.entries {
            actions.extend([Action::Commit(log, 0), Action::Commit(log, 1)]);
            if self.mistake == Some(Mistake::AsksBeforeCommit) {
                actions.extend([0, 1].map(|entry| Action::Round(log, committed.with(entry))));
            }
        }
        actions.extend([Action::SaveRecord(log), Action::Publish(log)]);
    }

    /// Enough cosignatures of a head came in: the note becomes durable with them. Which round they
    /// came from does not matter, as long as it is a head of this log.
    pub(super) fn save_record(&self, state: &mut State, log: usize) -> Option<()> {
        let cosigned = self.newest_cosigned(state, log)?;
        let (disk, _) = state.serving(log)?;
        disk.note = cosigned;
        Some(())
    }

    /// Clients see the note.
    pub(super) fn publish(&self, state: &mut State, log: usize) -> Option<()> {
        let cosigned = self.newest_cosigned(state, log)?;
        let (disk, shown) = state.serving(log)?;
        let hasty = self.mistake == Some(Mistake::ShowsBeforeStored);
        *shown = if hasty { cosigned } else { disk.note };
        Some(())
    }

    /// The largest head of this log that enough witnesses have cosigned.
    fn newest_cosigned(&self, state: &State, log: usize) -> Option<Head> {
        let fewer = self.mistake == Some(Mistake::PublishesWithoutQuorum);
        let needed = if fewer { self.quorum - 1 } else { self.quorum };
        let committed = state.logs[log].disk?.committed;
        state.cosigned(needed).iter().filter(|head| head.begins(committed)).last()
    }

    /// The store is read again and checked; then the witnesses are asked what they know.
    pub(super) fn recover(&self, state: &mut State, log: usize) -> Option<()> {
        let known = state.cosigned(self.quorum).iter().last()?;
        state.forget_answers(log);
        let committed = state.logs[log].disk?.committed;
        let behind =
            if self.notes { !known.begins(committed) } else { committed.size() < known.size() };
        state.logs[log].phase = Phase::Asking { behind };
        Some(())
    }

    /// One witness is asked with the last published note. It says that it agrees, or its size: a
    /// smaller one, or one that the store has reached too, is harmless, unless the note behind it
    /// is of another history.
    pub(super) fn question(&self, state: &mut State, log: usize, witness: usize) -> Option<()> {
        let latest = state.witnesses[witness].latest;
        let Log { disk: Some(disk), phase } = &mut state.logs[log] else { return None };
        let another_root = latest.size() == disk.note.size() && latest != disk.note;
        let contradicted = self.notes && !latest.begins(disk.committed);
        if another_root || contradicted || latest.size() > disk.committed.size() {
            *phase = Phase::Shut;
            state.forget_answers(log);
        } else {
            state.witnesses[witness].answered[log] = true;
        }
        Some(())
    }

    /// Enough answers: those witnesses that gave none are no quorum among themselves.
    pub(super) fn decide(&self, state: &mut State, log: usize) -> Option<()> {
        let Log { disk: Some(disk), phase: Phase::Asking { behind } } = state.logs[log] else {
            return None;
        };
        let asked = &state.witnesses[..self.witnesses];
        let silent = asked.iter().filter(|witness| !witness.answered[log]).count();
        let enough = match self.mistake {
            Some(Mistake::NoQuestion) => true,
            Some(Mistake::TooFewAnswers) => silent < self.witnesses,
            _ => silent < self.quorum,
        };
        if !enough {
            return None;
        }
        state.forget_answers(log);
        state.logs[log].phase = Phase::Open { behind, shown: disk.note };
        Some(())
    }
}

impl State {
    /// The parts of a log that serves: its store, and what it shows.
    fn serving(&mut self, log: usize) -> Option<(&mut Disk, &mut Head)> {
        match &mut self.logs[log] {
            Log { disk: Some(disk), phase: Phase::Open { shown, .. } } => Some((disk, shown)),
            _ => None,
        }
    }

    /// One durable write: the point of no return for an entry. It does not wait for rounds.
    pub(super) fn commit(&mut self, log: usize, entry: u8) -> Option<()> {
        let committed = self.logs[log].disk?.committed;
        // As long as nobody holds the other entry at this place, it is all the same which it is.
        if entry == 1 && !self.mentions(committed.with(0)) {
            return None;
        }
        let (disk, _) = self.serving(log)?;
        disk.committed = committed.with(entry);
        Some(())
    }

    fn mentions(&self, head: Head) -> bool {
        let disks = self.logs.iter().filter_map(|log| log.disk);
        let mut heads = disks.map(|disk| disk.committed).chain(self.signed.iter());
        heads.any(|other| head.begins(other))
    }

    /// The log signs a head and asks all witnesses about it. Whatever was sent once is out.
    pub(super) fn round(&mut self, log: usize, head: Head) -> Option<()> {
        self.serving(log)?;
        self.signed.insert(head);
        Some(())
    }

    fn forget_answers(&mut self, log: usize) {
        self.witnesses.iter_mut().for_each(|witness| witness.answered[log] = false);
    }

    pub(super) fn crash_log(&mut self, log: usize) -> Option<()> {
        self.forget_answers(log);
        self.logs[log].phase = Phase::Down;
        Some(())
    }

    /// Somebody copies the directory of the first log, once, at any time.
    pub(super) fn copy(&mut self) -> Option<()> {
        if self.logs[1].disk.is_some() {
            return None;
        }
        self.logs[1].disk = self.logs[0].disk;
        Some(())
    }
}
