//! Just enough of Rust's lexical grammar to tell code from comments and literals, and words from parts of words.

/// The text with every comment, string and character literal replaced by spaces; lines stay where they are.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).max(at + 1);
        if end == at + 1 {
            code.push(chars[at]);
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        }
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |i| chars[i] == '\n'),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' if !continues_word(chars, at) => raw_string_end(chars, at),
        '\'' => character_end(chars, at),
        _ => at,
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let closes = |i: usize| {
        chars[i] == '"' && chars.iter().skip(i + 1).take_while(|&&c| c == '#').take(hashes).count() == hashes
    };
    (find(chars, open + 1, closes) + 1 + hashes).min(chars.len())
}

/// A character literal, unless the quote begins a lifetime.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => (find(chars, at + 3, |i| chars[i] == '\'') + 1).min(chars.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn find(chars: &[char], from: usize, is: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|&i| is(i)).unwrap_or(chars.len())
}

/// `r` in `for"…"` or `br"…"`: only a raw string's prefix may stand before it.
fn continues_word(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|i| chars[i]);
    match before(1) {
        Some('b' | 'c') => before(2).is_some_and(is_word),
        Some(c) => is_word(c),
        None => false,
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A word of the code and what stands around it.
pub struct Word<'a> {
    pub line: usize,
    pub word: &'a str,
    pub before: &'a str,
    pub after: &'a str,
}

/// Every identifier and keyword of `code`, in order.
pub fn words(code: &str) -> impl Iterator<Item = Word<'_>> {
    let mut line = 1;
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(is_word)?;
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |length| start + length);
        line += code[at..start].matches('\n').count();
        at = end;
        Some(Word { line, word: &code[start..end], before: &code[..start], after: &code[end..] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_go() {
        assert_eq!(kept("a // b { \n /* c /* d */ e */ f"), "a f");
    }

    #[test]
    fn strings_go_and_what_looks_like_their_end_does_not_fool_it() {
        assert_eq!(kept(r#"a "x \" { // y" b"#), "a b");
        assert_eq!(kept("a r#\"x \" { \"# b br\"{\\\" c"), "a b b c");
        assert_eq!(kept("a \"two\nlines {\" b"), "a b");
    }

    #[test]
    fn characters_go_and_lifetimes_stay() {
        assert_eq!(kept(r"a '{' '\'' '\u{7d}' b"), "a b");
        assert_eq!(kept("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
    }

    #[test]
    fn words_know_their_line() {
        let lines: Vec<_> = words("ort::x\n  sort").map(|word| (word.line, word.word)).collect();
        assert_eq!(lines, [(1, "ort"), (1, "x"), (2, "sort")]);
    }
}
