//! Log list: the file `logs/v0` in which networks publish the logs that want to be cosigned
//! (witness-network.org). Lists only ever add: what a list says of a known origin changes nothing.

use log_core::checkpoint::Origin;
use log_core::key::{KeyAlgorithm, VerifierKey};

use crate::admin::ORIGIN_BYTES_MAX;

/// First line of a list, comments aside.
const HEADER: &str = "logs/v0";
/// Largest number of requests a day, exclusive.
const REQUESTS_PER_DAY_END: u64 = 1 << 31;
/// Longest list, in bytes: forty thousand logs with room to spare.
pub const LOG_LIST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A log in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLog {
    /// First line of its checkpoints; the name of its key unless the list says otherwise.
    pub origin: Origin,
    /// Its key; Ed25519 (type 0x01) for now.
    pub key: VerifierKey,
    /// Add-checkpoint requests a day that it wants to send.
    pub requests_per_day: u64,
    /// Whom to ask.
    pub contact: String,
}

/// What a list says, and what in it was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogList {
    /// The logs.
    pub logs: Vec<ListedLog>,
    /// Entries that this program cannot use, with the reason: keys of another type, origins that
    /// cannot be cosigned. One such entry must not keep the others out.
    pub skipped: Vec<String>,
}

/// The line at which a list breaks the format. It is not used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct LogListError {
    /// Counted from 1; one past the end if something is missing there.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl LogList {
    /// Reads a list: comments and blank lines are ignored, lines are trimmed, and each log is
    /// `vkey`, perhaps `origin`, `qpd` and `contact`, in this order.
    ///
    /// # Errors
    /// [`LogListError`].
    pub fn parse(text: &[u8]) -> Result<Self, LogListError> {
        let error = |line, what| LogListError { line, what };
        if text.len() > LOG_LIST_BYTES_MAX {
            return Err(error(1, "the list is too long"));
        }
        let text = std::str::from_utf8(text).map_err(|_| error(1, "the list is not UTF-8"))?;
        let end = text.lines().count() + 1;
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines =
            lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
        match lines.next() {
            Some((_, HEADER)) => {}
            Some((line, _)) => return Err(error(line, "the first line is not logs/v0")),
            None => return Err(error(end, "the list is empty")),
        }
        let mut list = Self::default();
        while let Some((line, text)) = lines.next() {
            let vkey = value(text, "vkey").ok_or(error(line, "a log begins with vkey"))?;
            let origin = lines.next_if(|(_, text)| value(text, "origin").is_some());
            let (at, text) = lines.next().unwrap_or((end, ""));
            let requests_per_day = value(text, "qpd")
                .and_then(parse_requests)
                .ok_or(error(at, "qpd and a number from 1 to 2147483647 must follow"))?;
            let (at, text) = lines.next().unwrap_or((end, ""));
            let contact = value(text, "contact").ok_or(error(at, "contact must follow"))?.into();
            let key = match VerifierKey::parse(vkey) {
                Ok(key) if key.algorithm() == KeyAlgorithm::Ed25519 => key,
                Ok(_) => {
                    list.skipped.push(format!("line {line}: not an Ed25519 key of type 0x01"));
                    continue;
                }
                Err(why) => {
                    list.skipped.push(format!("line {line}: {why}"));
                    continue;
                }
            };
            let origin = match origin {
                Some((_, text)) => value(text, "origin").unwrap_or_default(),
                None => key.name().as_str(),
            };
            match Origin::parse(origin) {
                Ok(origin) if origin.as_str().len() <= ORIGIN_BYTES_MAX => {
                    list.logs.push(ListedLog { origin, key, requests_per_day, contact });
                }
                Ok(_) => list.skipped.push(format!(
                    "line {line}: the origin is longer than {ORIGIN_BYTES_MAX} bytes"
                )),
                Err(why) => list.skipped.push(format!("line {line}: {why}")),
            }
        }
        Ok(list)
    }
}

/// What follows a keyword and a space.
fn value<'l>(line: &'l str, keyword: &str) -> Option<&'l str> {
    line.strip_prefix(keyword)?.strip_prefix(' ').map(str::trim).filter(|value| !value.is_empty())
}

fn parse_requests(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    let requests = text.parse().ok().filter(|requests| *requests < REQUESTS_PER_DAY_END);
    requests.filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "stranger.example/x+1d4851ea+AYj4zxRlwwYUL3qJs705zzeCVzhTe7eRy2bBtC+RB7xN";

    fn line_of(text: &str) -> usize {
        LogList::parse(text.as_bytes()).unwrap_err().line
    }

    #[test]
    fn a_list_is_read_in_its_strict_order() {
        let text = format!(
            "# a\n\n logs/v0 \n\nvkey {VKEY}\nqpd 24\ncontact a b\n# c\nvkey {VKEY}\norigin o p\n\
             qpd 2147483647\ncontact x"
        );
        let list = LogList::parse(text.as_bytes()).unwrap();
        assert_eq!(list.logs.len(), 2);
        assert_eq!(list.logs[0].origin.as_str(), "stranger.example/x");
        assert_eq!(list.logs[0].contact, "a b");
        assert_eq!(list.logs[1].origin.as_str(), "o p");
        assert_eq!(list.logs[1].requests_per_day, 2_147_483_647);
    }

    #[test]
    fn a_list_that_breaks_the_format_is_not_used_at_all() {
        assert_eq!(line_of(""), 1);
        assert_eq!(line_of("logs/v1\n"), 1);
        assert_eq!(line_of("vkey a\nlogs/v0\n"), 1);
        assert_eq!(line_of("logs/v0\nqpd 1\n"), 2);
        assert_eq!(line_of(&format!("logs/v0\nvkey {VKEY}\n")), 3);
        assert_eq!(line_of(&format!("logs/v0\nvkey {VKEY}\nqpd 1\n")), 4);
        assert_eq!(line_of(&format!("logs/v0\nvkey {VKEY}\ncontact a\nqpd 1\n")), 3);
        for bad in ["0", "01", "+1", "1.5", "2147483648", "-1", ""] {
            assert_eq!(line_of(&format!("logs/v0\nvkey {VKEY}\nqpd {bad}\ncontact a\n")), 3);
        }
        assert_eq!(LogList::parse(b"logs/v0\n\xff").unwrap_err().line, 1);
    }

    #[test]
    fn entries_that_cannot_be_used_are_left_out_and_said() {
        let long = "x".repeat(ORIGIN_BYTES_MAX + 1);
        let text = format!(
            "logs/v0\nvkey {}\nqpd 1\ncontact a\nvkey {VKEY}\nqpd 1\ncontact a\n\
             vkey {VKEY}\norigin {long}\nqpd 1\ncontact a\n\
             vkey {VKEY}\norigin a\u{1}b\nqpd 1\ncontact a\n\
             vkey {VKEY}\norigin {}\nqpd 1\ncontact a\n",
            VKEY.replace("1d4851ea", "00000000"),
            &long[1..]
        );
        let list = LogList::parse(text.as_bytes()).unwrap();
        assert_eq!((list.logs.len(), list.skipped.len()), (2, 3));
        for (skipped, line) in list.skipped.iter().zip(["line 2:", "line 8:", "line 12:"]) {
            assert!(skipped.starts_with(line), "{skipped}");
        }
    }
}
