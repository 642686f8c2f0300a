//! The style and the structure of the repository as a test: sizes, headers, names, module edges,
//! the journey that ARCHITECTURE.md prints.
//!
//! A fault is fixed in the code. An exemption below is a debt with its reason; one that is no
//! longer needed is a fault as well.

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/edges.rs"]
mod edges;

/// The ceilings that readable code keeps to by itself.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
/// A key, a hash or an address cannot be broken over lines: one such word excuses its line.
const UNBREAKABLE_COLUMNS: usize = 60;

/// What a stranger reads to follow one entry from the socket to the disk and back.
const JOURNEY_FILES: std::ops::RangeInclusive<usize> = 10..=14;
const JOURNEY_LINES_MAX: usize = 2_700;

/// Words that say nothing about what a module holds.
const FORBIDDEN_NAMES: &str = "util utils common helper helpers manager service types misc";

/// Directories that hold nothing written by hand for this repository; of the hidden ones only some.
const SKIPPED: &str = "target out generated corpus artifacts node_modules venv __pycache__";
const DOTTED: &str = ".ci .github .cargo .config";

/// Everything that log-core may draw in: hashes, three signature schemes, base64, JSON, errors.
const CORE_MAY_USE: &str = "
    base16ct base64 base64ct block-buffer cfg-if cmov const-oid cpubits cpufeatures crypto-bigint
    crypto-common ctutils curve25519-dalek curve25519-dalek-derive der digest ecdsa ed25519
    ed25519-dalek elliptic-curve ff getrandom group hmac hybrid-array itoa keccak libc log-core
    memchr ml-dsa module-lattice num-traits p256 pem-rfc7468 pkcs8 primefield primeorder proc-macro2
    quote rand_core rfc6979 rustc_version sec1 semver serde serde_core serde_derive serde_json sha2
    shake signature spki sponge-cursor subtle syn thiserror thiserror-impl typenum unicode-ident
    wnaf zeroize zeroize_derive zmij";

/// The debt register: the rule, the file, and why the file may break it.
const EXEMPT: &[(&str, &str, &str)] =
    &[("name", "proto/src/lib.rs", "`common` is the name of upstream's protobuf package")];

/// One place that breaks one rule.
#[derive(Debug)]
struct Fault {
    rule: &'static str,
    path: String,
    line: usize,
    what: String,
}

/// A source file, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn fault(&self, rule: &'static str, line: usize, what: impl Into<String>) -> Fault {
        Fault { rule, path: self.path.clone(), line, what: what.into() }
    }

    /// Tests may panic, and may look at both sides of an edge.
    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "fuzz" | "examples"))
    }

    /// The code that ships: no comments, no literals, no tests.
    fn shipped(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        code::without_tests(&code::code_only(&self.text))
    }
}

#[test]
fn every_source_file_keeps_the_style() {
    let sources = rust_sources();
    assert!(sources.len() > 20, "only {} files found: is the root wrong?", sources.len());
    let faults: Vec<_> = sources.iter().flat_map(style_faults).collect();
    assert_clean(faults, &["header", "length", "columns", "function", "name", "issue", "unwrap"]);
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let sources = rust_sources();
    let mut faults: Vec<_> = sources.iter().flat_map(edges::faults).collect();
    for (manifest, never) in edges::MANIFESTS {
        let text = read(manifest);
        faults.extend(edges::manifest_faults(&Source { path: (*manifest).into(), text }, never));
    }
    assert_clean(faults, &["edge"]);
}

#[test]
fn log_core_depends_on_little() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "log-core", "-e", "normal", "--prefix", "none"])
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("cargo prints text");
    assert!(tree.contains("sha2 v"), "not a dependency tree: {tree}");
    let strangers = strangers(&tree);
    assert!(strangers.is_empty(), "log-core now draws in {strangers:?}; see CORE_MAY_USE");
}

#[test]
fn the_journey_is_printed_twice_and_short() {
    let printed = journey(&read("ARCHITECTURE.md"));
    let in_code = journey(&read("log-server/src/lib.rs"));
    assert_eq!(printed, in_code, "ARCHITECTURE.md and log-server/src/lib.rs print one journey");
    assert!(JOURNEY_FILES.contains(&printed.len()), "{} files: {printed:?}", printed.len());
    let lengths: Vec<_> =
        printed.iter().map(|path| (shipped_lines(&read(path)), path.as_str())).collect();
    let lines: usize = lengths.iter().map(|(lines, _)| lines).sum();
    assert!(lines <= JOURNEY_LINES_MAX, "{lines} lines on the journey: {lengths:#?}");
}

#[test]
fn the_repository_speaks_of_the_product_alone() {
    let faults: Vec<_> = files(|name| !is_lock_file(name)).iter().flat_map(place_faults).collect();
    assert_clean(faults, &["place"]);
}

fn style_faults(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !source.text.starts_with("//! ") {
        faults.push(source.fault("header", 1, "the first line is no `//! ` header"));
    }
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(source.fault("length", lines, format!("{lines} lines")));
    }
    for (number, line) in (1..).zip(source.text.lines()) {
        let columns = line.chars().count();
        let breakable = line.split_whitespace().all(|word| word.len() < UNBREAKABLE_COLUMNS);
        if columns > LINE_COLUMNS_MAX && breakable {
            faults.push(source.fault("columns", number, format!("{columns} columns")));
        }
        if has_open_end(line) {
            faults.push(source.fault("issue", number, "a to-do without an issue: write (#N)"));
        }
    }
    let code = code::code_only(&source.text);
    for function in code::functions(&code).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
        let what = format!("{} has {} lines", function.name, function.lines);
        faults.push(source.fault("function", function.line, what));
    }
    faults.extend(module_names(&source.path, &code).into_iter().map(|(line, name)| {
        source.fault("name", line, format!("a module called {name} says nothing"))
    }));
    let shipped = source.shipped();
    faults.extend(shipped.match_indices(".unwrap()").map(|(at, _)| {
        source.fault("unwrap", code::line_of(&shipped, at), "expect(\"invariant: ...\") or `?`")
    }));
    faults
}

