//! How much of a database's catalogue drctl keeps. A backup decides how many names it has and how long they are, and must
//! not decide how much memory drctl takes.

/// Bytes of names, types and definitions that are kept of one database. They are kept several times: as they were found,
/// as the baseline, and as the text that is stored.
const MAX_CATALOGUE_BYTES: usize = 16 << 20;

/// What a text takes besides its own bytes: its handle, and what the allocator rounds up.
const TEXT_BYTES: usize = 2 * size_of::<String>();

/// What is said of a catalogue that does not fit. The test is unknown then.
pub(super) const TOO_LARGE: &str = "the catalogue is larger than drctl reads: names, types and definitions of the tables \
     take more than 16 MB; keep fewer tables in one database, or test this one by hand";

/// What is left of the bytes that may be kept.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MAX_CATALOGUE_BYTES }
    }
}

impl Budget {
    /// Takes what `text` needs, also where it is stored: as JSON, in which some characters take six bytes.
    pub(super) fn keep(&mut self, text: &str) -> bool {
        let bytes = text.bytes().map(|byte| match byte {
            0..0x20 => 6,
            b'"' | b'\\' => 2,
            _ => 1,
        });
        self.take(bytes.sum())
    }

    /// Takes `bytes` for a text that shall be kept; false where they are not left. Each text costs something besides its
    /// bytes: many short ones take memory too.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let cost = bytes.saturating_add(TEXT_BYTES);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.left = 0;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_kept_up_to_the_limit_and_not_beyond() {
        let mut budget = Budget::default();
        assert!(budget.take(MAX_CATALOGUE_BYTES / 2));
        assert!(!budget.take(MAX_CATALOGUE_BYTES / 2), "the handles count too");
        assert!(!budget.take(1), "what did not fit once is not followed by smaller texts that do");
        assert!(!Budget::default().take(usize::MAX));
    }

    #[test]
    fn a_text_costs_what_it_takes_in_json() {
        for (text, bytes) in [("a", 1), ("\"\\", 4), ("\u{1}\n", 12), ("é", 2)] {
            let (mut budget, mut other) = (Budget::default(), Budget::default());
            assert!(budget.keep(text) && other.take(bytes));
            assert_eq!(budget.left, other.left, "{text:?}");
        }
    }
}
