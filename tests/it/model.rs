//! A model of a log and its witnesses, searched exhaustively: whatever crashes, whatever old
//! backup or second copy of the log's data directory is served, and in whatever order messages
//! arrive, no two inconsistent heads are cosigned by a quorum.
//!
//! An action is a step of the code and has its name; between any two of them anything may crash.
//! What the network can do (lose, delay, repeat, reorder) needs no steps of its own: a head that
//! was signed once may reach any witness at any time, and a cosignature that was released once
//! may reach any log. Proofs need none either: where one exists it is at hand, and a wrong one
//! convinces no witness.
//!
//! A model that cannot fail shows nothing. Each [`Mistake`] is a program that is a little wrong,
//! and a test that the search finds what comes of it.

mod heads;
mod log;
mod properties;
mod tests;
mod witness;

use heads::{Head, Heads};
use stateright::{Model, Property};

/// Room for the witnesses of a world.
const WITNESSES_MAX: usize = 3;
/// Room for what one witness works on.
const REQUESTS_MAX: usize = 2;

/// What the model is about: how many witnesses, and what may happen.
#[derive(Debug, Clone)]
struct World {
    witnesses: usize,
    /// So many cosignatures make a quorum.
    quorum: usize,
    /// Most entries after the start, at which everybody has seen the same.
    entries: u32,
    /// Somebody copies the log's directory, and serves the copy later: beside the original, which
    /// makes it a second copy, or after the original's end, which makes it an old backup.
    copies: bool,
    /// Witnesses show the newest note that they cosigned, as Cairn's do; others tell its size.
    notes: bool,
    /// So many requests are worked on at once, in all witnesses together. What one witness has in
    /// memory is nothing to the others, and a request may come again: more would add nothing.
    requests: usize,
    mistake: Option<Mistake>,
}

/// A program that is a little wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// A witness answers before its decision is durable.
    CosignsBeforeAdvance,
    /// A witness stores what it decided without looking whether its state is still the same.
    AdvancesWithoutComparing,
    /// A witness that lost its state begins again as if it were new.
    BeginsAgain,
    /// A log opens without asking its witnesses.
    NoQuestion,
    /// A log opens although those that did not answer can form a quorum.
    TooFewAnswers,
    /// A log asks for a cosignature before its commit is durable.
    AsksBeforeCommit,
    /// A log publishes what too few have cosigned.
    PublishesWithoutQuorum,
    /// A log shows a note before the note is durable.
    ShowsBeforeStored,
}

/// Everything that matters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    logs: [Log; 2],
    /// In no order, and those that are not in this world at the end: nobody asks them.
    witnesses: [Witness; WITNESSES_MAX],
    /// What the log's key signed and sent; from then on anybody has it.
    signed: Heads,
}

/// One process with the log's key, and its data directory, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Log {
    disk: Option<Disk>,
    phase: Phase,
}

/// What survives a crash of a log: the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Disk {
    committed: Head,
    /// The last note that a quorum cosigned and that was stored.
    note: Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Down,
    /// Recovered, and the question is out.
    Asking {
        behind: bool,
    },
    /// Serves: it signs what it commits, and shows its last note.
    Open {
        /// When it recovered, a quorum had cosigned more than it holds.
        behind: bool,
        shown: Head,
    },
    /// A witness knows more than the store: nothing is signed until an operator looks.
    Shut,
}

/// A witness that may crash, and what it ever let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Witness {
    /// Durable.
    latest: Head,
    /// In memory.
    requests: [Option<Request>; REQUESTS_MAX],
    /// Cosignatures that left the witness.
    released: Heads,
    /// Its answer to the question of each log, as far as that counts.
    answered: [bool; 2],
    /// It lost its state, by [`Mistake::BeginsAgain`].
    faulty: bool,
}

/// How far a request has come in a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    /// It will be cosigned if the state is still the one that was looked at.
    Judged { head: Head, seen: Head },
    /// Its head is the durable state.
    Durable { head: Head },
}

