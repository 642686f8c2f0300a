//! `cairn search`: which entries of a Rekor v1 log are about a file, a person or a key.
//!
//! The log says which entries these are, and nobody can check that it named all of them, or only
//! those. That each of them is in the log is verified here.

use std::collections::HashSet;
use std::path::PathBuf;

use log_core::EntryId;
use log_core::entry::HashAlgorithm;
use serde_json::{Value, json};

use crate::artefact::hex;
use crate::client::{LogClient, V1_RETRIEVED_MAX};
use crate::failure::Failure;
use crate::files;
use crate::output::{Answer, Printable};
use crate::v1::answer::{AnsweredEntry, parse_ids, parse_many};
use crate::v1::attested::Attested;
use crate::v1::question::Question;
use crate::v1::shown;
use crate::v1::trust::V1Trust;

/// What a search is worth, in the help.
const INCOMPLETE: &str = "\
The log chooses what it answers: it may leave entries out, and nothing shows that. So a search
never proves that there is no entry. Each entry that is printed is verified to be in the log.
Whether it is about what was asked for stands in the entry, except for the files that an
attestation is about: such entries are marked.

Exit codes: 0 found, 1 nothing found, 2 wrong usage, 3 could not tell.";

/// Entries that are asked for if the user does not say how many.
const LIMIT_DEFAULT: u32 = 100;

/// Most ids in one page of a search: what logs give at a time.
const PAGE_IDS_MAX: usize = 1_000;

/// Arguments of `cairn search`.
#[derive(Debug, clap::Args)]
#[command(after_help = INCOMPLETE)]
#[command(group = clap::ArgGroup::new("for").required(true).multiple(true)
    .args(["hash", "artifact", "email", "subject", "public_key"]))]
pub struct SearchArgs {
    /// The URL of the Rekor v1 log.
    #[arg(long)]
    pub url: String,
    /// The digest of an artifact or payload: hex, with `sha256:`, `sha512:` or `sha1:` before it
    /// or not.
    #[arg(long, value_name = "HASH")]
    pub hash: Option<String>,
    /// A file, whose SHA-256 is searched for.
    #[arg(long, value_name = "FILE", conflicts_with = "hash")]
    pub artifact: Option<PathBuf>,
    /// A mail address in certificates.
    #[arg(long)]
    pub email: Option<String>,
    /// Any other name in certificates: a URI, a host, a user name.
    #[arg(long)]
    pub subject: Option<String>,
    /// A file with a public key or certificate.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// The format of that file.
    #[arg(long, value_enum, default_value_t = KeyFormat::X509, requires = "public_key")]
    pub format: KeyFormat,
    /// Find what has all that is given, in place of any of it.
    #[arg(long)]
    pub and: bool,
    /// Most entries that are read.
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Which logs are believed (trusted_root.json).
    #[arg(long, value_name = "ROOT")]
    pub trusted_root: Option<PathBuf>,
    /// The public key of the log (PEM). If none is given, not in a trusted root either, the key is
    /// taken from the log.
    #[arg(long, value_name = "KEY", conflicts_with = "trusted_root")]
    pub log_key: Option<PathBuf>,
}

/// Formats of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyFormat {
    /// A key or certificate in PEM.
    X509,
    /// An OpenPGP key.
    Pgp,
    /// A minisign key.
    Minisign,
    /// An SSH key.
    Ssh,
}

