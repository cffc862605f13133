//! What one pass over a collection adds up: the count, the digest, and for each field that is asked for the newest time
//! and the digest of what had settled. Documents come in any order and from any number of readers.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::super::salt::Salt;
use super::element::{DATE, Malformed, NULL, STRING, TIMESTAMP, UNDEFINED, each_at};

/// How fingerprints are made; written before them, since those of another way are not comparable.
///
/// Each document's SHA-256, all of them added modulo 2^256: a sum knows no order, and unlike exclusive or it does not
/// lose what is there twice. A plain sum of known hashes can be forged with some 2^32 steps (Wagner's generalized
/// birthday), so that the hash begins with a salt that stands in drctl's state and never in the database: who can write
/// to the database cannot know what to aim at.
const METHOD: &str = "sha256-sum";

/// What is wanted of one pass.
#[derive(Clone, Debug)]
pub(in crate::verify) struct Wanted {
    /// Whether every document is hashed.
    pub(in crate::verify) full: bool,
    pub(in crate::verify) salt: Salt,
    /// The paths of fields by which documents expire.
    pub(in crate::verify) expiring: Vec<Vec<String>>,
    pub(in crate::verify) questions: Vec<Question>,
}

/// What is wanted of one field.
#[derive(Clone, Debug)]
pub(in crate::verify) struct Question {
    /// Its path, by names.
    pub(in crate::verify) path: Vec<String>,
    /// The moments for which the documents older than that are digested.
    pub(in crate::verify) cutoffs: Vec<Timestamp>,
}

/// A number of 256 bits that wraps around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, other: Self) {
        let mut carry = false;
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = mine.overflowing_add(theirs);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *mine = sum;
            carry = first || second;
        }
    }

    fn of(hash: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }
}

/// A count with its digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heap {
    rows: u64,
    sum: Sum,
}

impl Heap {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum.add(other.sum);
    }
}

/// What was found of one field.
#[derive(Clone, Debug)]
pub(in crate::verify) struct Tally {
    /// The newest time.
    pub(in crate::verify) newest: Option<Timestamp>,
    /// The type of a value that is no time.
    pub(in crate::verify) strange: Option<u8>,
    path: Vec<String>,
    cutoffs: Vec<(Timestamp, Heap)>,
}

/// The documents older than a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verify) struct Cut {
    pub(in crate::verify) before: Timestamp,
    pub(in crate::verify) rows: u64,
    pub(in crate::verify) fingerprint: String,
}

/// What has been added up so far.
#[derive(Clone)]
pub(in crate::verify) struct Fold {
    full: bool,
    salt: Salt,
    /// A hash that has taken the salt in.
    salted: Sha256,
    expiring_by: Vec<Vec<String>>,
    /// Without the documents that can expire.
    all: Heap,
    expiring: u64,
    bytes: u64,
    tallies: Vec<Tally>,
}

impl Fold {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let tally = |question: &Question| Tally {
            newest: None,
            strange: None,
            path: question.path.clone(),
            cutoffs: question.cutoffs.iter().map(|before| (*before, Heap::default())).collect(),
        };
        Self {
            full: wanted.full,
            salt: wanted.salt,
            salted: Sha256::new_with_prefix(wanted.salt.0),
            expiring_by: wanted.expiring.clone(),
            all: Heap::default(),
            expiring: 0,
            bytes: 0,
            tallies: wanted.questions.iter().map(tally).collect(),
        }
    }

    pub(super) fn add(&mut self, document: &[u8]) -> Result<(), Malformed> {
        let mut hash = None;
        let mut one = || {
            let sum =
                *hash.get_or_insert_with(|| Sum::of(self.salted.clone().chain_update(document).finalize().into()));
            Heap { rows: 1, sum }
        };
        if can_expire(document, &self.expiring_by)? {
            self.expiring += 1;
        } else if self.full {
            self.all.merge(one());
        } else {
            self.all.rows += 1;
        }
        self.bytes += document.len() as u64;
        for tally in &mut self.tallies {
            let Some(newest) = tally.look_at(document)? else { continue };
            for (before, heap) in &mut tally.cutoffs {
                if newest < *before {
                    heap.merge(one());
                }
            }
        }
        Ok(())
    }

    /// Takes in what another reader of the same collection has added up.
    pub(super) fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        self.expiring += other.expiring;
        self.bytes += other.bytes;
        for (mine, theirs) in self.tallies.iter_mut().zip(other.tallies) {
            mine.newest = mine.newest.max(theirs.newest);
            mine.strange = mine.strange.or(theirs.strange);
            for ((_, mine), (_, theirs)) in mine.cutoffs.iter_mut().zip(theirs.cutoffs) {
                mine.merge(theirs);
            }
        }
    }

    /// Documents that cannot expire.
    pub(in crate::verify) fn rows(&self) -> u64 {
        self.all.rows
    }

    /// Documents that can.
    pub(in crate::verify) fn expiring(&self) -> u64 {
        self.expiring
    }

    /// Both together.
    pub(in crate::verify) fn documents(&self) -> u64 {
        self.all.rows + self.expiring
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of everything that cannot expire, where that was wanted.
    pub(in crate::verify) fn fingerprint(&self) -> Option<String> {
        self.full.then(|| written(self.salt, self.all.sum))
    }

    /// In the order of the questions.
    pub(in crate::verify) fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// In the order of the question's cutoffs.
    pub(in crate::verify) fn cuts(&self, question: usize) -> Vec<Cut> {
        let cutoffs = self.tallies.get(question).map(|tally| tally.cutoffs.as_slice()).unwrap_or_default();
        let cut = |(before, heap): &(Timestamp, Heap)| Cut {
            before: *before,
            rows: heap.rows,
            fingerprint: written(self.salt, heap.sum),
        };
        cutoffs.iter().map(cut).collect()
    }
}