/// A mark for later work that names no issue. (The marks are spelled so that this file has none.)
fn has_open_end(line: &str) -> bool {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    marks.iter().any(|mark| {
        line.match_indices(mark).any(|(at, _)| {
            let number = line[at + mark.len()..].strip_prefix("(#");
            !number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    })
}

fn module_names(path: &str, code: &str) -> Vec<(usize, String)> {
    let parts = path.strip_suffix(".rs").unwrap_or(path).split('/').map(|part| (1, part));
    let words: Vec<_> = code::words(code).collect();
    let declared = words.windows(2).filter(|pair| pair[0].1 == "mod");
    let declared = declared.map(|pair| (code::line_of(code, pair[1].0), pair[1].1));
    parts
        .chain(declared)
        .filter(|(_, name)| lists(FORBIDDEN_NAMES, name))
        .map(|(line, name)| (line, name.to_owned()))
        .collect()
}

fn strangers(tree: &str) -> Vec<&str> {
    let crates = tree.lines().filter_map(|line| line.split_whitespace().next());
    crates.filter(|name| !lists(CORE_MAY_USE, name)).collect()
}

/// The files of the table whose rows read `| N | `path` | ...`, numbered from 1 without a gap.
fn journey(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.trim_start_matches("//!").trim().strip_prefix('|')?.split('|');
        let number: usize = cells.next()?.trim().parse().ok()?;
        let path = cells.next()?.trim().strip_prefix('`')?.strip_suffix('`')?;
        Some((number, path.to_owned()))
    });
    let (numbers, paths): (Vec<_>, Vec<_>) = rows.unzip();
    assert!(numbers.iter().copied().eq(1..=paths.len()), "journey rows are numbered {numbers:?}");
    paths
}

/// The lines that a reader has before the tests begin to be the subject.
fn shipped_lines(text: &str) -> usize {
    let all = text.lines().count();
    let code = code::code_only(text);
    let tests = code::without_tests(&code);
    let cut = code.lines().zip(tests.lines()).filter(|(a, b)| a.trim() != b.trim()).count();
    all - cut
}

/// Places that belong to somebody's set-up: registries are the tools' business, and nobody else has
/// our home directory.
fn place_faults(source: &Source) -> Vec<Fault> {
    let hosts = [("crates", "io"), ("pypi", "org"), ("pythonhosted", "org")];
    let more = [("npmjs", "org"), ("npmjs", "com"), ("proxy.golang", "org"), ("rubygems", "org")];
    let hosts = hosts.iter().chain(&more).map(|(name, top)| format!("{name}.{top}"));
    let homes = ["home", "root", "work", "Users"].iter().map(|home| format!("/{home}/"));
    let places: Vec<_> = hosts.chain(homes).collect();
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for place in &places {
            let starts_here = |at: usize| {
                let before = line[..at].chars().next_back();
                !place.starts_with('/') || before.is_none_or(|c| " \"'`=(:<".contains(c))
            };
            if line.match_indices(place.as_str()).any(|(at, _)| starts_here(at)) {
                faults.push(source.fault("place", number, format!("names {place}")));
            }
        }
    }
    faults
}

fn is_lock_file(name: &str) -> bool {
    name.ends_with(".lock") || name.ends_with("-lock.json") || name == "go.sum"
}

/// Prints every fault that no exemption excuses, and every exemption that excuses nothing.
fn assert_clean(faults: Vec<Fault>, rules: &[&str]) {
    let excuses = |fault: &Fault, exempt: &(&str, &str, &str)| {
        (fault.rule, fault.path.as_str()) == (exempt.0, exempt.1)
    };
    let ours = EXEMPT.iter().filter(|exempt| rules.contains(&exempt.0));
    let idle = ours.filter(|exempt| !faults.iter().any(|fault| excuses(fault, exempt)));
    let mut report: Vec<_> = idle
        .map(|(rule, path, _)| format!("{path}: the exemption from `{rule}` is not needed"))
        .collect();
    for fault in &faults {
        if !EXEMPT.iter().any(|exempt| excuses(fault, exempt)) {
            let Fault { rule, path, line, what } = fault;
            report.push(format!("{path}:{line}: {rule}: {what}"));
        }
    }
    report.sort();
    assert!(report.is_empty(), "{} faults\n{}", report.len(), report.join("\n"));
}

/// Whether a list of words has the word.
fn lists(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|listed| listed == word)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_sources() -> Vec<Source> {
    files(|name| name.ends_with(".rs"))
}

/// The text files whose name is wanted, in a stable order.
fn files(wanted: impl Fn(&str) -> bool) -> Vec<Source> {
    let (mut files, mut directories) = (Vec::new(), vec![String::new()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("a directory of the repository") {
            let entry = entry.expect("a directory of the repository");
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("a file has a type");
            let path = format!("{directory}{name}");
            let hidden = name.starts_with('.') && !lists(DOTTED, &name);
            if kind.is_dir() && !hidden && !lists(SKIPPED, &name) {
                directories.push(format!("{path}/"));
            } else if kind.is_file() && wanted(&name) {
                // What is not text has no style.
                let text = fs::read_to_string(entry.path());
                files.extend(text.ok().map(|text| Source { path, text }));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

#[path = "tidy/tests.rs"]
mod tests;
