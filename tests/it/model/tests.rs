//! The searches: what holds in the program as it is, and what breaks in one with a mistake.

use stateright::{Checker, HasDiscoveries, Model};

use super::{Mistake, World, properties};

/// Two witnesses, both of which are needed.
const TWO_OF_TWO: World = World {
    witnesses: 2,
    quorum: 2,
    entries: 1,
    copies: true,
    notes: true,
    requests: 1,
    mistake: None,
};
const TWO_OF_THREE: World = World { witnesses: 3, ..TWO_OF_TWO };

/// Searches every state.
#[track_caller]
fn assert_holds(world: World) {
    let checker = world.clone().checker().threads(2).spawn_bfs().join();
    eprintln!("model: {} states, {world:?}", checker.unique_state_count());
    checker.assert_properties();
}

/// Searches until this property is broken.
#[track_caller]
fn assert_breaks(world: World, mistake: Mistake, property: &'static str) {
    let world = World { mistake: Some(mistake), ..world };
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = world.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("{mistake:?} does not break: {property}"));
    eprintln!("model: {mistake:?}: {:?}", path.into_actions());
}

/// Searches every state: this property holds all the same.
#[track_caller]
fn assert_keeps(world: World, mistake: Mistake, property: &'static str) {
    let world = World { mistake: Some(mistake), ..world };
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = world.checker().threads(2).finish_when(found).spawn_bfs().join();
    checker.assert_no_discovery(property);
}

#[test]
fn two_of_two_witnesses_see_one_history() {
    assert_holds(World { entries: 2, ..TWO_OF_TWO });
}

#[test]
fn two_of_three_witnesses_see_one_history() {
    assert_holds(TWO_OF_THREE);
}

#[test]
fn witnesses_that_show_no_notes_see_one_history() {
    assert_holds(World { notes: false, ..TWO_OF_THREE });
}

#[test]
fn requests_that_race_see_one_history() {
    assert_holds(World { requests: 2, ..TWO_OF_TWO });
}

#[test]
fn a_log_without_a_copy_signs_one_history() {
    assert_holds(World { entries: 2, copies: false, ..TWO_OF_TWO });
}

/// Two quorums of two have two witnesses in common, of whom one is honest; two quorums of two out
/// of three may have only the faulty one.
#[test]
fn one_faulty_witness_costs_what_the_arithmetic_says() {
    assert_keeps(TWO_OF_TWO, Mistake::BeginsAgain, properties::ONE_HISTORY);
    assert_breaks(TWO_OF_THREE, Mistake::BeginsAgain, properties::ONE_HISTORY);
}

/// Witnesses that keep their promise are enough: that is what they are for.
#[test]
fn no_mistake_of_a_log_makes_a_second_history() {
    for mistake in [Mistake::NoQuestion, Mistake::AsksBeforeCommit, Mistake::ShowsBeforeStored] {
        assert_keeps(TWO_OF_TWO, mistake, properties::ONE_HISTORY);
    }
}

#[test]
fn the_search_finds_what_comes_of_mistakes() {
    let race = World { requests: 2, ..TWO_OF_TWO };
    let alone = World { copies: false, ..TWO_OF_TWO };
    for (world, mistake, property) in [
        (TWO_OF_TWO, Mistake::CosignsBeforeAdvance, properties::ONE_HISTORY),
        (race, Mistake::AdvancesWithoutComparing, properties::ONE_HISTORY),
        (TWO_OF_TWO, Mistake::NoQuestion, properties::NOT_BEHIND),
        (TWO_OF_THREE, Mistake::TooFewAnswers, properties::NOT_BEHIND),
        (alone.clone(), Mistake::AsksBeforeCommit, properties::ONE_KEY),
        (alone.clone(), Mistake::PublishesWithoutQuorum, properties::QUORUM),
        (alone, Mistake::ShowsBeforeStored, properties::STORED),
    ] {
        assert_breaks(world, mistake, property);
    }
}