/// Whether a document holds a date, or an array with one, in a field by which documents expire: others never do.
fn can_expire(document: &[u8], fields: &[Vec<String>]) -> Result<bool, Malformed> {
    let mut dated = false;
    for path in fields {
        each_at(document, path, &mut |kind, _| dated |= kind == DATE)?;
    }
    Ok(dated)
}

fn written(salt: Salt, sum: Sum) -> String {
    let [a, b, c, d] = sum.0;
    format!("{METHOD}/{salt}:{d:016x}{c:016x}{b:016x}{a:016x}")
}

impl Tally {
    /// The field's path as it is written.
    pub(in crate::verify) fn path(&self) -> String {
        self.path.join(".")
    }

    /// The newest time in one document; of several, as in an array, it is the newest that tells the document's age.
    fn look_at(&mut self, document: &[u8]) -> Result<Option<Timestamp>, Malformed> {
        let (mut newest, mut strange) = (None, self.strange);
        each_at(document, &self.path, &mut |kind, value| match time_of(kind, value) {
            Some(at) => newest = newest.max(Some(at)),
            None if kind == NULL || kind == UNDEFINED => {}
            None => strange = strange.or(Some(kind)),
        })?;
        self.strange = strange;
        self.newest = self.newest.max(newest);
        Ok(newest)
    }
}

