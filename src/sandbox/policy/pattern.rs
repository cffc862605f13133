//! Patterns with `*`, `?` and policy variables.

use super::context::Context;

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// Whether `text` is what `pattern` says, with wildcards and policy variables (`${aws:username}`, `${*}`). A variable that
/// the call does not have fits nothing.
pub(super) fn fits(pattern: &str, text: &str, context: &Context) -> bool {
    pieces(pattern, context).is_some_and(|pieces| matches(&pieces, text))
}

/// Whether `text` is `value`, in which variables count and wildcards do not.
pub(super) fn equals(value: &str, text: &str, context: &Context) -> bool {
    let Some(pieces) = pieces(value, context) else { return false };
    let plain = pieces.into_iter().map(|piece| match piece {
        Piece::Char(c) => c,
        Piece::One => '?',
        Piece::Any => '*',
    });
    plain.eq(text.chars())
}

/// Whether an ARN is what a pattern says. Each of the first five parts is compared on its own, so that `*` in one does not
/// run over into the next; what follows them is one part.
pub(super) fn fits_arn(pattern: &str, arn: &str, context: &Context) -> bool {
    const PARTS: usize = 6;
    let (patterns, parts): (Vec<&str>, Vec<&str>) =
        (pattern.splitn(PARTS, ':').collect(), arn.splitn(PARTS, ':').collect());
    if pattern == "*" || patterns.len() < PARTS || parts.len() < PARTS {
        return fits(pattern, arn, context);
    }
    patterns.into_iter().zip(parts).all(|(pattern, part)| fits(pattern, part, context))
}

fn pieces(pattern: &str, context: &Context) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
            pieces.extend(variable(name, context)?.chars().map(Piece::Char));
            rest = after;
            continue;
        }
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Char(c),
        });
        rest = &rest[c.len_utf8()..];
    }
    Some(pieces)
}

/// `aws:username`, or `aws:username, 'nobody'` with what it is where the call has none; `*`, `?` and `$` are themselves.
fn variable<'c>(name: &'c str, context: &'c Context) -> Option<&'c str> {
    let (name, default) = name.split_once(',').map_or((name, None), |(name, default)| (name, Some(default)));
    let name = name.trim();
    if ["*", "?", "$"].contains(&name) {
        return Some(name);
    }
    match context.get(name) {
        [value] => Some(value),
        _ => default.map(|default| default.trim().trim_matches('\'')),
    }
}

fn matches(pieces: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut position) = (0, 0);
    // Where the last `*` stands, and how much it covers so far.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pieces.get(at) {
            Some(Piece::Any) => {
                star = Some((at, position));
                at += 1;
            }
            Some(Piece::One) => (at, position) = (at + 1, position + 1),
            Some(Piece::Char(c)) if *c == text[position] => (at, position) = (at + 1, position + 1),
            _ => {
                let Some((last, covered)) = star else { return false };
                star = Some((last, covered + 1));
                (at, position) = (last + 1, covered + 1);
            }
        }
    }
    pieces[at..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit() {
        let none = Context::default();
        for (pattern, text, fit) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxbxb", true),
            ("${*}", "*", true),
            ("${*}", "x", false),
            ("a*", "a", true),
        ] {
            assert_eq!(fits(pattern, text, &none), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn a_variable_is_what_the_call_has() {
        let context = Context::default().with("aws:username", "*ops");
        assert!(fits("home/${aws:username}/?", "home/*ops/x", &context));
        assert!(!fits("home/${aws:username}/?", "home/devops/x", &context));
        assert!(!fits("${aws:absent}", "", &context));
        assert!(fits("${aws:absent, 'x'}", "x", &context));
    }

    #[test]
    fn a_wildcard_stays_in_its_part_of_an_arn() {
        let none = Context::default();
        assert!(fits_arn("arn:aws:rds:*:*:db:drctl-*", "arn:aws:rds:eu-west-1:1:db:drctl-x", &none));
        assert!(!fits_arn("arn:aws:rds:*:db:drctl-*", "arn:aws:rds:eu-west-1:1:snapshot:drctl-x", &none));
        assert!(!fits_arn("arn:aws:rds:*:*:db:x", "arn:aws:rds:eu-west-1:1:extra:db:x", &none));
    }
}
