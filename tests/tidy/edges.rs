//! Which module may name which: the edges that must not exist, each with its reason.
//!
//! Only code that ships is looked at. A path counts wherever it stands, in a `use` or in the middle
//! of an expression; `self`, `super` and a crate's own name are resolved first.

use crate::code;
use crate::{Fault, Source};

/// Code within some modules that must never name some paths.
struct Edge {
    within: &'static [&'static str],
    except: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const EDGES: &[Edge] = &[
    Edge {
        within: &["log-core/src"],
        except: &[],
        never: &[
            "tokio",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "SystemTime::now",
            "Instant::now",
            "rand",
            "getrandom",
            "tracing",
            "log_proto",
            "log_server",
            "log_witness",
            "log_cli",
        ],
        why: "the core has no IO, clock, randomness, logging, protobuf or async",
    },
    Edge {
        within: &["log-server/src"],
        except: &["log-server/src/api", "log-server/src/admit", "log-server/src/server"],
        never: &["log_proto", "tonic", "prost"],
        why: "wire types end at the door: api and admit (server only wires the routes)",
    },
    Edge {
        within: &["log-server/src/log", "log-server/src/store", "log-server/src/admit"],
        except: &[],
        never: &[
            "axum",
            "http",
            "http_body_util",
            "hyper",
            "hyper_util",
            "reqwest",
            "tower",
            "tower_http",
        ],
        why: "only api, server and the client of the witnesses know HTTP",
    },
    Edge {
        within: &["log-server/src", "log-cli/src", "log-core/src", "proto/src"],
        except: &["log-server/src/store/rocks"],
        never: &["rocksdb"],
        why: "one place names the engine, so that it can be replaced",
    },
    Edge {
        within: &["log-server/src/admit"],
        except: &[],
        never: &[
            "crate::store",
            "crate::log",
            "crate::api",
            "crate::server",
            "tokio",
            "std::fs",
            "std::net",
            "SystemTime::now",
            "Instant::now",
            "reqwest",
        ],
        why: "admission is a pure decision: no store, no clock, no network",
    },
    Edge {
        within: &["log-server/src/log"],
        except: &[],
        never: &["crate::admit"],
        why: "the writer takes leaves, whoever admitted them",
    },
    Edge {
        within: &["log-server/src/store"],
        except: &[],
        never: &["crate::log", "crate::admit", "crate::server", "crate::config", "tokio"],
        why: "a store knows keys and bytes only",
    },
    Edge {
        within: &["log-server/src"],
        except: &["log-server/src/api", "log-server/src/server", "log-server/src/main"],
        never: &["crate::api"],
        why: "nothing below the front door knows it",
    },
    Edge {
        within: &["log-server/src"],
        except: &["log-server/src/log/signer"],
        never: &["NoteSigner"],
        why: "one file signs for a log",
    },
    Edge {
        within: &["log-server/src"],
        except: &["log-server/src/witness"],
        never: &["reqwest"],
        why: "one file asks witnesses; nothing else fetches anything",
    },
    Edge {
        within: &["log-server/src/witness"],
        except: &[],
        never: &["crate::log", "crate::store", "crate::api", "crate::admit"],
        why: "the client of a witness carries requests and knows no log",
    },
    Edge {
        within: &["log-witness"],
        except: &[],
        never: &[
            "log_server",
            "log_proto",
            "log_cli",
            "rocksdb",
            "log_core::entry",
            "log_core::integrate",
        ],
        why: "an independent judge on the smallest base",
    },
    Edge {
        within: &["log-cli"],
        except: &[],
        never: &["log_server", "log_witness"],
        why: "proves that log-core suffices to verify",
    },
];

/// Packages that a manifest must not name, not even for its tests.
pub(crate) const MANIFESTS: &[(&str, &[&str])] = &[
    (
        "log-core/Cargo.toml",
        &["log-server", "log-witness", "log-cli", "log-proto", "tokio", "rand", "tracing"],
    ),
    ("log-cli/Cargo.toml", &["log-server", "log-witness"]),
    ("log-witness/Cargo.toml", &["log-server", "log-cli", "log-proto", "rocksdb"]),
    ("log-server/Cargo.toml", &["log-cli", "log-witness"]),
];

/// A call that only the point of no return may make, and where it may stand.
const COMMIT_CALL: &str = ".commit(";
const COMMIT_CALLERS: &[&str] = &["log-server/src/log/commit", "log-server/src/store"];

