//! What must hold in every state, and what must happen in some, or the search saw nothing.

use stateright::Property;

use super::{Head, Heads, Log, Phase, State, World};

pub(super) const ONE_HISTORY: &str = "no two heads that a quorum cosigned are inconsistent";
pub(super) const QUORUM: &str = "what a client sees was cosigned by a quorum";
pub(super) const STORED: &str = "what a client sees is stored";
pub(super) const NOT_BEHIND: &str = "no log opens behind what a quorum had cosigned";
pub(super) const ONE_KEY: &str = "without a copy the key signs one history";

pub(super) fn all() -> Vec<Property<World>> {
    vec![
        Property::always(ONE_HISTORY, |world: &World, state: &State| {
            state.cosigned(world.quorum).are_one_history()
        }),
        Property::always(QUORUM, |world: &World, state: &State| {
            let cosigned = state.cosigned(world.quorum);
            state.shown().iter().all(|head| cosigned.contains(head))
        }),
        Property::always(STORED, |_, state: &State| {
            state.logs.iter().all(|log| shown(log).is_none_or(|head| is_stored(log, head)))
        }),
        Property::always(NOT_BEHIND, |_, state: &State| {
            !state.any_log(|phase| matches!(phase, Phase::Open { behind: true, .. }))
        }),
        Property::always(ONE_KEY, |_, state: &State| {
            state.logs[1].disk.is_some() || state.signed.are_one_history()
        }),
        Property::sometimes("everything is published", |world: &World, state: &State| {
            state.shown().iter().any(|head| head.size() == world.entries)
        }),
        Property::sometimes("a quorum has cosigned what no client sees", |world, state: &State| {
            let world: &World = world;
            let shown = state.shown();
            state.cosigned(world.quorum).iter().any(|head| !shown.contains(head))
        }),
        Property::sometimes("a fork is refused", |world: &World, state: &State| {
            !world.copies || a_fork_is_refused(state)
        }),
        Property::sometimes("the question shuts a log", |world: &World, state: &State| {
            !world.copies || state.any_log(|phase| *phase == Phase::Shut)
        }),
        Property::sometimes("a copy serves", |world: &World, state: &State| {
            !world.copies || matches!(state.logs[1].phase, Phase::Open { .. })
        }),
    ]
}

fn shown(log: &Log) -> Option<Head> {
    match log.phase {
        Phase::Open { shown, .. } => Some(shown),
        _ => None,
    }
}

fn is_stored(log: &Log, head: Head) -> bool {
    log.disk.is_some_and(|disk| head.begins(disk.note))
}

/// A witness has a signed head before it that does not go on from what it cosigned.
fn a_fork_is_refused(state: &State) -> bool {
    let refuses =
        |latest: Head| state.signed.iter().any(|head| !latest.begins(head) && !head.begins(latest));
    state.witnesses.iter().any(|witness| refuses(witness.latest))
}

impl State {
    /// What clients see now.
    fn shown(&self) -> Heads {
        Heads::of(self.logs.iter().filter_map(shown))
    }

    fn any_log(&self, is: impl Fn(&Phase) -> bool) -> bool {
        self.logs.iter().any(|log| is(&log.phase))
    }
}
