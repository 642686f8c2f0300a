//! Row: what the witness remembers of one origin between two cosignatures, and its bytes in the
//! table `heads` (FORMAT.md, 2.3).

use log_core::{Hash, TreeHead, TreeSize};

/// First byte of every row.
const VERSION: u8 = 1;
/// Bytes before the note.
const HEADER_BYTES: usize = 69;

/// What is known of an origin's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// `add-log` made the row and nothing was cosigned: the one state in which a log may begin.
    NeverCosigned,
    /// The newest head that was cosigned.
    Cosigned(TreeHead),
    /// The database was lost, so something may have been cosigned: nothing is until an operator
    /// names a head to restart from.
    Lost,
}

/// An own signature that is newer than the row: the proof that the database was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// The size that was cosigned.
    pub size: TreeSize,
    /// When, in seconds since 1970.
    pub time_s: u64,
}

impl Ahead {
    /// The larger size and the later time of both, each for itself: it never goes back.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { size: self.size.max(other.size), time_s: self.time_s.max(other.time_s) }
    }
}

/// The part of a row that decides, without the note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHeader {
    /// What is known of the history.
    pub standing: Standing,
    /// Time of the last cosignature, in seconds since 1970; 0 for none. It never goes back.
    pub time_s: u64,
    /// The largest size and the latest time of own signatures that this row does not know.
    pub ahead: Option<Ahead>,
    /// Rows of this origin in the journal; fewer than 288.
    pub journal_rows: u16,
}

/// A whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The part that decides.
    pub header: RowHeader,
    /// The note as it is served: verified lines of the log, then the own ones. Empty unless
    /// something was cosigned.
    pub note: String,
}

/// A row that this program did not write: the database is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the table heads is malformed")]
pub struct MalformedRow;

impl RowHeader {
    /// The row of an origin that was just added. `lost` after a loss of the database.
    pub fn new(lost: bool) -> Self {
        let standing = if lost { Standing::Lost } else { Standing::NeverCosigned };
        Self { standing, time_s: 0, ahead: None, journal_rows: 0 }
    }

    /// The newest head that was cosigned.
    pub fn head(&self) -> Option<TreeHead> {
        match self.standing {
            Standing::Cosigned(head) => Some(head),
            Standing::NeverCosigned | Standing::Lost => None,
        }
    }

    /// The size that a 409 names: 0 if nothing was cosigned.
    pub fn latest_size(&self) -> TreeSize {
        self.head().map_or_else(TreeSize::default, |head| head.size)
    }

    /// Whether a valid own signature over `head` of that time is not covered by this row: it is
    /// larger, later, or over another root than the newest one.
    pub fn is_behind(&self, head: TreeHead, time_s: u64) -> bool {
        let other_root = self.head().is_some_and(|own| own.size == head.size && own != head);
        head.size > self.latest_size() || time_s > self.time_s || other_root
    }

    /// Reads the header of a row.
    ///
    /// # Errors
    /// [`MalformedRow`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedRow> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(MalformedRow)?;
        let number = |at: usize| {
            let bytes = header[at..at + 8].try_into();
            u64::from_be_bytes(bytes.expect("invariant: eight bytes were taken"))
        };
        let root_hash = Hash::from_slice(&header[13..45]).ok_or(MalformedRow)?;
        let standing = match header[1] {
            0 => Standing::NeverCosigned,
            1 => Standing::Cosigned(TreeHead { size: TreeSize::new(number(5)), root_hash }),
            2 => Standing::Lost,
            _ => return Err(MalformedRow),
        };
        let ahead = match header[2] {
            0 => None,
            1 => Some(Ahead { size: TreeSize::new(number(53)), time_s: number(61) }),
            _ => return Err(MalformedRow),
        };
        if header[0] != VERSION {
            return Err(MalformedRow);
        }
        let journal_rows = u16::from_be_bytes([header[3], header[4]]);
        Ok(Self { standing, time_s: number(45), ahead, journal_rows })
    }
}

impl Row {
    /// The row of an origin that was just added.
    pub fn new(lost: bool) -> Self {
        Self { header: RowHeader::new(lost), note: String::new() }
    }

    /// The bytes in the table.
    pub fn encode(&self) -> Vec<u8> {
        let header = &self.header;
        let head = header.head();
        let ahead = header.ahead.unwrap_or(Ahead { size: TreeSize::default(), time_s: 0 });
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.note.len());
        bytes.push(VERSION);
        bytes.push(match header.standing {
            Standing::NeverCosigned => 0,
            Standing::Cosigned(_) => 1,
            Standing::Lost => 2,
        });
        bytes.push(u8::from(header.ahead.is_some()));
        bytes.extend_from_slice(&header.journal_rows.to_be_bytes());
        bytes.extend_from_slice(&header.latest_size().get().to_be_bytes());
        bytes.extend_from_slice(&head.map_or([0; 32], |head| *head.root_hash.as_bytes()));
        bytes.extend_from_slice(&header.time_s.to_be_bytes());
        bytes.extend_from_slice(&ahead.size.get().to_be_bytes());
        bytes.extend_from_slice(&ahead.time_s.to_be_bytes());
        assert_eq!(bytes.len(), HEADER_BYTES, "the header has its length");
        bytes.extend_from_slice(self.note.as_bytes());
        bytes
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`MalformedRow`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedRow> {
        let header = RowHeader::decode(bytes)?;
        let note = std::str::from_utf8(&bytes[HEADER_BYTES..]).map_err(|_| MalformedRow)?;
        Ok(Self { header, note: note.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let head = TreeHead { size: TreeSize::new(u64::MAX), root_hash: Hash::EMPTY_ROOT };
        let cosigned = RowHeader {
            standing: Standing::Cosigned(head),
            time_s: 17,
            ahead: Some(Ahead { size: TreeSize::new(3), time_s: 5 }),
            journal_rows: 256,
        };
        let whole = Row { header: cosigned, note: "a\u{2014}\n".into() };
        vec![Row::new(false), Row::new(true), whole]
    }

    #[test]
    fn rows_are_read_back() {
        for row in rows() {
            assert_eq!(Row::decode(&row.encode()), Ok(row.clone()));
            assert_eq!(RowHeader::decode(&row.encode()), Ok(row.header));
        }
    }

    #[test]
    fn damaged_rows_are_refused() {
        let bytes = rows()[2].encode();
        assert_eq!(Row::decode(&bytes[..HEADER_BYTES - 1]), Err(MalformedRow));
        for (at, value) in [(0, 2), (1, 3), (2, 2), (HEADER_BYTES, 0xff)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert_eq!(Row::decode(&bytes), Err(MalformedRow), "{at}");
        }
    }
}