/// A date, a timestamp, or a text in RFC 3339. What lies beyond all calendars is the first or the last moment.
fn time_of(kind: u8, value: &[u8]) -> Option<Timestamp> {
    match kind {
        DATE => {
            let millis = i64::from_le_bytes(*value.first_chunk()?);
            let beyond = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
            Some(Timestamp::from_millisecond(millis).unwrap_or(beyond))
        }
        TIMESTAMP => Timestamp::from_second(i64::from(u32::from_le_bytes(*value.get(4..)?.first_chunk()?))).ok(),
        STRING => std::str::from_utf8(value.get(4..)?.strip_suffix(&[0])?).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn wanted(cutoff: i64) -> Wanted {
        let cutoffs = vec![Timestamp::from_second(cutoff).unwrap()];
        let questions = vec![Question { path: vec!["at".to_owned()], cutoffs }];
        Wanted { full: true, salt: Salt([7; 16]), expiring: Vec::new(), questions }
    }

    fn document(n: i64) -> Vec<u8> {
        doc! { "_id": n, "at": bson::DateTime::from_millis(n * 1000) }.to_vec().unwrap()
    }

    fn folded(numbers: impl Iterator<Item = i64>) -> Fold {
        let mut fold = Fold::new(&wanted(50));
        for n in numbers {
            fold.add(&document(n)).unwrap();
        }
        fold
    }

    #[test]
    fn neither_order_nor_the_number_of_readers_matters() {
        let forwards = folded(0..100);
        let mut halves = folded((0..100).rev().filter(|n| n % 2 == 0));
        halves.merge(folded((0..100).filter(|n| n % 2 == 1)));
        assert_eq!(forwards.fingerprint(), halves.fingerprint());
        assert_eq!((forwards.rows(), halves.rows()), (100, 100));
        assert_eq!(forwards.cuts(0), halves.cuts(0));
        assert_eq!(forwards.cuts(0)[0].rows, 50);
        assert_eq!(halves.tallies()[0].newest, Timestamp::from_second(99).ok());
    }

    #[test]
    fn what_is_lost_changed_or_there_twice_shows() {
        let whole = folded(0..100).fingerprint();
        assert_ne!(whole, folded(1..100).fingerprint());
        assert_ne!(whole, folded((0..99).chain([98])).fingerprint());
        let twice = folded([1, 1].into_iter()).fingerprint();
        assert_ne!(twice, folded([2, 2].into_iter()).fingerprint());
        assert_ne!(twice, folded(std::iter::empty()).fingerprint());
    }

    #[test]
    fn only_a_document_with_a_date_can_expire() {
        let wanted = Wanted { expiring: vec![vec!["a".to_owned(), "until".to_owned()]], ..wanted(50) };
        let date = bson::DateTime::from_millis(0);
        let kept = [doc! { "a": { "until": 5 } }, doc! { "a": { "other": date } }, doc! { "until": date }, doc! {}];
        let gone = [doc! { "a": { "until": date } }, doc! { "a": [{ "until": [1, date] }] }];
        let mut all = Fold::new(&wanted);
        let mut of_kept = Fold::new(&wanted);
        for document in &kept {
            of_kept.add(&document.to_vec().unwrap()).unwrap();
        }
        for document in kept.iter().chain(&gone) {
            all.add(&document.to_vec().unwrap()).unwrap();
        }
        assert_eq!((all.rows(), all.expiring(), all.documents()), (4, 2, 6));
        assert_eq!(all.fingerprint(), of_kept.fingerprint());
        of_kept.merge(all);
        assert_eq!(of_kept.expiring(), 2);
    }

    #[test]
    fn a_fingerprint_remembers_its_salt() {
        let fingerprint = folded(0..3).fingerprint().unwrap();
        assert_eq!(Salt::of(&fingerprint), Some(Salt([7; 16])));
        assert_eq!(Salt::of("15.3/record:5"), None);
        let other = Wanted { salt: Salt([8; 16]), ..wanted(50) };
        let mut fold = Fold::new(&other);
        (0..3).for_each(|n| fold.add(&document(n)).unwrap());
        let other = fold.fingerprint().unwrap();
        assert_ne!(other.rsplit_once(':').unwrap().1, fingerprint.rsplit_once(':').unwrap().1);
    }

    #[test]
    fn a_sum_carries_and_wraps_around() {
        let mut sum = Sum([u64::MAX; 4]);
        sum.add(Sum([1, 0, 0, 0]));
        assert_eq!(sum, Sum::default());
        let mut sum = Sum([u64::MAX, 0, 0, 0]);
        sum.add(Sum([1, 0, 0, 0]));
        assert_eq!(sum, Sum([0, 1, 0, 0]));
    }

    #[test]
    fn times_are_dates_timestamps_and_texts_however_far() {
        let newest = |document: bson::Document| {
            let mut fold = Fold::new(&wanted(50));
            fold.add(&document.to_vec().unwrap()).unwrap();
            (fold.tallies()[0].newest, fold.tallies()[0].strange)
        };
        let at = |second| (Timestamp::from_second(second).ok(), None);
        assert_eq!(newest(doc! { "at": "1970-01-01T00:00:05Z" }), at(5));
        assert_eq!(newest(doc! { "at": bson::Timestamp { time: 5, increment: 9 } }), at(5));
        assert_eq!(newest(doc! { "at": bson::DateTime::from_millis(i64::MAX) }), (Some(Timestamp::MAX), None));
        assert_eq!(newest(doc! { "at": bson::DateTime::from_millis(i64::MIN) }), (Some(Timestamp::MIN), None));
        assert_eq!(newest(doc! { "at": null }), (None, None));
        assert_eq!(newest(doc! { "at": 5 }), (None, Some(super::super::element::INT32)));
        assert_eq!(
            newest(doc! { "at": [bson::DateTime::from_millis(1000), bson::DateTime::from_millis(5000)] }),
            at(5)
        );
    }
}