/// The steps. The first number says which log or which witness takes it, by its place in this
/// state; the next state may have them in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    // What a log does, in the order in which an entry travels.
    Commit(usize, u8),
    Round(usize, Head),
    SaveRecord(usize),
    Publish(usize),
    // Its end and its start.
    CrashLog(usize),
    Recover(usize),
    Question(usize, usize),
    Decide(usize),
    /// Somebody copies the data directory.
    Copy,
    // What a witness does with a request.
    Judge(usize, Head),
    Advance(usize, usize),
    Cosign(usize, usize),
    CrashWitness(usize),
    LoseState(usize),
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let disk = Disk { committed: Head::START, note: Head::START };
        let witness = Witness {
            latest: Head::START,
            requests: [None; REQUESTS_MAX],
            released: Heads::of([Head::START]),
            answered: [false; 2],
            faulty: false,
        };
        vec![State {
            logs: [Some(disk), None].map(|disk| Log { disk, phase: Phase::Down }),
            witnesses: std::array::from_fn(|number| {
                if number < self.witnesses {
                    witness
                } else {
                    Witness { released: Heads::default(), ..witness }
                }
            }),
            signed: Heads::of([Head::START]),
        }]
    }

    /// Steps that may be possible; `next_state` says which are.
    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (log, Log { disk, phase }) in state.logs.iter().enumerate() {
            let Some(disk) = disk else { continue };
            match phase {
                Phase::Down => actions.push(Action::Recover(log)),
                Phase::Asking { .. } => {
                    let ask = |witness| Action::Question(log, witness);
                    actions.extend((0..self.witnesses).map(ask));
                    actions.push(Action::Decide(log));
                }
                Phase::Open { .. } => self.actions_while_open(log, disk, actions),
                Phase::Shut => {}
            }
            actions.push(Action::CrashLog(log));
        }
        if self.copies {
            actions.push(Action::Copy);
        }
        for witness in 0..self.witnesses {
            actions.extend(state.signed.iter().map(|head| Action::Judge(witness, head)));
            for request in 0..REQUESTS_MAX {
                if state.witnesses[witness].requests[request].is_some() {
                    let advance = Action::Advance(witness, request);
                    actions.extend([advance, Action::Cosign(witness, request)]);
                }
            }
            actions.extend([Action::CrashWitness(witness), Action::LoseState(witness)]);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        let taken = match action {
            Action::Commit(log, entry) => next.commit(log, entry),
            Action::Round(log, head) => next.round(log, head),
            Action::SaveRecord(log) => self.save_record(&mut next, log),
            Action::Publish(log) => self.publish(&mut next, log),
            Action::CrashLog(log) => next.crash_log(log),
            Action::Recover(log) => self.recover(&mut next, log),
            Action::Question(log, witness) => self.question(&mut next, log, witness),
            Action::Decide(log) => self.decide(&mut next, log),
            Action::Copy => next.copy(),
            Action::Judge(witness, head) => self.judge(&mut next, witness, head),
            Action::Advance(witness, request) => self.advance(&mut next, witness, request),
            Action::Cosign(witness, request) => next.cosign(witness, request),
            Action::CrashWitness(witness) => next.crash_witness(witness),
            Action::LoseState(witness) => self.lose_state(&mut next, witness),
        };
        taken?;
        next.put_in_order(self.witnesses);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl State {
    /// Witnesses are alike, and so are a directory and its copy: states that differ in their order
    /// alone are one, which spares the search most of its work.
    fn put_in_order(&mut self, witnesses: usize) {
        let [original, copy] = &mut self.logs;
        if copy.disk.is_some() && copy < original {
            std::mem::swap(original, copy);
            self.witnesses.iter_mut().for_each(|witness| witness.answered.reverse());
        }
        self.witnesses[..witnesses].sort_unstable();
    }
}
