//! Reads just enough Rust for the tidy test: comments and literals blanked, tests cut out,
//! functions measured, paths listed.
//!
//! Not a parser: it relies on code that the compiler and rustfmt have accepted.

/// A function that has a body.
#[derive(Debug, PartialEq)]
pub(crate) struct Function<'t> {
    pub(crate) name: &'t str,
    pub(crate) line: usize,
    /// From `fn` to the closing brace, both counted.
    pub(crate) lines: usize,
}

/// The text with comments, strings and character literals blanked; every line keeps its number.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at).min(bytes.len());
        blank(&mut code[at..end]);
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("invariant: characters are blanked whole")
}

/// The code with every item blanked that only exists in tests.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[") {
        let start = from + found;
        from = matching(code, start + 1);
        if is_test_attribute(&code[start..from]) {
            from = item_end(code, from);
            blank(&mut rest[start..from]);
        }
    }
    String::from_utf8(rest).expect("invariant: characters are blanked whole")
}

/// The functions with a body, nested ones included.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    let keywords = words(code).filter(|(_, word)| *word == "fn");
    keywords
        .filter_map(|(at, _)| {
            let name = words(&code[at..]).nth(1)?.1;
            // Without a name it is the type of a function pointer.
            let named = code[at + 2..].trim_start().starts_with(name);
            let end = item_end(code, at);
            let has_body = code[..end].ends_with('}');
            let lines = code[at..end].matches('\n').count() + 1;
            (named && has_body).then_some(Function { name, line: line_of(code, at), lines })
        })
        .collect()
}

/// Every path of two or more names, those of `use` declarations in full, with its line.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, word) in words(code) {
        let line = line_of(code, at);
        let declaration = &code[at + word.len()..];
        if word == "use" && declaration.starts_with(char::is_whitespace) {
            let tree = declaration.split(';').next().unwrap_or_default();
            let mut expanded = Vec::new();
            expand("", tree, &mut expanded);
            paths.extend(expanded.into_iter().map(|path| (line, path)));
        } else if starts_path(&code[..at]) {
            let path = path_at(&code[at..]);
            if path.contains("::") {
                paths.push((line, path.to_owned()));
            }
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// The names and keywords of the code, each with its offset.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr().addr() - code.as_ptr().addr(), word))
}

/// The line, counted from 1, of an offset.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    match &bytes[at..] {
        [b'/', b'/', ..] => find(bytes, at, b"\n"),
        [b'/', b'*', ..] => comment_end(bytes, at),
        [b'"', ..] => string_end(bytes, at + 1),
        [b'r', b'"' | b'#', ..] => raw_string_end(bytes, at),
        [b'\'', b'\\', ..] => find(bytes, at + 3, b"'") + 1,
        [b'\'', rest @ ..] => {
            // One character and a quote; anything else is a lifetime.
            let width = rest.utf8_chunks().next().and_then(|c| c.valid().chars().next());
            let width = width.map_or(0, char::len_utf8);
            if width > 0 && rest.get(width) == Some(&b'\'') { at + width + 2 } else { at }
        }
        _ => at,
    }
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> usize {
    let found = bytes.get(from..).and_then(|b| b.windows(wanted.len()).position(|w| w == wanted));
    found.map_or(bytes.len(), |offset| from + offset)
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut at) = (1, at + 2);
    while depth > 0 && at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    find(bytes, at + 2 + hashes, &close) + close.len()
}

/// The offset behind the bracket that closes the one at `open`.
fn matching(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// Where the item that starts at `from` ends: behind its body, or behind its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = code[at..].find(['(', '[', '{', '}', ';']) {
        at += found;
        match code.as_bytes()[at] {
            b'{' => return matching(code, at),
            b';' => return at + 1,
            b'}' => return at,
            _ => at = matching(code, at),
        }
    }
    code.len()
}

fn is_test_attribute(attribute: &str) -> bool {
    let test = words(attribute).any(|(_, word)| word == "test");
    test && !attribute.contains("not(test") && !attribute.starts_with("#[cfg_attr")
}

fn starts_path(before: &str) -> bool {
    match before.strip_suffix("::") {
        // `::std::fs` starts a path, the `fs` of `std::fs` or `<T>::fs` does not.
        Some(before) => !before.ends_with(|c| is_word(c) || c == '>'),
        None => true,
    }
}

fn path_at(code: &str) -> &str {
    let mut end = 0;
    loop {
        end += code[end..].find(|c| !is_word(c)).unwrap_or(code.len() - end);
        let next = code[end..].strip_prefix("::");
        match next {
            Some(next) if next.starts_with(is_word) => end += 2,
            _ => return &code[..end],
        }
    }
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((head, inside)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        paths.push(format!("{prefix}{name}").trim_start_matches("::").to_owned());
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut from) = (0_usize, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                expand(&prefix, &inside[from..at], paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inside[from..].trim().is_empty() {
        expand(&prefix, &inside[from..], paths);
    }
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let text = "a // { \"\n/* b /* c */ d */ e \"x\\\"y\n{\" f r#\"g\"h\"# 'i' '\\'' 'é' &'j k";
    let code = code_only(text);
    let left: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(left, "a e f &'j k");
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
}

#[test]
fn tests_are_cut_out_and_nothing_else() {
    let code = "fn a() {}\n#[cfg(test)]\nmod t { fn b([u8; 2]) { {} } }\n#[cfg(test)]\nmod u;\n\
                #[cfg(not(test))]\nfn c() {}\n#[test]\nfn d() {}\n#[inline]\nfn e() {}";
    let left = without_tests(code);
    let names: Vec<_> = functions(&left).into_iter().map(|f| (f.name, f.line)).collect();
    assert_eq!(names, [("a", 1), ("c", 7), ("e", 11)]);
    assert!(!left.contains("mod"));
}

#[test]
fn functions_are_measured() {
    let code = "fn a(x: [u8; 2]) -> u8 {\n    fn b() {\n    }\n}\ntrait T { fn c(&self); }\n\
                type P = fn(u8);";
    let found: Vec<_> = functions(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("a", 1, 4), ("b", 2, 2)]);
}

#[test]
fn paths_are_listed_in_full() {
    let code = "use std::{fs, net::{self, TcpStream as T}};\n::tokio::spawn(x::y);\nlet r = a.b;\n\
                <Q>::r();";
    let found = paths(code).into_iter().map(|(line, path)| format!("{line} {path}"));
    let wanted =
        ["1 std::fs", "1 std::net::TcpStream", "1 std::net::self", "2 tokio::spawn", "2 x::y"];
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}
