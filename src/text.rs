//! Text that others wrote, made safe to read: what a database or AWS says is cut, and can neither steer a terminal nor
//! forge a line.

/// Characters of one text in a report.
pub const MAX_CHARS: usize = 600;

/// A name that contains at least so much of a word is suggested for it.
const MIN_PART_BYTES: usize = 3;
const MAX_SUGGESTIONS: usize = 3;
/// From this likeness on (Jaro-Winkler, from 0 to 1) one name may be meant for another.
const MIN_LIKENESS: f64 = 0.8;

/// One line of at most [`MAX_CHARS`] characters.
#[must_use]
pub fn clean(text: &str) -> String {
    clean_to(text, MAX_CHARS)
}

/// One line of at most `chars` characters, with an ellipsis where it was cut. What is not shown as it is, is escaped.
#[must_use]
pub fn clean_to(text: &str, chars: usize) -> String {
    cut(text, chars, |_| false)
}

/// Lines of at most `chars` characters in all: as [`clean_to`], but line breaks stay.
#[must_use]
pub fn lines_to(text: &str, chars: usize) -> String {
    cut(text, chars, |c| c == '\n')
}

fn cut(text: &str, chars: usize, keeps: fn(char) -> bool) -> String {
    let mut line = String::with_capacity(text.len().min(chars.saturating_mul(4)));
    let mut left = chars;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if left <= 1 && (left == 0 || rest.clone().next().is_some()) {
            // Written in place of the last character that there is room for.
            line.push('…');
            break;
        }
        left -= 1;
        if keeps(c) {
            line.push(c);
        } else {
            push(&mut line, c);
        }
    }
    line
}

/// Several lines of any length: only what stands between line breaks is escaped.
#[must_use]
pub fn printable(text: &str) -> String {
    lines_to(text, usize::MAX)
}

/// JSON that people may see: what steers a terminal is escaped, and means the same to programs. All of it stands inside of
/// strings, since nothing but ASCII stands outside.
#[must_use]
pub fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if is_plain(c) || c == '\n' {
            plain.push(c);
        } else {
            plain.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    plain
}

/// Words in lines of at most `width` characters; the second line and later ones begin with `indent` spaces. What stands
/// in backticks is one word: a command that is copied must not hold a line break. A longer word has a line of its own.
#[must_use]
pub fn wrap(line: &str, width: usize, indent: usize) -> String {
    let mut wrapped = String::with_capacity(line.len());
    let mut used = 0;
    for word in words(line) {
        let chars = word.chars().count();
        if used > 0 && used + chars > width {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            used = indent;
            wrapped.push_str(word.trim_start());
            used += word.trim_start().chars().count();
        } else {
            wrapped.push_str(word);
            used += chars;
        }
    }
    wrapped
}

/// As many whole words as fit into `width` characters, with an ellipsis where some were left out.
#[must_use]
pub fn clip(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut clipped = String::new();
    for word in line.split_inclusive(' ') {
        if clipped.chars().count() + word.chars().count() + 1 > width {
            break;
        }
        clipped.push_str(word);
    }
    if !clipped.is_empty() {
        clipped.push('…');
    }
    clipped
}

/// Words with the spaces before them.
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut in_word) = (Vec::new(), 0, false, false);
    for (at, c) in line.char_indices() {
        if c == ' ' && !quoted && in_word {
            words.push(&line[start..at]);
            start = at;
            in_word = false;
        } else if c != ' ' {
            in_word = true;
            quoted ^= c == '`';
        }
    }
    words.push(&line[start..]);
    words
}

/// `did you mean ...?`, where one of the `known` names contains the word, or looks like it.
#[must_use]
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let contains = |name: &&&str| word.len() >= MIN_PART_BYTES && name.to_ascii_lowercase().contains(&word);
    let containing: Vec<_> = known.iter().filter(contains).map(|name| format!("`{name}`")).collect();
    if (1..=MAX_SUGGESTIONS).contains(&containing.len()) {
        return Some(format!("did you mean {}?", containing.join(" or ")));
    }
    let alike = |name: &str| strsim::jaro_winkler(&word, &name.to_ascii_lowercase());
    let nearest = known.into_iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(nearest) > MIN_LIKENESS).then(|| format!("did you mean `{nearest}`?"))
}

/// The beginning of `text`, at most `bytes` long, on a character's boundary.
#[must_use]
pub fn head(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn push(line: &mut String, c: char) {
    if is_plain(c) {
        line.push(c);
    } else {
        line.extend(c.escape_default());
    }
}

/// Neither a control character, nor one that is invisible or changes the direction of what follows (Unicode TR36).
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal_or_forges_a_line() {
        let text = "a\u{1b}[2Jb\nPASSED\rc\u{202e}d\u{9b}e";
        assert_eq!(clean(text), "a\\u{1b}[2Jb\\nPASSED\\rc\\u{202e}d\\u{9b}e");
        assert_eq!(printable("a\u{7}\nb"), "a\\u{7}\nb");
        assert_eq!(lines_to("a\u{7}\nbcd", 5), "a\\u{7}\nb…");
    }

    #[test]
    fn a_line_is_wrapped_between_words_and_never_inside_a_command() {
        assert_eq!(wrap("  failed   rows: one two three", 20, 11), "  failed   rows: one\n           two three");
        assert_eq!(wrap("run `drctl runs show X` now", 12, 2), "run\n  `drctl runs show X`\n  now");
        assert_eq!(wrap("short", 80, 2), "short");
        assert_eq!(wrap("an odd ` here and there", 12, 0), "an odd\n` here and there");
    }

    #[test]
    fn a_name_is_suggested_for_a_word_that_looks_like_it_or_is_a_part_of_it() {
        let known = ["rds-postgresql", "aurora-postgresql", "documentdb"];
        let meant = |word: &str| did_you_mean(word, known);
        assert_eq!(meant("documentdbs").as_deref(), Some("did you mean `documentdb`?"));
        assert_eq!(meant("Postgres").as_deref(), Some("did you mean `rds-postgresql` or `aurora-postgresql`?"));
        assert_eq!(meant("red"), None);
        assert_eq!(did_you_mean("x", []), None);
    }

    #[test]
    fn a_text_is_cut_at_a_number_of_characters() {
        assert_eq!(clean_to("äöü", 3), "äöü");
        assert_eq!(clean_to("äöüß", 3), "äö…");
        assert_eq!(clean_to("", 3), "");
        assert_eq!(clean(&"x".repeat(10_000_000)).chars().count(), MAX_CHARS);
        assert_eq!(head("aä", 2), "a");
    }

    #[test]
    fn json_that_people_see_steers_no_terminal_and_means_the_same() {
        let odd = "x\u{9b}2Jy\u{202e}z\u{7f}\u{1b}\u{e0001} \"\\ ä\n";
        let value = serde_json::json!({ odd: [odd, 1] });
        for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let plain = plain_json(&written);
            assert!(plain.chars().all(|c| is_plain(c) || c == '\n'), "{plain:?}");
            assert!(plain.contains("\\u009b2Jy\\u202ez\\u007f\\u001b\\udb40\\udc01") && plain.contains('ä'), "{plain}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), value);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_one_plain_line(text: String, chars in 1_usize..40) {
            let line = clean_to(&text, chars);
            proptest::prop_assert!(line.chars().all(is_plain));
            proptest::prop_assert_eq!(text.chars().count() <= chars && text.chars().all(is_plain), line == text);
        }
    }
}