/// The forbidden edges of one file.
pub(crate) fn faults(source: &Source) -> Vec<Fault> {
    let shipped = source.shipped();
    let mut faults = Vec::new();
    let paths = code::paths(&shipped);
    for edge in EDGES.iter().filter(|edge| edge.holds_in(&source.path)) {
        for (line, path) in &paths {
            let path = resolve(path, &source.path);
            if edge.never.iter().any(|never| names(&path, never)) {
                faults.push(source.fault("edge", *line, format!("names {path}: {}", edge.why)));
            }
        }
    }
    let may_commit = COMMIT_CALLERS.iter().any(|module| lies_in(&source.path, module));
    if lies_in(&source.path, "log-server/src") && !may_commit {
        for (at, _) in shipped.match_indices(COMMIT_CALL) {
            let line = code::line_of(&shipped, at);
            faults.push(source.fault("edge", line, "only log/commit.rs writes a store's head"));
        }
    }
    faults
}

/// The packages that a manifest names although it must not.
pub(crate) fn manifest_faults(manifest: &Source, never: &[&str]) -> Vec<Fault> {
    let lines = (1..).zip(manifest.text.lines());
    let named = lines.filter(|(_, line)| {
        let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
        never.contains(&key.trim_matches('"'))
    });
    named.map(|(line, text)| manifest.fault("edge", line, format!("depends on {text}"))).collect()
}

impl Edge {
    fn holds_in(&self, path: &str) -> bool {
        let listed = |modules: &[&str]| modules.iter().any(|module| lies_in(path, module));
        listed(self.within) && !listed(self.except)
    }
}

/// Whether a file is the module, or lies below it.
fn lies_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// Whether a path starts or ends with the forbidden names.
fn names(path: &str, never: &str) -> bool {
    let path = format!("::{path}::");
    let never = format!("::{never}::");
    path.starts_with(&never) || path.ends_with(&never)
}

/// The path as it reads from the crate's root, where it starts at the module or the crate's name.
fn resolve(path: &str, file: &str) -> String {
    let own_name = file.split('/').next().unwrap_or_default().replace('-', "_");
    let inside = file.split_once("/src/").map_or(file, |(_, inside)| inside);
    let mut module: Vec<_> = inside.trim_end_matches(".rs").split('/').collect();
    module.retain(|part| !matches!(*part, "lib" | "main" | "mod"));
    let mut names = path.split("::").peekable();
    match names.peek() {
        Some(&"self") => _ = names.next(),
        Some(&"super") => {
            while names.next_if_eq(&"super").is_some() {
                module.pop();
            }
        }
        Some(name) if **name == own_name => {
            names.next();
            module.clear();
        }
        _ => return path.to_owned(),
    }
    ["crate"].into_iter().chain(module).chain(names).collect::<Vec<_>>().join("::")
}

#[test]
fn a_path_is_resolved_from_the_root() {
    let pool = "log-server/src/log/pool.rs";
    assert_eq!(resolve("super::super::api::x", pool), "crate::api::x");
    assert_eq!(resolve("self::x", pool), "crate::log::pool::x");
    assert_eq!(resolve("super::x", "log-server/src/log/mod.rs"), "crate::x");
    assert_eq!(resolve("log_server::api", "log-server/src/main.rs"), "crate::api");
    assert_eq!(resolve("std::fs", pool), "std::fs");
}

#[test]
fn each_forbidden_edge_is_found_where_it_holds() {
    let mut seen = 0;
    for edge in EDGES {
        for (module, never) in
            edge.within.iter().flat_map(|m| edge.never.iter().map(move |n| (m, n)))
        {
            let file = |path: String, text: String| faults(&Source { path, text }).len();
            let text = format!("use {never}::{{Thing, Other}};\nuse a::b;\n");
            assert!(file(format!("{module}/any.rs"), text.clone()) > 0, "{module} {never}");
            let inner = format!("mod x {{ fn f() {{ {never}::run(); }} }}");
            assert!(file(format!("{module}/any.rs"), inner) > 0, "{module} {never}");
            let test = format!("#[cfg(test)]\nmod tests {{ {text} }}\n// {never}::x");
            assert_eq!(file(format!("{module}/any.rs"), test), 0, "{module} {never} in a test");
            seen += 1;
        }
        for module in edge.except {
            let text = format!("use {}::Thing;", edge.never[0]);
            let path = format!("{module}.rs");
            let found = faults(&Source { path, text });
            assert!(!found.iter().any(|fault| fault.what.contains(edge.why)), "{found:?}");
        }
    }
    assert!(seen > 30, "{seen} edges");
}

#[test]
fn only_the_point_of_no_return_commits() {
    let text = "fn f(s: &dyn Store) { s.commit(&batch) }";
    let count = |path: &str| faults(&Source { path: path.into(), text: text.into() }).len();
    assert_eq!(count("log-server/src/log/pool.rs"), 1);
    assert_eq!(count("log-server/src/log/commit.rs"), 0);
}

#[test]
fn a_manifest_names_its_packages() {
    let text = "[dependencies]\nlog-core.workspace = true\nlog-server = { path = \"x\" }\n";
    let manifest = Source { path: "log-cli/Cargo.toml".into(), text: text.into() };
    let lines: Vec<_> =
        manifest_faults(&manifest, &["log-server"]).into_iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [3]);
}
