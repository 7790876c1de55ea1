//! Where the characters of a scalar's value stand in its text, whatever quotes, escapes and folding lie between.

/// Where the characters of a scalar that are no space begin and end in its text, without its quotes.
pub fn visible_places(raw: &str) -> Vec<(u32, u32)> {
    let quote = raw.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = match quote {
        Some(quote) => raw.strip_suffix(quote).unwrap_or(raw),
        None => raw,
    };
    let mut places = Vec::new();
    let mut characters = inner.char_indices().skip(usize::from(quote.is_some())).peekable();
    while let Some((start, character)) = characters.next() {
        let mut is_visible = !character.is_whitespace();
        if quote == Some('"') && character == '\\' {
            let (_, kind) = characters.next().unwrap_or((start, '\\'));
            let digits = match kind {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            for _ in 0..digits {
                characters.next();
            }
            is_visible =
                !matches!(kind, 'n' | 't' | 'r' | ' ' | '\n' | '\r' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' | '\t');
        } else if quote == Some('\'') && character == '\'' {
            characters.next();
        }
        if is_visible {
            let end = characters.peek().map_or(inner.len(), |(at, _)| *at);
            places.push((offset(start), offset(end)));
        }
    }
    places
}

/// Files are bounded far below what this can hold.
fn offset(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}
