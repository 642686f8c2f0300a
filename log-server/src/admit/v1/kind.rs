//! The kinds of entries, by their names on the wire.

/// A kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An Alpine package.
    Alpine,
    /// A COSE message.
    Cose,
    /// A DSSE envelope of which only hashes are kept.
    Dsse,
    /// A signature over a digest.
    HashedRekord,
    /// The provenance file of a Helm chart.
    Helm,
    /// A DSSE envelope with an in-toto statement.
    Intoto,
    /// A signed Java archive.
    Jar,
    /// A signature over an artefact that is sent along.
    Rekord,
    /// A time-stamp.
    Rfc3161,
    /// An RPM package.
    Rpm,
    /// Metadata of The Update Framework.
    Tuf,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Alpine,
        Self::Cose,
        Self::Dsse,
        Self::HashedRekord,
        Self::Helm,
        Self::Intoto,
        Self::Jar,
        Self::Rekord,
        Self::Rfc3161,
        Self::Rpm,
        Self::Tuf,
    ];

    /// What a log takes unless it is told otherwise: the kinds that clients still send. The others
    /// parse foreign formats for nobody.
    pub const DEFAULT: [Self; 5] =
        [Self::Dsse, Self::HashedRekord, Self::Intoto, Self::Rekord, Self::Rfc3161];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alpine => "alpine",
            Self::Cose => "cose",
            Self::Dsse => "dsse",
            Self::HashedRekord => "hashedrekord",
            Self::Helm => "helm",
            Self::Intoto => "intoto",
            Self::Jar => "jar",
            Self::Rekord => "rekord",
            Self::Rfc3161 => "rfc3161",
            Self::Rpm => "rpm",
            Self::Tuf => "tuf",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
