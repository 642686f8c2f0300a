//! Each check of the tidy test, on a small sample that must fail it and one that must not.

use super::{FILE_LINES_MAX, FUNCTION_LINES_MAX, assert_clean, style_faults};
use super::{Source, has_open_end, is_lock_file, journey, place_faults, shipped_lines, strangers};

fn rules(path: &str, text: &str) -> Vec<&'static str> {
    let source = Source { path: path.into(), text: text.into() };
    style_faults(&source).into_iter().map(|fault| fault.rule).collect()
}

#[test]
fn a_clean_file_has_no_faults() {
    let text = "//! Says what it is.\n\nfn f() {\n    g().ok()\n}\n\n#[cfg(test)]\nmod tests {\n\
                fn t() {\n    g().unwrap();\n}\n}\n";
    assert_eq!(rules("a/src/pool.rs", text), Vec::<&str>::new());
}

#[test]
fn each_rule_of_style_can_fail() {
    let path = "a/src/pool.rs";
    assert_eq!(rules(path, "fn f() {}\n"), ["header"]);
    let long = format!("//! X.\n{}", "\n".repeat(FILE_LINES_MAX));
    assert_eq!(rules(path, &long), ["length"]);
    let wide = format!("//! X.\n// {}\n", "wide ".repeat(20));
    assert_eq!(rules(path, &wide), ["columns"]);
    let key = format!("//! X.\nconst KEY: &str = \"{}\";\n", "k".repeat(120));
    assert_eq!(rules(path, &key), Vec::<&str>::new());
    let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
    assert_eq!(rules(path, &format!("//! X.\nfn f() {{\n{body}}}\n")), ["function"]);
    assert_eq!(rules("a/src/util.rs", "//! X.\n"), ["name"]);
    assert_eq!(rules("a/src/types/mod.rs", "//! X.\n"), ["name"]);
    assert_eq!(rules(path, "//! X.\npub mod helpers;\n"), ["name"]);
    assert_eq!(rules(path, "//! X.\nfn f() { g().unwrap(); }\n"), ["unwrap"]);
    assert_eq!(rules("a/src/pool/tests.rs", "//! X.\nfn f() { g().unwrap(); }\n"), [""; 0]);
    assert_eq!(rules(path, "//! X.\n// g().unwrap() in a comment\n"), [""; 0]);
}

#[test]
fn a_mark_for_later_needs_an_issue() {
    let mark = concat!("TO", "DO");
    assert!(has_open_end(&format!("// {mark}: later")));
    assert!(has_open_end(&format!("// {mark}(#x): later")));
    assert!(!has_open_end(&format!("// {mark}(#12): later")));
    assert!(has_open_end(&format!("// {mark}(#12), {}", concat!("FIX", "ME"))));
}

#[test]
fn a_stranger_under_log_core_is_named() {
    assert_eq!(strangers("log-core v0.1.0 (x)\nsha2 v0.11.1\ntokio v1.54.1 (*)\n"), ["tokio"]);
}

#[test]
fn a_journey_is_read_from_markdown_and_from_docs() {
    let rows = ["| # | file |", "|---|---|", "| 1 | `a.rs` | x |", "| 2 | `b.rs` | y |"];
    assert_eq!(journey(&rows.join("\n")), ["a.rs", "b.rs"]);
    assert_eq!(journey(&format!("//! {}", rows.join("\n//! "))), ["a.rs", "b.rs"]);
    assert_eq!(journey("| a | `b` |\nno table"), [""; 0]);
}

#[test]
#[should_panic(expected = "numbered")]
fn a_journey_has_no_gap() {
    journey("| 1 | `a.rs` |\n| 3 | `b.rs` |");
}

#[test]
fn the_journey_counts_what_ships() {
    let text = "//! X.\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
    assert_eq!(shipped_lines(text), 3);
}

#[test]
fn a_place_of_somebody_is_found() {
    let count = |text: &str| place_faults(&Source { path: "x".into(), text: text.into() }).len();
    assert_eq!(count(concat!("see https://crates", ".io/x")), 1);
    assert_eq!(count(concat!("registry.npm", "js.org")), 1);
    assert_eq!(count(concat!("cd /ho", "me/me")), 1);
    assert_eq!(count("target/work/x and https://example.com/home/"), 0);
    assert!(is_lock_file("Cargo.lock") && is_lock_file("package-lock.json"));
    assert!(!is_lock_file("package.json"));
}

#[test]
#[should_panic(expected = "a/src/pool.rs:1: header")]
fn a_fault_fails_the_test() {
    let source = Source { path: "a/src/pool.rs".into(), text: "fn f() {}\n".into() };
    assert_clean(style_faults(&source), &["header"]);
}