/// Searches, reads what was found, verifies it.
pub fn run(args: &SearchArgs) -> Result<Answer, Failure> {
    let client = LogClient::new(&args.url).map_err(|error| Failure::Usage(error.to_string()))?;
    let question = question(args)?;
    let (root, log_key) = (args.trusted_root.as_deref(), args.log_key.as_deref());
    // Nothing that goes wrong here means that nothing was found.
    let trust = V1Trust::read(root, log_key, None, &client).map_err(undecided)?;
    let found = search(&client, &question.to_json(), args.limit as usize)?;
    let mut hits = Vec::new();
    let mut failure = None;
    for ids in found.ids.chunks(usize::try_from(V1_RETRIEVED_MAX).unwrap_or(usize::MAX)) {
        match retrieve(&client, ids, &trust) {
            Ok(entries) => hits.extend(entries),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let answer = describe(&hits, &question, found.is_cut, &trust);
    Ok(match failure {
        Some(failure) => answer.but(undecided(failure)),
        None if hits.is_empty() => answer.but(Failure::no("the log names no such entry")),
        None => answer,
    })
}

/// Every failure of a search leaves the question open.
fn undecided(failure: Failure) -> Failure {
    match failure {
        Failure::No(reason) => Failure::Undecided(reason),
        other => other,
    }
}

fn question(args: &SearchArgs) -> Result<Question, Failure> {
    let mut hash = args.hash.clone();
    if let Some(path) = &args.artifact {
        let digest = files::read_artefact(path)?;
        let digest = hex(digest.digest(HashAlgorithm::Sha2_256).as_ref());
        hash = Some(format!("sha256:{digest}"));
    }
    let mut public_key = None;
    if let Some(path) = &args.public_key {
        let format = match args.format {
            KeyFormat::X509 => "x509",
            KeyFormat::Pgp => "pgp",
            KeyFormat::Minisign => "minisign",
            KeyFormat::Ssh => "ssh",
        };
        public_key = Some((format.to_owned(), files::read(path, files::SMALL_FILE_BYTES_MAX)?));
    }
    let (email, subject) = (args.email.clone(), args.subject.clone());
    Ok(Question { hash, email, subject, public_key, all: args.and })
}

/// The ids that a log named, each once.
struct Found {
    ids: Vec<EntryId>,
    /// Whether there may be more.
    is_cut: bool,
}

/// Reads page after page, until there are enough ids or no more.
fn search(client: &LogClient, question: &Value, limit: usize) -> Result<Found, Failure> {
    let mut found = Found { ids: Vec::new(), is_cut: false };
    let mut seen = HashSet::new();
    loop {
        // One more than needed, so that it is known whether there are more.
        let asked = (limit - found.ids.len()).saturating_add(1).min(PAGE_IDS_MAX);
        let mut page_question = question.clone();
        page_question["limit"] = json!(asked);
        if let Some(last) = found.ids.last() {
            page_question["after"] = json!(last.to_string());
        }
        let page = client.search_v1(&page_question.to_string()).map_err(Failure::undecided)?;
        let page = parse_ids(&page).map_err(Failure::undecided)?;
        // A log that knows no pages, as upstream's, gives all at once, and may repeat an id.
        let is_last = page.len() != asked;
        let known = found.ids.len();
        let new = page.into_iter().filter(|id| seen.insert(*id));
        found.ids.extend(new);
        if found.ids.len() > limit {
            found.ids.truncate(limit);
            found.is_cut = true;
            return Ok(found);
        }
        // A full page without a new id: there are no pages, or the log runs in circles.
        if is_last || found.ids.len() == known {
            return Ok(found);
        }
    }
}

/// The entries with these ids, in this order, verified.
fn retrieve(
    client: &LogClient,
    ids: &[EntryId],
    trust: &V1Trust,
) -> Result<Vec<(AnsweredEntry, Attested)>, Failure> {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let question = json!({ "entryUUIDs": names }).to_string();
    let answer = client.retrieve_v1_entries(&question).map_err(Failure::undecided)?;
    let answered = parse_many(&answer).map_err(Failure::undecided)?;
    let answered_ids: Vec<_> = answered.iter().map(|entry| entry.id).collect();
    if answered_ids != ids {
        let reason = "the log did not answer with the entries that it named";
        return Err(Failure::undecided(reason));
    }
    let verified = answered.into_iter().map(|entry| {
        let attested = trust
            .verify(&entry)
            .map_err(|failure| Failure::undecided(format!("entry {}: {failure}", entry.id)))?;
        Ok((entry, attested))
    });
    verified.collect()
}

fn describe(
    hits: &[(AnsweredEntry, Attested)],
    question: &Question,
    is_cut: bool,
    trust: &V1Trust,
) -> Answer {
    let mut lines = Vec::new();
    let mut entries = Vec::new();
    for (AnsweredEntry { id, entry }, attested) in hits {
        let time = attested.time.map(|time| time.to_string()).unwrap_or_default();
        let identities = shown::identities(&entry.canonicalized_body.0);
        let identities = if identities.is_empty() { "-".to_owned() } else { identities.join(", ") };
        let kind = Printable(&entry.kind_version.kind).to_string();
        let identities = Printable(&identities);
        let is_shown = question.is_shown_by(&entry.canonicalized_body.0);
        let word = if is_shown { "" } else { "  (that it fits is the log's word)" };
        lines.push(format!("{}  {time}  {kind}  {identities}  {id}{word}", attested.index));
        let mut json = shown::to_json(id, entry, attested);
        json["shownByItself"] = json!(is_shown);
        entries.push(json);
    }
    if is_cut {
        lines.push(format!("(there are more: the first {} are shown, see --limit)", hits.len()));
    }
    // Not on stdout, whose lines are entries.
    eprintln!("cairn: a log may leave entries out of a search, and nothing shows that");
    let json = json!({
        "entries": entries,
        "mayHaveMore": is_cut,
        "complete": false,
        "keyFrom": trust.source(),
    });
    Answer::new(lines.join("\n"), json)
}
